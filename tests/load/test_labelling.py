"""The labelling server under load and under SIGKILL, small: `benchmarks/` has the full size."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.databases import server_is_missing

SIZES = {
    "labelling_load.py": ["--labellers", "10", "--items", "15", "--think-seconds", "0.1"],
    "labelling_faults.py": ["--labellers", "8", "--items", "15", "--think-seconds", "0.2"],
}
KILLS = ["--kills", "3", "--lease-seconds", "5"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("program", SIZES)
def test_nothing_is_lost_and_nothing_twice(
    repository: Path, tmp_path: Path, program: str, kind: str
) -> None:
    if kind == "postgresql" and (reason := server_is_missing()):
        pytest.skip(reason)
    command = [sys.executable, str(repository / "benchmarks" / program), "--database", kind]
    command += [*SIZES[program], "--out", str(tmp_path / "out.json")]
    command += KILLS if "faults" in program else []
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    checks = json.loads((tmp_path / "out.json").read_text())["checks"]
    assert set(checks["must_be_0"].values()) == {0}
    assert checks["slots_done"] == checks["slots"] == 60
    assert checks["acknowledged"] == checks["stored"] == 60 + checks["surplus"]
