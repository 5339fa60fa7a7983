"""The register recognises who withdrew, and nobody who reads it does."""

from pathlib import Path

import pytest

from fakes.data_room import make_room
from heedful.core.errors import DataError
from heedful.core.jsonl import write_records
from heedful.data.pseudonyms import Key, fingerprint
from heedful.data.withdrawals import Register, Rewritten, Withdrawal, honour

KEY = Key(b"the key of these tests!")


def withdrawal(*people: str, rewritten: tuple[Rewritten, ...] = ()) -> Withdrawal:
    return Withdrawal(
        key=fingerprint(KEY),
        people=tuple(Register(KEY).hash_of(person) for person in people),
        withdrawn_at="2026-01-02T03:04:05Z",
        rewritten=rewritten,
    )


def test_the_register_is_read_with_its_key(tmp_path: Path) -> None:
    path = tmp_path / "withdrawals.jsonl"
    assert Register.read(path, KEY).withdrawals == ()
    write_records(path, [withdrawal("user-ada")])
    assert "ada" not in path.read_text()
    register = Register.read(path, KEY)
    assert [register.holds(user) for user in ("user-ada", "user-bob")] == [True, False]
    with pytest.raises(DataError, match="written under another key"):
        Register.read(path, Key(b"another key for these tests"))


def test_what_derives_from_a_person_goes_with_them() -> None:
    room = make_room(users=("user-ada", "user-bob"), per_user=1)
    kept = honour(Register(KEY, (withdrawal("user-ada"),)), *room)
    assert [prompt.user_id for prompt in kept.prompts] == ["user-bob"]
    for items in (kept.demonstrations, kept.completions, kept.rankings):
        assert {item.prompt_id for item in items} == {"prompt-1"}
    assert sorted(kept.withdrawn) == [
        ("completion", "completion-0-0"),
        ("completion", "completion-0-1"),
        ("demonstration", "demonstration-0"),
        ("prompt", "prompt-0"),
        ("ranking", "ranking-0"),
    ]
    labeller = honour(Register(KEY, (withdrawal("Clara Labeller"),)), *room)
    assert len(labeller.prompts) == 2
    assert labeller.demonstrations == labeller.rankings == []
    assert honour(Register(KEY), *room)[:4] == room


def test_a_file_is_known_by_what_it_was() -> None:
    first = withdrawal("a", rewritten=(Rewritten(before="0", after="1"),))
    second = withdrawal("b", rewritten=(Rewritten(before="1", after="2"),))
    register = Register(KEY, (first, second))
    assert register.earlier("2") == {"0", "1", "2"}
    assert register.earlier("1") == {"0", "1"}
    assert register.earlier("9") == {"9"}
