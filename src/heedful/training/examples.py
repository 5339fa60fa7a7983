"""From data files to training examples: read, split, formatted, counted.

Everything that leaves examples out says how many and why; the sentences end up in the
run card's notes and on the screen.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from heedful.core.errors import ConfigError, DataError
from heedful.core.records import Completion, Demonstration, MadeBy, Prompt, Ranking, Split
from heedful.core.run import RunDirectory
from heedful.core.settings import DataSettings
from heedful.data.formatting import PromptFormatter
from heedful.data.sources import (
    ReadOptions,
    Rejects,
    cut_passages,
    load_demonstrations,
    load_prompts,
    load_rankings,
    load_texts,
)
from heedful.data.split import with_splits
from heedful.data.tokenizer import TextTokenizer
from heedful.training.batches import TokenPair, pretraining_pairs

Say = Callable[[str], None]
T = TypeVar("T")

_PASSAGE_CHARACTERS = 32  # of text for each token of an example: some eight examples a passage
_PASSAGES_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstrations:
    """Formatted demonstrations by split, and the prompts of the validation ones."""

    train: list[TokenPair]
    validation: list[TokenPair]
    validation_prompts: list[Prompt]
    made_by: tuple[MadeBy, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedExample:
    """K formatted completions of one prompt, who wrote each (checkpoint ids), and their ranks."""

    pairs: list[TokenPair]
    sources: tuple[str, ...]
    ranking: Ranking


@dataclass(frozen=True, slots=True, kw_only=True)
class Rankings:
    """Formatted rankings by split."""

    train: list[RankedExample]
    validation: list[RankedExample]
    made_by: tuple[MadeBy, ...]


def record_inputs(run: RunDirectory, data: DataSettings, *names: str) -> None:
    """Record the files of these settings of `[data]` in the run card; hub data sets have none.

    Raises:
        CheckpointError: A resumed run began with other content.
    """
    for name in names:
        path: Path | None = getattr(data, name)
        if path is not None and path.exists():
            run.add_input(name, path)


def required(path: Path | None, name: str) -> Path:
    """`path`, which the stage cannot do without.

    Raises:
        ConfigError: It is not set.
    """
    if path is None:
        raise ConfigError(f"setting `{name}` is needed", f"Give it as --set {name}=PATH.")
    return path


def limited(items: Sequence[T], limit: int | None, seed: int) -> list[T]:
    """At most `limit` of `items`, in their order; a larger limit takes the same and more."""
    places = list(range(len(items)))
    random.Random(seed).shuffle(places)
    return [items[place] for place in sorted(places[:limit])]


def read_demonstrations(
    data: DataSettings, formatter: PromptFormatter, seed: int, say: Say
) -> Demonstrations:
    """The demonstrations of `data.demonstrations`, test split left out.

    Raises:
        DataError: The file cannot be read, or nothing is left to train on.
    """
    path = required(data.demonstrations, "data.demonstrations")
    rejects = Rejects()
    loaded = load_demonstrations(path, **_options(data, rejects))
    _say_rejects(rejects, path, say)
    prompts = with_splits(loaded.prompts, data.validation_share, seed)
    kept = [item for item in loaded.demonstrations if prompts[item.prompt_id].split != "test"]
    pairs = _format_pairs(
        [(prompts[item.prompt_id], item.text, True) for item in kept],
        formatter,
        "demonstrations",
        say,
    )
    by_split: dict[Split, list[TokenPair]] = {"train": [], "validation": []}
    validation_prompts: dict[str, Prompt] = {}
    for item, pair in zip(kept, pairs, strict=True):
        prompt = prompts[item.prompt_id]
        if pair is not None and prompt.split is not None:
            by_split[prompt.split].append(pair)
            if prompt.split == "validation":
                validation_prompts[prompt.id] = prompt
    by_split["train"] = limited(by_split["train"], data.limit, seed)
    if not by_split["train"]:
        raise DataError(f"{path}: no demonstrations to train on")
    say(
        f"{len(by_split['train'])} demonstrations to train on, "
        f"{len(by_split['validation'])} to validate."
    )
    return Demonstrations(
        train=by_split["train"],
        validation=by_split["validation"],
        validation_prompts=list(validation_prompts.values()),
        made_by=_makers(kept),
    )


def read_rankings(data: DataSettings, formatter: PromptFormatter, seed: int, say: Say) -> Rankings:
    """The rankings of `data.rankings`, test split left out.

    A ranking one of whose completions does not fit the token budget is left out whole.

    Raises:
        DataError: The file cannot be read, or no ranking with a strict pair is left.
    """
    path = required(data.rankings, "data.rankings")
    rejects = Rejects()
    loaded = load_rankings(path, **_options(data, rejects))
    _say_rejects(rejects, path, say)
    prompts = with_splits(loaded.prompts, data.validation_share, seed)
    completions = {completion.id: completion for completion in loaded.completions}
    kept = [item for item in loaded.rankings if prompts[item.prompt_id].split != "test"]
    asked = [
        (prompts[item.prompt_id], found.text, found.finish_reason != "length")
        for item in kept
        for found in (_completion(completions, item, name) for name in item.completion_ids)
    ]
    pairs = iter(_format_pairs(asked, formatter, "ranked completions", say))
    by_split: dict[Split, list[RankedExample]] = {"train": [], "validation": []}
    num_dropped = num_tied = 0
    for item in kept:
        mine = [next(pairs) for _ in item.completion_ids]
        whole = [pair for pair in mine if pair is not None]
        split = prompts[item.prompt_id].split
        if len(whole) < len(mine):
            num_dropped += 1
        elif len(set(item.ranks)) == 1:
            num_tied += 1
        elif split is not None:
            sources = tuple(completions[name].checkpoint_id for name in item.completion_ids)
            by_split[split].append(RankedExample(pairs=whole, sources=sources, ranking=item))
    if num_dropped or num_tied:
        say(f"{num_dropped} rankings left out as over-long, {num_tied} as one single tie.")
    by_split["train"] = limited(by_split["train"], data.limit, seed)
    if not by_split["train"]:
        raise DataError(f"{path}: no rankings to train on")
    say(
        f"{len(by_split['train'])} rankings to train on, {len(by_split['validation'])} to validate."
    )
    return Rankings(
        train=by_split["train"], validation=by_split["validation"], made_by=_makers(kept)
    )


def read_prompts(
    data: DataSettings, formatter: PromptFormatter, seed: int, say: Say
) -> dict[Split, list[Prompt]]:
    """The prompts of `data.prompts` by split, those over the token budget left out.

    Raises:
        DataError: The file cannot be read, or no training prompt is left.
    """
    path = required(data.prompts, "data.prompts")
    rejects = Rejects()
    prompts = with_splits(
        load_prompts(path, **_options(data, rejects)), data.validation_share, seed
    )
    _say_rejects(rejects, path, say)
    formatted = formatter.format_prompts(list(prompts.values()))
    if formatted.report.num_dropped or formatted.report.num_truncated:
        say(formatted.report.summary())
    by_split: dict[Split, list[Prompt]] = {"train": [], "validation": [], "test": []}
    for kept in formatted.kept:
        if kept.prompt.split is not None:
            by_split[kept.prompt.split].append(kept.prompt)
    by_split["train"] = limited(by_split["train"], data.limit, seed)
    if not by_split["train"]:
        raise DataError(f"{path}: no prompts to train on")
    return by_split


def read_pretraining(
    path: Path | None,
    tokenizer: TextTokenizer,
    num_tokens: int,
    *,
    limit: int | None = None,
    seed: int = 0,
) -> list[TokenPair]:
    """Pretraining examples of `num_tokens` tokens from a file of texts.

    With a `limit`, passages are drawn at random from the whole file, and no more of it is
    tokenised than the examples need: a shelf of books costs no more than a page.
    """
    texts = load_texts(required(path, "data.pretraining"))
    passages = cut_passages(texts, _PASSAGE_CHARACTERS * num_tokens)
    if limit is not None:
        random.Random(seed).shuffle(passages)
    pairs: list[TokenPair] = []
    for start in range(0, len(passages), _PASSAGES_AT_ONCE):
        if limit is not None and len(pairs) >= limit:
            break
        chosen = passages[start : start + _PASSAGES_AT_ONCE]
        pairs += pretraining_pairs(tokenizer.encode_batch(chosen), num_tokens)
    if not pairs:
        raise DataError(f"{path}: no pretraining text of at least {num_tokens // 4} tokens")
    return pairs[:limit]


def _options(data: DataSettings, rejects: Rejects) -> ReadOptions:
    return {
        "format": data.format,
        "licence": data.licence,
        "max_rejects": data.max_rejects,
        "rejects": rejects,
    }


def _say_rejects(rejects: Rejects, path: Path, say: Say) -> None:
    if rejects:
        say(f"{path}: {rejects.summary()}")


def _format_pairs(
    items: Sequence[tuple[Prompt, str, bool]], formatter: PromptFormatter, noun: str, say: Say
) -> list[TokenPair | None]:
    """One pair per (prompt, text, whether it ended), None where the format dropped a part."""
    unique = {prompt.id: prompt for prompt, _, _ in items}
    prompts = formatter.format_prompts(list(unique.values()))
    prompt_ids = {kept.prompt.id: kept.token_ids for kept in prompts.kept}
    completions, report = formatter.format_completions(
        [text for _, text, _ in items], ended=[ended for _, _, ended in items]
    )
    for part, name in ((prompts.report, "prompts"), (report, noun)):
        if part.num_dropped or part.num_truncated:
            say(part.summary(name))
    return [
        TokenPair(prompt_ids=prompt_ids[prompt.id], completion_ids=completion)
        if completion and prompt.id in prompt_ids
        else None
        for (prompt, _, _), completion in zip(items, completions, strict=True)
    ]


def _completion(completions: dict[str, Completion], ranking: Ranking, name: str) -> Completion:
    try:
        return completions[name]
    except KeyError:
        raise DataError(
            f"ranking {ranking.id} ranks the completion {name}, which is not in the data"
        ) from None


def _makers(labels: Sequence[Demonstration] | Sequence[Ranking]) -> tuple[MadeBy, ...]:
    return tuple(sorted({label.made_by for label in labels}))
