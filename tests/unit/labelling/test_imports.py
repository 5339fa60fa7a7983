"""Files into a project, whole or not at all, and back out of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from fakes.labelled_project import labelled_project
from fakes.labelling_store import DemoProject, demo_project
from heedful.core.errors import DataError
from heedful.core.jsonl import RowError
from heedful.labelling.exports import ExportOptions, stream_export, write_folder, write_lines
from heedful.labelling.imports import Imported, ImportOptions, read_import, store_import
from heedful.store.contents import Added
from heedful.store.database import Database, open_database
from heedful.store.exports import LabelFilter
from heedful.store.tables import PromptRow

PREFERENCE = {"prompt": "Say hello.", "chosen": "Hello!", "rejected": "No."}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(f"sqlite:///{tmp_path / 'heedful.db'}", migrate=True) as opened:
        yield opened


@pytest.fixture
def demo(database: Database) -> DemoProject:
    with database.write() as session:
        return demo_project(session)


def load(database: Database, demo: DemoProject, path: Path, **options: object) -> Imported:
    read = read_import(path, ImportOptions(**options))  # type: ignore[arg-type]
    with database.write() as session:
        return store_import(session, demo.id, read, by=demo.researcher.id)


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_a_public_format_gives_prompts_and_completions(
    database: Database, demo: DemoProject, tmp_path: Path
) -> None:
    path = lines(tmp_path / "pairs.jsonl", PREFERENCE)
    done = load(database, demo, path)
    assert done.counts == {"prompts": Added(1, 0), "completions": Added(2, 0)}
    assert done.labels_left == {"rankings": 1}
    assert "labels were not asked for: 1 rankings" in done.lines()[-1]
    assert load(database, demo, path).counts["prompts"] == Added(0, 1)


def test_labels_come_on_wish(database: Database, demo: DemoProject, tmp_path: Path) -> None:
    path = lines(tmp_path / "pairs.jsonl", PREFERENCE, PREFERENCE | {"prompt": "Greet me."})
    done = load(database, demo, path, labels=True, made_by="simulated")
    assert done.counts["rankings"] == Added(2, 0)
    with database.read() as session:
        out = b"".join(stream_export(session, demo.id, ExportOptions())).decode()
    assert '"made_by":"simulated"' in out


@pytest.mark.parametrize("as_stream", [True, False])
def test_an_export_comes_back_the_same(database: Database, tmp_path: Path, as_stream: bool) -> None:
    everything = ExportOptions(wanted=LabelFilter(surplus=True, excluded=True, adjudicated="keep"))
    path = tmp_path / ("all.jsonl" if as_stream else "all")
    with database.write() as session:
        project = labelled_project(session)
        before = sorted(stream_export(session, project.demo.id, everything))
        if as_stream:
            write_lines(path, stream_export(session, project.demo.id, everything))
        else:
            write_folder(session, project.demo.id, path, everything)
    with open_database(f"sqlite:///{tmp_path / 'other.db'}", migrate=True) as other:
        with other.write() as session:
            demo = demo_project(session, name="Copy", num_prompts=1)
        load(other, demo, path, labels=True)
        with other.read() as session:
            assert sorted(stream_export(session, demo.id, everything)) == before


def test_a_bad_line_is_named_and_nothing_is_stored(
    database: Database, demo: DemoProject, tmp_path: Path
) -> None:
    path = lines(tmp_path / "pairs.jsonl", PREFERENCE, {"prompt": "x", "chosen": 3, "rejected": ""})
    with pytest.raises(RowError, match=r"pairs\.jsonl, line 2, field `chosen`"):
        load(database, demo, path)
    with database.read() as session:
        assert session.scalar(select(func.count(PromptRow.id))) == 4
    done = load(database, demo, path, max_rejects=1)
    assert done.rejects.summary() == "1 rows were unreadable and 0 unusable."
    assert done.rejects.summary() in done.lines()


def test_a_record_that_refers_to_nothing_stores_nothing(
    database: Database, demo: DemoProject, tmp_path: Path
) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    completion = {"id": "c", "prompt_id": "nobody", "text": "x", "checkpoint_id": "m"}
    lines(folder / "completions.jsonl", completion)
    with pytest.raises(DataError, match="nobody"):
        load(database, demo, folder)


def test_completions_of_known_prompts_come_alone(
    database: Database, demo: DemoProject, tmp_path: Path
) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    completion = {"id": "c", "prompt_id": "prompt-1", "text": "x", "checkpoint_id": "m"}
    lines(folder / "completions.jsonl", completion | {"schema_version": 1})
    assert load(database, demo, folder / "completions.jsonl").counts == {"completions": Added(1, 0)}


def test_an_empty_file_is_refused(database: Database, demo: DemoProject, tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    with pytest.raises(DataError, match="no records there"):
        load(database, demo, tmp_path / "records")
    lines(tmp_path / "none.jsonl", {"end": {"records": 0}})
    with pytest.raises(DataError, match="holds nothing to import"):
        load(database, demo, tmp_path / "none.jsonl")
