"""Runs the cases of one comparison in turn: each in its own process, one working at a time."""

import contextlib
import json
import os
import queue
import signal
import statistics
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PEERS = HERE.parent / "peers"
LAST_LINES = 25


class CaseError(Exception):
    """A case that failed, with the end of what it printed."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One case: who runs what.

    Attributes:
        label: As in tables.
        environment: `heedful` for this one, else the name of a peer's.
        script: Of `benchmarks/peers`, or ours.
        specification: What the script is told, see `rows`.
    """

    label: str
    environment: str
    script: str
    specification: Mapping[str, Any]


@dataclass(kw_only=True)
class Measured:
    """What one side took: seconds of each counted repeat, and the most memory it held."""

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    warmup_seconds: list[float] = field(default_factory=list)
    peak_bytes: int = 0
    threads: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)

    def median(self, clock: str) -> float:
        """Seconds of a step by the `wall` or the `processor`."""
        return statistics.median(self.seconds if clock == "wall" else self.cpu_seconds)

    def as_json(self) -> dict[str, Any]:
        """With the medians that the table shows."""
        return {**asdict(self), "median": self.median("wall"), "cpu_median": self.median("cpu")}


class Case:
    """A running case, waiting for its turn.

    Args:
        side: What runs.
        python: The interpreter of its environment.
        folder: Kept for it alone; what it prints goes to `log.txt` there.
        timeout_seconds: Longest that a step, or loading, may take.
    """

    def __init__(self, side: Side, python: Path, folder: Path, timeout_seconds: float) -> None:
        folder.mkdir(parents=True)
        self._label, self._log, self._timeout = side.label, folder / "log.txt", timeout_seconds
        specification = {**side.specification, "scratch": str(folder)}
        (folder / "specification.json").write_text(json.dumps(specification, indent=2))
        paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "OMP_NUM_THREADS": str(specification["threads"]),
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        script = (HERE if side.environment == "heedful" else PEERS) / side.script
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [str(python), str(script), str(folder / "specification.json")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
            )
        self._messages: queue.Queue[str | None] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.measured = Measured()

    def begin(self) -> None:
        """Wait until it has loaded what it needs."""
        self._expect("ready")

    def step(self) -> None:
        """Let it take one step, and wait for that."""
        self._say("go")
        message = self._expect("step")
        if message["warmup"]:
            self.measured.warmup_seconds.append(message["seconds"])
        else:
            self.measured.seconds.append(message["seconds"])
            self.measured.cpu_seconds.append(message["cpu_seconds"])

    def end(self) -> Measured:
        """After the last step: its memory, versions and results."""
        message = self._expect("end")
        for name in ("peak_bytes", "threads", "versions", "result"):
            setattr(self.measured, name, message[name])
        return self.measured

    def close(self) -> None:
        """Stop it, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(word + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._fail(self._end())

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._messages.put(line)
        self._messages.put(None)

    def _expect(self, event: str) -> dict[str, Any]:
        try:
            line = self._messages.get(timeout=self._timeout)
        except queue.Empty:
            self._fail(f"said nothing for {self._timeout:.0f} s")
        if line is None:
            self._fail(self._end())
        message: dict[str, Any] = json.loads(line)
        if message["event"] != event:
            self._fail(f"said {message['event']} where {event} was due")
        return message

    def _end(self) -> str:
        status = self._process.wait()
        if status == -signal.SIGKILL:
            return "was killed, as the system does where memory runs out"
        return f"ended with exit status {status}"

    def _fail(self, what: str) -> Any:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        end = "\n".join(lines[-LAST_LINES:])
        raise CaseError(f"{self._label} {what}. The end of {self._log}:\n{end}")


def take_turns(
    sides: Sequence[Side],
    pythons: Mapping[str, Path],
    folder: Path,
    *,
    steps: int,
    timeout_seconds: float,
) -> dict[str, Measured]:
    """Every side's steps, one of each in turn; what was measured by label.

    Raises:
        CaseError: A side failed; all are stopped.
    """
    running: dict[str, Case] = {}
    try:
        for place, side in enumerate(sides):
            python = pythons[side.environment]
            running[side.label] = Case(side, python, folder / str(place), timeout_seconds)
            running[side.label].begin()
        for _ in range(steps):
            for case in running.values():
                case.step()
        return {label: case.end() for label, case in running.items()}
    finally:
        for case in running.values():
            case.close()
