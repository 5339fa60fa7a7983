"""Signing in: one answer for every failure, and how often one may try, on both databases."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select

from heedful.core.errors import LoginError, RateLimitedError
from heedful.store.access import create_account, suspend
from heedful.store.columns import utc_now
from heedful.store.database import Database, open_database
from heedful.store.passwords import HashedPassword, is_outdated
from heedful.store.sign_in import (
    MAX_PER_ADDRESS,
    MAX_PER_LOGIN_AND_ADDRESS,
    WINDOW,
    verify_login,
)
from heedful.store.tables import AccountRow, LoginAttemptRow

GOOD = "a calm harbour at dusk"
HERE = "192.0.2.1"
NOW = utc_now()
# Quick to check, so that many attempts take no time; also what an older version left behind.
QUICK = HashedPassword(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(GOOD))


@pytest.fixture
def ana(database: Database) -> AccountRow:
    with database.write() as session:
        create_account(session, login="boss", name="Boss", role="admin", password=QUICK)
        return create_account(session, login="ana", name="Ana", role="labeller", password=QUICK)


def attempt(database: Database, login: str = "ana", **changes: object) -> str:
    settings: dict[str, object] = {"address": HERE, "now": NOW, **changes}
    with pytest.raises((LoginError, RateLimitedError)) as caught:
        verify_login(database, login, "a wrong password", **settings)  # type: ignore[arg-type]
    return type(caught.value).__name__


def test_the_right_password_signs_in_and_its_old_hash_is_renewed(
    database: Database, ana: AccountRow
) -> None:
    assert verify_login(database, " ANA ", GOOD, address=HERE).id == ana.id
    with database.read() as session:
        stored = session.get_one(AccountRow, ana.id).password_hash
        assert stored is not None
        assert not is_outdated(stored)
        assert session.scalar(select(func.count()).select_from(LoginAttemptRow)) == 0


def test_every_failure_reads_alike(database: Database, ana: AccountRow) -> None:
    with database.write() as session:
        create_account(session, login="program", name="Program", role="labeller")
        gone = create_account(session, login="gone", name="G", role="labeller", password=QUICK)
        suspend(session, account_id=gone.id, by=None)
    tries: list[Callable[[], AccountRow]] = [
        lambda: verify_login(database, "nobody", GOOD, address=HERE),
        lambda: verify_login(database, "ana", "wrong password", address=HERE),
        lambda: verify_login(database, "gone", GOOD, address=HERE),
        lambda: verify_login(database, "program", GOOD, address=HERE),
        lambda: verify_login(database, "", "", address=HERE),
        lambda: verify_login(database, "\u0000' OR 1=1 --", "\ud800", address=HERE),
    ]
    said = set()
    for one in tries:
        with pytest.raises(LoginError) as caught:
            one()
        said.add(str(caught.value))
    assert len(said) == 1


def test_attempts_with_one_login_end_and_begin_again_later(
    database: Database, ana: AccountRow
) -> None:
    answers = [attempt(database) for _ in range(MAX_PER_LOGIN_AND_ADDRESS + 2)]
    assert answers == ["LoginError"] * MAX_PER_LOGIN_AND_ADDRESS + ["RateLimitedError"] * 2
    assert attempt(database, "ANA ") == "RateLimitedError"
    assert attempt(database, address="198.51.100.7") == "LoginError"
    assert attempt(database, "bo") == "LoginError"
    assert attempt(database, now=NOW + WINDOW + timedelta(seconds=1)) == "LoginError"


def test_unknown_logins_are_counted_like_known_ones(database: Database, ana: AccountRow) -> None:
    count = MAX_PER_LOGIN_AND_ADDRESS + 1
    assert [attempt(database, "ana") for _ in range(count)] == [
        attempt(database, "nobody") for _ in range(count)
    ]


def test_attempts_from_one_address_end_whatever_the_login(
    database: Database, ana: AccountRow
) -> None:
    for number in range(MAX_PER_ADDRESS):
        assert attempt(database, f"login{number}", address="2001:db8::1") == "LoginError"
    assert attempt(database, "another", address="2001:db8::ffff:1") == "RateLimitedError"
    assert attempt(database, "another", address="2001:db8:0:1::1") == "LoginError"


def test_the_wait_is_told(database: Database, ana: AccountRow) -> None:
    for _ in range(MAX_PER_LOGIN_AND_ADDRESS):
        attempt(database)
    with pytest.raises(RateLimitedError) as caught:
        verify_login(database, "ana", GOOD, address=HERE, now=NOW + timedelta(minutes=5))
    assert caught.value.seconds == pytest.approx(600)


def test_attempts_at_the_same_moment_all_count(database: Database, ana: AccountRow) -> None:
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(attempt(database)))
        for _ in range(3 * MAX_PER_LOGIN_AND_ADDRESS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count("LoginError") == MAX_PER_LOGIN_AND_ADDRESS


def test_a_restart_forgives_nothing(database: Database, database_url: str, ana: AccountRow) -> None:
    for _ in range(MAX_PER_LOGIN_AND_ADDRESS):
        attempt(database)
    with open_database(database_url) as again:
        assert attempt(again) == "RateLimitedError"


def test_success_forgives_this_login_from_here(database: Database, ana: AccountRow) -> None:
    for _ in range(3):
        attempt(database, now=None)
    verify_login(database, "ana", GOOD, address=HERE)
    with database.read() as session:
        # Those of the address and of the login at large stay: a stranger made them perhaps.
        assert session.scalar(select(func.count()).select_from(LoginAttemptRow)) == 6
