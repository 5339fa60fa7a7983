"""What a run says of itself before it begins, and beside it afterwards what it took.

`planned` goes around a whole run: it predicts memory (and time, where this machine was
measured before), warns where the prediction does not fit, chooses the microbatch that `auto`
leaves open, explains an error that means memory, and says at the end what came true. A model
or data that cannot be read are left to the run itself, which names them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from heedful.core.errors import HeedfulError
from heedful.core.machine import Room, memory_room, reset_peak_memory, resident_bytes
from heedful.core.run import Prediction, RunDirectory
from heedful.core.settings import DEFAULT_MICROBATCH, Project
from heedful.models.memory import keep_freed_memory
from heedful.models.precision import compute_dtype, native_bfloat16, pick_device
from heedful.models.shape import ModelShape
from heedful.training.display import Display, duration
from heedful.training.out_of_memory import (
    SMALLEST,
    TokenBudget,
    explained,
    is_out_of_memory,
    remedies,
    with_microbatch,
)
from heedful.training.plan import known_shapes, make_plan
from heedful.training.plan_case import Case, copies
from heedful.training.rehearsal import Bytes, known_seconds, rehearse_bytes
from heedful.training.workload import Workload, read_workload

# What `auto` begins with. On a processor longer microbatches gain nothing; on a GPU they do.
MOST_TOKENS = {"cpu": DEFAULT_MICROBATCH, "cuda": 32768}
FILLED = 0.9  # of what is free: how much of it `auto` plans to take
_NOT_NATIVE = (
    "This processor does not multiply bfloat16 natively, which can take 100 times as long as "
    "float32. Leave model.compute_dtype at auto."
)


@dataclass(frozen=True, slots=True)
class Planned:
    """The settings of a run with its microbatch decided, and the budget that may shrink."""

    config: Project
    budget: TokenBudget


@contextmanager
def planned(stage: str, config: Project, run: RunDirectory, display: Display) -> Iterator[Planned]:
    """Around a run, see the module.

    Args:
        stage: `sft`, `reward` or `ppo`.
        config: Of the run; `model.microbatch_tokens` may be `auto`.
        run: Its directory, started. The prediction goes into its card.
        display: Where warnings and the comparison go.

    Raises:
        OutOfMemory: The run needed more memory than there is.
    """
    # What an earlier stage of this process left is no part of this run's peak.
    keep_freed_memory()
    reset_peak_memory()
    device = pick_device(config.model.device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    if config.model.compute_dtype == "bfloat16" and not native_bfloat16(device):
        display.say(_NOT_NATIVE, style="yellow")
    run.card.prediction = prediction = _predict(stage, config, device, run, display)
    run.save()
    automatic = config.model.microbatch_tokens == "auto"

    def shrink(tokens: int) -> None:
        prediction.microbatch_tokens = tokens
        display.say(f"Memory ran out: microbatches have at most {tokens} tokens from here on.")

    budget = TokenBudget(prediction.microbatch_tokens, halves=automatic, on_change=shrink)
    decided = with_microbatch(config, prediction.microbatch_tokens)
    try:
        with explained(decided, stage, budget):
            yield Planned(decided, budget)
    finally:
        if device.type == "cuda":
            run.card.cost.peak_device_memory_bytes = torch.cuda.max_memory_allocated(device)
    run.save()
    display.say(_compared(run, prediction))


def _predict(
    stage: str, config: Project, device: torch.device, run: RunDirectory, display: Display
) -> Prediction:
    wanted = config.model.microbatch_tokens
    before = run.card.prediction
    if before is not None and (run.path / "state").exists():
        # Resumed: with the number that it began with, unless another one is set now.
        return before if wanted == "auto" else _taken_up(before, wanted, run, display)
    unplanned = Prediction(microbatch_tokens=most_tokens(device) if wanted == "auto" else wanted)
    try:
        case = open_case(stage, config, device)
        costs = None if case is None else counted_costs(case)
    except (HeedfulError, RuntimeError, MemoryError) as error:
        # The run itself will say what is wrong, or that there is no memory.
        if not (isinstance(error, HeedfulError) or is_out_of_memory(error)):
            raise
        return unplanned
    if case is None or costs is None:
        return unplanned
    room = room_on(device)
    case = choose_budget(case, costs, device)
    plan = make_plan(case, costs, known_seconds(case.scene()))
    if room is not None and plan.peak_bytes > room.free:
        display.say(_warning(plan.peak_bytes, room, config, stage), style="yellow")
    return Prediction(
        memory_bytes=round(plan.peak_bytes),
        seconds=plan.total_seconds,
        microbatch_tokens=case.budget,
    )


def open_case(stage: str, config: Project, device: torch.device) -> Case | None:
    """The stage as it stands in the files; None where one of its models is not here.

    Raises:
        HeedfulError: Data or a model's folder cannot be read.
    """
    shapes, missing = known_shapes(stage, config)
    if missing:
        return None
    first = shapes[copies(stage, config)[0].name]
    return make_case(stage, config, read_workload(stage, config, first.path), shapes, device)


def most_tokens(device: torch.device) -> int:
    """What `auto` begins with on `device`."""
    return MOST_TOKENS.get(device.type, DEFAULT_MICROBATCH)


def make_case(
    stage: str,
    config: Project,
    work: Workload,
    shapes: Mapping[str, ModelShape],
    device: torch.device,
) -> Case:
    """The stage on `device`; where the microbatch is `auto`, with the largest."""
    wanted = config.model.microbatch_tokens
    return Case(
        stage=stage,
        config=config,
        work=work,
        shapes=shapes,
        device=str(device),
        dtype=str(compute_dtype(config.model.compute_dtype, device)).removeprefix("torch."),
        budget=most_tokens(device) if wanted == "auto" else wanted,
    )


def counted_costs(case: Case) -> Bytes:
    """Bytes of the stage's passes, counted on a microbatch that any machine has room for."""
    small = min(case.budget, DEFAULT_MICROBATCH)
    return rehearse_bytes(replace(case, budget=small).scene())


def choose_budget(case: Case, costs: Bytes, device: torch.device) -> Case:
    """The same with the microbatch that `auto` takes with what is free now; as it is otherwise."""
    room = room_on(device)
    if case.config.model.microbatch_tokens != "auto" or room is None:
        return case
    return replace(case, budget=choose_microbatch(case, costs, room.free))


def choose_microbatch(case: Case, costs: Bytes, free: float) -> int:
    """The largest microbatch, halved from the most, with which the plan fits into `free` bytes.

    The smallest where none does: the run will say what is short.
    """
    tokens = case.budget
    while tokens >= 2 * SMALLEST:
        plan = make_plan(replace(case, budget=tokens), costs, None)
        if plan.peak_bytes <= FILLED * free:
            break
        tokens //= 2
    return tokens


def room_on(device: torch.device) -> Room | None:
    """What a run may take in all; on a processor, with what this process holds already."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return Room(free, f"free memory of {torch.cuda.get_device_name(device)}")
    room = memory_room()
    return None if room is None else Room(room.free + resident_bytes(), room.limit)


def _taken_up(before: Prediction, wanted: int, run: RunDirectory, display: Display) -> Prediction:
    if before.microbatch_tokens != wanted:
        note = (
            f"Resumed with model.microbatch_tokens = {wanted} instead of "
            f"{before.microbatch_tokens}: results differ by rounding from here on."
        )
        run.card.notes.append(note)
        display.say(note)
    return before.model_copy(update={"microbatch_tokens": wanted})


def _warning(needed: float, room: Room, config: Project, stage: str) -> str:
    first = remedies("pass", config, stage)[0]
    return (
        f"This run is expected to need {needed / 1e9:.1f} GB, and {room.free / 1e9:.1f} GB are "
        f"there ({room.limit}). It may be killed. {first}"
    )


def _compared(run: RunDirectory, prediction: Prediction) -> str:
    """One sentence: what the run took, beside what was predicted."""
    cost = run.card.cost
    peak = cost.peak_device_memory_bytes or cost.peak_memory_bytes
    time, memory = f"Took {duration(cost.seconds)}", f"{peak / 1e9:.1f} GB at the most"
    if prediction.seconds is not None:
        time += f" (predicted {duration(prediction.seconds)})"
    if prediction.memory_bytes is not None:
        memory += f" (predicted {prediction.memory_bytes / 1e9:.1f})"
    return f"{time}, {memory}."
