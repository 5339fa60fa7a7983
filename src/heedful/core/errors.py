"""One family of errors: what happened, where, and what to do about it.

Users meet these as one clear paragraph and exit status 2; anything that is not a
`HeedfulError` is a defect of ours and keeps its traceback.
"""

import difflib
from collections.abc import Iterable
from typing import Any


class HeedfulError(Exception):
    """Something a person can put right.

    Args:
        what: What happened, naming the file, line, field or option.
        hint: What to do about it; shown on a line of its own.
    """

    def __init__(self, what: str, hint: str | None = None) -> None:
        self.what = what
        self.hint = hint
        super().__init__(what if hint is None else f"{what}\n{hint}")


class ConfigError(HeedfulError):
    """A setting is unknown, has the wrong type, or does not go with another one."""


class DataError(HeedfulError):
    """A data file cannot be read, or what it says cannot be true."""


class ModelError(HeedfulError):
    """A model cannot be found, loaded, or does not have what was asked of it."""


class CheckpointError(HeedfulError):
    """A checkpoint is missing, incomplete, damaged, or belongs to another run."""


class StoreUnavailableError(HeedfulError):
    """The database is locked, full, or away; what was asked was not done and may be repeated."""


class SchemaError(HeedfulError):
    """The database's tables are not those that this program works with."""


class NotAllowedError(HeedfulError):
    """Somebody asked for what is not theirs to do."""


class LoginError(HeedfulError):
    """A sign-in failed; why is not told, so that nobody learns which logins exist."""


class RateLimitedError(HeedfulError):
    """Too many attempts.

    Args:
        what: What was tried too often.
        seconds: How long to wait before the next attempt.
    """

    def __init__(self, what: str, *, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(what, f"Try again in {max(1, round(seconds))} seconds.")


class LeaseLostError(HeedfulError):
    """The task went to another labeller, since its lease had run out; who, is not told."""


class DraftConflictError(HeedfulError):
    """A newer draft is stored than the one that this save was based on.

    Args:
        revision: Of the stored draft.
        body: The stored draft.
    """

    def __init__(self, revision: int, body: dict[str, Any]) -> None:
        self.revision, self.body = revision, body
        super().__init__(
            f"A newer draft of this task is stored (revision {revision}).",
            "It was saved from another window; take it over, or copy your text first.",
        )


class Interrupted(HeedfulError):  # noqa: N818 - like KeyboardInterrupt, no failure
    """A person pressed Ctrl-C; what was done is saved and can be resumed."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was most likely meant to be, or None.

    Underscores, dashes and case are ignored, so `klcoef` finds `kl_coef`.
    """

    def plain(text: str) -> str:
        return text.lower().replace("_", "").replace("-", "")

    by_plain = {plain(candidate): candidate for candidate in known}
    matches = difflib.get_close_matches(plain(name), by_plain, n=1, cutoff=0.6)
    return by_plain[matches[0]] if matches else None
