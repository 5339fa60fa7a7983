"""How much memory this process may still take, and how much it took at the most.

Read from the system's own counters, each limit that applies: free memory, the control
group of a container, and `ulimit -v`. Nothing is measured by trying. Elsewhere than on
Linux the answers are what the platform tells, or None.
"""

import contextlib
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_ROOT = Path("/")
_NO_LIMIT = 2**60  # bytes; version 1 of control groups writes a huge number for none


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that may still be taken, and what sets that limit, in words."""

    free: int
    limit: str


def memory_room(root: Path = _ROOT) -> Room | None:
    """The tightest limit on what this process may still take; None where nothing says.

    Memory that the system would give up for it, such as cached files, counts as free.

    Args:
        root: Where `proc` and `sys` are.
    """
    return min(_rooms(root), key=lambda room: room.free, default=None)


def _rooms(root: Path) -> Iterator[Room]:
    counts = _counts(root / "proc/meminfo")
    if "MemAvailable" in counts:
        yield Room(counts["MemAvailable"] * 1024, "free memory of this machine")
    yield from _group_rooms(root)
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = _counts(root / "proc/self/status").get("VmSize")
    if soft != resource.RLIM_INFINITY and used is not None:
        yield Room(max(0, soft - used * 1024), "address space that `ulimit -v` allows")


def _group_rooms(root: Path) -> Iterator[Room]:
    """What the process's control group and those above it leave, in both versions."""
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                names = ("memory.max", "memory.current", "inactive_file")
                base = root / "sys/fs/cgroup"
            elif "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                base = root / "sys/fs/cgroup/memory"
            else:
                continue
            inside = PurePosixPath(path.lstrip("/"))
            # A container may see its own group as the root.
            for part in (inside, *inside.parents):
                yield from _group_room(base / part, *names)


def _group_room(folder: Path, limit: str, used: str, cached: str) -> Iterator[Room]:
    # Without a file, or with `max` in it, there is no limit.
    with contextlib.suppress(OSError, ValueError):
        most = int((folder / limit).read_text(encoding="utf-8"))
        taken = int((folder / used).read_text(encoding="utf-8"))
        taken -= _counts(folder / "memory.stat").get(cached, 0)
        if most < _NO_LIMIT:
            yield Room(max(0, most - taken), "memory limit of the container (control group)")


def _counts(path: Path) -> dict[str, int]:
    """`name number` or `name: number unit` lines as a dictionary; empty without the file."""
    found = {}
    with contextlib.suppress(OSError):
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.replace(":", " ").split()
            if len(words) > 1 and words[1].isdigit():
                found[words[0]] = int(words[1])
    return found


def resident_bytes(root: Path = _ROOT) -> int:
    """Memory that this process holds now; 0 where the system does not say."""
    return _counts(root / "proc/self/status").get("VmRSS", 0) * 1024


def peak_memory_bytes() -> int:
    """Largest resident set of this process so far, since `reset_peak_memory` where it works."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def reset_peak_memory(root: Path = _ROOT) -> bool:
    """Let `peak_memory_bytes` begin again at what is held now; whether the system can (Linux)."""
    try:
        (root / "proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True
