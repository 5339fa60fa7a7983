"""The benchmarks of training and sampling run, without peers and on a tiny model."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fakes.tiny_models import build_model
from fakes.tokenizer_folder import build_tokenizer_dir
from heedful.data.tokenizer import TextTokenizer


@pytest.fixture
def speed(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the benchmarks, whose modules can be imported in this test."""
    folder = repository / "benchmarks" / "speed"
    monkeypatch.syspath_prepend(str(folder))
    for name in [path.stem for path in folder.glob("*.py")]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return folder


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A model folder whose model has a row for each token and no more."""
    folder = build_tokenizer_dir(tmp_path / "tiny")
    size = TextTokenizer.from_dir(folder).vocab_size
    build_model(vocab_size=size).save_pretrained(folder)
    return folder


def imported(name: str) -> ModuleType:
    module = __import__(name)
    assert "benchmarks" in str(module.__file__)
    return module


@pytest.mark.slow
def test_rows_of_ours_run_and_are_kept(speed: Path, tiny: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    options = ["--quick", "--no-peers", "--compute-dtype", "float32", "--threads", "1"]
    options += ["--model", str(tiny), "--work", str(tmp_path / "work"), "--json", str(results)]
    options += ["--rows", "sft-ragged", "reward-3", "generation-4", "ppo", "ppo-lora"]
    command = [sys.executable, str(speed / "run.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(results.read_text())
    expected = ["ppo", "ppo-lora", "sft-ragged", "generation-4", "reward-3"]
    assert list(found["groups"]) == expected
    for group in found["groups"].values():
        for side in group["sides"].values():
            assert len(side["seconds"]) == 1
            assert side["threads"] == 1
            assert side["peak_bytes"] > 2**20
            assert "torch" in side["versions"]
    ppo = found["groups"]["ppo"]["sides"]
    assert ppo["ours"]["result"]["metrics"][0]["objective/length"] == 8
    shares = imported("report").phases(found)
    assert set(shares) == {"ours", "ours, LoRA"}
    assert sum(shares["ours"].values()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_peer_computes_in_the_type_that_ours_does(
    speed: Path, tiny: Path, tmp_path: Path, dtype: str
) -> None:
    rows, material = imported("rows"), imported("material").Material(tmp_path / "kept", str(tiny))
    common = {"threads": 1, "device": "cpu", "compute_dtype": dtype}
    found = rows.Rows(material, rows.QUICK, common, peers=True).table()
    assert ("ppo-bf16" in found) == (dtype == "bfloat16")
    group = found["generation-4"]()
    assert [side.specification["compute_dtype"] for side in group.sides] == [dtype, dtype]
    (comparison,) = group.comparisons
    assert (comparison.at_least is None) == (dtype == "float32")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit('no such model here')", r"(?s)broken ended.*no such model here"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", r"broken was killed.*memory"),
    ],
)
def test_a_case_that_fails_says_how(speed: Path, tmp_path: Path, code: str, said: str) -> None:
    turns = imported("turns")
    script = tmp_path / "case.py"
    script.write_text(code)
    side = turns.Side(
        label="broken", environment="peer", script=str(script), specification={"threads": 1}
    )
    with pytest.raises(turns.CaseError, match=said):
        turns.take_turns(
            [side], {"peer": Path(sys.executable)}, tmp_path / "cases", steps=1, timeout_seconds=60
        )


def group(sweep: str | None, point: float, rates: dict[str, float]) -> dict[str, Any]:
    sides = {
        label: {
            "median": 1 / rate,
            "cpu_median": 2 / rate,
            "seconds": [1 / rate],
            "peak_bytes": 2**30 * (2 if label == "ours" else 8),
            "versions": {"torch": "2.13.0", "transformers": "5.23.0", "trl": "1.16.0"},
            "result": {},
        }
        for label, rate in rates.items()
    }
    comparison = {"ours": "ours", "peer": "TRL", "at_least": 3.0, "aim": 5.0}
    return {
        "title": "SFT, 256 tokens",
        "unit": "tokens/s",
        "work": 1.0,
        "flops": 1e9,
        "peak_flops": 1e12,
        "sweep": sweep,
        "point": point,
        "in_table": sweep is None,
        "comparisons": [comparison],
        "sides": sides,
        "at": "2026-11-23T00:00:00+00:00",
    }


@pytest.fixture
def results() -> dict[str, Any]:
    groups = {"sft": group(None, 0, {"ours": 600.0, "TRL": 150.0})}
    for name in ("generation", "ppo", "sft", "reward"):
        for point in (4, 8):
            groups[f"sweep-{name}-{point}"] = group(name, point, {"ours": 50.0, "TRL": 5.0})
    machine = {"clock": "wall", "model": "tiny", "machine": "one", "threads": 2}
    machine |= {"device": "cpu", "compute_dtype": "float32"}
    return {"machine": machine, "groups": groups}


def test_the_table_has_ratios_peak_and_memory(speed: Path, results: dict[str, Any]) -> None:
    report = imported("report")
    (line,) = report.lines(results)
    assert line.ratio == pytest.approx(4)
    assert line.memory_ratio == pytest.approx(0.25)
    assert line.fractions == (pytest.approx(0.6), pytest.approx(0.15))
    assert "| 600 | 150 | 4.0 | 3, 5 | 60.0% / 15.0% | 2.0 / 8.0 | 0.25 |" in report.markdown(
        results
    )
    assert "| **4.0** | 2.0 / 8.0 GiB |" in report.short_markdown(results)


def test_what_stands_between_the_markers_is_replaced(speed: Path) -> None:
    between = imported("report").between
    text = "a\n<!-- benchmark -->\nold\n<!-- /benchmark -->\nb\n"
    new = "a\n<!-- benchmark -->\n\nnew\n\n<!-- /benchmark -->\nb\n"
    assert between(text, "benchmark", "new", Path("x.md")) == new
    with pytest.raises(SystemExit, match="has no lines"):
        between("nothing", "benchmark", "new", Path("x.md"))


def test_sweeps_are_drawn_for_both_schemes(
    speed: Path, results: dict[str, Any], tmp_path: Path
) -> None:
    (path,) = imported("figures").draw_all(results, tmp_path, imported("report").marker_of(results))
    svg = path.read_text()
    assert path.name == "benchmark-float32-sweeps.svg"
    assert "prefers-color-scheme:dark" in svg
    assert 'xmlns="http://www.w3.org/2000/svg"' in svg


def test_ragged_lengths_are_the_same_at_every_call(speed: Path) -> None:
    material = imported("material")
    first = material.ragged_lengths(16, 128, 512)
    assert first == material.ragged_lengths(16, 128, 512)
    assert min(first) >= 32
    assert max(first) <= 512
    assert len(set(first)) > 8
