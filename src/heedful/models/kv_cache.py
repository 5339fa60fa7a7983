"""The keyword by which transformers' modules take the keys and values of past tokens.

transformers 5.24 renamed it; models that are defined elsewhere may keep the old name.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

KEYWORDS = ("cache", "past_key_values")


def cache_keyword(forward: Callable[..., Any]) -> str | None:
    """What `forward` calls its cache; None where it takes none by a name known here."""
    accepted = inspect.signature(forward).parameters
    return next((name for name in KEYWORDS if name in accepted), None)


def given_cache(options: Mapping[str, Any]) -> Any:
    """The cache among the keywords of a call, or None."""
    return next((options[name] for name in KEYWORDS if options.get(name) is not None), None)
