"""Turns: a lock that is handed on in the order in which threads asked for it.

SQLite lets one writer in at a time and those who wait poll, so that an unlucky one can wait
for long. Writers of one process queue here first. Other processes meet SQLite's own lock.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A fair lock that says so when its holder asks for it again."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._holder: int | None = None

    @contextmanager
    def turn(self, timeout_seconds: float) -> Iterator[None]:
        """Wait for this thread's turn and keep it for the block.

        Raises:
            TimeoutError: The turn did not come in time.
        """
        self._take(timeout_seconds)
        try:
            yield
        finally:
            self._hand_on()

    def _take(self, timeout_seconds: float) -> None:
        me = threading.get_ident()
        with self._guard:
            if self._holder is None:
                self._holder = me
                return
            if self._holder == me:
                raise RuntimeError("a write inside a write of the same thread would wait for ever")
            called = threading.Event()
            self._waiting.append(called)
        if not called.wait(timeout_seconds):
            with self._guard:
                # The call may have come between the time running out and this line.
                if not called.is_set():
                    self._waiting.remove(called)
                    raise TimeoutError(f"no turn within {timeout_seconds} seconds")
        with self._guard:
            self._holder = me

    def _hand_on(self) -> None:
        with self._guard:
            if self._waiting:
                # Still taken: whoever asks meanwhile queues behind the one called.
                self._holder = 0
                self._waiting.popleft().set()
            else:
                self._holder = None
