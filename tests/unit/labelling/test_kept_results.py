"""A result is made once for each version of its data, however many ask."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from heedful.labelling.kept_results import KeptResults


def test_a_result_is_made_once_for_a_version() -> None:
    kept, made = KeptResults(), []

    def ask(version: str) -> str:
        return kept.get("mean", version, lambda: made.append(version) or f"of {version}")

    assert [ask("1"), ask("1"), ask("2"), ask("1")] == ["of 1", "of 1", "of 2", "of 1"]
    assert made == ["1", "2", "1"]  # the latest alone is kept


def test_results_of_other_names_stand_beside_it() -> None:
    kept = KeptResults(most=2)
    for name in ("a", "b"):
        assert kept.get(name, "1", lambda name=name: name) == name
    assert kept.get("a", "1", lambda: "made again") == "a"
    assert kept.get("c", "1", lambda: "c") == "c"
    assert kept.get("b", "1", lambda: "made again") == "made again"  # asked for longest ago


def test_a_failure_is_not_kept() -> None:
    kept = KeptResults()
    with pytest.raises(ZeroDivisionError):
        kept.get("x", "1", lambda: 1 // 0)
    assert kept.get("x", "1", lambda: 5) == 5


def test_who_asks_meanwhile_waits_and_makes_nothing() -> None:
    kept, made, together = KeptResults(), [], Barrier(4)

    def ask(_: int) -> int:
        together.wait()
        return kept.get("x", "1", lambda: made.append(1) or 7)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [7] * 4
    assert made == [1]
