"""Sections about the result: win rates, scores, pretraining loss, ratings, the rest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from heedful.core.records import EvalResult, RatingFlags
from heedful.reports.charts import Caption, Estimate, distribution_chart, interval_chart
from heedful.reports.palette import Series, assign_series, in_order
from heedful.reports.project import Project, ScoreRow
from heedful.reports.view import (
    NOTHING,
    FigureView,
    Section,
    Table,
    number,
    percent,
    with_interval,
)

WIN_RATE = ("win_rate_vs_sft", "win_rate")
QUALITY = ("likert", "quality")
PRETRAINING = ("pretraining", "loss")
SCORE = ("score", "score")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One measurement's share of a section."""

    figures: tuple[FigureView, ...] = ()
    tables: tuple[Table, ...] = ()
    missing: tuple[str, ...] = ()


def headline(project: Project) -> tuple[str, str]:
    """One sentence that says what came out, and one about what it means."""
    found = _by_model(project, *WIN_RATE)
    found.pop("sft", None)
    if not found:
        return _reward_headline(project)
    name = "ppo_ptx" if "ppo_ptx" in found else in_order(list(found))[-1]
    result, label = found[name], assign_series([name])[name].label
    sentence = (
        f"{label} wins {percent(result.value)} against SFT on {result.num_examples} "
        "held-out prompts"
    )
    if result.ci_low is None or result.ci_high is None:
        return sentence, "No interval was computed."
    bounds = f"95 % interval {100 * result.ci_low:.1f} to {100 * result.ci_high:.1f} %"
    if result.ci_low > 0.5:
        return sentence, f"{bounds}: above one half."
    if result.ci_high < 0.5:
        return sentence, f"{bounds}: below one half, so SFT is the better model here."
    return sentence, f"{bounds}: it contains one half, so no difference is shown."


def _reward_headline(project: Project) -> tuple[str, str]:
    """For a folder without win rates: the last reward model, beside the length baseline."""
    for run in reversed(project.runs):
        found = {result.metric: result for result in run.results}
        if "accuracy" in found and "length_accuracy" in found:
            accuracy, length = (
                _written(found[m], share=True) for m in ("accuracy", "length_accuracy")
            )
            right = percent(found["accuracy"].value)
            return (
                f"The reward model orders {right} of held-out pairs right",
                f"{accuracy}; “the longer one wins” {length}; 95 % intervals in brackets.",
            )
    return "A report of runs", "What was measured here follows."


def win_rates(project: Project) -> Section:
    """The miniature of the paper's figure 1."""
    found = _by_model(project, *WIN_RATE)
    if not found:
        return Section(
            key="win-rates",
            title="Win rate against SFT",
            missing=(f"No win rates: no {WIN_RATE[0]} results in evaluation/results.jsonl.",),
        )
    estimates = []
    for name in in_order([*found, "sft"]):
        look = assign_series([name])[name]
        if name in found:
            estimates.append(_estimate(look, found[name]))
        else:
            estimates.append(Estimate(series=look, value=0.5, label="SFT (reference)"))
    caption = Caption(
        key="win-rates-figure",
        title="Win rate against SFT",
        text="How often labellers prefer its completion to that of SFT on prompts of held-out "
        "users; a tie counts one half. Bars are 95 % intervals over users. After figure 1 of the "
        "paper.",
        simulated=_simulated(found.values()),
    )
    figure = interval_chart(caption, estimates, axis="win rate", reference=0.5, share=True)
    return Section(key="win-rates", title="Win rate against SFT", figures=(figure,))


def before_and_after(project: Project) -> Section:
    """Quality and flags, score, and language, of every model."""
    parts = (_ratings(project), _scores(project), _pretraining(project))
    return Section(
        key="before-and-after",
        title="Before and after",
        figures=tuple(figure for part in parts for figure in part.figures),
        tables=tuple(table for part in parts for table in part.tables),
        missing=tuple(text for part in parts for text in part.missing),
    )


def _scores(project: Project) -> Part:
    """Reward model scores of each model's completions: before and after."""
    if not project.scores:
        return Part(
            missing=("No score distributions: evaluation/scores.jsonl is absent.",),
        )
    groups: dict[str, list[ScoreRow]] = {}
    for row in project.scores:
        groups.setdefault(row.model, []).append(row)
    order = in_order(list(groups))
    series = assign_series(order)
    caption = Caption(
        key="score-distributions",
        title="Reward model scores on held-out prompts",
        text="The score that PPO raises; upright ticks are means. A higher score is not yet a "
        "better model: the win rate is the test.",
        simulated=project.simulated,
    )
    figure = distribution_chart(
        caption, [(series[n], [row.score for row in groups[n]]) for n in order], axis="score"
    )
    means = _by_model(project, *SCORE)
    rows = [(series[name].label, *_score_cells(groups[name], means.get(name))) for name in order]
    table = Table(
        columns=("Model", "mean score (95 % interval)", "mean tokens", "ended by itself"),
        rows=tuple(rows),
        caption="Score, length and ending",
        simulated=caption.simulated,
    )
    return Part(figures=(figure,), tables=(table,))


def _score_cells(rows: Sequence[ScoreRow], result: EvalResult | None) -> tuple[str, str, str]:
    mean = sum(row.score for row in rows) / len(rows)
    text = number(mean) if result is None else _written(result)
    lengths = [row.num_tokens for row in rows if row.num_tokens is not None]
    endings = [row.finish_reason == "stop" for row in rows if row.finish_reason is not None]
    return (
        text,
        number(sum(lengths) / len(lengths)) if lengths else NOTHING,
        percent(sum(endings) / len(endings)) if endings else NOTHING,
    )


def _pretraining(project: Project) -> Part:
    """What the models lost of the language model they began as (the alignment tax)."""
    found = _by_model(project, *PRETRAINING)
    if not found:
        return Part(
            missing=("No pretraining loss: no such results in evaluation/results.jsonl.",),
        )
    order = in_order(list(found))
    series = assign_series(order)
    before = found.get("start")
    line = "" if before is None else " The dashed line is the start model."
    caption = Caption(
        key="pretraining-loss",
        title="Pretraining loss",
        text="Mean negative log-likelihood of held-out pretraining text, nats per token; lower is "
        f"better.{line}",
        simulated=project.simulated,
    )
    figure = interval_chart(
        caption,
        [_estimate(series[name], found[name]) for name in order],
        axis="pretraining loss",
        reference=None if before is None else before.value,
    )
    return Part(figures=(figure,))


def _ratings(project: Project) -> Part:
    """Likert quality and the shares of the metadata flags (the paper's table 3)."""
    found = _by_model(project, *QUALITY)
    if not found:
        return Part(
            missing=("No ratings: no likert results in evaluation/results.jsonl.",),
        )
    order = in_order(list(found))
    series = assign_series(order)
    simulated = _simulated(found.values())
    caption = Caption(
        key="likert-quality",
        title="Overall quality",
        text="Mean rating by the labellers, 1 (worst) to 7. Bars are 95 % intervals over users.",
        simulated=simulated,
    )
    figure = interval_chart(
        caption, [_estimate(series[name], found[name]) for name in order], axis="quality"
    )
    rows = []
    for flag in RatingFlags.model_fields:
        shares = _by_model(project, QUALITY[0], flag)
        if shares:
            cells = [_written(shares[n], share=True) if n in shares else NOTHING for n in order]
            rows.append((flag.replace("_", " ").capitalize(), *cells))
    table = Table(
        columns=("Flag", *(series[name].label for name in order)),
        rows=tuple(rows),
        caption="Share of completions with each flag (95 % interval, %)",
        simulated=simulated,
    )
    return Part(
        figures=(figure,),
        tables=(table,) if rows else (),
        missing=() if rows else ("No metadata flags were answered.",),
    )


def other_results(project: Project) -> Section | None:
    """Results that no figure shows, such as benchmarks; None where there are none."""
    shown = {WIN_RATE, PRETRAINING, SCORE} | {
        (QUALITY[0], metric) for metric in ("quality", *RatingFlags.model_fields)
    }
    rows = [
        (r.task, r.metric, assign_series([r.checkpoint_id])[r.checkpoint_id].label, _written(r))
        for r in project.results
        if (r.task, r.metric) not in shown
    ]
    rows += [
        (result.task, result.metric, run.name, _written(result))
        for run in project.runs
        if run.card.kind != "reward"
        for result in run.results
    ]
    if not rows:
        return None
    columns = ("Task", "metric", "model", "value (95 % interval)")
    table = Table(columns=columns, rows=tuple(rows), simulated=_simulated(project.results))
    return Section(key="other-results", title="Other results", tables=(table,))


def _by_model(project: Project, task: str, metric: str) -> dict[str, EvalResult]:
    """The results of one metric by model; of several seeds in one folder, the last."""
    return {
        result.checkpoint_id: result
        for result in project.results
        if (result.task, result.metric) == (task, metric)
    }


def _estimate(series: Series, result: EvalResult) -> Estimate:
    return Estimate(series=series, value=result.value, low=result.ci_low, high=result.ci_high)


def _written(result: EvalResult, *, share: bool = False) -> str:
    return with_interval(result.value, result.ci_low, result.ci_high, share=share)


def _simulated(results: Iterable[EvalResult]) -> bool:
    return any(result.made_by == "simulated" for result in results)
