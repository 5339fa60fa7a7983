"""What is accepted as a password, and argon2id over it."""

import time
from collections.abc import Callable

import pytest
from argon2 import PasswordHasher

from heedful.core.errors import DataError
from heedful.store.passwords import hashed, is_outdated, matches, rehashed

GOOD = "a calm harbour at dusk"


def test_hashes_are_argon2id_and_salted() -> None:
    first, second = hashed(GOOD, login="ana"), hashed(GOOD, login="ana")
    assert first.argon2id.startswith("$argon2id$")
    assert first != second
    assert matches(first.argon2id, GOOD)
    assert not matches(first.argon2id, GOOD + " ")
    assert not matches(None, GOOD)
    assert not matches("no hash at all", GOOD)


def test_the_same_password_typed_in_another_form_of_unicode_matches() -> None:
    stored = hashed("caf\u00e9 au lait, deux fois", login="ana").argon2id
    assert matches(stored, "cafe\u0301 au lait, deux fois")


@pytest.mark.parametrize("weak", ["short", "x" * 257, "ab" * 10, "a.long.login.of.mine"])
def test_weak_passwords_are_refused_with_what_to_do(weak: str) -> None:
    with pytest.raises(DataError) as caught:
        hashed(weak, login="a.long.login.of.mine")
    assert caught.value.hint
    assert weak not in str(caught.value)


def test_hashes_with_other_parameters_are_noticed() -> None:
    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(GOOD)
    assert matches(old, GOOD)
    assert is_outdated(old)
    assert not is_outdated(rehashed(GOOD))


def fastest(action: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        begin = time.process_time()
        action()
        times.append(time.process_time() - begin)
    return min(times)


def test_nobody_and_somebody_take_the_same_work() -> None:
    stored = hashed(GOOD, login="ana").argon2id
    matches(None, GOOD)
    unknown = fastest(lambda: matches(None, "some wrong password"))
    known = fastest(lambda: matches(stored, "some wrong password"))
    assert 0.5 < unknown / known < 2.0
