import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from heedful.core.machine import (
    memory_room,
    peak_memory_bytes,
    reset_peak_memory,
    resident_bytes,
)

GIB = 2**30


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def free(root: Path) -> float:
    room = memory_room(root)
    assert room is not None
    return room.free / GIB


MACHINE = {"proc/meminfo": f"MemTotal: {32 * 2**20} kB\nMemAvailable: {8 * 2**20} kB\n"}


def test_free_memory_of_the_machine(tmp_path: Path) -> None:
    assert free(write(tmp_path, MACHINE)) == 8


def test_nothing_is_known_without_the_systems_files(tmp_path: Path) -> None:
    assert memory_room(tmp_path) is None
    assert resident_bytes(tmp_path) == 0
    assert not reset_peak_memory(tmp_path / "none")


@pytest.mark.parametrize(
    ("line", "folder", "limit", "used", "cached"),
    [
        ("0::/jobs/mine", "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
        (
            "4:memory:/jobs/mine",
            "sys/fs/cgroup/memory",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        ),
    ],
)
def test_the_tightest_control_group_above_counts(
    tmp_path: Path, line: str, folder: str, limit: str, used: str, cached: str
) -> None:
    """Cached files are given up for the process, so they count as free."""
    files = MACHINE | {
        "proc/self/cgroup": f"12:cpu:/other\n{line}\n",
        f"{folder}/jobs/mine/{limit}": str(7 * GIB),
        f"{folder}/jobs/mine/{used}": str(1 * GIB),
        f"{folder}/jobs/{limit}": str(5 * GIB),
        f"{folder}/jobs/{used}": str(4 * GIB),
        f"{folder}/jobs/memory.stat": f"anon 1\n{cached} {2 * GIB}\n",
        f"{folder}/{limit}": str(2**63 - 4096),
        f"{folder}/{used}": str(20 * GIB),
    }
    room = memory_room(write(tmp_path, files))
    assert room is not None
    assert room.free == 3 * GIB
    assert "container" in room.limit


def test_a_control_group_without_a_limit_changes_nothing(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}
    assert free(write(tmp_path, MACHINE | files)) == 8


@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's own counters")
def test_a_limited_address_space_is_seen() -> None:
    code = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "from heedful.core.machine import memory_room\n"
        "room = memory_room()\n"
        "assert 0 < room.free < 2**30, room\n"
        "assert 'ulimit' in room.limit\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's own counters")
def test_the_peak_is_found_and_can_be_forgotten() -> None:
    """Pages of its own: the allocator may keep what is freed (`heedful.models.memory`)."""
    size = 160_000_000
    assert reset_peak_memory()
    before = peak_memory_bytes()
    with mmap.mmap(-1, size) as block:
        for page in range(0, size, mmap.PAGESIZE):
            block[page] = 1
        assert resident_bytes() > size
        assert peak_memory_bytes() > before + 0.9 * size
    assert peak_memory_bytes() > before + 0.9 * size
    assert reset_peak_memory()
    assert peak_memory_bytes() < before + size / 2
