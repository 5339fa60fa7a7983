"""The report and the clean lists, written and read again."""

from pathlib import Path

import pytest

from heedful.core.errors import DataError
from heedful.data.contamination_records import (
    ContaminationReport,
    OverlapExample,
    OverlapRow,
    OverlapRules,
    clean_path,
    read_clean_ids,
    read_report,
    write_clean_ids,
    write_report,
)


def report() -> ContaminationReport:
    example = OverlapExample(
        item_id="1",
        document_id="d",
        rules=("question",),
        overlap=1.0,
        item_text="Why?",
        document_text="so, why?",
    )
    row = OverlapRow(
        source="s",
        kind="demonstrations",
        evaluation_set="e",
        num_items=4,
        num_dirty=1,
        share=0.25,
        low=0.05,
        high=0.7,
        dirty={"question": 1},
        common_ngrams={"ngram_8": 0},
        examples=(example,),
    )
    return ContaminationReport(
        rules=OverlapRules(), sources=(), sets=(), rows=(row,), with_paraphrases=False
    )


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_report(tmp_path, report())
    assert read_report(tmp_path) == report()


def test_a_missing_or_damaged_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"report\.json"):
        read_report(tmp_path)
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(DataError, match=r"report\.json"):
        read_report(tmp_path)


def test_a_report_of_ids_has_no_texts() -> None:
    shown = report().ids_only()
    assert shown.rows[0].examples[0].item_id == "1"
    assert "hy?" not in shown.model_dump_json()


def test_clean_ids_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = clean_path(tmp_path, "set")
    write_clean_ids(path, ["3", "a.b.txt", "x y"])
    assert path == tmp_path / "clean" / "set.txt"
    assert read_clean_ids(path) == {"3", "a.b.txt", "x y"}
    write_clean_ids(path, [])
    assert read_clean_ids(path) == frozenset()


@pytest.mark.parametrize("item", ["", "a\nb", "a\u2028b", " a"])
def test_an_id_that_is_no_line_is_refused(tmp_path: Path, item: str) -> None:
    with pytest.raises(DataError, match="is no id"):
        write_clean_ids(tmp_path / "set.txt", [item])


def test_a_list_of_another_version_of_the_set_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.txt"
    write_clean_ids(path, ["1", "2"])
    assert read_clean_ids(path, known=["1", "2", "3"]) == {"1", "2"}
    with pytest.raises(DataError, match="1 ids are not in the evaluation set, '2' first"):
        read_clean_ids(path, known=["1"])


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"set\.txt") as error:
        read_clean_ids(tmp_path / "set.txt")
    assert error.value.hint == "Look for contamination first."
