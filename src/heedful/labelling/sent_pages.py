"""What a labeller sent, asked and goes by: history, questions, instructions; all read-only.

A submission is shown as its labeller made it, whatever became of it later.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from heedful.core.records import Demonstration, Prompt, Ranking, Rating
from heedful.labelling.answers import LETTERS
from heedful.labelling.board_view import answer_by_letter, cards
from heedful.labelling.guards import SignedIn, Store, not_found
from heedful.labelling.object_guards import (
    InstructionsView,
    ItemView,
    instructions_access,
    own_item,
)
from heedful.labelling.rating_flags import marked
from heedful.labelling.rendering import page
from heedful.store.questions import list_for_account, mark_seen
from heedful.store.slots import assignment
from heedful.store.tables import (
    BatchRow,
    DemonstrationRow,
    InstructionsRow,
    ItemRow,
    MemberRow,
    PresentationRow,
    ProjectRow,
    PromptRow,
    RankingRow,
    RatingRow,
    SubmissionRow,
)

router = APIRouter()
PAGE_SIZE = 25
PURPOSES_OF_STAGE: dict[str, tuple[str, ...]] = {
    "screening": ("screening",),
    "practice": ("practice",),
    "working": ("training", "evaluation"),
}


@router.get("/work/history")
def history(
    request: Request,
    viewer: SignedIn,
    store: Store,
    number: Annotated[int, Query(alias="page", ge=1, le=100_000)] = 1,
) -> Response:
    """Everything the viewer sent, the newest first."""
    mine = SubmissionRow.account_id == viewer.id
    with store.read() as session:
        total = session.scalar(select(func.count()).select_from(SubmissionRow).where(mine)) or 0
        rows = session.execute(
            select(SubmissionRow, ItemRow, BatchRow, ProjectRow, PromptRow)
            .join(ItemRow, ItemRow.id == SubmissionRow.item_id)
            .join(BatchRow, BatchRow.id == SubmissionRow.batch_id)
            .join(ProjectRow, ProjectRow.id == SubmissionRow.project_id)
            .outerjoin(PromptRow, PromptRow.id == ItemRow.prompt_id)
            .where(mine)
            .order_by(SubmissionRow.submitted_at.desc(), SubmissionRow.id)
            .limit(PAGE_SIZE)
            .offset((number - 1) * PAGE_SIZE)
        ).all()
    entries = [
        {
            "submission": submission,
            "batch": batch,
            "project": project,
            "about": prompt.record["instruction"] if item.prompt_id else "",
        }
        for submission, item, batch, project, prompt in rows
    ]
    pages = max(1, -(-total // PAGE_SIZE))
    return page(
        request,
        "work/history.html",
        viewer=viewer,
        entries=entries,
        total=total,
        number=number,
        pages=pages,
    )


@router.get("/work/history/{item_id}")
def show_sent(
    request: Request, view: Annotated[ItemView, Depends(own_item)], store: Store
) -> Response:
    """One submission of the viewer's, as they made it."""
    with store.read() as session:
        submission = assignment(session, view.viewer.id, view.item.id).submission
        if submission is None:
            raise not_found("submission of yours")
        prompt = None
        if view.item.prompt_id is not None:
            row = session.get_one(PromptRow, view.item.prompt_id)
            prompt = Prompt.model_validate(row.record)
        made = _made(session, view, submission)
        instructions = session.get_one(InstructionsRow, submission.instructions_id)
    return page(
        request,
        "work/sent.html",
        viewer=view.viewer,
        submission=submission,
        batch=view.batch,
        project=view.project,
        item=view.item,
        prompt=prompt,
        instructions=instructions,
        **made,
    )


def _made(session: Session, view: ItemView, submission: SubmissionRow) -> dict[str, Any]:
    """The labels of a submission: outputs by letter with rank, rating, flags; texts written."""
    here = submission.id
    written = [
        Demonstration.model_validate(row.record)
        for row in session.scalars(
            select(DemonstrationRow).where(DemonstrationRow.submission_id == here)
        )
    ]
    ranked = session.scalars(select(RankingRow).where(RankingRow.submission_id == here)).first()
    shown = session.get(PresentationRow, (view.item.id, view.viewer.id))
    if ranked is None or shown is None:
        return {"written": written, "outputs": [], "ranking": None}
    ratings = {
        row.completion_id: Rating.model_validate(row.record)
        for row in session.scalars(select(RatingRow).where(RatingRow.submission_id == here))
    }
    ranking = Ranking.model_validate(ranked.record)
    by_letter = answer_by_letter(ranking, list(ratings.values()), shown.cards)
    first_of = dict(zip(LETTERS, (card[0] for card in shown.cards), strict=False))
    rank_of = {
        letter: rank
        for rank, letters in enumerate(by_letter["columns"], start=1)
        for letter in letters
    }
    outputs = []
    for card in cards(session, shown):
        rating = ratings.get(first_of[card["letter"]])
        outputs.append(
            {
                **card,
                "rank": rank_of.get(card["letter"]),
                "quality": rating.quality if rating else None,
                "marked": marked(rating) if rating else [],
            }
        )
    outputs.sort(key=lambda one: (one["rank"] or 99, one["letter"]))
    return {"written": written, "outputs": outputs, "ranking": by_letter}


@router.get("/work/questions")
def questions(request: Request, viewer: SignedIn, store: Store) -> Response:
    """What the viewer asked, and the answers; they count as seen from now on."""
    with store.write() as session:
        asked = list_for_account(session, viewer.id)
        new = {row.id for row in asked if row.answer is not None and row.seen_at is None}
        mark_seen(session, viewer.id)
        open_items = {
            row.item_id
            for row in asked
            if assignment(session, viewer.id, row.item_id).submission is None
        }
    return page(
        request,
        "work/questions.html",
        viewer=viewer,
        asked=asked,
        new=new,
        open_items=open_items,
    )


@router.get("/work/instructions")
def instructions_list(request: Request, viewer: SignedIn, store: Store) -> Response:
    """The current instructions of the viewer's stage in each project."""
    with store.read() as session:
        members = session.execute(
            select(MemberRow, ProjectRow)
            .join(ProjectRow, ProjectRow.id == MemberRow.project_id)
            .where(MemberRow.account_id == viewer.id)
            .order_by(ProjectRow.name)
        ).all()
        groups = [(project, current_versions(session, member)) for member, project in members]
    return page(request, "work/instructions_list.html", viewer=viewer, groups=groups)


@router.get("/work/instructions/{instructions_id}")
def show_instructions(
    request: Request, view: Annotated[InstructionsView, Depends(instructions_access())]
) -> Response:
    """One version of the instructions."""
    return page(
        request,
        "work/instructions.html",
        viewer=view.viewer,
        project=view.project,
        instructions=view.instructions,
    )


def current_versions(session: Session, member: MemberRow) -> list[InstructionsRow]:
    """The newest instructions of each purpose that a member's stage meets."""
    purposes = PURPOSES_OF_STAGE.get(member.stage, ())
    if member.held_out:
        purposes = ("evaluation",)
    found = session.scalars(
        select(InstructionsRow)
        .where(
            InstructionsRow.project_id == member.project_id, InstructionsRow.purpose.in_(purposes)
        )
        .order_by(InstructionsRow.version)
    )
    newest = {row.purpose: row for row in found}
    return [newest[purpose] for purpose in purposes if purpose in newest]
