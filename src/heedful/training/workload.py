"""What a stage will read: how many examples, and how long, before anything is loaded.

Counted from the data files with the model's own tokenizer, on a sample where there are many;
where the data, or the model, is not here, lengths are assumed to be the longest that
`[format]` allows, and that is said. Needs no torch.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from heedful.core.errors import CheckpointError
from heedful.core.records import Checkpoint, Prompt
from heedful.core.settings import FormatSettings, Project
from heedful.data.formatting import PromptFormatter
from heedful.data.sources import (
    ReadOptions,
    Rejects,
    load_demonstrations,
    load_prompts,
    load_rankings,
)
from heedful.data.split import with_splits
from heedful.data.tokenizer import TextTokenizer

_SAMPLE = 500  # examples whose tokens are counted
_ASSUMED = "assumed to be the longest that [format] allows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Examples of a stage, and the lengths of typical ones.

    Attributes:
        source: Where the lengths come from, in words.
        read: Examples in the file; None where it is not named.
        training: Those to train on, before what the token budgets leave out.
        validation: Those to validate on.
        kept: Share that the token budgets leave in.
        longest: Tokens of the longest pair.
        completions: Of a prompt, on average.
        drawn_tokens: Of a completion that is yet to be drawn, if it becomes as long as the
            demonstrations that the model learnt from; `completion_tokens` is then the limit.
        strict_pairs: In all rankings.
        sizes: Fewest and most completions of a ranking.
    """

    source: str
    prompt_tokens: float
    completion_tokens: float
    longest: int
    read: int | None = None
    training: int = 0
    validation: int = 0
    kept: float = 1.0
    completions: float = 1.0
    drawn_tokens: float | None = None
    strict_pairs: int = 0
    sizes: tuple[int, int] = (1, 1)

    @property
    def expected(self) -> "Workload":
        """The same with completions as long as they are expected to become."""
        if self.drawn_tokens is None:
            return self
        return replace(self, completion_tokens=self.drawn_tokens)

    @property
    def pair_tokens(self) -> float:
        """Of a typical prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def example_tokens(self) -> float:
        """Of a typical prompt and all its completions, the prompt counted once."""
        return self.prompt_tokens + self.completions * self.completion_tokens


@dataclass(frozen=True, slots=True)
class _Texts:
    """Prompts with the texts of their completions; none where they are yet to be drawn."""

    read: int
    training: list[tuple[Prompt, list[str]]]
    validation: int
    strict_pairs: int = 0
    sizes: tuple[int, int] = (1, 1)


def read_workload(stage: str, config: Project, model: Path | None) -> Workload:
    """The examples of `stage`; their lengths by the tokenizer in the folder `model`.

    Raises:
        DataError: A data file that is named cannot be read.
    """
    readers = {"sft": _demonstrations, "reward": _rankings, "ppo": _prompts}
    texts = readers[stage](config)
    formatting = _format(config, model)
    lengths = Workload(
        source=_ASSUMED,
        prompt_tokens=float(formatting.max_prompt_tokens),
        completion_tokens=float(formatting.max_completion_tokens),
        longest=formatting.max_prompt_tokens + formatting.max_completion_tokens,
        completions=2.0 if stage == "reward" else 1.0,
    )
    if texts is None:
        return lengths
    drawn = _sampled(texts.training, config.run.seed)
    if model is not None and drawn:
        lengths = _lengths(drawn, len(texts.training), formatting, model)
    several = [len(found) for _, found in texts.training if found]
    return replace(
        lengths,
        read=texts.read,
        training=min(len(texts.training), config.data.limit or len(texts.training)),
        validation=texts.validation,
        completions=sum(several) / len(several) if several else 1.0,
        strict_pairs=texts.strict_pairs,
        sizes=texts.sizes,
    )


def _demonstrations(config: Project) -> _Texts | None:
    if config.data.demonstrations is None:
        return None
    found = load_demonstrations(config.data.demonstrations, **_options(config))
    split = with_splits(found.prompts, config.data.validation_share, config.run.seed)
    places = [(split[item.prompt_id], item.text) for item in found.demonstrations]
    return _Texts(
        read=len(places),
        training=[(prompt, [text]) for prompt, text in places if prompt.split == "train"],
        validation=sum(prompt.split == "validation" for prompt, _ in places),
    )


def _rankings(config: Project) -> _Texts | None:
    if config.data.rankings is None:
        return None
    found = load_rankings(config.data.rankings, **_options(config))
    split = with_splits(found.prompts, config.data.validation_share, config.run.seed)
    texts = {completion.id: completion.text for completion in found.completions}
    sizes = [len(ranking.completion_ids) for ranking in found.rankings]
    return _Texts(
        read=len(found.rankings),
        training=[
            (split[ranking.prompt_id], [texts.get(name, "") for name in ranking.completion_ids])
            for ranking in found.rankings
            if split[ranking.prompt_id].split == "train"
        ],
        validation=sum(
            split[ranking.prompt_id].split == "validation" for ranking in found.rankings
        ),
        strict_pairs=sum(len(ranking.comparisons()) for ranking in found.rankings),
        sizes=(min(sizes), max(sizes)),
    )


def _prompts(config: Project) -> _Texts | None:
    if config.data.prompts is None:
        return None
    found = load_prompts(config.data.prompts, **_options(config))
    split = with_splits(found, config.data.validation_share, config.run.seed)
    return _Texts(
        read=len(found),
        training=[(prompt, []) for prompt in split.values() if prompt.split == "train"],
        validation=sum(prompt.split == "validation" for prompt in split.values()),
    )


def _options(config: Project) -> ReadOptions:
    data = config.data
    return {"format": data.format, "max_rejects": data.max_rejects, "rejects": Rejects()}


def _format(config: Project, model: Path | None) -> FormatSettings:
    """As a stage opens its model: the settings, else those stored with a checkpoint."""
    if config.format is not None:
        return config.format
    stored = None if model is None else model / "format.json"
    if stored is None or not stored.is_file():
        return FormatSettings()
    return FormatSettings.model_validate(json.loads(stored.read_text(encoding="utf-8")))


def _sampled(
    items: Sequence[tuple[Prompt, list[str]]], seed: int
) -> list[tuple[Prompt, list[str]]]:
    return random.Random(seed).sample(items, min(len(items), _SAMPLE))


def _lengths(
    drawn: Sequence[tuple[Prompt, list[str]]], whole: int, settings: FormatSettings, model: Path
) -> Workload:
    """Mean lengths of the pairs that fit the token budgets; completions to be drawn are long."""
    formatter = PromptFormatter(settings, TextTokenizer.from_dir(model))
    kept_prompts = formatter.format_prompts([prompt for prompt, _ in drawn])
    prompt_sizes = {kept.prompt.id: len(kept.token_ids) for kept in kept_prompts.kept}
    pairs: list[tuple[int, int]] = []
    num_examples = 0
    for prompt, texts in drawn:
        found = [ids for ids in formatter.format_completions(texts)[0] if ids is not None]
        if prompt.id in prompt_sizes and len(found) == len(texts):
            num_examples += 1
            sizes = [len(ids) for ids in found] or [settings.max_completion_tokens]
            pairs += [(prompt_sizes[prompt.id], size) for size in sizes]
    if not pairs:  # the run itself will say that nothing is left
        pairs = [(settings.max_prompt_tokens, settings.max_completion_tokens)]
    counted = "all" if len(drawn) == whole else f"{len(drawn):,} of {whole:,}"
    drawn_later = not any(texts for _, texts in drawn)
    told, expected = f"counted in {counted} examples", None
    if drawn_later:
        told = f"prompts {told}, completions {_ASSUMED}"
        expected = _learnt_length(model, settings)
    if expected is not None:
        told += f", and for time as long as the model learnt to write, {expected:.0f} tokens"
    return Workload(
        source=told,
        prompt_tokens=sum(size for size, _ in pairs) / len(pairs),
        completion_tokens=sum(size for _, size in pairs) / len(pairs),
        longest=max(map(sum, pairs)),
        kept=num_examples / len(drawn),
        drawn_tokens=expected,
    )


def _learnt_length(model: Path, settings: FormatSettings) -> float | None:
    """Tokens of the demonstrations behind a checkpoint; None where it does not say."""
    file = model / "checkpoint.json"
    if not file.is_file():
        return None
    try:
        card = Checkpoint.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise CheckpointError(f"{file}: not a checkpoint card: {error}") from None
    if card.completion_tokens is None:
        return None
    return min(card.completion_tokens, float(settings.max_completion_tokens))
