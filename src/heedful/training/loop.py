"""What every trainer shares: stepping, logging, saving on Ctrl-C, and exact resuming.

A trainer hands over how to collect and restore its state; the loop decides when.
Nothing here knows what a step computes.
"""

import math
import shutil
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from heedful.core.errors import HeedfulError, Interrupted, ModelError
from heedful.core.metrics import MetricLogger
from heedful.core.run import Cost, RunDirectory
from heedful.core.settings import ModelSettings, OptimSettings, RunSettings
from heedful.models.activation_checkpointing import checkpoint_layers
from heedful.models.adapters import merged_state_dict
from heedful.models.checkpoint import load_state, save_state
from heedful.models.memory import keep_freed_memory
from heedful.models.precision import MasterWeights, compute_dtype, pick_device
from heedful.training.display import Bar, Display

StepMetrics = dict[str, float]


class Trainable:
    """A module being trained: fp32 masters, AdamW, and clipping that clips.

    Args:
        module: Already on its device; its trainable parameters are trained.
        dtype: The type that passes compute in.
        settings: Adam's constants and the clipping norm.
        keep_fp32: See `MasterWeights`.
        activation_checkpointing: See `checkpoint_layers`.
    """

    def __init__(
        self,
        module: nn.Module,
        dtype: torch.dtype,
        settings: OptimSettings,
        *,
        keep_fp32: tuple[str, ...] = (),
        activation_checkpointing: bool = False,
    ) -> None:
        if activation_checkpointing:
            checkpoint_layers(module)
        self.module: Any = module
        self.weights = MasterWeights(module, dtype, keep_fp32=keep_fp32)
        self._parameters = list(self.weights.masters.values())
        self._max_grad_norm = settings.max_grad_norm
        self._optimiser = torch.optim.AdamW(
            self._parameters,
            lr=0.0,
            betas=(settings.beta1, settings.beta2),
            eps=settings.eps,
            weight_decay=settings.weight_decay,
            fused=True,
        )

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of one microbatch's share of the loss."""
        loss.backward()

    def discard_gradients(self) -> None:
        """Forget what `backward` added since the last step."""
        self._optimiser.zero_grad(set_to_none=True)
        self.module.zero_grad(set_to_none=True)

    def step(self, learning_rate: float) -> float:
        """Clip, update, publish, clear; returns the gradient norm before clipping.

        Raises:
            ModelError: The gradient is not finite; the weights stay as they are.
        """
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        norm = float(nn.utils.get_total_norm(gradients))
        if not math.isfinite(norm):
            raise ModelError(
                "training has diverged: the gradient is not a finite number",
                "Lower the learning rate, or compute in float32 (model.compute_dtype).",
            )
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate
        # Clipping is a division that the fused AdamW does in the same pass over memory.
        excess = norm / self._max_grad_norm
        scale = torch.tensor(excess) if excess > 1 else None
        self._optimiser.grad_scale = scale  # type: ignore[attr-defined]  # read by its step
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self.weights.publish()
        return norm

    def full_state_dict(self) -> dict[str, Tensor]:
        """Everything a checkpoint holds, in float32, adapters merged."""
        return merged_state_dict(self.module, self.weights.full_state_dict())

    def state_dict(self) -> dict[str, Any]:
        """What resuming needs, not copied."""
        return {"masters": self.weights.state_dict(), "optimiser": self._optimiser.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to what `state_dict` returned."""
        self.weights.load(state["masters"])
        self._optimiser.load_state_dict(state["optimiser"])


def cosine_rate(
    step: int, num_steps: int, *, peak: float, warmup_share: float, min_ratio: float
) -> float:
    """Learning rate of step `step` (from 0): linear warm-up, then a cosine to min_ratio * peak."""
    warmup = round(warmup_share * num_steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, num_steps - 1 - warmup)
    return peak * (min_ratio + (1 - min_ratio) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def warmup_rate(step: int, num_steps: int, *, peak: float, warmup_share: float) -> float:
    """Learning rate of step `step`: from a tenth of `peak` up to it, then constant (C.4)."""
    warmup = round(warmup_share * num_steps)
    return peak * (0.1 + 0.9 * min(1.0, step / warmup)) if warmup else peak


def prepare(run: RunSettings, model: ModelSettings) -> tuple[torch.device, torch.dtype]:
    """Set threads, seeds and the allocator; returns the device and the compute type."""
    keep_freed_memory()
    if run.threads:
        torch.set_num_threads(run.threads)
    torch.manual_seed(run.seed)
    device = pick_device(model.device)
    return device, compute_dtype(model.compute_dtype, device)


class Loop:
    """The steps of one run, as a context manager.

    Args:
        run: The run directory, started.
        settings: `[run]`.
        name: What the progress bar says.
        num_steps: Steps of the whole run.
        display: Where progress goes.
        collect: Returns the trainer's state: tensors, numbers, strings, nested.
        restore: Puts such a state back.
    """

    def __init__(
        self,
        run: RunDirectory,
        settings: RunSettings,
        *,
        name: str,
        num_steps: int,
        display: Display,
        collect: Callable[[], dict[str, Any]],
        restore: Callable[[dict[str, Any]], None],
    ) -> None:
        self._run = run
        self._settings = settings
        self._name = name
        self._num_steps = num_steps
        self._display = display
        self._collect = collect
        self._restore = restore
        self._stop = threading.Event()
        self._bar: Bar | None = None
        self._steps: Generator[int, None, None] | None = None
        self.start_step = 0

    def __enter__(self) -> Self:
        state = load_state(self._run.path / "state")
        if state is None:
            # What an earlier attempt did was lost, and its cost with it.
            self._run.card.cost = Cost()
        else:
            self.start_step = int(state["step"])
            self._run.card.cost = Cost.model_validate(state["cost"])
            self._restore(state["trainer"])
            torch.set_rng_state(state["rng"])
            if state["cuda_rng"]:
                torch.cuda.set_rng_state_all(state["cuda_rng"])
            self._display.say(f"Resuming {self._run.path} after step {self.start_step}.")
        self._seconds_before = self._run.card.cost.seconds
        self._entered = time.monotonic()
        folder = self._run.path / "tensorboard"
        self._logger = MetricLogger(
            self._run.path / "metrics.jsonl",
            resume_step=self.start_step,
            mirror=_tensorboard(folder, self.start_step) if self._settings.tensorboard else None,
        )
        self._previous_handler: Any = None
        if threading.current_thread() is threading.main_thread():
            self._previous_handler = signal.signal(signal.SIGINT, self._on_interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._previous_handler is not None:
            signal.signal(signal.SIGINT, self._previous_handler)
        if self._steps is not None:
            self._steps.close()  # and with it the bar, where a step failed
        self._logger.close()
        if kind is None:
            shutil.rmtree(self._run.path / "state", ignore_errors=True)

    def _on_interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self._stop.is_set():
            raise KeyboardInterrupt
        self._stop.set()
        self._display.say("Stopping after this step and saving (Ctrl-C again stops at once).")

    def steps(self) -> Iterator[int]:
        """Step numbers from where the run stands; saves when it is due or asked for.

        Raises:
            Interrupted: Somebody pressed Ctrl-C, and everything is saved.
        """
        self._steps = self._take_steps()
        return self._steps

    def _take_steps(self) -> Generator[int, None, None]:
        with self._display.bar(self._name, self._num_steps) as self._bar:
            self._bar.move_to(self.start_step)
            for step in range(self.start_step, self._num_steps):
                yield step
                done = step + 1
                self._bar.move_to(done)
                if done == self._num_steps:
                    return
                every = self._settings.save_every
                stopped = self._stop.is_set()
                if stopped or (every and done % every == 0):
                    self._save(done)
                if stopped:
                    raise Interrupted(
                        f"Stopped after step {done} of {self._num_steps}; "
                        f"saved in {self._run.path}.",
                        "The same command resumes it.",
                    )

    def log(self, step: int, values: Mapping[str, float], numbers: Mapping[str, float]) -> None:
        """Write the metrics of step `step` (from 0) and show `numbers` on the bar."""
        seconds = self._seconds_before + time.monotonic() - self._entered
        row = {"progress/step": step + 1, "progress/seconds": seconds, **values}
        self._logger.log(step + 1, row)
        if self._bar is not None:
            self._bar.move_to(step + 1, **numbers)

    def _save(self, step: int) -> None:
        self._run.save()
        save_state(
            self._run.path / "state",
            {
                "step": step,
                "cost": self._run.card.cost.model_dump(),
                "rng": torch.get_rng_state(),
                "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
                "trainer": self._collect(),
            },
        )


def add_metrics(total: StepMetrics, part: Mapping[str, Tensor | float]) -> None:
    """Sum a microbatch's additive metrics into the step's."""
    for name, value in part.items():
        total[name] = total.get(name, 0.0) + float(value)


def _tensorboard(folder: Path, resume_step: int) -> Callable[[int, Mapping[str, float]], None]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise HeedfulError(
            "run.tensorboard needs the tensorboard package",
            "Install heedful[tensorboard], or leave the setting out.",
        ) from None
    writer: Any = SummaryWriter(str(folder), purge_step=resume_step + 1)

    def mirror(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return mirror
