"""What a person sees while something long runs: a bar with the numbers that matter.

On a terminal the bar is live; elsewhere (a log file, CI) a plain line appears now and
then. Nothing here decides anything.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PLAIN_SECONDS = 15.0


class Bar:
    """One running piece of work."""

    def __init__(self, console: Console, name: str, total: int, live: Progress | None) -> None:
        self._console = console
        self._name = name
        self._total = total
        self._live = live
        self._task = live.add_task(name, total=total, numbers="") if live else None
        self._done = 0
        self._started = self._printed = time.monotonic()

    def advance(self, amount: int = 1, **numbers: float) -> None:
        """Move on by `amount` and show `numbers` by their names."""
        self.move_to(self._done + amount, **numbers)

    def move_to(self, done: int, **numbers: float) -> None:
        """Show that `done` of the total are done."""
        self._done = done
        text = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        if self._live is not None and self._task is not None:
            self._live.update(self._task, completed=done)
            if text:
                self._live.update(self._task, numbers=text)
            return
        now = time.monotonic()
        if now - self._printed > PLAIN_SECONDS or (done >= self._total and text):
            self._printed = now
            seconds = now - self._started
            line = f"  {self._name}  {done}/{self._total}  {text}  ({seconds:.0f} s)"
            self._console.print(line, highlight=False, markup=False)


class Display:
    """Where progress and sentences go.

    Args:
        console: A rich console; standard error where left out, so that a command's output
            can be piped.
        quiet: Show nothing.
    """

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self.console = console or Console(file=sys.stderr, quiet=quiet)

    def say(self, text: str) -> None:
        """One sentence on a line of its own."""
        self.console.print(text, highlight=False)

    @contextmanager
    def bar(self, name: str, total: int, *, unit: str = "") -> Iterator[Bar]:
        """Show a bar of `total` units while the block runs."""
        if not self.console.is_terminal:
            yield Bar(self.console, name, total, None)
            return
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn(unit),
            TextColumn("[dim]{task.fields[numbers]}"),
            TextColumn("eta"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as live:
            yield Bar(self.console, name, total, live)


def shown(metrics: Mapping[str, float], **names: str) -> dict[str, float]:
    """The numbers for a bar: `shown(metrics, KL="objective/kl")`."""
    return {label: metrics[name] for label, name in names.items() if name in metrics}
