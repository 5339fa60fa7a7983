"""The work of a rehearsal: nobody judges their own, held-out labellers only evaluate."""

from sqlalchemy import select

from fakes.played_rehearsal import Played
from heedful.store.tables import (
    BatchRow,
    CompletionRow,
    ItemRow,
    MemberRow,
    PresentationRow,
    SubmissionRow,
)


def test_held_out_labellers_only_evaluate_and_only_they_do(played: Played) -> None:
    with played.database.read() as session:
        held_out = set(session.scalars(select(MemberRow.account_id).where(MemberRow.held_out)))
        rows = session.execute(
            select(SubmissionRow.account_id, BatchRow.purpose).join(
                BatchRow, BatchRow.id == SubmissionRow.batch_id
            )
        ).all()
        assert {row.account_id for row in rows if row.purpose == "evaluation"} == held_out
        assert {row.purpose for row in rows if row.account_id in held_out} == {"evaluation"}
        evaluation = session.scalars(select(BatchRow).where(BatchRow.purpose == "evaluation")).one()
        assert evaluation.baseline == "composed:cut"


def test_nobody_ranks_what_they_wrote(played: Played) -> None:
    with played.database.read() as session:
        authors = dict(
            session.execute(
                select(CompletionRow.id, CompletionRow.author_id).where(
                    CompletionRow.author_id.is_not(None)
                )
            ).all()  # type: ignore[arg-type]
        )
        assert len(authors) == 6
        rows = session.execute(
            select(SubmissionRow.account_id, ItemRow.completion_ids).join(
                ItemRow, ItemRow.id == SubmissionRow.item_id
            )
        )
        judged = [
            authors[one] != row.account_id
            for row in rows
            for one in row.completion_ids
            if one in authors
        ]
        assert judged
        assert all(judged)


def test_the_excluded_labeller_counts_no_more_and_the_reason_is_kept(played: Played) -> None:
    with played.database.read() as session:
        excluded = session.scalars(
            select(SubmissionRow).where(SubmissionRow.excluded_at.is_not(None))
        ).all()
        assert len({one.account_id for one in excluded}) == 1
        assert {one.excluded_reason for one in excluded} == {
            "Took a few seconds an item and agrees with nobody; see the speed page."
        }
        theirs = select(SubmissionRow).where(SubmissionRow.account_id == excluded[0].account_id)
        assert len(session.scalars(theirs).all()) == len(excluded)


def test_same_texts_share_cards_and_adjudicators_are_others(played: Played) -> None:
    with played.database.read() as session:
        cards = session.scalars(select(PresentationRow.cards)).all()
        assert any(len(card) == 2 for some in cards for card in some)
        labels = session.execute(
            select(SubmissionRow.account_id, SubmissionRow.item_id, ItemRow.adjudicates).join(
                ItemRow, ItemRow.id == SubmissionRow.item_id
            )
        ).all()
        who = {(row.account_id, row.item_id) for row in labels}
        decided = [row for row in labels if row.adjudicates is not None]
        assert decided
        assert all((row.account_id, row.adjudicates) not in who for row in decided)
