"""What a training run would amount to, before any model loads: the numbers of `--dry-run`.

Counts come from the settings, the data files and the headers of the weight files. Where the
models are here, memory and time are predicted: `heedful.training.forecast` tries the passes on
a few layers, once for a machine and its versions. Where they are not, torch is not loaded and
nothing is guessed.
"""

from collections.abc import Callable, Iterator

from heedful.core.settings import Project
from heedful.models.shape import ModelShape
from heedful.training.display import duration
from heedful.training.plan import Plan, known_shapes, make_plan
from heedful.training.plan_case import copies
from heedful.training.workload import Workload, read_workload

Say = Callable[[str], None]
Numbers = dict[str, str]


def plan(stage: str, config: Project, say: Say) -> str:
    """What `heedful train STAGE` would do, a line a number.

    Args:
        stage: `sft`, `reward` or `ppo`.
        config: Its settings.
        say: Told when this machine is being measured.

    Raises:
        DataError: A data file that is named cannot be read.
    """
    shapes, missing = known_shapes(stage, config)
    first = shapes.get(copies(stage, config)[0].name)
    work = read_workload(stage, config, None if first is None else first.path)
    stages = {"sft": _sft, "reward": _reward, "ppo": _ppo}
    numbers = stages[stage](config, work)
    if shapes:
        counts = (f"{name}: {shape.parameters:,}" for name, shape in shapes.items())
        numbers["parameters"] = ", ".join(counts)
    text = [f"{name}: {value}" for name, value in numbers.items()]
    if missing:
        unknown = f"not known before {', '.join(missing)} is here"
        return "\n".join([*text, f"memory: {unknown}", f"time: {unknown}"])
    return "\n".join([*text, *_predicted(stage, config, work, shapes, say)])


def _sft(config: Project, work: Workload) -> Numbers:
    settings = config.sft
    numbers: Numbers = {}
    if work.read is None:
        numbers["demonstrations"] = "data.demonstrations is not set"
    else:
        numbers["demonstrations to train on"] = _share(work)
        count = work.training * work.kept
        steps = max(1, round(settings.epochs * count / settings.num_demonstrations))
        numbers["optimiser steps"] = f"{steps:,}, fewer where demonstrations are over-long"
    numbers["epochs"] = f"{settings.epochs:g}, batches of {settings.batch_size}"
    if settings.pretraining_share:
        tokens = settings.num_pretraining * settings.pretraining_tokens
        numbers["pretraining tokens"] = f"{tokens:,} in each step"
    return numbers


def _reward(config: Project, work: Workload) -> Numbers:
    settings = config.reward
    numbers: Numbers = {}
    if work.read is None:
        numbers["rankings"] = "data.rankings is not set"
    else:
        numbers["rankings to train on"] = _share(work)
        numbers["completions in a ranking"] = f"{work.sizes[0]} to {work.sizes[1]}"
        numbers["strict pairs"] = f"{work.strict_pairs:,} in all rankings"
        steps = max(1, round(settings.epochs * work.training * work.kept / settings.batch_size))
        numbers["optimiser steps"] = f"{steps:,}, fewer where rankings are over-long"
    numbers["epochs"] = f"{settings.epochs}, batches of {settings.batch_size} rankings"
    return numbers


def _ppo(config: Project, work: Workload) -> Numbers:
    ppo = config.ppo
    numbers: Numbers = {}
    if work.read is None:
        numbers["prompts"] = "data.prompts is not set"
    else:
        numbers["prompts to train on"] = _share(work)
        if work.training:
            numbers["passes over the prompts"] = f"{ppo.episodes / work.training:.2g}"
    most = round(work.completion_tokens)
    numbers |= {
        "episodes": f"{ppo.episodes:,}",
        "iterations": f"{ppo.num_iterations:,} of {ppo.rollout_batch_size} episodes",
        "optimiser steps": f"{ppo.num_optimiser_steps:,}",
        "tokens generated": f"at most {ppo.episodes * most:,}",
        "tokens trained on": f"at most {ppo.episodes * ppo.inner_epochs * work.longest:,}",
    }
    if ppo.ptx_coef:
        examples = ppo.num_ptx * ppo.num_optimiser_steps
        numbers["pretraining tokens"] = f"{examples * ppo.ptx_tokens:,}"
    return numbers


def _share(work: Workload) -> str:
    return f"{work.training:,} of {work.read or 0:,}, before budgets"


def _predicted(
    stage: str, config: Project, work: Workload, shapes: dict[str, ModelShape], say: Say
) -> Iterator[str]:
    """The tables of memory and time."""
    import torch

    from heedful.models.precision import pick_device
    from heedful.training.forecast import choose_budget, counted_costs, make_case, most_tokens
    from heedful.training.rehearsal import rehearse_seconds

    device = pick_device(config.model.device)
    case = make_case(stage, config, work, shapes, device)
    costs = counted_costs(case)
    case = choose_budget(case, costs, device)
    yield (
        f"lengths: a prompt {work.prompt_tokens:.0f} tokens, a completion "
        f"{work.completion_tokens:.0f}, the longest pair {work.longest}; {work.source}"
    )
    if config.model.microbatch_tokens == "auto":
        yield f"microbatches: auto takes {case.budget} tokens of at most {most_tokens(device)}"
    found = make_plan(case, costs, rehearse_seconds(case.scene(), say))
    where = torch.cuda.get_device_name(device) if case.on_gpu else "this process"
    yield (
        f"memory: {_size(found.peak_bytes)} at the most of {where} ({found.peak_moment}); "
        f"computed in {case.dtype}"
    )
    yield from _memory_table(found)
    yield from _time_table(found)
    yield "assumed: an otherwise idle machine"


def _memory_table(found: Plan) -> Iterator[str]:
    moments = list(found.memory)
    names = list(dict.fromkeys(name for parts in found.memory.values() for name in parts))
    yield _row("", moments)
    for name in names:
        yield _row(name, [_size(found.memory[moment].get(name, 0.0)) for moment in moments])
    yield _row("together", [_size(sum(found.memory[moment].values())) for moment in moments])


def _time_table(found: Plan) -> Iterator[str]:
    yield f"time: {duration(found.total_seconds or 0.0)}, start of Python and imports left out"
    yield _row("", ["time", "tokens", "FLOPs"])
    for phase, seconds in found.seconds.items():
        tokens, flops = found.tokens.get(phase), found.flops.get(phase)
        yield _row(
            phase,
            [
                duration(seconds),
                "" if tokens is None else f"{tokens:,.0f}",
                "" if flops is None else f"{flops:.2g}",
            ],
        )


def _row(name: str, values: list[str]) -> str:
    return f"  {name:<28}" + "".join(f"{value:>14}" for value in values)


def _size(count: float) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
