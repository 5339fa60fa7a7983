"""Evaluation sets from files and folders, and what is said of files that are none."""

import gzip
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from heedful.core.errors import DataError
from heedful.core.jsonl import RowError
from heedful.data.evaluation_sets import NothingAskedError, read_evaluation_sets


def write(path: Path, *rows: dict[str, object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_one_set(tmp_path: Path) -> None:
    path = write(tmp_path / "my set.v1.jsonl.gz", {"question": "Why?", "answer": "So."})
    (found,) = read_evaluation_sets(path)
    assert (found.name, found.source) == ("my-set.v1", str(path))
    assert [(item.id, item.question, item.answers) for item in found.items] == [
        ("1", "Why?", ("So.",))
    ]


def test_a_folder_is_read_with_its_subfolders_and_what_asks_nothing_is_named(
    tmp_path: Path,
) -> None:
    write(tmp_path / "b.jsonl", {"prompt": "One"})
    write(tmp_path / "deep" / "a.jsonl", {"prompt": "Two"})
    (tmp_path / "stats.tsv").write_text("occupation\tbls_year\nbaker\t2015\n")
    skipped: list[str] = []
    sets = read_evaluation_sets(tmp_path, skipped=skipped)
    assert [found.name for found in sets] == ["b", "deep-a"]
    assert len(skipped) == 1
    assert "stats.tsv: asks nothing (statistics of occupations)" in skipped[0]
    with pytest.raises(NothingAskedError, match="asks nothing"):
        read_evaluation_sets(tmp_path / "stats.tsv")


def test_rows_of_one_question_are_joined(tmp_path: Path) -> None:
    rows = [{"prompt": f"Q: Why?\nA: {answer}\nTrue:", "completion": " yes"} for answer in "abca"]
    (found,) = read_evaluation_sets(write(tmp_path / "judge.jsonl", *rows))
    assert [(item.question, item.answers) for item in found.items] == [("Why?", ("a", "b", "c"))]


def test_labels_that_all_questions_have_are_left_out(tmp_path: Path) -> None:
    rows = [{"prompt": f"Question: is {number} large?\nAnswer here:"} for number in range(10, 20)]
    (found,) = read_evaluation_sets(write(tmp_path / "set.jsonl", *rows))
    assert [item.question for item in found.items][:2] == ["is 10 large?", "is 11 large?"]
    (few,) = read_evaluation_sets(write(tmp_path / "few.jsonl", *rows[:9]))
    assert few.items[0].question == rows[0]["prompt"]
    rows.append({"prompt": "Question:\nAnswer here:"})
    (empty,) = read_evaluation_sets(write(tmp_path / "empty.jsonl", *rows))
    assert empty.items[0].question == rows[0]["prompt"]
    rows[-1] = {"prompt": "Why?"}
    (other,) = read_evaluation_sets(write(tmp_path / "other.jsonl", *rows))
    assert other.items[0].question == rows[0]["prompt"]


def test_two_questions_of_one_id_are_refused(tmp_path: Path) -> None:
    rows = [{"id": 1, "prompt": text} for text in ("One", "Two")]
    with pytest.raises(DataError, match="two questions have the id '1'"):
        read_evaluation_sets(write(tmp_path / "set.jsonl", *rows))


def test_winograd_blocks_are_read(tmp_path: Path) -> None:
    path = tmp_path / "wsc.txt"
    path.write_text("The cup fell off [MASK] .\n[MASK]\nthe cup ,the shelf\nthe shelf\n\n")
    (found,) = read_evaluation_sets(path)
    assert found.items[0].question == "The cup fell off [MASK] ."
    assert found.items[0].answers == ("the shelf",)
    path.write_text("\nThe cup fell.\n[MASK]\nx\n")
    with pytest.raises(RowError, match=r"wsc\.txt, line 2: expected a sentence with \[MASK\]"):
        read_evaluation_sets(path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"prompt": "One"}, {"prompt": 2}], r"line 2, field `prompt`: expected text, found int"),
        ([{"prompt": "One"}, {"text": "x"}], r"line 2, field `prompt`: missing"),
        ([{"goal": "One", "target": "a"}, {"target": "b"}], r"line 2, field `goal`: missing"),
        (
            [{"ctx": "One", "endings": ["a"], "label": 0}, {"ctx": "Two", "label": 0}],
            r"line 2, field `endings`: missing",
        ),
        ([{"body": "x"}], "no known shape of evaluation set has the columns body"),
        ([], "holds no questions"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, rows: list[dict[str, object]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_evaluation_sets(write(tmp_path / "set.jsonl", *rows))


def test_missing_files_and_empty_folders_are_named(tmp_path: Path) -> None:
    for name in ("none.txt", "none.jsonl"):
        with pytest.raises(DataError, match="no such file"):
            read_evaluation_sets(tmp_path / name)
    with pytest.raises(DataError, match="holds no evaluation set"):
        read_evaluation_sets(tmp_path)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match="not UTF-8 at byte 4"):
        read_evaluation_sets(tmp_path / "latin.txt")


def test_the_hub_and_the_harness_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Task:
        eval_docs = ({"text": "Why?", "target": "So."},)

        def doc_to_text(self, doc: dict[str, str]) -> str:
            return doc["text"]

        def doc_to_target(self, doc: dict[str, str]) -> str:
            return doc["target"]

        def doc_to_choice(self, doc: dict[str, str]) -> list[str]:
            return list(doc.values())

    datasets, tasks = ModuleType("datasets"), ModuleType("lm_eval.tasks")
    vars(datasets)["load_dataset"] = lambda name, split: [{"question": split, "answer": name}]
    vars(tasks).update(TaskManager=object, get_task_dict=lambda names, _: {names[0]: Task()})
    monkeypatch.setitem(sys.modules, "datasets", datasets)
    monkeypatch.setitem(sys.modules, "lm_eval", ModuleType("lm_eval"))
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", tasks)
    (hub,) = read_evaluation_sets("hub:owner/set:test")
    assert (hub.name, hub.source) == ("owner-set-test", "hub:owner/set:test")
    assert hub.items[0].answers == ("owner/set",)
    (task,) = read_evaluation_sets("lm_eval:small")
    assert (task.name, task.items[0].id, task.items[0].answers) == ("small", "0", ("So.",))


@pytest.mark.data
def test_every_file_of_the_real_evaluation_sets_is_read(real_data: Path) -> None:
    skipped: list[str] = []
    sets = {
        found.name: found for found in read_evaluation_sets(real_data / "eval", skipped=skipped)
    }
    files = [file for file in (real_data / "eval").rglob("*") if file.is_file()]
    assert len(sets) + len(skipped) == len(files)
    assert len(skipped) == 2
    assert len(sets["TruthfulQA"].items) == 817
    assert len(sets["davidson_hate_offensive"].items) == 24783
    assert len(sets["wsc273"].items) == 273
    assert len(sets["hellaswag_val_0_5000"].items) == 5000
    assert all(item.answers for item in sets["truthfulqa_judge_truth_train"].items)
