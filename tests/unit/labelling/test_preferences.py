"""Keys of the board: defaults that do not clash, other ones, none."""

import pytest

from heedful.labelling.preferences import (
    ACTIONS,
    DEFAULT_KEYS,
    KeysError,
    shortcuts_of,
    shown_key,
    with_shortcuts,
)


def test_the_defaults_can_be_told_apart() -> None:
    stored = with_shortcuts({}, on=True, keys={})
    assert stored == {"shortcuts": {"on": True, "keys": {}}}
    assert shortcuts_of({}).keys == DEFAULT_KEYS
    assert len(DEFAULT_KEYS) == len(ACTIONS)


def test_one_key_may_serve_rating_and_ranking() -> None:
    assert DEFAULT_KEYS["violent_content"] == DEFAULT_KEYS["compare"] == "v"


def test_only_what_differs_is_stored_and_other_preferences_stay() -> None:
    stored = with_shortcuts({"theme": "dark"}, on=False, keys={"next": "L", "previous": "k"})
    assert stored == {"theme": "dark", "shortcuts": {"on": False, "keys": {"next": "l"}}}
    shortcuts = shortcuts_of(stored)
    assert not shortcuts.on
    assert shortcuts.keys["next"] == "l"
    assert shortcuts.keys["previous"] == "k"


def test_the_space_bar_has_a_word() -> None:
    stored = with_shortcuts({}, on=True, keys={"read": "z", "next": "Space"})
    keys = shortcuts_of(stored).keys
    assert keys["next"] == " "
    assert shown_key(keys["next"]) == "Space"


def test_two_actions_may_swap_their_keys() -> None:
    keys = shortcuts_of(with_shortcuts({}, on=True, keys={"next": "k", "previous": "j"})).keys
    assert (keys["next"], keys["previous"]) == ("k", "j")


@pytest.mark.parametrize(
    ("action", "key", "complaint"),
    [
        ("next", "5", "digits rate and place"),
        ("next", "c", "chooses an output while ranking"),
        ("compare", "c", "chooses an output while ranking"),
        ("next", "o", "is the key of"),
        ("undo", "r", "is the key of"),
        ("next", "jj", "one character"),
        ("next", "\x07", "one character"),
    ],
)
def test_keys_that_mean_something_else_are_refused(action: str, key: str, complaint: str) -> None:
    with pytest.raises(KeysError, match=complaint) as caught:
        with_shortcuts({}, on=True, keys={action: key})
    assert caught.value.fields


@pytest.mark.parametrize(
    "stored",
    [None, [], "on", {"keys": []}, {"keys": {"next": "5"}}, {"keys": {"next": 7, "no_such": "x"}}],
)
def test_what_no_longer_makes_sense_gives_the_defaults(stored: object) -> None:
    assert shortcuts_of({"shortcuts": stored}).keys == DEFAULT_KEYS


def test_unknown_actions_are_not_stored() -> None:
    assert with_shortcuts({}, on=True, keys={"<script>": "l"})["shortcuts"]["keys"] == {}
