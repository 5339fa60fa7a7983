"""What a set of prompts is made of: the paper's tables for any data set, or for two.

After the paper's tables 1 and 6 to 11: sizes by split and source, use cases, tags,
languages, prompts per user and organisation, lengths of prompts and demonstrations. How
far two sets lie apart is `heedful.data.divergence`'s. Nothing here labels anything: a use
case or a tag comes from labellers, or the prompt is counted as unlabelled. Tokens are
counted and languages told by callables that the caller brings.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from heedful.core.errors import DataError
from heedful.core.records import Demonstration, Prompt, Record, Split
from heedful.data.corpus import prompt_text
from heedful.data.divergence import Divergence, Observation, estimate_divergence

CountTokens = Callable[[Sequence[str]], list[int]]
DetectLanguage = Callable[[Sequence[str]], list[str]]
By = Literal["all", "split", "source", "use_case"]
UNLABELLED = "unlabelled"
NO_SPLIT = "no split"
_SPLITS = (*get_args(Split), NO_SPLIT)
UNKNOWN_LANGUAGE = "unknown"


class Count(Record):
    """How many prompts are of a kind, and their share of all prompts."""

    name: str
    count: int
    share: float


class Size(Record):
    """Prompts, and users who wrote them, in one split from one source."""

    split: str
    source: str
    num_prompts: int
    num_users: int


class Bin(Record):
    """How many whole numbers lie between `low` and `high`, both included."""

    low: int
    high: int
    count: int


class Numbers(Record):
    """Some whole numbers in short.

    Attributes:
        by: What the group is one of.
        group: Such as a use case; `all` for everything.
        std: With n - 1 in the denominator; 0 for a single number.
        quartile_1: Quantiles lie on the line between neighbours.
        bins: Between powers of two, from the first that is not empty to the last.
    """

    by: By
    group: str
    count: int
    mean: float
    std: float
    lowest: int
    quartile_1: float
    median: float
    quartile_3: float
    highest: int
    bins: tuple[Bin, ...]


class Distribution(Record):
    """Every table of one data set; a table of something that no prompt has is empty.

    Attributes:
        unit: What lengths are counted in.
        simulated: Whether a program wrote any of the demonstrations.
        tags: A prompt with several counts for each, so shares may sum to more than 1.
        languages: Empty where nobody was asked.
    """

    name: str
    unit: str
    num_prompts: int
    num_demonstrations: int
    simulated: bool
    sizes: tuple[Size, ...]
    use_cases: tuple[Count, ...]
    tags: tuple[Count, ...]
    languages: tuple[Count, ...]
    prompts_per_user: tuple[Numbers, ...]
    prompts_per_organisation: tuple[Numbers, ...]
    prompt_lengths: tuple[Numbers, ...]
    demonstration_lengths: tuple[Numbers, ...]


class DistributionReport(Record):
    """One data set, or two side by side with how far they lie apart."""

    sets: tuple[Distribution, ...]
    divergences: tuple[Divergence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """Prompts under a name; demonstrations of other prompts are an error."""

    name: str
    prompts: Sequence[Prompt]
    demonstrations: Sequence[Demonstration] = ()


def describe(
    one: DataSet,
    other: DataSet | None = None,
    *,
    count_tokens: CountTokens,
    detect_language: DetectLanguage | None = None,
    unit: str = "tokens",
    seed: int = 0,
) -> DistributionReport:
    """The tables of one data set, or of two with their divergences.

    Args:
        one: The set.
        other: To compare with.
        count_tokens: The length of each text.
        detect_language: The language of each text, `unknown` where it cannot be told;
            without it there is no language table.
        unit: What `count_tokens` counts.
        seed: Of the intervals of the divergences.

    Raises:
        DataError: A set has no prompts, or a demonstration belongs to none of them.
    """
    measured = [
        _measure(data, count_tokens, detect_language) for data in (one, other) if data is not None
    ]
    divergences = []
    if len(measured) == 2:
        first, second = (_observations(part) for part in measured)
        for table, seen in first.items():
            if seen and second[table]:
                divergences.append(estimate_divergence(table, seen, second[table], seed=seed))
    return DistributionReport(
        sets=tuple(_distribution(part, unit) for part in measured), divergences=tuple(divergences)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """A data set with what was asked about its texts, each list beside its records."""

    data: DataSet
    lengths: list[int]
    languages: list[str]
    demonstrated: list[Prompt]
    demonstration_lengths: list[int]


def _measure(
    data: DataSet, count_tokens: CountTokens, detect_language: DetectLanguage | None
) -> _Measured:
    if not data.prompts:
        raise DataError(f"the data set {data.name} has no prompts", "Name another one.")
    by_id = {prompt.id: prompt for prompt in data.prompts}
    for demonstration in data.demonstrations:
        if demonstration.prompt_id not in by_id:
            raise DataError(
                f"the demonstration {demonstration.id} is of the prompt "
                f"{demonstration.prompt_id}, which the data set {data.name} does not have",
                "Leave it out, or add its prompt.",
            )
    texts = [prompt_text(prompt) for prompt in data.prompts]
    return _Measured(
        data=data,
        lengths=count_tokens(texts),
        languages=[] if detect_language is None else detect_language(texts),
        demonstrated=[by_id[demonstration.prompt_id] for demonstration in data.demonstrations],
        demonstration_lengths=count_tokens([each.text for each in data.demonstrations]),
    )


def _distribution(measured: _Measured, unit: str) -> Distribution:
    data, prompts = measured.data, measured.data.prompts
    tags = [tag for prompt in prompts for tag in (prompt.tags or (UNLABELLED,))]
    return Distribution(
        name=data.name,
        unit=unit,
        num_prompts=len(prompts),
        num_demonstrations=len(data.demonstrations),
        simulated=any(each.made_by == "simulated" for each in data.demonstrations),
        sizes=_sizes(prompts),
        use_cases=_counts((prompt.use_case or UNLABELLED for prompt in prompts), len(prompts)),
        tags=_counts(tags, len(prompts)),
        languages=_counts(measured.languages, len(prompts)),
        prompts_per_user=_per_owner(prompts, lambda prompt: prompt.user_id),
        prompts_per_organisation=_per_owner(prompts, lambda prompt: prompt.organisation),
        prompt_lengths=_lengths(prompts, measured.lengths),
        demonstration_lengths=_lengths(measured.demonstrated, measured.demonstration_lengths),
    )


def _sizes(prompts: Iterable[Prompt]) -> tuple[Size, ...]:
    users: dict[tuple[str, str], list[str]] = defaultdict(list)
    for prompt in prompts:
        users[prompt.split or NO_SPLIT, prompt.source].append(prompt.user_id)
    return tuple(
        Size(split=split, source=source, num_prompts=len(ids), num_users=len(set(ids)))
        for (split, source), ids in sorted(users.items(), key=_in_order)
    )


def _counts(names: Iterable[str], total: int) -> tuple[Count, ...]:
    """The most frequent first, what is not known last."""
    found = Counter(names).items()
    last = (UNLABELLED, UNKNOWN_LANGUAGE)
    ordered = sorted(found, key=lambda item: (item[0] in last, -item[1], item[0]))
    return tuple(Count(name=name, count=count, share=count / total) for name, count in ordered)


def _per_owner(
    prompts: Iterable[Prompt], owner_of: Callable[[Prompt], str | None]
) -> tuple[Numbers, ...]:
    """Prompts of each owner, over everything and within each split."""
    owned: dict[tuple[By, str], Counter[str]] = defaultdict(Counter)
    for prompt in prompts:
        if (owner := owner_of(prompt)) is not None:
            owned["all", "all"][owner] += 1
            if prompt.split is not None:
                owned["split", prompt.split][owner] += 1
    return tuple(
        _numbers(by, group, list(owners.values()))
        for (by, group), owners in sorted(owned.items(), key=_in_order)
    )


def _lengths(prompts: Sequence[Prompt], lengths: Sequence[int]) -> tuple[Numbers, ...]:
    """Lengths overall and by what the prompt beside each says of itself."""
    groups: dict[tuple[By, str], list[int]] = defaultdict(list)
    for prompt, length in zip(prompts, lengths, strict=True):
        groups["all", "all"].append(length)
        groups["source", prompt.source].append(length)
        groups["use_case", prompt.use_case or UNLABELLED].append(length)
        if prompt.split is not None:
            groups["split", prompt.split].append(length)
    return tuple(
        _numbers(by, group, values) for (by, group), values in sorted(groups.items(), key=_in_order)
    )


def _in_order(item: tuple[tuple[str, str], object]) -> list[tuple[int, str]]:
    """By the two names of a group, but splits as they follow each other."""
    return [(_SPLITS.index(name) if name in _SPLITS else -1, name) for name in item[0]]


def _numbers(by: By, group: str, values: Sequence[int]) -> Numbers:
    array = np.asarray(values, dtype=np.int64)
    quartiles = np.quantile(array, (0.25, 0.5, 0.75))
    counts = Counter(value.bit_length() for value in values)
    return Numbers(
        by=by,
        group=group,
        count=len(values),
        mean=float(array.mean()),
        std=float(array.std(ddof=1)) if len(values) > 1 else 0.0,
        lowest=int(array.min()),
        quartile_1=float(quartiles[0]),
        median=float(quartiles[1]),
        quartile_3=float(quartiles[2]),
        highest=int(array.max()),
        bins=tuple(
            Bin(low=1 << (bits - 1) if bits else 0, high=(1 << bits) - 1, count=counts[bits])
            for bits in range(min(counts), max(counts) + 1)
        ),
    )


def _observations(measured: _Measured) -> dict[str, list[Observation]]:
    """(who, what) by table, unlabelled and unknown left out; who is drawn as a whole."""
    prompts = measured.data.prompts
    users = [prompt.user_id for prompt in prompts]
    per_user = Counter(users)
    per_organisation = Counter(p.organisation for p in prompts if p.organisation is not None)
    return {
        "source": [(prompt.user_id, prompt.source) for prompt in prompts],
        "use_case": [(p.user_id, p.use_case) for p in prompts if p.use_case is not None],
        "tag": [(prompt.user_id, tag) for prompt in prompts for tag in prompt.tags],
        "language": [
            pair
            for pair in zip(users, measured.languages, strict=bool(measured.languages))
            if pair[1] != UNKNOWN_LANGUAGE
        ],
        "prompts_per_user": _binned(per_user.items()),
        "prompts_per_organisation": _binned(per_organisation.items()),
        "prompt_length": _binned(zip(users, measured.lengths, strict=True)),
        "demonstration_length": _binned(
            zip(
                (prompt.user_id for prompt in measured.demonstrated),
                measured.demonstration_lengths,
                strict=True,
            )
        ),
    }


def _binned(pairs: Iterable[tuple[str, int]]) -> list[Observation]:
    """Numbers as the names of their bins."""
    return [(owner, f"{number.bit_length()} bits") for owner, number in pairs]
