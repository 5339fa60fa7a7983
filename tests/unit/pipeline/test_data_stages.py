import json
from pathlib import Path

import pytest

from fakes.tokenizer_folder import build_tokenizer_dir
from heedful.core.data_settings import (
    CapSettings,
    DedupSettings,
    DistributionSettings,
    LanguageSettings,
    SplitSettings,
)
from heedful.core.errors import ConfigError, DataError
from heedful.core.jsonl import read_records, write_records
from heedful.core.records import Prompt, text_hash
from heedful.data.dedup import DedupReport
from heedful.data.distribution import DataSet
from heedful.data.lineage import Dropped, read_manifests
from heedful.data.split import Quarantined
from heedful.data.split_proof import SplitProof
from heedful.pipeline import data_stages
from heedful.training.display import Display

QUIET = Display(quiet=True)
LONG = "Tell me all that there is to know about the old lighthouse on the hill"


def prompt(name: str, text: str | None = None, **fields: object) -> Prompt:
    text = text or f"{name} asks something"
    values = {
        "id": name,
        "text_hash": text_hash(text),
        "instruction": text,
        "source": "test",
        "user_id": f"user-{name}",
        "consent": True,
    }
    return Prompt.model_validate({**values, **fields})


def write(path: Path, *prompts: Prompt) -> Path:
    write_records(path, prompts)
    return path


def test_duplicates_are_removed_joined_and_counted(tmp_path: Path) -> None:
    near = LONG + " now"
    source = write(tmp_path / "in.jsonl", prompt("a", LONG), prompt("b", LONG.upper()))
    settings = DedupSettings(remove=("exact",), join=("near",), report=())
    folder = tmp_path / "dedup"
    write(source, prompt("a", LONG), prompt("b", LONG.upper()), prompt("c", near))
    data_stages.remove_duplicates(folder, source, settings, display=QUIET)
    assert len(read_records(folder / "prompts.jsonl", Prompt)) == 2
    (link,) = read_records(folder / "links.jsonl", data_stages.PromptLink)
    assert "c" in (link.id, link.of)
    (gone,) = read_records(folder / "dropped.jsonl", Dropped)
    assert (gone.reason, gone.because_of) == ("exact", "a")
    report = DedupReport.model_validate_json((folder / "examples.json").read_bytes())
    assert [count.action for count in report.policies] == ["remove", "join"]


def test_a_policy_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="no deduplication policy 'nears'"):
        data_stages.policies(("nears",), DedupSettings())


def test_caps_say_whose_they_are(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", *(prompt(f"p{n}", user_id="u") for n in range(3)))
    settings = CapSettings(per_user=2)
    data_stages.cap_prompts(tmp_path / "cap", source, settings, seed=0, display=QUIET)
    (gone,) = read_records(tmp_path / "cap" / "dropped.jsonl", Dropped)
    assert (gone.reason, gone.detail) == ("user", "over the cap of one user")


def test_near_duplicates_of_an_earlier_runs_prompts_follow_them(tmp_path: Path) -> None:
    earlier = tmp_path / "old" / "split" / "prompts.jsonl"
    write(
        earlier,
        prompt("old-1", LONG, split="test"),
        prompt("old-2", user_id="user-y", split="train"),
    )
    source = write(
        tmp_path / "in.jsonl",
        prompt("x", LONG + " now"),
        prompt("y"),
        prompt("z", LONG + " please", user_id="user-y"),
    )
    links = write(tmp_path / "links.jsonl")
    settings = SplitSettings(previous=(tmp_path / "old",))
    data_stages.split_prompts(
        tmp_path / "split", source, links, settings, DedupSettings(), seed=0, display=QUIET
    )
    placed = read_records(tmp_path / "split" / "prompts.jsonl", Prompt)
    assert {item.id: item.split for item in placed} == {"x": "test", "y": "train"}
    (item,) = read_records(tmp_path / "split" / "quarantine.jsonl", Quarantined)
    assert (item.prompt.id, item.because_of) == ("z", ("old-1", "old-2"))
    (gone,) = read_records(tmp_path / "split" / "dropped.jsonl", Dropped)
    assert gone.detail == "it would bind the splits of old-1 and old-2 together"
    proof = SplitProof.model_validate_json((tmp_path / "split" / "proof.json").read_bytes())
    assert proof.holds
    assert proof.num_links > 0


def test_an_earlier_run_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"split/prompts.jsonl: no such file"):
        data_stages.earlier_prompts(SplitSettings(previous=(tmp_path,)))


def test_the_result_is_what_belongs_together(tmp_path: Path) -> None:
    records = tmp_path / "read"
    prompts = write(tmp_path / "in.jsonl", prompt("a", split="train"))
    for name in ("demonstrations", "completions", "rankings"):
        write(records / f"{name}.jsonl")
    data_stages.assemble(tmp_path / "result", prompts, records, display=QUIET)
    assert read_manifests(tmp_path)["result"].numbers["prompts"] == 1


def test_tables_count_words_or_tokens(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "result"
    write(folder / "prompts.jsonl", prompt("a", "Three short words"))
    write(folder / "demonstrations.jsonl")
    data_stages.tabulate(
        tmp_path / "distribution", folder, DistributionSettings(), None, display=QUIET
    )
    tables = json.loads((tmp_path / "distribution" / "distribution.json").read_text())["sets"][0]
    assert (tables["name"], tables["unit"]) == ("run", "words")
    assert tables["prompt_lengths"][0]["mean"] == 3
    tokenizer_dir = build_tokenizer_dir(tmp_path / "tokenizer")
    data = DataSet(name="one", prompts=[prompt("a", "Drei kurze Worte, die ich gern habe")])
    (found,) = data_stages.describe_sets(
        [data], DistributionSettings(tokenizer=tokenizer_dir), LanguageSettings(low_memory=True)
    ).sets
    assert found.unit == "tokens"
    assert found.languages[0].name in ("de", "unknown")
