"""Our side of every comparison: the product's own trainers and decoder, called as anybody would.

A trainer is given a display whose bar waits for its turn between two steps; nothing else is
changed. Started by `turns` with a specification; see `measuring`.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from measuring import Meter, read_specification

from heedful.core.settings import Project
from heedful.training.display import Bar, Display


class Profiler(Meter):
    """A meter that, where the specification says so, watches the operators of the last step."""

    def __init__(self, own: dict[str, Any]) -> None:
        super().__init__(own)
        self._wanted = own.get("profile", False)
        self._watch: Any = None
        self._rows: list[dict[str, Any]] = []

    def boundary(self) -> None:
        """As a meter's; what was watched is put together before it."""
        if self._watch is not None:
            self._watch.__exit__(None, None, None)
            self._rows = operators(self._watch)
            self._watch = None
        super().boundary()
        if self._wanted and self.last_comes:
            from torch.profiler import ProfilerActivity, profile

            self._watch = profile(activities=[ProfilerActivity.CPU])
            self._watch.__enter__()

    def end(self, **result: Any) -> NoReturn:
        """As a meter's, with what was watched."""
        super().end(operators=self._rows, **result)


def operators(watched: Any) -> list[dict[str, Any]]:
    """Each operator's own milliseconds and calls, the longest first."""
    rows = [
        {"name": one.key, "ms": one.self_cpu_time_total / 1000, "calls": one.count}
        for one in watched.key_averages()
    ]
    return sorted(rows, key=lambda row: -row["ms"])


class PacedBar(Bar):
    """Takes the end of a step as the end of a turn."""

    def __init__(self, meter: Meter, end: Callable[[], NoReturn]) -> None:
        self._meter, self._end = meter, end

    def advance(self, amount: int = 1, **numbers: float) -> None:
        """A trainer moves by steps, and says so by `move_to`."""

    def move_to(self, _done: int, **numbers: float) -> None:
        """Called between two steps without numbers, and with them where a step is logged."""
        if not numbers:
            self._meter.boundary()
            if self._meter.finished:
                self._end()

    def close(self) -> None:
        """Nothing to leave behind."""


class PacedDisplay(Display):
    """A display that hands the trainer to the meter."""

    def __init__(self, meter: Meter, end: Callable[[], NoReturn]) -> None:
        super().__init__()
        self._meter, self._end = meter, end

    @contextmanager
    def bar(self, _name: str, _total: int, **_: str) -> Iterator[Bar]:
        """The bar of the trainer's loop."""
        yield PacedBar(self._meter, self._end)


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """What the trainer logged, a row a step."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def train(own: dict[str, Any], stage: Any, sections: dict[str, Any]) -> NoReturn:
    """Run a stage of ours with the settings of the specification over `sections`."""
    meter = Profiler(own)
    folder = Path(own["scratch"]) / "run"
    base: dict[str, dict[str, Any]] = {
        "run": {"dir": folder, "threads": own["threads"]},
        "model": {
            "name": own["model"],
            "device": own["device"],
            "compute_dtype": own["compute_dtype"],
        },
        "format": {"template": "plain", "max_prompt_tokens": 1024, "max_completion_tokens": 1024},
    }
    for part in (sections, own.get("settings", {})):
        for name, values in part.items():
            base[name] = base.get(name, {}) | values

    def end() -> NoReturn:
        rows = read_metrics(folder)[own["warmups"] :]
        if own["kind"] == "ppo":
            require_full_length(own, rows)
        meter.end(metrics=rows)

    stage.train(Project.model_validate(base), PacedDisplay(meter, end))
    raise SystemExit("training ended before the last step was reported")


def require_full_length(own: dict[str, Any], rows: list[dict[str, float]]) -> None:
    """Fail where completions ended before the length that the comparison states."""
    lengths = {row["objective/length"] for row in rows}
    if not own.get("natural_ends") and lengths != {own["new_tokens"]}:
        raise SystemExit(f"completions of {lengths} tokens, not {own['new_tokens']}")


def sft(own: dict[str, Any]) -> NoReturn:
    """Supervised fine-tuning: a step is one pass over the data."""
    from heedful.training import sft as stage

    steps = own["warmups"] + own["repeats"]
    own_settings = {"batch_size": own["batch"], "epochs": steps, "choose_by": "last"}
    data = {"demonstrations": own["data"], "validation_share": 0}
    train(own, stage, {"data": data, "sft": own_settings | {"learning_rate": 1e-5}})


def reward(own: dict[str, Any]) -> NoReturn:
    """The reward model: a step is one pass over the rankings."""
    from heedful.training import reward as stage

    steps = own["warmups"] + own["repeats"]
    own_settings = {"batch_size": own["batch"], "epochs": steps, "learning_rate": 1e-5}
    data = {"rankings": own["data"], "validation_share": 0}
    train(own, stage, {"data": data, "reward": own_settings})


def ppo(own: dict[str, Any]) -> NoReturn:
    """PPO: a step is one iteration, from prompts to updated weights."""
    from heedful.training import ppo as stage

    steps = own["warmups"] + own["repeats"]
    form = {"max_completion_tokens": own["new_tokens"]}
    form["template"] = "chat" if own.get("natural_ends") else "plain"
    settings = {
        "reward": own["reward"],
        "episodes": steps * own["batch"],
        "rollout_batch_size": own["batch"],
        "minibatch_size": own["batch"],
        "inner_epochs": 1,
        "learning_rate": 8e-6,
        "missing_eos": "ignore",
    }
    data = {"prompts": own["data"], "validation_share": 0}
    form["max_prompt_tokens"] = 1024
    train(own, stage, {"data": data, "format": form, "ppo": settings})


def generate(own: dict[str, Any]) -> NoReturn:
    """Sampling by the decoder that PPO, labelling and evaluation use."""
    import torch

    from heedful.core.jsonl import read_records
    from heedful.core.records import Prompt, SamplingParameters
    from heedful.core.settings import FormatSettings
    from heedful.generation.language_model import LanguageModel
    from heedful.models.memory import keep_freed_memory

    meter = Profiler(own)
    keep_freed_memory()
    form = FormatSettings(template="plain", max_completion_tokens=own["new_tokens"])
    device = torch.device(own["device"])
    dtype = getattr(torch, own["compute_dtype"])
    language = LanguageModel.open(own["model"], format_settings=form, device=device, dtype=dtype)
    prompts = read_records(Path(own["data"]), Prompt)
    sampling = SamplingParameters(max_tokens=own["new_tokens"])
    tokens = 0
    while not meter.finished:
        meter.boundary()
        if not meter.finished:
            found = language.sample(prompts, sampling)
            tokens = sum(len(one.token_ids) for row in found for one in row)
    if tokens != len(prompts) * own["new_tokens"]:
        raise SystemExit(f"{tokens} tokens came out")
    meter.end()


def peak(own: dict[str, Any]) -> NoReturn:
    """The matrix product that all fractions are of: 2048 x 2048 x 2048 in the compute type."""
    import torch

    meter = Profiler(own)
    size = own["size"]
    like = {"device": own["device"], "dtype": getattr(torch, own["compute_dtype"])}
    left, right = (torch.randn(size, size, **like) for _ in range(2))
    now = time.perf_counter if own["clock"] == "wall" else time.process_time
    best = 0.0
    while not meter.finished:
        meter.boundary()
        if not meter.finished:
            for _ in range(own["products"]):
                start = now()
                float((left @ right)[0, 0])  # waits for a device
                best = max(best, 2 * size**3 / (now() - start))
    meter.end(flops=best)


CASES = {"sft": sft, "reward": reward, "ppo": ppo, "generate": generate, "peak": peak}

if __name__ == "__main__":
    specification = read_specification()
    CASES[specification["kind"]](specification)
