"""What the peers' trainers have alike: waiting for their turn, and the precision asked for."""

import os
from collections.abc import Mapping
from typing import Any

from measuring import Meter
from transformers import TrainerCallback


class Turns(TrainerCallback):
    """Waits for its turn between two optimiser steps."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Before the first step."""
        self.meter.boundary()

    def on_step_end(self, _arguments: Any, state: Any, *_: Any, **__: Any) -> None:
        """After each."""
        self.meter.boundary()
        if self.meter.finished:
            self.meter.end(logged=state.log_history[-1:] if state.log_history else [])


def choose_precision(specification: Mapping[str, Any]) -> str:
    """What a trainer over fp32 weights shall compute in, `bf16` or `no`; told to accelerate."""
    chosen = "bf16" if specification["compute_dtype"] == "bfloat16" else "no"
    os.environ["ACCELERATE_MIXED_PRECISION"] = chosen  # the only way that PPOTrainer hears
    return chosen


def require_precision(trainer: Any, wanted: str) -> None:
    """Fail where autocast is not what the comparison says it is."""
    found = trainer.accelerator.mixed_precision
    if found != wanted:
        raise SystemExit(f"mixed precision is {found}, not {wanted}")
