"""From what a researcher asks for to the items of a batch.

Choosing is all that happens here: `heedful.store.batches` checks the items once more and
stores them. Adjudication batches are made from disagreements, elsewhere.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.core.errors import DataError
from heedful.store.batches import ItemSpec
from heedful.store.contents import CHUNK, chunks
from heedful.store.prompt_search import Order, PromptFilter, find_prompts
from heedful.store.tables import (
    AccountRow,
    CompletionRow,
    RankingRow,
    RatingRow,
    SubmissionRow,
)

MOST_ITEMS = 5_000
MIN_COMPLETIONS, MAX_COMPLETIONS = 2, 9
_GOLD_ROLES = ("researcher", "admin")

SelectedKind = Literal["prompt", "demonstration", "ranking"]
BriefKind = Literal["plain", "few_shot", "user_based"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to make items of.

    Attributes:
        most: Items at most.
        num_completions: K of a ranking; a prompt with fewer is left out.
        checkpoints: Whose completions may be ranked; empty for all.
        baseline: A checkpoint whose completion every item must have.
        gold: Take the researchers' own rankings of the same prompts as gold answers.
        briefs: Of `prompt`: how many of each kind.
        use_case, application: Of the briefs: what to write prompts for.
    """

    kind: SelectedKind
    wanted: PromptFilter = field(default_factory=PromptFilter)
    order: Order = "random"
    most: int = 100
    num_completions: int = 4
    checkpoints: tuple[str, ...] = ()
    baseline: str | None = None
    gold: bool = False
    briefs: tuple[tuple[BriefKind, int], ...] = ()
    use_case: str | None = None
    application: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The items, and how many prompts were passed over for want of completions."""

    items: list[ItemSpec]
    passed_over: int = 0
    num_gold: int = 0


def choose_items(session: Session, project_id: str, selection: Selection) -> Chosen:
    """The items that `selection` describes.

    Raises:
        DataError: The numbers asked for cannot be.
    """
    if not 1 <= selection.most <= MOST_ITEMS:
        raise DataError(
            f"A batch made here has 1 to {MOST_ITEMS:,} items.",
            "Make several batches, or use the command line for larger ones.",
        )
    if selection.kind == "prompt":
        return _briefs(selection)
    if selection.kind == "demonstration":
        found = find_prompts(
            session, project_id, selection.wanted, limit=selection.most, order=selection.order
        )
        return Chosen(items=[ItemSpec(one.row.id) for one in found])
    return _rankings(session, project_id, selection)


def _briefs(selection: Selection) -> Chosen:
    total = sum(count for _, count in selection.briefs)
    if not 1 <= total <= MOST_ITEMS:
        raise DataError("No prompts are asked for.", "Say how many of at least one kind.")
    details = {"use_case": selection.use_case, "application": selection.application}
    given = {name: value for name, value in details.items() if value}
    if any(kind == "user_based" and count for kind, count in selection.briefs) and not given:
        raise DataError(
            "User-based prompts need an application or a use case.",
            "Describe what users would do with the model.",
        )
    return Chosen(
        items=[
            ItemSpec(None, brief={"kind": kind} | given)
            for kind, count in selection.briefs
            for _ in range(count)
        ]
    )


def _rankings(session: Session, project_id: str, selection: Selection) -> Chosen:
    if not MIN_COMPLETIONS <= selection.num_completions <= MAX_COMPLETIONS:
        raise DataError("A ranking has 2 to 9 completions.", "Choose a number in between.")
    # Those with too few are passed over below, where they can be counted.
    found = find_prompts(
        session, project_id, selection.wanted, limit=MOST_ITEMS, order=selection.order
    )
    prompt_ids = [one.row.id for one in found]
    gold = _gold_answers(session, project_id, prompt_ids) if selection.gold else {}
    completions = _completions_of(session, project_id, prompt_ids)
    items: list[ItemSpec] = []
    passed_over = 0
    for prompt_id in prompt_ids:
        if len(items) == selection.most:
            break
        if prompt_id in gold:
            answer = gold[prompt_id]
            items.append(ItemSpec(prompt_id, tuple(answer["ranks"]), gold=answer))
            continue
        picked = _pick(completions[prompt_id], selection)
        if picked is None:
            passed_over += 1
        else:
            items.append(ItemSpec(prompt_id, picked))
    num_gold = sum(item.gold is not None for item in items)
    return Chosen(items=items, passed_over=passed_over, num_gold=num_gold)


def _completions_of(
    session: Session, project_id: str, prompt_ids: Sequence[str]
) -> dict[str, list[CompletionRow]]:
    found: dict[str, list[CompletionRow]] = defaultdict(list)
    for ids in chunks(prompt_ids, CHUNK):
        rows = session.scalars(
            select(CompletionRow)
            .where(CompletionRow.project_id == project_id, CompletionRow.prompt_id.in_(ids))
            .order_by(CompletionRow.created_at, CompletionRow.id)
        )
        for row in rows:
            found[row.prompt_id].append(row)
    return found


def _pick(rows: Sequence[CompletionRow], selection: Selection) -> tuple[str, ...] | None:
    """K completions, one of each checkpoint before a second of any; None where there are not."""
    queues: dict[str, list[CompletionRow]] = defaultdict(list)
    for row in rows:
        checkpoint = str(row.record["checkpoint_id"])
        if not selection.checkpoints or checkpoint in (*selection.checkpoints, selection.baseline):
            queues[checkpoint].append(row)
    if selection.baseline is not None and selection.baseline not in queues:
        return None
    order = sorted(queues, key=lambda name: (name != selection.baseline, name))
    rounds = max((len(queue) for queue in queues.values()), default=0)
    in_turn = [
        queues[name][turn] for turn in range(rounds) for name in order if turn < len(queues[name])
    ]
    picked = in_turn[: selection.num_completions]
    texts = {row.record["text"] for row in picked}
    if len(picked) < selection.num_completions or len(texts) < MIN_COMPLETIONS:
        return None
    return tuple(row.id for row in picked)


def _gold_answers(
    session: Session, project_id: str, prompt_ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The newest ranking by a researcher of each prompt, with the flags of its ratings."""
    answers: dict[str, dict[str, Any]] = {}
    for ids in chunks(prompt_ids, CHUNK):
        rankings = session.execute(
            select(RankingRow.submission_id, RankingRow.prompt_id, RankingRow.record)
            .join(SubmissionRow, SubmissionRow.id == RankingRow.submission_id)
            .join(AccountRow, AccountRow.id == SubmissionRow.account_id)
            .where(
                SubmissionRow.project_id == project_id,
                SubmissionRow.excluded_at.is_(None),
                AccountRow.role.in_(_GOLD_ROLES),
                RankingRow.prompt_id.in_(ids),
            )
            .order_by(SubmissionRow.submitted_at)
        ).all()
        newest = {prompt_id: (submission, record) for submission, prompt_id, record in rankings}
        flags = _flags_of(session, [submission for submission, _ in newest.values()])
        for prompt_id, (submission, record) in newest.items():
            ranks = dict(zip(record["completion_ids"], record["ranks"], strict=True))
            answers[prompt_id] = {"ranks": ranks, "flags": flags.get(submission, {})}
    return answers


def _flags_of(
    session: Session, submission_ids: Sequence[str]
) -> dict[str, dict[str, dict[str, bool]]]:
    rows = session.execute(
        select(RatingRow.submission_id, RatingRow.completion_id, RatingRow.record).where(
            RatingRow.submission_id.in_(submission_ids)
        )
    )
    found: dict[str, dict[str, dict[str, bool]]] = defaultdict(dict)
    for submission_id, completion_id, record in rows:
        flags = record.get("flags", {})
        answered = {name: value for name, value in flags.items() if value is not None}
        if answered:
            found[submission_id][completion_id] = answered
    return found
