"""The rankings of the Workshops on Machine Translation, and how their organisers counted.

Only their CSV of pairwise rows (`system1Id`, `system1rank`, `system2Id`, ...) is read, in
which the rows of one `rankingID` list every pair of its systems. It is public data on
which agreement code can be checked against published figures; see `docs/agreement.md`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heedful.core.errors import DataError
from heedful.core.jsonl import RowError, read_rows
from heedful.core.records import Ranking
from heedful.labelling.paired_rankings import PairedRankings, pair_rankings

_COLUMNS = (
    *("segmentId", "judgeID", "rankingID"),
    *("system1Id", "system1rank", "system2Id", "system2rank"),
)


@dataclass(frozen=True, slots=True)
class Counts:
    """Pairs of judgements that say the same, out of those that could be compared."""

    agreed: int
    compared: int


def read_wmt_rankings(path: Path) -> list[Ranking]:
    """The rankings of a WMT CSV; the systems stand in the order in which the file lists them.

    Raises:
        RowError: A column is missing, a rank is no number, or a system has two ranks.
        DataError: A ranking's rows do not list each pair of its systems once.
    """
    ranks: dict[str, dict[str, int]] = {}
    about: dict[str, tuple[str, str]] = {}
    num_rows: dict[str, int] = {}
    for line, row in read_rows(path):
        for column in _COLUMNS:
            if not row.get(column):
                raise RowError(path, line, column, "is missing", "Is this a WMT ranking file?")
        ranking = str(row["rankingID"])
        who = (str(row["segmentId"]), str(row["judgeID"]))
        if about.setdefault(ranking, who) != who:
            raise RowError(path, line, "rankingID", "is used for two judges or segments")
        num_rows[ranking] = num_rows.get(ranking, 0) + 1
        for number in "12":
            system, rank = str(row[f"system{number}Id"]), _rank(path, line, row, number)
            if ranks.setdefault(ranking, {}).setdefault(system, rank) != rank:
                raise RowError(path, line, f"system{number}rank", "differs from an earlier row")
    for ranking, of_systems in ranks.items():
        if num_rows[ranking] != len(of_systems) * (len(of_systems) - 1) // 2:
            raise DataError(f"{path}: ranking {ranking} lacks pairs of its systems")
    return [
        Ranking(
            id=ranking,
            prompt_id=about[ranking][0],
            completion_ids=tuple(of_systems),
            ranks=tuple(of_systems.values()),
            labeller_id=about[ranking][1],
            made_by="person",
        )
        for ranking, of_systems in ranks.items()
    ]


def organisers_counts(rankings: list[Ranking]) -> tuple[Counts, Counts]:
    """Agreement (inter, intra) as the organisers of WMT15 counted it, for comparison only.

    Two of their habits differ from ours: a pair of systems listed as (A, B) by one ranking
    and as (B, A) by another is not compared, and pairs of judgements by one judge count in
    "inter" too.
    """
    pairs = pair_rankings(rankings, as_listed=True)
    return _counts(pairs), _counts(pairs.within())


def _counts(pairs: PairedRankings) -> Counts:
    agreed, compared = pairs.agreed("exact")
    return Counts(int(agreed.sum()), int(compared.sum()))


def _rank(path: Path, line: int, row: dict[str, Any], number: str) -> int:
    try:
        return int(row[f"system{number}rank"])
    except ValueError:
        raise RowError(path, line, f"system{number}rank", "is no whole number") from None
