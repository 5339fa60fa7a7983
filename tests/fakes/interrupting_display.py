"""A display that presses Ctrl-C for the person before it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from heedful.training.display import Bar, Display


class _InterruptingBar(Bar):
    def __init__(self, console: Console, total: int, *, at: int, times: int) -> None:
        super().__init__(console, "interrupting", total, unit="", live=None)
        self._at = at
        self._times = times

    def move_to(self, done: int, **numbers: float) -> None:
        super().move_to(done, **numbers)
        if numbers and done == self._at:
            for _ in range(self._times):
                signal.raise_signal(signal.SIGINT)


class InterruptingDisplay(Display):
    """Presses Ctrl-C `times` times while step `at` is being logged."""

    def __init__(self, *, at: int, times: int = 1) -> None:
        super().__init__(quiet=True)
        self._at = at
        self._times = times

    @contextmanager
    def bar(self, name: str, total: int, *, unit: str = "") -> Iterator[Bar]:  # noqa: ARG002
        yield _InterruptingBar(self.console, total, at=self._at, times=self._times)
