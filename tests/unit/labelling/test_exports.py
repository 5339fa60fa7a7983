"""Labels in files, and what a file may not hold."""

import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.labelled_project import LabelledProject, labelled_project
from heedful.core.errors import DataError
from heedful.core.records import Completion, Prompt, Ranking
from heedful.data.pseudonyms import Key
from heedful.data.sources import load_demonstrations, load_prompts, load_rankings
from heedful.labelling.exports import (
    ExportOptions,
    export_lines,
    export_preferences,
    export_records,
    safe_name,
    stream_export,
    write_folder,
    write_lines,
    write_zip,
)
from heedful.store.database import Database, open_database
from heedful.store.exports import LabelFilter

KEY = Key(b"a key of sixteen bytes")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(f"sqlite:///{tmp_path / 'heedful.db'}", migrate=True) as opened:
        yield opened


@pytest.fixture
def project(database: Database) -> LabelledProject:
    with database.write() as session:
        return labelled_project(session)


def test_a_stream_can_be_trained_on(
    database: Database, project: LabelledProject, tmp_path: Path
) -> None:
    path = tmp_path / "labels.jsonl"
    with database.read() as session:
        write_lines(path, stream_export(session, project.demo.id, ExportOptions()))
    found = load_rankings(path)
    assert [ranking.ranks for ranking in found.rankings] == [(1, 1, 2), (1, 2, 3), (2, 1, 3)]
    assert len(load_demonstrations(path).demonstrations) == 1
    # The prompt that only the evaluation used is not there.
    assert {prompt.id for prompt in found.prompts} == {"prompt-1", "prompt-2", "prompt-3"}


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_a_folder_holds_our_records(
    database: Database, project: LabelledProject, tmp_path: Path, file_format: str
) -> None:
    folder = tmp_path / "out" / "labels"
    with database.read() as session:
        done = write_folder(
            session, project.demo.id, folder, ExportOptions(), file_format=file_format
        )
    assert done.counts["rankings"] == len(load_rankings(folder).rankings) == 3
    assert done.counts["ratings"] == 9
    assert done.left_out["excluded"] == 1
    assert "3 rankings" in done.summary()
    assert [path.name for path in folder.parent.iterdir()] == ["labels"]


def test_nothing_is_written_over(
    database: Database, project: LabelledProject, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    with database.read() as session, pytest.raises(DataError, match="exists already"):
        write_folder(session, project.demo.id, tmp_path / "mine", ExportOptions())
    with pytest.raises(DataError, match="exists already"):
        write_lines(tmp_path / "mine", [b"x\n"])


def test_a_zip_holds_the_folder_under_its_name(
    database: Database, project: LabelledProject, tmp_path: Path
) -> None:
    with database.read() as session:
        write_zip(session, project.demo.id, tmp_path / "demo.zip", ExportOptions())
    with zipfile.ZipFile(tmp_path / "demo.zip") as archive:
        assert "demo/rankings.jsonl" in archive.namelist()
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ""} <= {
        "demo.zip",
        "heedful.db",
        "heedful.db-shm",
        "heedful.db-wal",
    }


def test_every_prompt_can_be_asked_for(database: Database, project: LabelledProject) -> None:
    options = ExportOptions(kinds=("prompts",))
    with database.read() as session:
        found = list(export_records(session, project.demo.id, options))
    assert [record.id for record in found if isinstance(record, Prompt)] == [
        prompt.id for prompt in project.demo.prompts
    ]
    assert len(found) == 4


def test_preferences_in_conversation_hold_each_strict_pair(
    database: Database, project: LabelledProject
) -> None:
    with database.read() as session:
        rows = list(export_preferences(session, project.demo.id, ExportOptions()))
    assert len(rows) == 2 + 3 + 3  # of (1, 1, 2), (1, 2, 3), (2, 1, 3)
    assert rows[0] == {
        "prompt": [{"role": "user", "content": "Tell me about 2."}],
        "chosen": [{"role": "assistant", "content": "Answer 1 about 2."}],
        "rejected": [{"role": "assistant", "content": "Answer 3 about 2."}],
    }


@pytest.mark.parametrize("form", ["preference", "preference-text"])
def test_preferences_come_back_through_our_own_reader(
    database: Database, project: LabelledProject, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "preferences.jsonl"
    with database.read() as session:
        counts: Counter[str] = Counter()
        lines = export_lines(session, project.demo.id, ExportOptions(), form, counts)
        assert write_lines(path, lines) == counts["preferences"] == 8
    found = load_rankings(path)
    texts = {completion.id: completion.text for completion in found.completions}
    best = found.rankings[0].comparisons()[0]
    assert (texts[best.chosen_id], texts[best.rejected_id]) == (
        "Answer 1 about 2.",
        "Answer 3 about 2.",
    )
    assert "Tell me about 2." in found.prompts[0].instruction


def test_under_a_key_nobody_is_named(database: Database, project: LabelledProject) -> None:
    with database.write() as session:
        from heedful.store.contents import add_completions
        from heedful.store.tables import PromptRow

        labeller = project.demo.labellers[0].id
        session.get_one(PromptRow, "prompt-2").author_id = labeller
        row = session.get_one(PromptRow, "prompt-2")
        row.record = {**row.record, "user_id": labeller}
        add_completions(session, project.demo.id, [])
    options = ExportOptions(
        key=KEY, wanted=LabelFilter(surplus=True, excluded=True, adjudicated="keep")
    )
    with database.read() as session:
        lines = b"".join(stream_export(session, project.demo.id, options)).decode()
        again = b"".join(stream_export(session, project.demo.id, options)).decode()
    assert "account-" not in lines
    assert lines == again
    records = [json.loads(line) for line in lines.splitlines()]
    rankings = [Ranking.model_validate(line["ranking"]) for line in records if "ranking" in line]
    assert len({ranking.labeller_id for ranking in rankings}) == 4
    prompts = [Prompt.model_validate(line["prompt"]) for line in records if "prompt" in line]
    assert [p.user_id in {r.labeller_id for r in rankings} for p in prompts].count(True) == 1


def test_a_demonstration_among_the_completions_is_not_signed_either(
    database: Database, project: LabelledProject
) -> None:
    labeller = project.demo.labellers[0].id
    with database.write() as session:
        from heedful.store.tables import CompletionRow

        row = session.get_one(CompletionRow, "completion-2-1")
        row.author_id, row.record = labeller, {**row.record, "checkpoint_id": f"person:{labeller}"}
    with database.read() as session:
        found = list(export_records(session, project.demo.id, ExportOptions(key=KEY)))
    signed = [c.checkpoint_id for c in found if isinstance(c, Completion)]
    assert any(name.startswith("person:labeller-") for name in signed)
    assert not any(labeller in name for name in signed)


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("Demo", "2026-11-22"), "Demo-2026-11-22"),
        (("../../etc/passwd",), "etc-passwd"),
        (("Größe: 5 €",), "Groe-5"),
        (("\u202egnp.exe\0",), "gnp-exe"),
        (("....",), "export"),
        (("x" * 500,), "x" * 80),
    ],
)
def test_file_names_are_plain(parts: tuple[str, ...], name: str) -> None:
    assert safe_name(*parts) == name


def test_an_empty_project_gives_an_empty_stream(database: Database, tmp_path: Path) -> None:
    with database.read() as session:
        lines = list(stream_export(session, "project-none", ExportOptions()))
    assert lines == [b'{"end": {"records": 0}}\n']
    (tmp_path / "none.jsonl").write_bytes(lines[0])
    with pytest.raises(DataError, match="holds no rankings"):
        load_rankings(tmp_path / "none.jsonl")
    assert load_prompts(tmp_path / "none.jsonl") == []
