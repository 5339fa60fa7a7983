"""The quickstart's stages that make data: the split, and rankings by the simulated team.

All labels made here are simulated, and say so.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from heedful.annotators.simulated import simulated_team
from heedful.core.jsonl import read_records, write_json_atomic, write_records
from heedful.core.records import Completion, Prompt, Ranking
from heedful.data.embedded_data import (
    embedded_demonstrations,
    embedded_prompts,
    pretraining_texts,
)
from heedful.data.split import split_by_organisation
from heedful.pipeline.data_room import check_embedded
from heedful.pipeline.quickstart_sampling import Sampling
from heedful.pipeline.quickstart_settings import Quickstart
from heedful.training.display import Display


class Text(BaseModel):
    """A pretraining document."""

    model_config = ConfigDict(frozen=True)

    text: str


def write_data(folder: Path, num_demonstrations: int, display: Display) -> None:
    """The embedded data, split by organisation. The split is frozen: no seed moves it.

    Of the training demonstrations `num_demonstrations` are kept: as in the paper, most
    prompts are ranked and few are answered by hand.
    """
    prompts, report = split_by_organisation(embedded_prompts(), seed=0)
    write_records(folder / "prompts.jsonl", prompts)
    training = {prompt.id for prompt in prompts if prompt.split == "train"}
    demonstrations = embedded_demonstrations()
    kept = [item for item in demonstrations if item.prompt_id in training]
    random.Random(0).shuffle(kept)
    chosen = {item.id for item in kept[:num_demonstrations]}
    write_records(
        folder / "demonstrations.jsonl",
        [d for d in demonstrations if d.id in chosen or d.prompt_id not in training],
    )
    for split in ("train", "validation"):
        texts = [Text(text=text) for text in pretraining_texts(split)]
        write_records(folder / f"pretraining_{split}.jsonl", texts)
    write_json_atomic(folder / "split.json", asdict(report))
    display.say(f"  {report.summary()}")
    display.say(f"  {check_embedded(prompts)}")


def collect_rankings(
    folder: Path, config: Quickstart, prompts_path: Path, display: Display
) -> None:
    """K completions of three models for some prompts, ranked by the training team."""
    seed, sizes = config.run.seed, config.sizes
    noise = random.Random(seed)
    prompts = read_records(prompts_path, Prompt)
    train = [prompt for prompt in prompts if prompt.split == "train"]
    noise.shuffle(train)
    chosen = train[: sizes.ranking_prompts]
    chosen += [prompt for prompt in prompts if prompt.split == "validation"]
    counts = {p.id: noise.randint(sizes.min_completions, sizes.max_completions) for p in chosen}
    completions: dict[str, list[Completion]] = {prompt.id: [] for prompt in chosen}
    models = {"start": config.model.name}
    models |= {name: str(config.run.dir / name) for name in ("sft", "ppo_init")}
    with Sampling.start(folder, "rankings", config, display) as sampling:
        for place, (name, source) in enumerate(models.items()):
            language = sampling.open(source)
            wanted = {prompt.id: shares(counts[prompt.id])[place] for prompt in chosen}
            asked = [prompt for prompt in chosen if wanted[prompt.id]]
            if not asked:  # with two a prompt, none are SFT's
                continue
            each = [wanted[prompt.id] for prompt in asked]
            rows = sampling.complete(language, asked, name, seed=seed + 11, counts=each)
            for row in rows:
                completions[row[0].prompt_id] += row
        rankings = _rank(chosen, completions, noise)
        write_records(folder / "prompts.jsonl", chosen)
        write_records(
            folder / "completions.jsonl", [found for row in completions.values() for found in row]
        )
        write_records(folder / "rankings.jsonl", rankings)
    pairs = sum(len(ranking.comparisons()) for ranking in rankings)
    display.say(f"  {len(rankings)} simulated rankings, {pairs} strict comparisons.")


def shares(num_completions: int) -> tuple[int, int, int]:
    """How many of a prompt's K completions the start model, SFT and PPO's start write.

    One is the start model's, for contrast; the reward model will have to judge what PPO's
    start writes, so that has the larger half of the others.
    """
    others = num_completions - 1
    return 1, others // 2, others - others // 2


def _rank(
    prompts: Sequence[Prompt], completions: Mapping[str, list[Completion]], noise: random.Random
) -> list[Ranking]:
    """Each prompt by one labeller, as in the paper; the labeller never sees which model."""
    team = [labeller for labeller in simulated_team() if not labeller.held_out]
    rankings = []
    for prompt in prompts:
        shuffled = list(completions[prompt.id])
        noise.shuffle(shuffled)
        rankings.append(noise.choice(team).rank(prompt, shuffled))
    return rankings
