"""Labellers' prompts and served traffic enter as they should, or say why not."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from heedful.core.errors import ConfigError
from heedful.core.jsonl import RowError
from heedful.core.records import Example, Turn
from heedful.data.pseudonyms import Key
from heedful.data.sources import Rejects, load_demonstrations, load_prompts, write_rejects

KEY = Key(b"a key for the tests of entry")
PLAIN = {"kind": "plain", "labeller": "Ada", "instruction": "Name a tree."}
PAIRS = [{"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(3)]
FEW_SHOT = {"kind": "few_shot", "labeller": "Ada", "instruction": "Answer.", "pairs": PAIRS}
USER_BASED = {**PLAIN, "kind": "user_based", "application": "mail@shop.example"}
SERVED = {
    "messages": [{"role": "user", "content": "How tall is an oak?"}],
    "user": "bob@mill.example",
    "organisation": "Mill",
    "time": 1_790_000_000,
    "consent": True,
}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Any]:
    """Prompts of some rows."""

    def of(*rows: dict[str, Any], **options: Any) -> Any:
        return load_prompts(write(tmp_path / "entry.jsonl", *rows), **{"key": KEY, **options})

    return of


def test_k_pairs_yield_k_examples_with_the_others_in_context(tmp_path: Path) -> None:
    path = write(tmp_path / "written.jsonl", FEW_SHOT)
    prompts, demonstrations = load_demonstrations(path, key=KEY, licence="MIT")
    assert [prompt.instruction for prompt in prompts] == [pair["prompt"] for pair in PAIRS]
    assert [item.text for item in demonstrations] == [pair["completion"] for pair in PAIRS]
    assert [item.prompt_id for item in demonstrations] == [prompt.id for prompt in prompts]
    assert len({prompt.id for prompt in prompts}) == len({p.text_hash for p in prompts}) == 3
    for place, prompt in enumerate(prompts):
        others = [pair for other, pair in enumerate(PAIRS) if other != place]
        assert prompt.examples == tuple(Example(**pair) for pair in others)
        assert prompt.turns == (Turn(role="system", text="Answer."),)
        assert (prompt.source, prompt.licence, prompt.consent) == ("labeller:few_shot", "MIT", True)
    people = {item.labeller_id for item in demonstrations} | {item.user_id for item in prompts}
    assert len(people) == 1
    assert {item.made_by for item in demonstrations} == {"person"}


def test_plain_and_user_based_prompts(tmp_path: Path) -> None:
    rows = ({**PLAIN, "completion": "An oak.", "use_case": "open_qa", "tags": ["a"]}, USER_BASED)
    prompts, demonstrations = load_demonstrations(write(tmp_path / "a.jsonl", *rows), key=KEY)
    assert [item.text for item in demonstrations] == ["An oak."]
    assert (prompts[0].use_case, prompts[0].tags) == ("open_qa", ("a",))
    (tag,) = prompts[1].tags
    assert tag.startswith("application-")
    assert prompts[1].source == "labeller:user_based"
    assert "mail@shop" not in prompts[1].model_dump_json()
    assert "Ada" not in prompts[0].model_dump_json() + demonstrations[0].model_dump_json()


def test_labellers_may_use_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "written.csv"
    path.write_text(
        "kind,labeller,instruction,application,completion,use_case,time\n"
        "plain,Ada,Name a tree.,,An oak.,,2026-01-02\n"
        "user_based,Ada,Sort my mail.,shop,,classification,\n"
    )
    plain, based = load_prompts(path, key=KEY)
    assert plain.created_at is not None
    assert (plain.created_at.isoformat()[:10], plain.use_case) == ("2026-01-02", None)
    assert based.use_case == "classification"


def test_served_traffic(load: Callable[..., Any]) -> None:
    (prompt,) = load(SERVED)
    assert (prompt.instruction, prompt.source) == ("How tall is an oak?", "served")
    assert prompt.created_at == datetime.fromtimestamp(1_790_000_000, UTC)
    assert prompt.organisation.startswith("organisation-")
    assert "mill" not in prompt.model_dump_json().lower()


def test_only_what_users_consented_to_enters(load: Callable[..., Any]) -> None:
    silent = {name: value for name, value in SERVED.items() if name != "consent"}
    with pytest.raises(RowError, match=r"entry\.jsonl, line 1, field `consent`: missing"):
        load(silent)
    rejects = Rejects()
    rows = ({**SERVED, "consent": False}, silent, SERVED, {**PLAIN, "consent": False})
    assert len(load(*rows[:3], max_rejects=1, rejects=rejects)) == 1
    assert not load(rows[3], rejects=rejects)
    assert [(item.line, item.field, item.reason) for item in rejects] == [
        (1, None, "no consent"),
        (2, "consent", "missing"),
        (1, None, "no consent"),
    ]
    public = {"messages": SERVED["messages"], "consent": False}
    assert not load(public, rejects=rejects), "what says no is left out of any format"


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({**PLAIN, "instruction": " "}, "`instruction`: empty"),
    ({**PLAIN, "kind": "secret-kind"}, "`kind`: Input should be 'plain', 'few_shot' or"),
    ({**PLAIN, "licens": "x"}, "`licens`: there is no such column; did you mean `licence`"),
    ({**PLAIN, "pairs": PAIRS}, "`pairs` go with the kind few_shot"),
    ({**FEW_SHOT, "pairs": PAIRS[:1]}, "at least 2"),
    ({**FEW_SHOT, "pairs": [PAIRS[0], {"prompt": "x"}]}, "`pairs.1.completion`: missing"),
    ({**FEW_SHOT, "context": "x"}, "has its texts in `pairs`"),
    ({**PLAIN, "application": "x"}, "`application` goes with"),
    ({**SERVED, "time": "secret-day"}, "`time`: Input should be a valid datetime"),
    ({**SERVED, "consent": "secret"}, "`consent`: Input should be a valid boolean"),
    ({**SERVED, "messages": [{"role": "secret", "content": "x"}]}, r"`messages.0.role`: not"),
    ({**SERVED, "messages": [{"role": "user", "content": ["x"]}]}, r"`messages.0.content`: exp"),
    ({**SERVED, "messages": []}, "the message before the answer must be the user's"),
]


@pytest.mark.parametrize(("row", "match"), FAULTS)
def test_faults_name_the_field_and_quote_nobody(
    load: Callable[..., Any], tmp_path: Path, row: dict[str, Any], match: str
) -> None:
    with pytest.raises(RowError, match=match):
        load(row)
    rejects = Rejects()
    assert load(row, max_rejects=1, rejects=rejects) == []
    write_rejects(tmp_path / "rejects.jsonl", rejects)
    written = (tmp_path / "rejects.jsonl").read_text()
    assert not [value for value in ("secret", "Ada", "bob", "Mill") if value in written]


def test_ids_outlive_a_growing_log_and_need_the_key(load: Callable[..., Any]) -> None:
    other = {**SERVED, "user": "eve"}
    first = load(SERVED, SERVED, other)
    assert len({prompt.id for prompt in first}) == 3, "equal rows are still two prompts"
    assert first[0].text_hash == first[2].text_hash
    assert first[0].user_id != first[2].user_id
    assert load(other, SERVED, SERVED, {**SERVED, "time": 5})[:3] == [first[2], *first[:2]]
    keyed_otherwise = load(SERVED, key=Key(b"another key for these tests"))[0]
    for name in ("id", "text_hash", "user_id", "organisation"):
        assert getattr(keyed_otherwise, name) != getattr(first[0], name)


def test_private_data_needs_a_key(
    load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEEDFUL_KEY", raising=False)
    for row in (SERVED, PLAIN):
        with pytest.raises(ConfigError, match=r"entry\.jsonl: the format `\w+` needs a secret key"):
            load(row, key=None)
    public = load({"prompt": "u"}, key=None)
    monkeypatch.setenv("HEEDFUL_KEY", KEY.decode())
    assert load(SERVED, key=None) == load(SERVED)
    assert load({"prompt": "u"}, key=None)[0].text_hash != public[0].text_hash
