"""What a token may be made for, in words for the page that makes it. The API checks them."""

from collections.abc import Iterable, Mapping

from heedful.core.errors import DataError, nearest

SCOPES: Mapping[str, str] = {
    "projects:read": "See projects, batches and their progress",
    "prompts:read": "Read prompts and completions",
    "prompts:write": "Add prompts and completions",
    "batches:write": "Make batches, open and close them",
    "labels:read": "Read and export labels, see agreement",
    "people:read": "See labellers and what they did",
    "questions:read": "Read labellers' questions",
    "questions:write": "Answer labellers' questions",
    "audit:read": "Read the audit log",
}


def check_scopes(scopes: Iterable[str]) -> None:
    """Refuse a scope that there is not.

    Raises:
        DataError: Names it, and those that there are.
    """
    for scope in scopes:
        if scope not in SCOPES:
            likely = nearest(scope, SCOPES)
            hint = f"Did you mean {likely}? " if likely else ""
            raise DataError(f"there is no scope `{scope}`", f"{hint}Use {', '.join(SCOPES)}.")
