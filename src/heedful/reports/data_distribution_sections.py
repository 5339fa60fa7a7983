"""The section on what the data is made of: figures and tables of one set, or of two."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from heedful.data.distribution import (
    UNKNOWN_LANGUAGE,
    UNLABELLED,
    By,
    Count,
    Distribution,
    DistributionReport,
    Numbers,
)
from heedful.data.divergence import Divergence
from heedful.reports.bars import Histogram, bar_chart, histogram_chart
from heedful.reports.charts import Caption, Estimate, interval_chart
from heedful.reports.palette import SERIES, Series, set_series
from heedful.reports.view import NOTHING, FigureView, Section, Table, number, percent

_MOST_BARS = 12
_LEAST_SHARE = 0.001
_NOT_KNOWN = (UNLABELLED, UNKNOWN_LANGUAGE)
_SUMMARY = ("n", "mean", "std", "lowest", "quartile", "median", "quartile", "highest")
_SHARES: tuple[tuple[str, str, str, Callable[[Distribution], tuple[Count, ...]]], ...] = (
    (
        "use-cases",
        "Use cases",
        "As labellers said; prompts without a word from them are called unlabelled.",
        lambda data: data.use_cases,
    ),
    (
        "tags",
        "Tags",
        "As labellers said. A prompt may have several, so shares may sum to more than 100 %.",
        lambda data: data.tags,
    ),
    (
        "languages",
        "Languages",
        "ISO 639-1 codes, told by a program; unknown where a text is too short, is code, or "
        "leaves the program in doubt.",
        lambda data: data.languages,
    ),
)
_NAMES = {
    "source": "Sources",
    "use_case": "Use cases",
    "tag": "Tags",
    "language": "Languages",
    "prompts_per_user": "Prompts per user",
    "prompts_per_organisation": "Prompts per organisation",
    "prompt_length": "Prompt lengths",
    "demonstration_length": "Demonstration lengths",
}


def distribution(report: DistributionReport | None) -> Section | None:
    """After the paper's tables 1 and 6 to 11."""
    if report is None:
        return None
    sets = report.sets
    looks = set_series([data.name for data in sets])
    figures = [_shares(sets, looks, *entry) for entry in _SHARES]
    figures += [
        _histogram(sets, looks, "prompts-per-user", "prompts of a user", _per_user),
        _histogram(
            sets, looks, "per-organisation", "prompts of an organisation", _per_organisation
        ),
        _histogram(sets, looks, "prompt-lengths", f"{sets[0].unit} of a prompt", _prompt_lengths),
        _histogram(
            sets,
            looks,
            "demonstration-lengths",
            f"{sets[0].unit} of a demonstration",
            _demonstration_lengths,
        ),
    ]
    tables = [_sizes(sets), *_summaries(sets)]
    if report.divergences:
        figures.insert(0, _divergence_figure(report))
        tables.insert(0, _divergence_table(report.divergences))
    lead = [f"{_amount(data)}." for data in sets]
    if len(sets) > 1:
        lead.append(
            "The Jensen-Shannon divergence is 0 where two sets agree and 1 bit where they have "
            "nothing in common. What chance alone adds is taken off; intervals are of 95 %, "
            "whole users drawn. Unlabelled and unknown are left out of it."
        )
    return Section(
        key="distribution",
        title="What the data is made of",
        lead=tuple(lead),
        figures=tuple(figure for figure in figures if figure is not None),
        tables=tuple(tables),
        missing=tuple(_unlabelled(sets)),
    )


def _unlabelled(sets: Sequence[Distribution]) -> list[str]:
    """What no labeller said of any prompt."""
    said = []
    for what, counts in (
        ("use case", [count for data in sets for count in data.use_cases]),
        ("tag", [count for data in sets for count in data.tags]),
    ):
        if {count.name for count in counts} <= {UNLABELLED}:
            said.append(f"No prompt here has a {what} from a labeller: all are unlabelled.")
    return said


def _amount(data: Distribution) -> str:
    return f"{data.name}: {data.num_prompts:,} prompts, {data.num_demonstrations:,} demonstrations"


def _shares(
    sets: Sequence[Distribution],
    looks: dict[str, Series],
    key: str,
    title: str,
    text: str,
    counts_of: Callable[[Distribution], tuple[Count, ...]],
) -> FigureView | None:
    """Bars of the most frequent; the table has them all. None where nothing is labelled."""
    found = [{count.name: count for count in counts_of(data)} for data in sets]
    most: dict[str, float] = {}
    for counts in found:
        for name, count in counts.items():
            most[name] = max(most.get(name, 0.0), count.share)
    names = sorted(most, key=lambda name: (name in _NOT_KNOWN, -most[name], name))
    if set(names) <= {UNLABELLED}:
        return None
    rare = [name for name in names if most[name] < _LEAST_SHARE and name not in _NOT_KNOWN]
    rare += [name for name in names if name not in rare and name not in _NOT_KNOWN][_MOST_BARS:]
    if rare:
        text += f" {len(rare)} rarer ones stand in the table only."
    drawn = [name for name in names if name not in rare]
    caption = Caption(key=f"shares-of-{key}", title=title, text=text, simulated=False)
    groups = [
        (looks[data.name], [counts[name].share if name in counts else 0.0 for name in drawn])
        for data, counts in zip(sets, found, strict=True)
    ]
    figure = bar_chart(caption, [name.replace("_", " ") for name in drawn], groups)
    rows = tuple(
        (name.replace("_", " "), *(_amount_and_share(counts.get(name)) for counts in found))
        for name in names
    )
    return replace(figure, table=replace(figure.table, rows=rows))


def _amount_and_share(count: Count | None) -> str:
    return NOTHING if count is None else f"{count.count:,} ({percent(count.share)})"


def _per_user(data: Distribution) -> tuple[Numbers, ...]:
    return data.prompts_per_user


def _per_organisation(data: Distribution) -> tuple[Numbers, ...]:
    return data.prompts_per_organisation


def _prompt_lengths(data: Distribution) -> tuple[Numbers, ...]:
    return data.prompt_lengths


def _demonstration_lengths(data: Distribution) -> tuple[Numbers, ...]:
    return data.demonstration_lengths


def _histogram(
    sets: Sequence[Distribution],
    looks: dict[str, Series],
    key: str,
    axis: str,
    numbers_of: Callable[[Distribution], tuple[Numbers, ...]],
) -> FigureView | None:
    """A row for each set; of a single set also one for each split."""
    rows = []
    for data in sets:
        for numbers in numbers_of(data):
            if numbers.by == "all":
                rows.append(_row(looks[data.name], numbers))
            elif numbers.by == "split" and len(sets) == 1:
                look = looks[data.name]
                rows.append(_row(Series(look.key, numbers.group, look.colour), numbers))
    if not rows:
        return None
    simulated = key == "demonstration-lengths" and any(data.simulated for data in sets)
    caption = Caption(
        key=f"histogram-of-{key}",
        title=axis[0].upper() + axis[1:],
        text="The axis doubles from tick to tick; heights are shares; upright ticks are medians.",
        simulated=simulated,
    )
    return histogram_chart(caption, rows, axis=axis, columns=("", *_SUMMARY))


def _row(look: Series, numbers: Numbers) -> Histogram:
    counts = [0] * numbers.bins[0].high.bit_length() + [each.count for each in numbers.bins]
    return Histogram(series=look, counts=counts, median=numbers.median, cells=_cells(numbers))


def _cells(numbers: Numbers) -> tuple[str, ...]:
    return (
        f"{numbers.count:,}",
        number(numbers.mean),
        number(numbers.std),
        f"{numbers.lowest:,}",
        number(numbers.quartile_1),
        number(numbers.median),
        number(numbers.quartile_3),
        f"{numbers.highest:,}",
    )


def _sizes(sets: Sequence[Distribution]) -> Table:
    several = len(sets) > 1
    rows = tuple(
        (
            f"{data.name}, {size.split}" if several else size.split,
            size.source,
            f"{size.num_prompts:,}",
            f"{size.num_users:,}",
        )
        for data in sets
        for size in data.sizes
    )
    return Table(
        columns=("Split", "source", "prompts", "users"),
        rows=rows,
        caption="Prompts by split and source",
        num_words=2,
    )


def _summaries(sets: Sequence[Distribution]) -> list[Table]:
    """Lengths by split, source and use case, with the prompts and demonstrations of each set."""
    tables = []
    groups: tuple[By, ...] = ("all", "split", "source", "use_case")
    for what, numbers_of in (
        ("prompts", _prompt_lengths),
        ("demonstrations", _demonstration_lengths),
    ):
        for data in sets:
            found = sorted(numbers_of(data), key=lambda numbers: groups.index(numbers.by))
            rows = tuple((_group(numbers), *_cells(numbers)) for numbers in found)
            if rows:
                caption = f"{data.unit.capitalize()} of {what}, {data.name}"
                simulated = what == "demonstrations" and data.simulated
                columns = ("", *_SUMMARY)
                tables.append(
                    Table(columns=columns, rows=rows, caption=caption, simulated=simulated)
                )
    return tables


def _group(numbers: Numbers) -> str:
    if numbers.by == "all":
        return "all"
    if numbers.by == "use_case":
        return f"use case: {numbers.group.replace('_', ' ')}"
    return f"{numbers.by}: {numbers.group}"


def _divergence_figure(report: DistributionReport) -> FigureView:
    one, other = (data.name for data in report.sets)
    caption = Caption(
        key="divergences",
        title=f"How far {one} and {other} lie apart",
        text="Jensen-Shannon divergence of each table in bits, with 95 % intervals.",
        simulated=False,
    )
    estimates = [
        Estimate(
            series=SERIES["start"],
            value=round(d.value, 3),
            low=d.low,
            high=d.high,
            label=_NAMES[d.table],
        )
        for d in report.divergences
    ]
    return interval_chart(caption, estimates, axis="divergence (bits)")


def _divergence_table(divergences: Sequence[Divergence]) -> Table:
    rows = tuple((_NAMES[d.table], *_bits(d)) for d in divergences)
    return Table(
        columns=("Table", "divergence (95 % interval)", "before the correction"),
        rows=rows,
        caption="Divergence, in bits",
    )


def _bits(divergence: Divergence) -> tuple[str, str]:
    """Three decimals: below a thousandth of a bit there is nothing to see."""
    low, high = divergence.low, divergence.high
    interval = "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"
    return f"{divergence.value:.3f}{interval}", f"{divergence.observed:.3f}"
