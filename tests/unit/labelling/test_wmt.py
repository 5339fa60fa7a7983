"""The WMT reader keeps the listed order and refuses files that are something else."""

from pathlib import Path

import pytest

from heedful.core.errors import DataError
from heedful.labelling.wmt import Counts, organisers_counts, read_wmt_rankings

HEADER = (
    "srclang,trglang,srcIndex,segmentId,judgeID,"
    "system1Id,system1rank,system2Id,system2rank,rankingID\n"
)


def rows(ranking: int, judge: str, ranks: dict[str, int], segment: int = 7) -> str:
    names = list(ranks)
    return "".join(
        f"fre,eng,1,{segment},{judge},{a},{ranks[a]},{b},{ranks[b]},{ranking}\n"
        for i, a in enumerate(names)
        for b in names[i + 1 :]
    )


def written(folder: Path, text: str) -> Path:
    path = folder / "rankings.csv"
    path.write_text(HEADER + text, encoding="utf-8")
    return path


def test_rows_become_rankings(tmp_path: Path) -> None:
    path = written(
        tmp_path, rows(1, "j1", {"B": 2, "A": 1, "C": 2}) + rows(2, "j2", {"A": 1, "B": 1})
    )
    first, second = read_wmt_rankings(path)
    assert (first.completion_ids, first.ranks) == (("B", "A", "C"), (2, 1, 2))
    assert (second.labeller_id, second.prompt_id, second.made_by) == ("j2", "7", "person")


def test_the_organisers_count_pairs_as_listed_and_judges_with_themselves(tmp_path: Path) -> None:
    text = rows(1, "j1", {"A": 1, "B": 2}) + rows(2, "j2", {"B": 2, "A": 1})
    text += rows(3, "j1", {"A": 2, "B": 1})
    inter, intra = organisers_counts(read_wmt_rankings(written(tmp_path, text)))
    assert (inter, intra) == (Counts(0, 1), Counts(0, 1))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("fre,eng,1,7,j1,A,one,B,2,1\n", "system1rank"),
        ("fre,eng,1,7,j1,A,1,B,,1\n", "system2rank"),
        (rows(1, "j1", {"A": 1, "B": 2}) + rows(1, "j2", {"A": 1, "B": 2}), "two judges"),
        (rows(1, "j1", {"A": 1, "B": 2}) + rows(1, "j1", {"A": 2, "B": 2}), "differs"),
        ("fre,eng,1,7,j1,A,1,B,2,1\nfre,eng,1,7,j1,A,1,C,2,1\n", "lacks pairs"),
    ],
)
def test_what_cannot_be_a_ranking_file_is_refused(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint):
        read_wmt_rankings(written(tmp_path, text))


@pytest.mark.data
def test_the_published_counts_of_wmt15(real_data: Path) -> None:
    rankings = read_wmt_rankings(real_data / "rank" / "wmt15_fre_eng_rankings.csv")
    inter, intra = organisers_counts(rankings)
    assert (inter, intra) == (Counts(11175, 15324), Counts(1230, 1523))
