from pathlib import Path

import pytest

from fakes.training_data import (
    make_prompts,
    write_demonstrations,
    write_rankings,
    write_texts,
)
from heedful.core.errors import CheckpointError, ConfigError, DataError
from heedful.core.jsonl import read_records, write_records
from heedful.core.records import Completion, Demonstration, Ranking
from heedful.core.run import RunDirectory
from heedful.core.settings import DataSettings, FormatSettings
from heedful.data.formatting import PromptFormatter
from heedful.data.tokenizer import TextTokenizer
from heedful.training.examples import (
    read_demonstrations,
    read_pretraining,
    read_prompts,
    read_rankings,
    record_inputs,
    required,
)


class Said(list[str]):
    """Collects what a reader says."""

    def __call__(self, text: str) -> None:
        self.append(text)


@pytest.fixture
def said() -> Said:
    return Said()


def change(file: Path, kind: type, index: int, **fields: object) -> None:
    """Change one record of a file."""
    records = read_records(file, kind)
    records[index] = records[index].model_copy(update=fields)
    write_records(file, records)


def test_a_path_that_is_needed():
    with pytest.raises(ConfigError, match=r"`data\.rankings` is needed") as error:
        required(None, "data.rankings")
    assert error.value.hint == "Give it as --set data.rankings=PATH."


class TestDemonstrations:
    def test_by_split_and_formatted(self, tmp_path, formatter, said):
        folder = write_demonstrations(tmp_path / "d", count=16)
        found = read_demonstrations(DataSettings(demonstrations=folder), formatter, 0, said)
        assert (len(found.train), len(found.validation)) == (12, 4)
        assert [prompt.id for prompt in found.validation_prompts] == [
            f"prompt-{n}" for n in (3, 7, 11, 15)
        ]
        assert found.made_by == ("simulated",)
        first = make_prompts(1)[0]
        assert list(found.train[0].prompt_ids) == formatter.prompt_ids(first)
        assert list(found.train[0].completion_ids) == formatter.completion_ids("red")
        assert said == ["12 demonstrations to train on, 4 to validate."]

    def test_the_test_split_is_never_seen(self, tmp_path, formatter, said):
        folder = write_demonstrations(tmp_path / "d", count=8)
        prompts = [prompt.model_copy(update={"split": "test"}) for prompt in make_prompts(8)[:4]]
        write_records(folder / "prompts.jsonl", [*prompts, *make_prompts(8)[4:]])
        found = read_demonstrations(DataSettings(demonstrations=folder), formatter, 0, said)
        assert len(found.train) + len(found.validation) == 4

    def test_what_is_over_long_is_left_out_and_counted(self, tmp_path, formatter, said):
        folder = write_demonstrations(tmp_path / "d", count=8)
        change(folder / "demonstrations.jsonl", Demonstration, 0, text="long " * 30)
        found = read_demonstrations(DataSettings(demonstrations=folder), formatter, 0, said)
        assert len(found.train) == 5
        assert "8 demonstrations: 7 kept (0 of them cut to the token budget), 1 dropped" in said[0]

    def test_nothing_left(self, tmp_path, formatter, said):
        folder = write_demonstrations(tmp_path / "d", count=2)
        for index in range(2):
            change(folder / "demonstrations.jsonl", Demonstration, index, text="long " * 30)
        with pytest.raises(DataError, match="no demonstrations to train on"):
            read_demonstrations(DataSettings(demonstrations=folder), formatter, 0, said)


class TestRankings:
    def read(self, folder: Path, formatter: PromptFormatter, said: Said):
        return read_rankings(DataSettings(rankings=folder), formatter, 0, said)

    def test_in_the_order_they_were_stored(self, tmp_path, formatter, said):
        folder = write_rankings(tmp_path / "r", count=8)
        found = self.read(folder, formatter, said)
        assert (len(found.train), len(found.validation)) == (6, 2)
        completions = {c.id: c for c in read_records(folder / "completions.jsonl", Completion)}
        for example in (*found.train, *found.validation):
            for pair, name in zip(example.pairs, example.ranking.completion_ids, strict=True):
                ids = formatter.completion_ids(completions[name].text)
                assert list(pair.completion_ids) == ids

    def test_one_that_does_not_fit_takes_its_ranking_with_it(self, tmp_path, formatter, said):
        folder = write_rankings(tmp_path / "r", count=8)
        change(folder / "completions.jsonl", Completion, 4, text="long " * 30)
        assert len(self.read(folder, formatter, said).train) == 5
        assert "1 rankings left out as over-long, 0 as one single tie." in said

    def test_a_single_tie_teaches_nothing(self, tmp_path, formatter, said):
        folder = write_rankings(tmp_path / "r", count=8)
        change(folder / "rankings.jsonl", Ranking, 0, ranks=(2, 2, 2))
        assert len(self.read(folder, formatter, said).train) == 5
        assert "0 rankings left out as over-long, 1 as one single tie." in said

    def test_a_completion_that_was_cut_gets_no_end_token(self, tmp_path, formatter, said):
        folder = write_rankings(tmp_path / "r", count=8)
        change(folder / "completions.jsonl", Completion, 0, finish_reason="length")
        pair = self.read(folder, formatter, said).train[0].pairs[0]
        assert formatter.end_id not in pair.completion_ids

    def test_only_ties(self, tmp_path, formatter, said):
        folder = write_rankings(tmp_path / "r", count=1)
        change(folder / "rankings.jsonl", Ranking, 0, ranks=(1, 1, 1))
        with pytest.raises(DataError, match="no rankings to train on"):
            self.read(folder, formatter, said)


class TestPrompts:
    def test_by_split(self, tmp_path, formatter, said):
        folder = write_demonstrations(tmp_path / "d", count=8)
        found = read_prompts(DataSettings(prompts=folder / "prompts.jsonl"), formatter, 0, said)
        assert [len(found[split]) for split in ("train", "validation", "test")] == [6, 2, 0]
        assert said == []

    def test_over_long_ones_are_left_out(self, tmp_path, base, said):
        folder = write_demonstrations(tmp_path / "d", count=8)
        settings = FormatSettings(template="plain", max_prompt_tokens=8, overlong_prompts="drop")
        narrow = PromptFormatter(settings, TextTokenizer.from_dir(base / "model"))
        with pytest.raises(DataError, match="no prompts to train on"):
            read_prompts(DataSettings(prompts=folder / "prompts.jsonl"), narrow, 0, said)
        assert "8 dropped" in said[0]


def test_pretraining_text(tmp_path, base):
    tokenizer = TextTokenizer.from_dir(base / "model")
    pairs = read_pretraining(write_texts(tmp_path / "t.jsonl", count=2), tokenizer, 16)
    text = [token for pair in pairs for token in (*pair.prompt_ids, *pair.completion_ids)]
    assert tokenizer.decode(text).startswith("red is a colour")
    assert all(len(pair.prompt_ids) == 1 for pair in pairs)


def test_a_limit_draws_from_the_whole_file_and_tokenises_no_more_than_needed(
    tmp_path, base, monkeypatch
):
    tokenizer = TextTokenizer.from_dir(base / "model")
    path = write_texts(tmp_path / "t.jsonl", count=300)
    seen = []
    encode = TextTokenizer.encode_batch
    monkeypatch.setattr(
        TextTokenizer,
        "encode_batch",
        lambda self, texts: seen.extend(texts) or encode(self, texts),
    )
    pairs = read_pretraining(path, tokenizer, 4, limit=10, seed=3)
    assert len(pairs) == 10
    assert len(seen) == 64
    assert pairs == read_pretraining(path, tokenizer, 4, limit=10, seed=3)
    assert pairs != read_pretraining(path, tokenizer, 4, limit=10, seed=4)


class TestInputs:
    def test_every_file_is_recorded_by_content(self, tmp_path, project):
        folder = write_demonstrations(tmp_path / "d", count=2)
        config = project()
        run = RunDirectory.start(tmp_path / "run", kind="sft", seed=0, config=config)
        data = DataSettings(demonstrations=folder, pretraining=write_texts(tmp_path / "t.jsonl"))
        record_inputs(run, data, "demonstrations", "pretraining", "rankings")
        assert run.card.inputs.keys() == {
            "demonstrations/prompts.jsonl",
            "demonstrations/demonstrations.jsonl",
            "pretraining",
        }

    def test_a_resumed_run_must_read_what_it_read(self, tmp_path, project):
        texts = write_texts(tmp_path / "t.jsonl")
        data = DataSettings(pretraining=texts)
        run = RunDirectory.start(tmp_path / "run", kind="sft", seed=0, config=project())
        record_inputs(run, data, "pretraining")
        write_texts(texts, count=3)
        record_inputs(run, data, "pretraining")  # nothing was saved: it begins anew
        (run.path / "state").mkdir()
        record_inputs(run, data, "pretraining")
        write_texts(texts, count=4)
        with pytest.raises(CheckpointError, match=r"t\.jsonl has changed since the run"):
            record_inputs(run, data, "pretraining")
