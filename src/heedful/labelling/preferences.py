"""A labeller's keys on the ranking board: on, off, or other ones (WCAG 2.1.4).

Kept in `accounts.preferences["shortcuts"]`; only what differs from the defaults is stored.
Digits place and rate, letters choose an output while ranking, and keys with Ctrl, arrows
and Escape stay as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from heedful.core.errors import HeedfulError
from heedful.labelling.rating_flags import FLAGS

Where = Literal["rate", "rank", "both"]
_CARD_KEYS = frozenset("abcdefghi")


@dataclass(frozen=True, slots=True)
class Action:
    """Something that one key does.

    Attributes:
        where: While rating, while ranking, or in both.
        key: The default, in lower case.
    """

    name: str
    label: str
    where: Where
    key: str


ACTIONS: tuple[Action, ...] = (
    Action("next", "Next output", "both", "j"),
    Action("previous", "Previous output", "both", "k"),
    Action("read", "Read at full size, and back", "both", " "),
    Action("phase", "Between rating and ranking", "both", "r"),
    Action("undo", "Undo", "both", "u"),
    Action("redo", "Do again what was undone", "both", "y"),
    Action("instructions", "Open or close the instructions", "both", "t"),
    Action("question", "Ask the researchers", "both", "q"),
    Action("help", "All keys", "both", "?"),
    # Not `c`: that chooses card C.
    Action("compare", "Compare two side by side", "rank", "v"),
    Action("all_bad", "All are bad", "rank", "n"),
    Action("whole_tray", "Choose all that is in the tray", "rank", "w"),
    *(Action(flag.name, flag.label, "rate", flag.key) for flag in FLAGS),
)
DEFAULT_KEYS: Mapping[str, str] = {action.name: action.key for action in ACTIONS}


class KeysError(HeedfulError):
    """Keys that cannot be told apart or typed; `fields` says which, by action."""

    def __init__(self, fields: dict[str, str]) -> None:
        self.fields = fields
        super().__init__(next(iter(fields.values())), "Choose another key.")


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """The keys that apply.

    Attributes:
        on: Whether single keys do anything.
        keys: Every action's key; lower case, a space for the space bar.
    """

    on: bool
    keys: Mapping[str, str]


def shortcuts_of(preferences: Mapping[str, Any]) -> Shortcuts:
    """The keys of an account; the defaults where what is stored no longer makes sense."""
    stored = preferences.get("shortcuts")
    if not isinstance(stored, Mapping):
        return Shortcuts(True, DEFAULT_KEYS)
    changed = stored.get("keys")
    own = {**DEFAULT_KEYS}
    if isinstance(changed, Mapping):
        own |= {name: str(key) for name, key in changed.items() if name in DEFAULT_KEYS}
    return Shortcuts(stored.get("on", True) is True, DEFAULT_KEYS if _faults(own) else own)


def with_shortcuts(
    preferences: Mapping[str, Any], *, on: bool, keys: Mapping[str, str]
) -> dict[str, Any]:
    """The preferences of an account with other keys; an empty or missing one is the default.

    Raises:
        KeysError: Two actions on one key, or a key that already means something.
    """
    given = {name: _typed(key) for name, key in keys.items() if name in DEFAULT_KEYS and key}
    own = {**DEFAULT_KEYS, **given}
    if faults := _faults(own):
        raise KeysError(faults)
    changed = {name: key for name, key in own.items() if key != DEFAULT_KEYS[name]}
    return {**preferences, "shortcuts": {"on": on, "keys": changed}}


def shown_key(key: str) -> str:
    """A key as it stands on a page."""
    return "Space" if key == " " else key


def _typed(key: str) -> str:
    """What a form sends for a key: one character, or the word for the space bar."""
    return " " if not key.strip() or key.strip().lower() == "space" else key.strip().lower()


def _faults(keys: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with a set of keys, by action."""
    faults: dict[str, str] = {}
    taken: dict[tuple[str, str], str] = {}
    for action in ACTIONS:
        key = keys[action.name]
        if len(key) != 1 or not key.isprintable():
            faults[action.name] = f"{action.label}: a key is one character, or the word space."
            continue
        if key.isdigit():
            faults[action.name] = f"{action.label}: digits rate and place, and stay so."
            continue
        if action.where != "rate" and key in _CARD_KEYS:
            faults[action.name] = f"{action.label}: {key} chooses an output while ranking."
            continue
        for where in ("rate", "rank") if action.where == "both" else (action.where,):
            other = taken.setdefault((where, key), action.label)
            if other != action.label:
                faults[action.name] = f"{action.label}: {shown_key(key)} is the key of: {other}."
    return faults
