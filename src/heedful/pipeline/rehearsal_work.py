"""The middle of a rehearsal: days of work for training, the final evaluation, adjudication."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from heedful.core.records import Completion, derived_id
from heedful.labelling.adjudication import disagreements
from heedful.pipeline.composed_completions import PREFIX
from heedful.pipeline.rehearsal_cast import Cast
from heedful.store.batches import ItemSpec
from heedful.store.labels import exclude_labeller
from heedful.store.quality_queries import judgements
from heedful.store.tables import BatchRow, DemonstrationRow, ItemRow, PromptRow, SubmissionRow

_DAYS = range(3, 14)
_MOST_A_DAY = 4
_ADJUDICATED = 6


def collect(cast: Cast, size: int) -> None:
    """The days of work for training; on the sixth, one labeller is excluded."""
    with cast.database.write() as session:
        now = cast.at(3, -1)
        briefs = [
            {"kind": "plain", "use_case": use_case, "application": None}
            for use_case in ("generation", "brainstorming", "open_qa", "rewrite")
        ]
        wanted = [ItemSpec(None, brief=briefs[place % len(briefs)]) for place in range(size)]
        cast.batch(session, "Prompts", "prompt", "training", wanted, now)
        demonstrated = cast.take(2 * size, sensitive=2)
        specs = [ItemSpec(prompt.id) for prompt in demonstrated]
        cast.batch(session, "Demonstrations", "demonstration", "training", specs, now, priority=1)
        items = [
            cast.ranking_item(
                session,
                prompt,
                cast.some_kinds(cast.chance.choice((4, 4, 5, 6, 9))),
                gold=place % 10 == 5,
                twice=place % 8 == 3,
                now=now,
            )
            for place, prompt in enumerate(cast.take(8 * size, sensitive=4))
        ]
        # Batches of one priority are worked off in the order in which they were made.
        later = now + timedelta(minutes=10)
        cast.batch(session, "Rankings", "ranking", "training", items, later, 3)
    team = list(cast.labellers)
    # One who passed the screening loses patience with the work.
    hurried = replace(team[-1].labeller, noise=0.9)
    team[-1] = replace(team[-1], labeller=hurried, words_per_minute=2500.0)
    for day in _DAYS:
        if day == 6:
            _rank_demonstrations(cast, size)
        if day == 8:
            gone = team.pop()
            reason = "Took a few seconds an item and agrees with nobody; see the speed page."
            with cast.database.write() as session:
                by = cast.researcher.account_id
                project_id, moment = cast.project_id, cast.at(8, -0.5)
                exclude_labeller(session, project_id, gone.account_id, reason, by, now=moment)
        cast.work(team, day, most_each=_MOST_A_DAY)
        if day % 3 == 0:
            cast.work([cast.researcher], day, hour=5, most_each=_MOST_A_DAY)


def evaluate(cast: Cast, size: int) -> None:
    """Held-out labellers compare three ways of composing with a baseline."""
    with cast.database.write() as session:
        now = cast.at(10)
        items = [
            cast.ranking_item(session, prompt, ("own", "padded", "cut", "repeated"), now=now)
            for prompt in cast.take(2 * size)
        ]
        batch = cast.batch(
            session,
            "Final evaluation",
            "ranking",
            "evaluation",
            items,
            now,
            min(2, len(cast.held_out)),
            baseline=f"{PREFIX}cut",
        )
    for day in range(10, 14):
        cast.work(cast.held_out, day, batch_id=batch.id, most_each=_MOST_A_DAY)


def adjudicate(cast: Cast) -> None:
    """Reviewers decide the items on which labellers disagree most; some are left to do."""
    with cast.database.write() as session:
        found = disagreements(judgements(session, cast.project_id, purposes=["training"]))
        if not found:
            return
        # The ids of items are random, those of prompts are not.
        found.sort(key=lambda one: (one.agreement, -one.compared, one.prompt_id))
        items = [
            ItemSpec(
                one.prompt_id,
                session.get_one(ItemRow, one.item_id).completion_ids,
                adjudicates=one.item_id,
            )
            for one in found[:_ADJUDICATED]
        ]
        batch = cast.batch(session, "Adjudication", "adjudication", "training", items, cast.at(11))
    cast.work(cast.reviewers, 13, batch_id=batch.id, most_each=2)


def _rank_demonstrations(cast: Cast, size: int) -> None:
    """Rank what labellers wrote beside composed outputs; nobody gets their own."""
    with cast.database.write() as session:
        now = cast.at(6, -1)
        written = session.execute(
            select(DemonstrationRow, SubmissionRow, PromptRow)
            .join(SubmissionRow, SubmissionRow.id == DemonstrationRow.submission_id)
            .join(BatchRow, BatchRow.id == SubmissionRow.batch_id)
            .join(PromptRow, PromptRow.id == DemonstrationRow.prompt_id)
            .where(BatchRow.project_id == cast.project_id, BatchRow.purpose == "training")
            .order_by(SubmissionRow.submitted_at)
            .limit(size)
        ).all()
        prompts = {prompt.id: prompt for prompt in cast.material.prompts}
        items = []
        for demonstration, submission, row in written:
            own = Completion(
                id=derived_id("completion", "demonstration", row.id),
                prompt_id=row.id,
                text=demonstration.record["text"],
                checkpoint_id="labeller:demonstration",
            )
            kinds = cast.some_kinds(4)[1:]
            items.append(
                cast.ranking_item(
                    session,
                    prompts[row.id],
                    kinds,
                    also=own,
                    author_id=submission.account_id,
                    now=now,
                )
            )
        if items:
            name = "Rankings with demonstrations"
            cast.batch(session, name, "ranking", "training", items, now, 2, priority=2)
