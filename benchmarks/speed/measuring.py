"""What one measured process does, ours or a peer's: wait for its turn, step, say how long it took.

A case is a script that is handed a specification and calls `Meter.boundary` before its first
step and after each one. Between two boundaries nobody else runs: the harness (`turns`) gives
one process at a time the word. What the case and its libraries print goes to standard error;
standard output carries one JSON message a line.

Peers run this in environments of their own, so it imports nothing of ours.
"""

import json
import os
import platform
import resource
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

PACKAGES = ("heedful", "torch", "transformers", "trl", "accelerate", "datasets", "peft")


def read_specification() -> dict[str, Any]:
    """The JSON file that the command line names."""
    found: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    return found


def peak_bytes(device: str) -> int:
    """Most memory held so far: of the device's allocator, else of this process."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    if status.exists():
        # ru_maxrss would begin with what the parent held.
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def versions() -> dict[str, str]:
    """Of what is installed here."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


class Meter:
    """The turns of one case.

    Args:
        specification: As `read_specification` gives it; `warmups` and `repeats` count steps.
    """

    def __init__(self, specification: dict[str, Any]) -> None:
        self._steps = specification["warmups"] + specification["repeats"]
        self._warmups = specification["warmups"]
        self._threads = specification["threads"]
        self.device = specification["device"]
        self._done = -1
        self._wall = self._processor = 0.0
        self._messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        import torch

        torch.set_num_threads(self._threads)

    def boundary(self) -> None:
        """Between two steps: report the last one and wait for the next turn."""
        self._synchronise()
        wall, processor = time.perf_counter() - self._wall, time.process_time() - self._processor
        self._done += 1
        if self._done:
            warmup = self._done <= self._warmups
            self._say("step", seconds=wall, cpu_seconds=processor, warmup=warmup)
        else:
            self._say("ready")
        if self._done == self._steps:
            return
        if not sys.stdin.readline().strip():
            os._exit(1)  # the harness is gone
        self._wall, self._processor = time.perf_counter(), time.process_time()

    @property
    def last_comes(self) -> bool:
        """Whether the step that begins now is the last."""
        return self._done + 1 == self._steps

    @property
    def finished(self) -> bool:
        """Whether every step that was asked for has been taken."""
        return self._done >= self._steps

    def end(self, **result: Any) -> NoReturn:
        """Report and end at once: nothing is saved, nothing cleaned up."""
        import torch

        self._say(
            "end",
            peak_bytes=peak_bytes(self.device),
            threads=torch.get_num_threads(),
            versions=versions(),
            result=result,
        )
        sys.stderr.flush()
        os._exit(0)

    def _say(self, event: str, **values: Any) -> None:
        self._messages.write(json.dumps({"event": event, **values}) + "\n")
        self._messages.flush()

    def _synchronise(self) -> None:
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.synchronize()
