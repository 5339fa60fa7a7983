"""Files in public formats become records; the real ones are tried where they are."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from heedful.core.errors import DataError
from heedful.core.jsonl import RowError, read_records
from heedful.data.reading import PRIVATE
from heedful.data.sources import (
    FORMATS,
    Reject,
    Rejects,
    load_demonstrations,
    load_prompts,
    load_rankings,
    load_texts,
    write_rejects,
)
from heedful.data.split import split_by_organisation

ASK, REPLY = {"role": "user", "content": "u"}, {"role": "assistant", "content": "v"}
MESSAGE = {"message_id": "m", "text": "u", "role": "prompter", "replies": []}
DIALOGUE = "\n\nHuman: u\n\nAssistant: "
ROWS: dict[str, dict[str, Any]] = {
    "oasst": {"message_tree_id": "t", "tree_state": "x", "prompt": MESSAGE},
    "self_instruct": {"instruction": "u", "instances": [{"input": "", "output": "v"}], "id": "1"},
    "preference": {"prompt": "u", "chosen": "v", "rejected": "w"},
    "hh": {"chosen": DIALOGUE + "v", "rejected": DIALOGUE + "w"},
    "messages": {"messages": [ASK, REPLY]},
    "alpaca": {"instruction": "u", "input": "", "output": "v", "text": "..."},
    "dolly": {"instruction": "u", "context": "", "response": "v"},
    "question_answer": {"question": "u", "answer": "v"},
    "prompt_completion": {"prompt": "u", "completion": "v"},
    "instruction_only": {"instruction": "u"},
}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - PRIVATE))
def test_the_format_is_told_by_the_columns(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "data.jsonl", ROWS[name])
    (prompt,) = load_prompts(path, licence="MIT")
    assert prompt.source == f"{name}:data.jsonl"
    assert (prompt.instruction, prompt.consent, prompt.licence) == ("u", True, "MIT")
    assert load_prompts(path, format=name, licence="MIT") == [prompt]
    if name not in {"oasst", "instruction_only"}:
        prompts, demonstrations = load_demonstrations(path, licence="MIT")
        assert prompts == [prompt]
        assert (demonstrations[0].text, demonstrations[0].prompt_id) == ("v", prompt.id)
        assert demonstrations[0].made_by == ("model" if name == "hh" else "person")
    if name in {"preference", "hh"}:
        found = load_rankings(path, made_by="model")
        (pair,) = found.rankings[0].comparisons()
        text = {completion.id: completion.text for completion in found.completions}
        assert (text[pair.chosen_id], text[pair.rejected_id]) == ("v", "w")
        assert found.rankings[0].made_by == "model"


def test_flat_messages_are_told_too(tmp_path: Path) -> None:
    flat = {**MESSAGE, "parent_id": None, "message_tree_id": "t"}
    (prompt,) = load_prompts(write(tmp_path / "data.jsonl", flat))
    assert (prompt.source, prompt.instruction) == ("oasst:data.jsonl", "u")


def test_reruns_give_the_same_ids_and_other_content_gives_others(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    row = ROWS["preference"]
    first = load_rankings(write(tmp_path / "a.jsonl", row, row))
    again = load_rankings(write(tmp_path / "elsewhere" / "a.jsonl", row, row))
    assert first == again
    ids = [prompt.id for prompt in first.prompts]
    ids += [completion.id for completion in first.completions]
    ids += [ranking.id for ranking in first.rankings]
    assert len(set(ids)) == len(ids) == 8
    assert first.prompts[0].user_id != first.prompts[1].user_id, "an unknown author is nobody else"
    assert first.prompts[0].text_hash == first.prompts[1].text_hash
    other = load_rankings(write(tmp_path / "a.jsonl", row, {**row, "chosen": "x"}))
    assert other.prompts[0].id != first.prompts[0].id


def oasst_row() -> dict[str, Any]:
    def message(name: str, role: str, *replies: Any, **fields: Any) -> dict[str, Any]:
        base = {"message_id": name, "text": name, "role": role, "user_id": f"user {name}"}
        return {**base, "replies": list(replies), **fields}

    replies = [
        message("second", "assistant", rank=1),
        message("unranked", "assistant"),
        message("first", "assistant", message("more", "prompter"), rank=0, synthetic=True),
        message("third", "assistant", rank=2),
    ]
    return {"message_tree_id": "t", "prompt": message("ask", "prompter", *replies)}


def test_a_tree_gives_a_ranking_of_its_ranked_replies(tmp_path: Path) -> None:
    path = write(tmp_path / "trees.jsonl", oasst_row())
    found = load_rankings(path)
    (ranking,) = found.rankings
    assert [completion.text for completion in found.completions] == ["second", "first", "third"]
    assert ranking.ranks == (2, 1, 3)
    assert ranking.made_by == "person"
    _, best = load_demonstrations(path)
    assert [(item.text, item.made_by) for item in best] == [("first", "model")]
    _, everything = load_demonstrations(path, answers="all")
    assert [item.text for item in everything] == ["second", "unranked", "first", "third"]
    ask, more = load_prompts(path)
    assert ask.user_id != more.user_id
    assert ask.organisation == more.organisation, "a tree must stay on one side of a split"
    for load in (load_rankings, load_demonstrations):
        assert load(path).prompts == [ask, more], "so that every use splits the same prompts"


def test_unreadable_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", ROWS["alpaca"], {"instruction": "u"}, ROWS["alpaca"])
    with path.open("a") as file:
        file.write("{broken\n")
    with pytest.raises(RowError, match=r"a\.jsonl, line 2, field `output`: missing"):
        load_demonstrations(path)
    with pytest.raises(RowError, match=r"a\.jsonl, line 4: not valid JSON"):
        load_demonstrations(path, max_rejects=1)
    rejects = Rejects()
    assert len(load_demonstrations(path, max_rejects=2, rejects=rejects).demonstrations) == 2
    assert [(item.line, item.field, item.kind) for item in rejects] == [
        (2, "output", "unreadable"),
        (4, None, "unreadable"),
    ]
    assert rejects.summary() == "2 rows were unreadable and 0 unusable."
    write_rejects(tmp_path / "rejects.jsonl", rejects)
    assert read_records(tmp_path / "rejects.jsonl", Reject) == rejects


def test_unusable_rows_are_told_but_do_not_count(tmp_path: Path) -> None:
    same = {**ROWS["preference"], "rejected": "v"}
    rejects = Rejects()
    path = write(tmp_path / "a.jsonl", ROWS["preference"], same)
    assert len(load_rankings(path, rejects=rejects).rankings) == 1
    assert [(item.line, item.kind) for item in rejects] == [(2, "unusable")]
    rejects = Rejects()
    path = write(tmp_path / "b.jsonl", ROWS["prompt_completion"], {"prompt": "u", "completion": ""})
    assert len(load_demonstrations(path, rejects=rejects).demonstrations) == 1
    assert [(item.line, item.reason) for item in rejects] == [(2, "the answer is empty")]


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"query": "u", "reply": "v"})
    with pytest.raises(DataError, match="no known format has the columns query, reply"):
        load_prompts(path)
    with pytest.raises(DataError, match="unknown format 'alpacca'") as caught:
        load_prompts(path, format="alpacca")
    assert "Did you mean alpaca?" in str(caught.value.hint)
    with pytest.raises(DataError, match="holds no rankings"):
        load_rankings(write(path, ROWS["alpaca"]))
    with pytest.raises(DataError, match="holds no demonstrations"):
        load_demonstrations(write(path, ROWS["instruction_only"]))
    with pytest.raises(DataError, match="holds no rows"):
        load_prompts(write(path))
    with pytest.raises(DataError, match="no such file"):
        load_prompts(tmp_path / "none.jsonl")


def test_parquet_and_csv(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist([ROWS["messages"]] * 2), tmp_path / "a.parquet")
    assert [item.text for item in load_demonstrations(tmp_path / "a.parquet")[1]] == ["v", "v"]
    (tmp_path / "a.csv").write_text("instruction,input,output\nu,,v\n")
    assert load_demonstrations(tmp_path / "a.csv")[1][0].text == "v"


COUNTS: list[tuple[str, Callable[..., Any], int]] = [
    ("sft/dolly_6k_no_context.jsonl", load_demonstrations, 6397),
    ("sft/gsm8k_train_1000.jsonl", load_demonstrations, 1000),
    ("sft/self_instruct_seed_tasks.jsonl", load_demonstrations, 175),
    ("sft/t0_p3_20_per_template.jsonl.gz", load_demonstrations, 5448),
    ("rank/oasst_en_trees_80.jsonl", load_demonstrations, 206),
    ("rank/oasst_en_trees_80.jsonl", load_rankings, 173),
    ("rank/oasst2_filtered_en.jsonl", load_rankings, 117),
    ("pref/hh_helpful_base_test.jsonl.gz", load_rankings, 2343),
    ("pref/hh_harmless_base_test_1500.jsonl.gz", load_rankings, 1499),
    ("eval/ifeval_540.jsonl", load_prompts, 540),
]


@pytest.mark.data
@pytest.mark.parametrize(("name", "load", "count"), COUNTS)
def test_real_files(real_data: Path, name: str, load: Callable[..., Any], count: int) -> None:
    rejects = Rejects()
    found = load(real_data / name, rejects=rejects)
    if load is load_prompts:
        assert len(found) == count
        prompts = found
    else:
        records = found.rankings if load is load_rankings else found.demonstrations
        assert len(records) == count
        prompts = found.prompts
    assert {reject.kind for reject in rejects} <= {"unusable"}
    assert not split_by_organisation(prompts)[1].leaks


@pytest.mark.data
def test_real_rankings_have_the_sizes_people_ranked(real_data: Path) -> None:
    found = load_rankings(real_data / "rank" / "oasst_en_trees_80.jsonl")
    sizes = Counter(len(ranking.ranks) for ranking in found.rankings)
    assert sizes == {2: 51, 3: 92, 4: 20, 5: 3, 6: 5, 8: 1, 9: 1}
    assert load_texts(real_data / "pretrain" / "wikitext2_valid.txt")
