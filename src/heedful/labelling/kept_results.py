"""Results that take seconds, kept in the server's memory until what they are made of changes.

There is no clock and no list of what makes a result old: the caller says each time which
version its data has, and a result of another version is made anew.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Lock
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

T = TypeVar("T")


@dataclass(slots=True)
class _Kept:
    version: str | None = None
    result: Any = None
    lock: Lock = field(default_factory=Lock)


class KeptResults:
    """The last result of each kind asked for, at most `most` of them.

    Args:
        most: The one asked for longest ago goes first.
    """

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._lock = Lock()

    def get(self, what: Hashable, version: str, make: Callable[[], T]) -> T:
        """The result `what` of this version; who asks while it is made waits for it.

        Args:
            what: Names the result, and all that it depends on besides the data.
            version: Of the data, read in the same transaction as `make` reads.
            make: Computes it.
        """
        with self._lock:
            kept = self._kept.setdefault(what, _Kept())
            self._kept.move_to_end(what)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        with kept.lock:
            if kept.version != version:
                kept.version = None
                kept.result = make()
                kept.version = version
            result: T = kept.result
            return result


def kept_results(request: Request) -> KeptResults:
    """The results that the running application keeps."""
    found: KeptResults = request.app.state.kept_results
    return found


Kept = Annotated[KeptResults, Depends(kept_results)]
