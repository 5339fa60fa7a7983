"""What the ranking board is told of an item: cards by blind letter, keys, the draft.

Never which model wrote what, whether the item is gold, or who labelled it before.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.core.records import Ranking, Rating
from heedful.labelling.answers import LETTERS
from heedful.labelling.preferences import ACTIONS, Shortcuts
from heedful.labelling.rating_flags import FLAGS
from heedful.store.tables import (
    BatchRow,
    CompletionRow,
    ItemRow,
    PresentationRow,
    RankingRow,
    RatingRow,
    SubmissionRow,
)


def board_data(
    session: Session,
    *,
    item: ItemRow,
    batch: BatchRow,
    presentation: PresentationRow,
    shortcuts: Shortcuts,
) -> dict[str, Any]:
    """What `static/board.js` draws and how; the task's own part is `task_data`'s."""
    return {
        "cards": cards(session, presentation),
        "flags": [
            {
                "name": flag.name,
                "label": flag.label,
                "hint": flag.hint,
                "three_state": flag.three_state,
            }
            for flag in FLAGS
        ],
        "actions": [
            {"name": action.name, "label": action.label, "where": action.where}
            for action in ACTIONS
        ],
        "keys": dict(shortcuts.keys),
        "shortcuts_on": shortcuts.on,
        "ratings_required": batch.kind == "ranking",
        "earlier": earlier_rankings(session, item, presentation),
    }


def cards(session: Session, presentation: PresentationRow) -> list[dict[str, Any]]:
    """The outputs in the order of this labeller: letter, text, number of words."""
    firsts = [card[0] for card in presentation.cards]
    found = session.execute(
        select(CompletionRow.id, CompletionRow.record).where(CompletionRow.id.in_(firsts))
    )
    texts = {row[0]: str(row[1]["text"]) for row in found}
    return [
        {"letter": letter, "text": texts[first], "words": len(texts[first].split())}
        for letter, first in zip(LETTERS, firsts, strict=False)
    ]


def answer_by_letter(
    ranking: Ranking, ratings: Sequence[Rating], presentation_cards: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """A stored ranking in the letters of a presentation: columns of ties, ratings, all bad.

    Ranks are closed up, best first; cards that the ranking does not know are left out.
    """
    ranks = dict(zip(ranking.completion_ids, ranking.ranks, strict=True))
    quality = {rating.completion_id: rating.quality for rating in ratings}
    letters = {
        letter: card[0]
        for letter, card in zip(LETTERS, presentation_cards, strict=False)
        if card[0] in ranks
    }
    columns = [
        [letter for letter, one in letters.items() if ranks[one] == rank]
        for rank in sorted({ranks[one] for one in letters.values()})
    ]
    return {
        "columns": columns,
        "quality": {letter: quality[one] for letter, one in letters.items() if one in quality},
        "all_bad": ranking.all_bad,
    }


def earlier_rankings(
    session: Session, item: ItemRow, presentation: PresentationRow
) -> list[dict[str, Any]]:
    """For adjudication: how others ranked the item, without a trace of who they are.

    Their order is drawn from the ids, so that "labelling 1" is not always the same person.
    """
    if item.adjudicates is None:
        return []
    found = session.execute(
        select(SubmissionRow.id, RankingRow.record)
        .join(RankingRow, RankingRow.submission_id == SubmissionRow.id)
        .where(SubmissionRow.item_id == item.adjudicates, SubmissionRow.excluded_at.is_(None))
    ).all()
    rated = session.execute(
        select(RatingRow.submission_id, RatingRow.record).where(
            RatingRow.submission_id.in_([row[0] for row in found])
        )
    ).all()
    ratings: dict[str, list[Rating]] = {}
    for submission_id, record in rated:
        ratings.setdefault(submission_id, []).append(Rating.model_validate(record))
    shuffled = sorted(found, key=lambda row: hashlib.sha256(row[0].encode()).digest())
    return [
        {
            "label": f"Labelling {number}",
            **answer_by_letter(
                Ranking.model_validate(record),
                ratings.get(submission_id, []),
                presentation.cards,
            ),
        }
        for number, (submission_id, record) in enumerate(shuffled, start=1)
    ]


def task_data(
    *,
    item: ItemRow,
    account_id: str,
    presentation: PresentationRow,
    csrf: str,
    token: str | None,
    draft: Mapping[str, Any] | None,
    revision: int,
) -> dict[str, Any]:
    """What `static/work.js` needs to keep and send any task."""
    here = f"/work/items/{item.id}"
    return {
        "item": item.id,
        "account": account_id,
        "csrf": csrf,
        "token": token,
        "body": draft,
        "revision": revision,
        "active_seconds": presentation.active_seconds,
        "urls": {
            "draft": f"{here}/draft",
            "heartbeat": f"{here}/heartbeat",
            "submit": f"{here}/submit",
            "session": "/work/session",
            "preferences": "/work/shortcuts",
        },
    }
