"""The card counts what is there and says what a reader must know."""

import json
from pathlib import Path

from heedful.data.data_card import ReleasedRanking, ReleaseFacts, recount, render_card
from heedful.data.pseudonyms import NO_KEY, fingerprint

FACTS = ReleaseFacts(
    title="Gardens: a | b",
    released_on="2026-11-22",
    salt=fingerprint(NO_KEY),
    how_made=("Near-duplicates were removed.",),
    left_out={"prompt: no consent": 2},
)


def row(**fields: object) -> str:
    values: dict[str, object] = {
        "id": "ranking-1",
        "prompt_id": "prompt-1",
        "instruction": "Write to <EMAIL_1> and <EMAIL_2>.",
        "context": None,
        "examples": [],
        "turns": [],
        "use_case": None,
        "tags": [],
        "user": "user-1",
        "organisation": None,
        "source": "served",
        "licence": "MIT",
        "completions": ["a", "b"],
        "models": ["m", "m"],
        "ranks": [1, 2],
        "all_bad": False,
        "labeller": "labeller-1",
        "made_by": "simulated",
        "instructions_version": None,
        "seconds_spent": None,
    }
    return json.dumps(ReleasedRanking.model_validate(values | fields).model_dump(mode="json"))


def test_rows_are_counted(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(f"{row()}\n{row(user='user-2', licence='Own')}\n")
    facts = recount(FACTS, {("rankings", "train"): tmp_path / "train.jsonl"})
    assert facts.num_rows == {"rankings": {"train": 2}}
    assert facts.num_people == {"users": 2, "organisations": 0, "labellers": 1}
    assert (facts.licences, facts.placeholders) == ({"MIT": 1, "Own": 1}, {"EMAIL": 4})
    assert facts.made_by == {"rankings": {"simulated": 2}}
    assert (facts.title, facts.left_out) == (FACTS.title, FACTS.left_out)
    card = render_card(facts)
    for line in (
        "- mit",
        "- other",
        "- n<1K",
        "    path: rankings/train.jsonl",
        "# Gardens: a | b",
        "| rankings | 2 | 0 | 0 |",
        "| prompt: no consent | 2 |",
        "| EMAIL | 4 |",
        "| rankings | 0 | 2 | 0 |",
        "- Near-duplicates were removed.",
        "**Some labels here are simulated: a program made them.**",
    ):
        assert line in card.splitlines()


def test_the_header_is_yaml(tmp_path: Path) -> None:
    import yaml

    (tmp_path / "train.jsonl").write_text(row() + "\n")
    card = render_card(recount(FACTS, {("rankings", "train"): tmp_path / "train.jsonl"}))
    header = yaml.safe_load(card.split("---\n")[1])
    assert header["pretty_name"] == FACTS.title
    (config,), (info,) = header["configs"], header["dataset_info"]
    assert (config["config_name"], config["default"]) == ("rankings", True)
    features = {feature["name"]: feature for feature in info["features"]}
    assert list(features) == list(ReleasedRanking.model_fields)
    assert features["ranks"]["list"] == "int64"
    assert [field["name"] for field in features["turns"]["list"]] == ["role", "text"]
    assert features["seconds_spent"]["dtype"] == "float64"
    assert "simulated:" not in render_card(FACTS)
