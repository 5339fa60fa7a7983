"""What a person sees while something long runs: a bar with the numbers that matter.

On a terminal the bar is live; elsewhere (a log file, CI) a plain line appears now and
then, at most every `PLAIN_SECONDS`. Nothing here decides anything.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

PLAIN_SECONDS = 15.0


class Bar:
    """One running piece of work."""

    def __init__(
        self, console: Console, name: str, total: int, *, unit: str, live: Progress | None
    ) -> None:
        self._console = console
        self._name = name
        self._total = total
        self._unit = f" {unit}" if unit else ""
        self._live = live
        self._task = live.add_task(name, total=total, numbers="") if live else None
        self._done = 0
        self._numbers = ""
        self._started = self._printed = time.monotonic()

    def advance(self, amount: int = 1, **numbers: float) -> None:
        """Move on by `amount` and show `numbers` by their names."""
        self.move_to(self._done + amount, **numbers)

    def move_to(self, done: int, **numbers: float) -> None:
        """Show that `done` of the total are done; numbers stay until others come."""
        self._done = done
        if numbers:
            self._numbers = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        if self._live is not None and self._task is not None:
            self._live.update(self._task, completed=done, numbers=self._numbers)
        elif time.monotonic() - self._printed > PLAIN_SECONDS and done < self._total:
            self._print_line()

    def close(self) -> None:
        """Leave the last numbers of finished work behind as a line."""
        if self._numbers and self._done >= self._total:
            self._print_line()

    def _print_line(self) -> None:
        now = self._printed = time.monotonic()
        parts = [self._name, f"{self._done:,}/{self._total:,}{self._unit}", self._numbers]
        parts.append(f"({duration(now - self._started)})")
        line = "  ".join(part for part in parts if part)
        self._console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


class Display:
    """Where progress and sentences go.

    Args:
        console: A rich console; standard error where left out, so that a command's output
            can be piped.
        quiet: Show nothing.
    """

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self.console = console or Console(file=sys.stderr, quiet=quiet)

    def say(self, text: str, *, style: str | None = None) -> None:
        """One sentence on a line of its own, as it is: never cut, brackets are text."""
        self.console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def bar(self, name: str, total: int, *, unit: str = "") -> Iterator[Bar]:
        """Show a bar of `total` units while the block runs."""
        if not self.console.is_terminal:
            bar = Bar(self.console, name, total, unit=unit, live=None)
            yield bar
            bar.close()
            return
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=self.console.width // 8),
            MofNCompleteColumn(),
            TextColumn(unit),
            TextColumn("eta"),
            TimeRemainingColumn(),
            # Last, so that a narrow terminal cuts these and nothing else.
            TextColumn("[dim]{task.fields[numbers]}", table_column=Column(no_wrap=True, ratio=1)),
        )
        with Progress(*columns, console=self.console, transient=True, expand=True) as live:
            bar = Bar(self.console, name, total, unit=unit, live=live)
            yield bar
        bar.close()


def duration(seconds: float) -> str:
    """A time as a person says it: `42 s`, `3 min 20 s`, `2 h 5 min`."""
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60} s"
    return f"{total // 3600} h {total % 3600 // 60} min"


def shown(metrics: Mapping[str, float], **names: str) -> dict[str, float]:
    """The numbers for a bar: `shown(metrics, KL="objective/kl")`."""
    return {label: metrics[name] for label, name in names.items() if name in metrics}
