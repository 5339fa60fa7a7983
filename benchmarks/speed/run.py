"""Ours against the peers: PPO, generation, SFT and reward models, in turn, on this machine.

    python benchmarks/speed/run.py [--quick] [--rows sft ppo ...] [--sweeps] [--no-peers]
    python benchmarks/speed/run.py --render benchmarks/results/DATE.json

`make bench` makes the peers' environments first. A row's sides are processes of their own that
step in turn; a case that fails ends the run with what it printed. Results go to
benchmarks/results/DATE.json row by row, so a day's file can be made in several calls.
`--render` writes the tables and figures of such a file into the documentation.
"""

import argparse
import dataclasses
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from material import Material
from report import comparison_table, profile_table, render, step_lines
from rich.console import Console
from rows import FULL, QUICK, Group, Rows, Side
from turns import CaseError, Measured, take_turns

from heedful.core.jsonl import write_json_atomic
from heedful.core.run import git_revision, hardware
from heedful.models.precision import compute_dtype

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENTS = ("trl-ppo", "trl")
QUIET_LOAD = 0.5
TIMEOUT_SECONDS = 1800.0
STEP = "step"
NUM_OPERATORS = 14


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one small repeat of everything")
    parser.add_argument("--rows", nargs="+", metavar="KEY", help="only these; --list names them")
    parser.add_argument("--repeats", type=int, help="steps that count, in place of three")
    parser.add_argument("--sweeps", action="store_true", help="the points of the figures too")
    parser.add_argument("--no-peers", action="store_true", help="ours alone")
    parser.add_argument("--profile", nargs="+", metavar="KEY", help="our operators in these rows")
    parser.add_argument("--list", action="store_true", help="print the rows' keys and end")
    parser.add_argument("--render", type=Path, metavar="FILE", help="write tables and figures")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--compute-dtype",
        choices=("auto", "bfloat16", "float32"),
        default="auto",
        help="of both sides; auto: bfloat16 where the device multiplies it natively",
    )
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: where others work beside"
    )
    parser.add_argument("--work", type=Path, default=ROOT / ".bench")
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()
    chosen = compute_dtype(arguments.compute_dtype, torch.device(arguments.device))
    arguments.compute_dtype = str(chosen).removeprefix("torch.")
    return arguments


def machine(arguments: argparse.Namespace) -> dict[str, Any]:
    """What everything below was measured on."""
    return {
        **hardware(),
        "system": platform.platform(),
        "threads": arguments.threads,
        "device": arguments.device,
        "compute_dtype": arguments.compute_dtype,
        "clock": arguments.clock,
        "model": arguments.model,
        "quick": arguments.quick,
    }


class Run:
    """One call: which rows, on what, written where."""

    def __init__(self, arguments: argparse.Namespace, console: Console) -> None:
        self.arguments, self.console = arguments, console
        material = Material(arguments.work / "material", arguments.model)
        common = {
            "threads": arguments.threads,
            "device": arguments.device,
            "compute_dtype": arguments.compute_dtype,
        }
        sizes = QUICK if arguments.quick else FULL
        if arguments.repeats:
            sizes = dataclasses.replace(sizes, repeats=arguments.repeats)
        self.rows = Rows(material, sizes, common, peers=not arguments.no_peers)
        self.common = common
        self.pythons = {"heedful": Path(sys.executable)}
        if not arguments.no_peers:
            self.pythons |= {name: self._python(name) for name in ENVIRONMENTS}
        self.path = arguments.json or self._path()
        self.found: dict[str, Any] = {"groups": {}}
        if self.path.exists():
            self.found = json.loads(self.path.read_text(encoding="utf-8"))
        self.found["machine"] = machine(arguments)

    def _path(self) -> Path:
        if self.arguments.quick:
            return Path(self.arguments.work) / "quick.json"
        today = datetime.now(UTC).date().isoformat()
        return ROOT / "benchmarks" / "results" / f"{today}.json"

    def _python(self, name: str) -> Path:
        python = Path(self.arguments.work) / name / "bin" / "python"
        if not python.exists():
            raise SystemExit(f"{python} is missing: `make bench` makes it, --no-peers does without")
        return python

    def available(self) -> list[str]:
        """The keys of all rows."""
        return [*self.rows.table(), STEP, *self.rows.sweeps()]

    def measure(self) -> None:
        """Every row that is asked for, each written when it is done."""
        chosen = self.arguments.rows
        makers = {**self.rows.table(), **self.rows.sweeps()}
        names = [*self.rows.table(), STEP] if chosen is None else list(chosen)
        if unknown := [name for name in names if name not in self.available()]:
            raise SystemExit(f"no row {unknown[0]}; there are: {', '.join(self.available())}")
        if self.arguments.sweeps:
            names += [name for name in self.rows.sweeps() if name not in names]
        peak = self._peak()
        for name in names:
            if name == STEP:
                self._step_time()
                continue
            group = makers[name]()
            self.console.print(f"[bold]{group.key}[/bold]: {group.title}")
            measured = self._turns(group.sides, group.warmups + group.repeats)
            self._keep(group, measured, peak)

    def profile(self) -> None:
        """The operators of one step of ours in the rows that are asked for."""
        makers = self.rows.table()
        for name in self.arguments.profile:
            if name not in makers:
                raise SystemExit(f"no row {name}; there are: {', '.join(makers)}")
            for side in makers[name]().sides:
                if side.environment == "heedful":
                    told = {**side.specification, "profile": True, "warmups": 1, "repeats": 1}
                    watched = dataclasses.replace(side, specification=told)
                    found = self._turns([watched], 2)[side.label]
                    key = name if side.label == "ours" else f"{name}, {side.label}"
                    rows = found.result["operators"]
                    self.found.setdefault("profiles", {})[key] = rows[:NUM_OPERATORS]
                    self.found["profiles"][key].append(rest_of(rows[NUM_OPERATORS:]))
                    self._write()

    def _turns(self, sides: list[Side], steps: int) -> dict[str, Measured]:
        with tempfile.TemporaryDirectory(dir=self.arguments.work, prefix="run-") as scratch:
            try:
                return take_turns(
                    sides,
                    self.pythons,
                    Path(scratch) / "cases",
                    steps=steps,
                    timeout_seconds=TIMEOUT_SECONDS,
                )
            except CaseError:
                kept = Path(self.arguments.work) / "failed"
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(Path(scratch) / "cases", kept, ignore=_weights)
                raise

    def _peak(self) -> float:
        """FLOP/s that the fractions of this call are of."""
        size = 256 if self.arguments.quick else 2048
        told = {**self.common, "kind": "peak", "size": size, "products": 5}
        told |= {"warmups": 1, "repeats": 3, "clock": self.arguments.clock}
        side = Side(label="peak", environment="heedful", script="ours.py", specification=told)
        flops = float(self._turns([side], 4)["peak"].result["flops"])
        self.console.print(f"{self.arguments.compute_dtype} {size}^3: {flops / 1e12:.2f} TFLOP/s")
        return flops

    def _keep(self, group: Group, measured: dict[str, Measured], peak: float) -> None:
        self.found["groups"][group.key] = {
            "title": group.title,
            "unit": group.unit,
            "work": group.work,
            "flops": group.flops,
            "peak_flops": peak,
            "sweep": group.sweep,
            "point": group.point,
            "in_table": group.in_table,
            "comparisons": [one.__dict__ for one in group.comparisons],
            "sides": {label: one.as_json() for label, one in measured.items()},
            **self._when(),
        }
        self._write()
        for label, one in measured.items():
            seconds = one.median(self.arguments.clock)
            memory = one.peak_bytes / 2**30
            self.console.print(
                f"  {label:24} {group.work / seconds:10.3g} {group.unit}, {seconds:.2f} s a step, "
                f"{memory:.1f} GiB",
                highlight=False,
            )

    def _step_time(self) -> None:
        """The step over its own matrix products, by benchmarks/step_time.py."""
        script = ROOT / "benchmarks" / "step_time.py"
        steps = {}
        for task in ("sft", "reward"):
            output = Path(self.arguments.work) / f"step-{task}.json"
            command = [sys.executable, str(script), "--model", self.arguments.model]
            command += ["--task", task, "--threads", str(self.arguments.threads)]
            command += ["--clock", self.arguments.clock, "--json", str(output)]
            command += ["--compute-dtype", self.arguments.compute_dtype]
            if self.arguments.quick:
                command += ["--rows", "2", "--tokens", "32", "--repeats", "1"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            steps[task] = json.loads(output.read_text(encoding="utf-8"))
        self.found["steps"] = {"tasks": steps, **self._when()}
        self._write()
        for line in step_lines(self.found):
            self.console.print(line, highlight=False)

    def _when(self) -> dict[str, Any]:
        return {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "revision": git_revision(),
            "load_average": os.getloadavg()[0],
        }

    def _write(self) -> None:
        order = {name: place for place, name in enumerate(self.available())}
        groups = sorted(self.found["groups"].items(), key=lambda item: order.get(item[0], 99))
        self.found["groups"] = dict(groups)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json_atomic(self.path, self.found)


def rest_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Many operators as one row."""
    sums = {name: sum(row[name] for row in rows) for name in ("ms", "calls")}
    return {"name": f"{len(rows)} others", **sums}


def _weights(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.endswith((".safetensors", ".pt", ".bin"))]


def main() -> None:
    """Measure, print the table, and say where everything is."""
    arguments, console = read_arguments(), Console(width=140)
    if arguments.render is not None:
        render(arguments.render, ROOT, console)
        return
    arguments.work.mkdir(parents=True, exist_ok=True)
    run = Run(arguments, console)
    if arguments.list:
        console.print("\n".join(run.available()))
        return
    load = os.getloadavg()[0]
    if load > QUIET_LOAD:
        console.print(
            f"[bold]The machine is loaded[/bold] (load average {load:.1f}): times will be too "
            "long. Stop what runs beside this, or compare by --clock cpu."
        )
    try:
        if arguments.profile:
            run.profile()
            console.print(profile_table(run.found))
            return
        run.measure()
    except CaseError as error:
        console.print(f"[bold red]{error}[/bold red]", markup=True, highlight=False)
        raise SystemExit(1) from None
    if not arguments.no_peers:
        console.print(comparison_table(run.found))
    console.print(f"Kept in {run.path}; --render {run.path} writes the documentation's tables.")


if __name__ == "__main__":
    main()
