"""Completions side by side, and how samples changed during training.

Completions are what a model said to a stranger's prompt: untrusted text. Nothing here
makes markup; the template escapes every part.
"""

from collections.abc import Sequence
from statistics import fmean

from heedful.core.records import Completion, Prompt
from heedful.reports.pairs import one_line
from heedful.reports.palette import Series, assign_series, in_order
from heedful.reports.project import Project, Run, SampleRow
from heedful.reports.view import AnswerView, PromptView, Section, number, percent

NUM_PROMPTS = 12
_NUM_SAMPLE_PROMPTS = 3


def side_by_side(project: Project) -> Section:
    """A dozen held-out prompts over all use cases, each with every model's completion."""
    by_prompt: dict[str, dict[str, Completion]] = {}
    for completion in project.completions:
        by_prompt.setdefault(completion.prompt_id, {})[completion.checkpoint_id] = completion
    prompts = [prompt for prompt in project.prompts if prompt.id in by_prompt]
    title = "Completions side by side"
    if not prompts:
        what = "data/prompts.jsonl" if by_prompt else "evaluation/completions.jsonl"
        return Section(
            key="completions",
            title=title,
            missing=(f"No completions to compare: {what} is absent.",),
        )
    order = in_order([completion.checkpoint_id for completion in project.completions])
    series = assign_series(order)
    notes = _notes(project)
    views = []
    for prompt in _spread(prompts):
        answers = by_prompt[prompt.id]
        views.append(
            PromptView(
                title=one_line(prompt.instruction),
                kind=(prompt.use_case or "prompt").replace("_", " "),
                parts=tuple(_parts(prompt)),
                answers=tuple(
                    _answer(series[name], answers[name], notes) for name in order if name in answers
                ),
            )
        )
    lead = (
        f"{len(views)} of {len(prompts)} held-out prompts, chosen in turn from each use case by "
        "their order in the file, not by their completions.",
    )
    return Section(key="completions", title=title, lead=lead, prompts=tuple(views))


def training_samples(project: Project) -> Section | None:
    """The first and last samples of fixed prompts in each run; None where no run has any."""
    views = [view for run in project.runs if run.samples for view in _run_samples(run)]
    if not views:
        return None
    lead = ("The same held-out prompts at the first and the last evaluation of each run.",)
    return Section(key="samples", title="Samples during training", lead=lead, prompts=tuple(views))


def _run_samples(run: Run) -> list[PromptView]:
    by_prompt: dict[str, list[SampleRow]] = {}
    for row in run.samples:
        by_prompt.setdefault(row.prompt_id, []).append(row)
    look = assign_series([run.name])[run.name]
    views = []
    for rows in list(by_prompt.values())[:_NUM_SAMPLE_PROMPTS]:
        ends = [rows[0]] if rows[0].step == rows[-1].step else [rows[0], rows[-1]]
        views.append(
            PromptView(
                title=one_line(rows[0].prompt),
                kind=look.label,
                parts=(("prompt", rows[0].prompt),),
                answers=tuple(
                    AnswerView(
                        label=f"Step {row.step}",
                        series=look.key,
                        text=row.completion,
                        notes=_score_notes(row.score, None, row.finish_reason),
                    )
                    for row in ends
                ),
            )
        )
    return views


def _spread(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Up to NUM_PROMPTS of them, one use case after the other."""
    queues: dict[str | None, list[Prompt]] = {}
    for prompt in prompts:
        queues.setdefault(prompt.use_case, []).append(prompt)
    chosen: list[Prompt] = []
    for turn in range(max(len(queue) for queue in queues.values())):
        chosen += [queue[turn] for queue in queues.values() if turn < len(queue)]
    return chosen[:NUM_PROMPTS]


def _parts(prompt: Prompt) -> list[tuple[str, str]]:
    parts: list[tuple[str, str]] = [(turn.role, turn.text) for turn in prompt.turns]
    for example in prompt.examples:
        parts += [("example", example.prompt), ("its completion", example.completion)]
    if prompt.context:
        parts.append(("context", prompt.context))
    return [*parts, ("prompt", prompt.instruction)]


def _notes(project: Project) -> dict[tuple[str, str], tuple[str, ...]]:
    """What was measured of each (model, prompt)."""
    outcomes: dict[tuple[str, str], list[float]] = {}
    for verdict in project.verdicts:
        outcomes.setdefault((verdict.candidate, verdict.prompt_id), []).append(verdict.outcome)
    notes = {
        (row.model, row.prompt_id): _score_notes(row.score, row.num_tokens, row.finish_reason)
        for row in project.scores
    }
    for key, values in outcomes.items():
        preferred = f"wins {percent(fmean(values))} against SFT ({len(values)} verdicts)"
        notes[key] = (*notes.get(key, ()), preferred)
    return notes


def _answer(
    series: Series, completion: Completion, notes: dict[tuple[str, str], tuple[str, ...]]
) -> AnswerView:
    key = (completion.checkpoint_id, completion.prompt_id)
    fallback = _score_notes(None, completion.num_tokens, completion.finish_reason)
    return AnswerView(
        label=series.label, series=series.key, text=completion.text, notes=notes.get(key, fallback)
    )


def _score_notes(
    score: float | None, num_tokens: int | None, finish_reason: str | None
) -> tuple[str, ...]:
    notes = []
    if score is not None:
        notes.append(f"score {number(score)}")
    if num_tokens is not None:
        notes.append(f"{num_tokens} tokens")
    if finish_reason == "length":
        notes.append("cut off at the length limit")
    return tuple(notes)
