"""What a training run would amount to, before any model loads: the numbers of `--dry-run`.

Read from the settings, the data files and the headers of the weight files; torch is not
needed. Time is not guessed: it depends on the machine, and the bar of a running stage
measures it.
"""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from heedful.core.errors import ModelError
from heedful.core.records import Prompt
from heedful.core.settings import FormatSettings, Project
from heedful.data.sources import (
    ReadOptions,
    Rejects,
    load_demonstrations,
    load_prompts,
    load_rankings,
)
from heedful.data.split import with_splits
from heedful.models.folders import find_local_model

# fp32 weights, their gradients, and Adam's two moments.
_TRAINED_BYTES = 16
_BYTES = {"float32": 4, "bfloat16": 2}

Numbers = dict[str, str]


def plan(stage: str, config: Project) -> str:
    """What `heedful train STAGE` would do, a line a number.

    Raises:
        DataError: A data file that is named cannot be read.
    """
    stages = {"sft": _sft, "reward": _reward, "ppo": _ppo}
    numbers = stages[stage](config) | _memory(stage, config)
    numbers["time"] = "depends on the machine; the bar shows it after a few steps (Ctrl-C saves)"
    return "\n".join(f"{name}: {value}" for name, value in numbers.items())


def _sft(config: Project) -> Numbers:
    settings = config.sft
    numbers: Numbers = {}
    if config.data.demonstrations is None:
        numbers["demonstrations"] = "data.demonstrations is not set"
    else:
        found = load_demonstrations(config.data.demonstrations, **_options(config))
        wanted = [item.prompt_id for item in found.demonstrations]
        count = _num_training(config, found.prompts, wanted)
        numbers["demonstrations to train on"] = f"{count:,} of {len(wanted):,}, before budgets"
        steps = max(1, round(settings.epochs * count / settings.num_demonstrations))
        numbers["optimiser steps"] = f"{steps:,}, fewer where demonstrations are over-long"
    numbers["epochs"] = f"{settings.epochs:g}, batches of {settings.batch_size}"
    if settings.pretraining_share:
        tokens = settings.num_pretraining * settings.pretraining_tokens
        numbers["pretraining tokens"] = f"{tokens:,} in each step"
    return numbers


def _reward(config: Project) -> Numbers:
    settings = config.reward
    numbers: Numbers = {}
    if config.data.rankings is None:
        numbers["rankings"] = "data.rankings is not set"
    else:
        found = load_rankings(config.data.rankings, **_options(config))
        wanted = [ranking.prompt_id for ranking in found.rankings]
        count = _num_training(config, found.prompts, wanted)
        pairs = sum(len(ranking.comparisons()) for ranking in found.rankings)
        sizes = [len(ranking.completion_ids) for ranking in found.rankings]
        numbers["rankings to train on"] = f"{count:,} of {len(wanted):,}, before budgets"
        numbers["completions in a ranking"] = f"{min(sizes)} to {max(sizes)}"
        numbers["strict pairs"] = f"{pairs:,} in all rankings"
        steps = max(1, round(settings.epochs * count / settings.batch_size))
        numbers["optimiser steps"] = f"{steps:,}, fewer where rankings are over-long"
    numbers["epochs"] = f"{settings.epochs}, batches of {settings.batch_size} rankings"
    return numbers


def _ppo(config: Project) -> Numbers:
    ppo, formatting = config.ppo, config.format or FormatSettings()
    passes = ppo.episodes * ppo.inner_epochs
    longest = formatting.max_prompt_tokens + formatting.max_completion_tokens
    numbers: Numbers = {}
    if config.data.prompts is None:
        numbers["prompts"] = "data.prompts is not set"
    else:
        found = load_prompts(config.data.prompts, **_options(config))
        count = _num_training(config, found, [prompt.id for prompt in found])
        numbers["prompts to train on"] = f"{count:,} of {len(found):,}, before budgets"
        if count:
            numbers["passes over the prompts"] = f"{ppo.episodes / count:.2g}"
    numbers |= {
        "episodes": f"{ppo.episodes:,}",
        "iterations": f"{ppo.num_iterations:,} of {ppo.rollout_batch_size} episodes",
        "optimiser steps": f"{ppo.num_optimiser_steps:,}",
        "tokens generated": f"at most {ppo.episodes * formatting.max_completion_tokens:,}",
        "tokens trained on": f"at most {passes * longest:,}",
    }
    if ppo.ptx_coef:
        examples = ppo.num_ptx * ppo.num_optimiser_steps
        numbers["pretraining tokens"] = f"{examples * ppo.ptx_tokens:,}"
    return numbers


def _options(config: Project) -> ReadOptions:
    data = config.data
    return {"format": data.format, "max_rejects": data.max_rejects, "rejects": Rejects()}


def _num_training(config: Project, prompts: Sequence[Prompt], prompt_ids: Sequence[str]) -> int:
    """How many of the items, named by their prompts, are in the training split and the limit."""
    split = with_splits(prompts, config.data.validation_share, config.run.seed)
    count = sum(split[prompt_id].split == "train" for prompt_id in prompt_ids)
    return min(count, config.data.limit or count)


def _memory(stage: str, config: Project) -> Numbers:
    """Weights, gradients and optimiser of every model that the stage holds at once."""
    counts = {name: num_parameters(name) for name, _ in _models(stage, config)}
    known = {name: count for name, count in counts.items() if count is not None}
    numbers = {"parameters": ", ".join(f"{name}: {count:,}" for name, count in known.items())}
    if len(known) < len(counts):
        missing = ", ".join(name for name in counts if name not in known)
        return (numbers if known else {}) | {"memory": f"not known before {missing} is here"}
    wanted = config.model.compute_dtype
    types = [wanted] if wanted in _BYTES else list(_BYTES)
    sizes = [f"{_gigabytes(stage, config, known, dtype):.1f} GB" for dtype in types]
    if len(set(sizes)) > 1:
        sizes = [f"{size} in {dtype}" for size, dtype in zip(sizes, types, strict=True)]
    either = " or ".join(dict.fromkeys(sizes))
    numbers["memory"] = f"{either}, and activations, which model.microbatch_tokens bounds"
    return numbers


def _models(stage: str, config: Project) -> list[tuple[str, bool]]:
    """(name, whether it is trained) of each model, one entry a copy in memory."""
    ppo, name = config.ppo, config.model.name
    if stage != "ppo":
        judge = config.sft.reward_model if stage == "sft" else None
        return [(name, True), *([(judge, False)] if judge else [])]
    init = ppo.init or name
    is_function = ppo.reward is not None and ":" in ppo.reward and not Path(ppo.reward).exists()
    scorer = None if is_function else ppo.reward
    value = ppo.value_init or scorer
    models = [(init, True), (init, False)]
    return models + [
        (found, trained) for found, trained in ((value, True), (scorer, False)) if found
    ]


def _gigabytes(stage: str, config: Project, counts: Mapping[str, int], dtype: str) -> float:
    models = _models(stage, config)
    # The best epoch's weights (SFT) or the average (PPO) are kept beside the trained ones.
    keeps = config.sft.choose_by != "last" if stage == "sft" else stage == "ppo" and config.ppo.ema
    total = counts[models[0][0]] * _BYTES["float32"] * keeps
    for name, trained in models:
        copy = _BYTES[dtype]
        if trained and config.model.lora_rank == 0:
            # In float32 the copy that computes is the one that is trained.
            copy = _TRAINED_BYTES + (copy if dtype != "float32" else 0)
        total += counts[name] * copy
    return total / 1e9


def num_parameters(name: str) -> int | None:
    """Parameters of the model called `name`, from its weight files; None where not here.

    Tied weights are saved, and counted, once.
    """
    try:
        found = find_local_model(name)
    except ModelError:
        return None
    files = sorted(found.path.glob("*.safetensors")) if found is not None else []
    if not files:
        return None
    return sum(math.prod(shape) for file in files for shape in _shapes(file))


def _shapes(file: Path) -> list[list[int]]:
    """The shape of every tensor in a safetensors file: its JSON header, after 8 bytes of size."""
    with file.open("rb") as handle:
        (size,) = struct.unpack("<Q", handle.read(8))
        header = json.loads(handle.read(size))
    return [entry["shape"] for name, entry in header.items() if name != "__metadata__"]
