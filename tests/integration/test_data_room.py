"""The data room from raw files to training sets: everything planted is found, nothing leaks."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from fakes.data_room_sources import QUESTIONS, SECRETS, write_sources
from heedful.cli.main import app
from heedful.core.config import load_config
from heedful.core.data_settings import DataRoom
from heedful.core.errors import DataError, Interrupted
from heedful.core.jsonl import read_records
from heedful.core.records import Demonstration, Prompt
from heedful.data.contamination_records import ContaminationReport
from heedful.data.lineage import Dropped, read_manifests, why
from heedful.data.pii import PersonalDataReport
from heedful.data.split_proof import SplitProof
from heedful.pipeline.data_room import prepare
from heedful.training.display import Display

STAGES = ("read", "dedup", "cap", "split", "result", "contamination", "distribution")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project file whose run is finished."""
    path = write_sources(tmp_path_factory.mktemp("room"))
    with (path.parent / "run.log").open("w") as log:
        prepare(load_config(DataRoom, [path]), Display(Console(file=log)))
    return path


@pytest.fixture
def run(project: Path) -> Path:
    return project.parent / "run"


def dropped(run: Path, stage: str) -> list[Dropped]:
    return read_records(run / stage / "dropped.jsonl", Dropped)


def test_every_stage_counts_what_it_drops(run: Path) -> None:
    manifests = read_manifests(run)
    assert set(manifests) == set(STAGES)
    assert manifests["read"].counts.dropped == {"unreadable": 2}
    assert manifests["dedup"].counts.dropped == {"exact": 1, "containment": 1, "near": 1}
    counts = [manifests[stage].counts for stage in ("read", "dedup", "cap", "split")]
    assert all(one.num_out == next_.num_in for one, next_ in pairwise(counts))
    assert counts[0].num_out == 61
    assert counts[-1].num_out == len(read_records(run / "result" / "prompts.jsonl", Prompt)) == 58


def test_planted_duplicates_are_dropped_for_the_right_prompt(run: Path) -> None:
    texts = {item.id: item.instruction for item in read_records(run / "read/prompts.jsonl", Prompt)}
    for record in dropped(run, "dedup"):
        assert record.because_of is not None
        kept, gone = texts[record.because_of].casefold(), texts[record.id].casefold()
        assert kept.replace("of them.", "") in gone
        step, *others = why(run, record.id)
        assert step.what.startswith(f"was dropped: {record.reason}, because of {record.because_of}")
        assert others[-1].what.startswith("is in result/prompts.jsonl, split")


def test_what_belongs_to_a_dropped_prompt_goes_and_says_so(run: Path) -> None:
    gone = {record.id for record in dropped(run, "dedup")}
    orphans = dropped(run, "result")
    assert {record.because_of for record in orphans} == gone
    steps = why(run, orphans[0].id)
    assert [step.stage for step in steps] == ["result", "dedup", "result"]
    kept = read_records(run / "result" / "demonstrations.jsonl", Demonstration)
    prompts = {prompt.id for prompt in read_records(run / "result" / "prompts.jsonl", Prompt)}
    assert {record.prompt_id for record in kept} <= prompts


def test_unreadable_rows_are_named_by_file_line_and_field(run: Path) -> None:
    (step,) = why(run, "tasks.jsonl:51")
    assert step.what.startswith("was dropped: unreadable (field `instruction`:")
    rejects = [json.loads(line) for line in (run / "read/rejects.jsonl").read_text().splitlines()]
    assert [row["line"] for row in rejects] == [50, 51]


def test_nothing_masked_survives_in_any_file(run: Path) -> None:
    report = PersonalDataReport.model_validate_json(
        (run / "read" / "personal_data.json").read_bytes()
    )
    assert report.counts == {"EMAIL": 2, "PERSON": 2, "PHONE": 1}
    files = [path for path in run.rglob("*") if path.is_file()]
    files.append(run.parent / "run.log")
    assert len(files) > 30
    for secret in SECRETS:
        holders = [path for path in files if secret.encode() in path.read_bytes()]
        assert holders == []
    (prompt,) = (
        item
        for item in read_records(run / "read/prompts.jsonl", Prompt)
        if "<EMAIL_1>" in item.instruction
    )
    demonstrations = read_records(run / "read/demonstrations.jsonl", Demonstration)
    (answer,) = (item.text for item in demonstrations if item.prompt_id == prompt.id)
    assert answer == "Dear <PERSON_1>, I wrote to <EMAIL_1>."


def test_the_split_is_proven(run: Path) -> None:
    proof = SplitProof.model_validate_json((run / "split" / "proof.json").read_bytes())
    assert proof.holds
    prompts = read_records(run / "result" / "prompts.jsonl", Prompt)
    assert proof.num_prompts == Counter(prompt.split for prompt in prompts)


def test_planted_contamination_is_found_in_what_is_trained_on(run: Path) -> None:
    report = ContaminationReport.model_validate_json(
        (run / "contamination" / "report.json").read_bytes()
    )
    trained = [
        prompt.instruction.removesuffix("?")
        for prompt in read_records(run / "result" / "prompts.jsonl", Prompt)
        if prompt.split == "train"
    ]
    clean = [str(number) for number, text in enumerate(QUESTIONS, 1) if text not in trained]
    assert (run / "contamination" / "clean" / "local.txt").read_text().split() == clean
    assert report.sets[0].num_items == len(QUESTIONS)
    assert 0 < report.sets[0].num_dirty == len(QUESTIONS) - len(clean)


def test_the_page_is_written(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "58 of 63 prompts are left" in page


def test_an_unchanged_run_is_skipped_and_a_changed_source_is_not(tmp_path: Path) -> None:
    config = load_config(DataRoom, [write_sources(tmp_path)])
    result = prepare(config, Display(quiet=True))
    before = {path: path.stat().st_mtime_ns for path in config.run.dir.rglob("*.jsonl")}
    prepare(config, Display(quiet=True))
    assert before == {path: path.stat().st_mtime_ns for path in config.run.dir.rglob("*.jsonl")}
    source = tmp_path / "pairs.jsonl"
    source.write_text(source.read_text() * 2)
    prepare(config, Display(quiet=True))
    assert read_manifests(config.run.dir)["dedup"].counts.dropped["exact"] == 13
    assert len(read_records(result / "prompts.jsonl", Prompt)) == 58


class StoppingDisplay(Display):
    """Ctrl-C at the moment when a sentence is shown."""

    def __init__(self, sentence: str) -> None:
        super().__init__(quiet=True)
        self.sentence = sentence

    def say(self, text: str, *, style: str | None = None) -> None:
        if self.sentence in text:
            raise KeyboardInterrupt
        super().say(text, style=style)


@pytest.mark.parametrize("sentence", ["in two splits", "records went with their prompts"])
def test_an_interrupted_stage_leaves_no_half_file_and_is_done_again(
    tmp_path: Path, run: Path, sentence: str
) -> None:
    config = load_config(DataRoom, [write_sources(tmp_path)])
    with pytest.raises(Interrupted, match="Stopped in the stage"):
        prepare(config, StoppingDisplay(sentence))
    assert list(config.run.dir.rglob(".*.tmp")) == []
    assert not (config.run.dir / "distribution").exists()
    result = prepare(config, Display(quiet=True))
    manifest = json.loads((config.run.dir / "stages" / "read.json").read_text())
    assert manifest["outputs"]
    assert len(read_records(result / "prompts.jsonl", Prompt)) == 58


def test_a_second_run_keeps_the_first_ones_split(project: Path, run: Path, tmp_path: Path) -> None:
    before = {p.id: p.split for p in read_records(run / "result/prompts.jsonl", Prompt)}
    more = tmp_path / "more.jsonl"
    more.write_text('{"prompt": "A wholly new question about whales", "completion": "Yes."}\n')
    settings = tmp_path / "more.toml"
    sources = project.read_text() + f'\n[[sources]]\npath = "{more}"\nkind = "demonstrations"\n'
    settings.write_text(sources)
    result = CliRunner().invoke(
        app,
        [
            *("data", "prepare", str(settings), "--set", f"run.dir={tmp_path / 'run'}"),
            *("--set", f'split.previous=["{run}"]', "--set", "run.seed=5"),
        ],
    )
    assert result.exit_code == 0, result.output
    after = {p.id: p.split for p in read_records(tmp_path / "run/result/prompts.jsonl", Prompt)}
    assert len(after) == len(before) + 1
    assert {name: after[name] for name in before} == before


def test_more_bad_rows_than_allowed_are_listed_and_refused(tmp_path: Path) -> None:
    config = load_config(DataRoom, [write_sources(tmp_path)]).with_max_rejects(1)
    with pytest.raises(DataError, match=r"tasks.jsonl, line 50.*2 unreadable rows") as caught:
        prepare(config, Display(quiet=True))
    assert "--max-rejects 2" in str(caught.value)
    assert len((config.run.dir / "read" / "rejects.jsonl").read_text().splitlines()) == 2
    prepare(config.with_max_rejects(2), Display(quiet=True))
