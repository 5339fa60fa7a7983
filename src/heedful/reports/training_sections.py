"""Sections about training: learning curves and the reward model.

Which curves a run has is seen from its metrics, not from its kind, so that a folder
with a single run, or with ten of a kind, is shown by the same code.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from heedful.core.metrics import METRICS
from heedful.core.records import EvalResult
from heedful.reports.charts import (
    Caption,
    Estimate,
    Line,
    curve_chart,
    distribution_chart,
    interval_chart,
    reliability_chart,
)
from heedful.reports.palette import SERIES, assign_series
from heedful.reports.project import Project, Run
from heedful.reports.view import FigureView, Section, Table, with_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One figure of curves: a training metric and its held-out twin, where there is one."""

    metric: str
    title: str
    held_out: str | None = None

    @property
    def share(self) -> bool:
        """Whether the metric is shown in percent."""
        return METRICS[self.metric].unit == "share"


SFT_PANELS = (Panel(metric="language/loss", title="SFT loss", held_out="validation/loss"),)
REWARD_PANELS = (
    Panel(metric="reward/loss", title="Reward model loss"),
    Panel(metric="reward/accuracy", title="Reward model accuracy"),
)
PPO_PANELS = (
    Panel(metric="objective/score", title="Score", held_out="validation/score"),
    Panel(metric="objective/kl", title="KL to the start", held_out="validation/kl"),
    Panel(metric="objective/length", title="Length", held_out="validation/length"),
    Panel(metric="objective/eos_rate", title="Ended by itself", held_out="validation/eos_rate"),
    Panel(metric="objective/entropy", title="Entropy"),
    Panel(metric="value/explained_variance", title="Value: explained variance"),
    Panel(metric="policy/clipfrac", title="Clipped tokens"),
    Panel(metric="ptx/loss", title="Pretraining loss"),
)
_LENGTH_BASELINE = (SERIES["start"], "Longer one wins")
_STAGES = (
    (SFT_PANELS, "optimiser steps", "supervised fine-tuning (language/loss)"),
    (REWARD_PANELS, "optimiser steps", "a reward model (reward/loss)"),
    (PPO_PANELS, "PPO iterations", "PPO (objective/score)"),
)


def learning_curves(project: Project) -> Section:
    """Every stage's curves; runs of a stage share their axes."""
    figures: list[FigureView] = []
    missing: list[str] = []
    for panels, axis, what in _STAGES:
        signature = panels[0].metric
        runs = [run for run in project.runs if _has(run, signature)]
        if not runs:
            missing.append(f"No learning curves of {what}: no run here logged it.")
        figures += [figure for panel in panels if (figure := _panel(panel, runs, axis)) is not None]
    return Section(
        key="curves",
        title="Learning curves",
        lead=("Solid lines are training batches, dashed lines held-out data.",) if figures else (),
        figures=tuple(figures),
        missing=tuple(missing),
    )


def _panel(panel: Panel, runs: Sequence[Run], axis: str) -> FigureView | None:
    series = assign_series([run.name for run in runs])
    lines = []
    for run in runs:
        look = series[run.name]
        for metric, held_out in ((panel.metric, False), (panel.held_out, True)):
            if metric is not None and _has(run, metric):
                rows = [row for row in run.metrics if metric in row]
                lines.append(
                    Line(
                        series=look,
                        steps=[row["step"] for row in rows],
                        values=[row[metric] for row in rows],
                        held_out=held_out,
                    )
                )
    if not lines:
        return None
    metric_entry = METRICS[panel.metric]
    unit = f" ({metric_entry.unit})" if metric_entry.unit not in ("", "share") else ""
    better = f" {metric_entry.better.capitalize()} is better." if metric_entry.better else ""
    caption = Caption(
        key="curve-" + panel.metric.replace("/", "-").replace("_", "-"),
        title=panel.title,
        text=f"{metric_entry.meaning}{unit}.{better}",
        simulated=any(run.card.simulated for run in runs),
    )
    return curve_chart(caption, lines, axis=axis, share=panel.share)


def _has(run: Run, metric: str) -> bool:
    return any(row.get(metric) is not None for row in run.metrics)


def reward_model(project: Project) -> Section:
    """Calibration, accuracy beside the length baseline, and scores by source."""
    runs = [run for run in project.runs if run.calibration or run.scores or _results(run)]
    figures: list[FigureView] = []
    tables: list[Table] = []
    for position, run in enumerate(runs):
        suffix = f", {run.name}" if len(runs) > 1 else ""
        figures += _reward_figures(run, position, suffix)
        if results := _results(run):
            tables.append(_results_table(run, results, suffix))
    missing = []
    if not runs:
        missing.append("No measurements of a reward model: no reward run with results here.")
    elif not any(run.calibration for run in runs):
        missing.append("No calibration plot: the reward run wrote no calibration.json.")
    lead = (
        "Accuracy is the share of held-out strict pairs that are ordered right. A model "
        "no better than “the longer one wins” may have learned nothing but length.",
    )
    return Section(
        key="reward-model",
        title="Reward model",
        lead=lead if runs else (),
        figures=tuple(figures),
        tables=tuple(tables),
        missing=tuple(missing),
    )


def _results(run: Run) -> list[EvalResult]:
    return list(run.results) if run.card.kind == "reward" else []


def _reward_figures(run: Run, position: int, suffix: str) -> list[FigureView]:
    look, simulated = SERIES["reward"], run.card.simulated
    figures = []
    baselines = {"accuracy": (look, "Reward model"), "length_accuracy": _LENGTH_BASELINE}
    tasks = {result.task for result in _results(run)}
    estimates = [
        Estimate(
            series=baselines[result.metric][0],
            value=result.value,
            low=result.ci_low,
            high=result.ci_high,
            label=baselines[result.metric][1] + (f", {result.task}" if len(tasks) > 1 else ""),
        )
        for result in _results(run)
        if result.metric in baselines
    ]
    if estimates:
        caption = Caption(
            key=f"reward-accuracy-{position}",
            title=f"Held-out accuracy{suffix}",
            text="Bars are 95 % intervals; the dashed line is chance.",
            simulated=simulated,
        )
        figures.append(
            interval_chart(caption, estimates, axis="accuracy", reference=0.5, share=True)
        )
    if run.calibration is not None and run.calibration.bins:
        caption = Caption(
            key=f"reward-calibration-{position}",
            title=f"Calibration{suffix}",
            text="How often a preference came true, against the probability that the score "
            "difference gave it. Bars are 95 % Wilson intervals of single pairs.",
            simulated=simulated,
        )
        figures.append(reliability_chart(caption, run.calibration.bins, look))
    if run.scores:
        groups: dict[str, list[float]] = {}
        for row in run.scores:
            groups.setdefault(row.source, []).append(row.score)
        series = assign_series(list(groups))
        caption = Caption(
            key=f"reward-scores-{position}",
            title=f"Scores by source{suffix}",
            text="Scores after the bias that sets the mean of demonstrations to 0; upright "
            "ticks are means.",
            simulated=simulated,
        )
        rows = [(series[source], scores) for source, scores in groups.items()]
        figures.append(distribution_chart(caption, rows, axis="score"))
    return figures


def _results_table(run: Run, results: Sequence[EvalResult], suffix: str) -> Table:
    rows = []
    for result in results:
        share = result.metric.endswith("accuracy")
        value = with_interval(result.value, result.ci_low, result.ci_high, share=share)
        measure = f"{result.task}: {result.metric}".replace("_", " ")
        rows.append((measure, value, f"{result.num_examples}"))
    return Table(
        columns=("Held-out measure", "value (95 % interval)", "n"),
        rows=tuple(rows),
        caption=f"Reward model{suffix}",
        simulated=run.card.simulated,
    )
