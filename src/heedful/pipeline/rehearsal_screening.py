"""The first acts of a rehearsal: candidates are screened, and those who pass practise."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.annotators.team_answers import Material, Worker
from heedful.core.records import Completion
from heedful.labelling.gate import gates
from heedful.labelling.project_settings import ProjectSettings
from heedful.labelling.screening import Screening, screenings
from heedful.labelling.self_assessment import TOPICS
from heedful.pipeline.rehearsal_cast import Cast
from heedful.store.batches import ItemSpec, set_state
from heedful.store.columns import Purpose
from heedful.store.contents import prompts_by_id
from heedful.store.quality_queries import flag_checks, graded_demonstrations, judgements
from heedful.store.screening_records import (
    decide,
    grade_demonstration,
    save_self_assessment,
    self_assessments,
)
from heedful.store.tables import BatchRow, DemonstrationRow, SubmissionRow

_SETTINGS = ProjectSettings()
_KINDS = ("own", "rude", "cut", "other", "shouted")


def screen(cast: Cast) -> None:
    """Candidates rank items with gold among them and demonstrate; reviewers grade; one fails."""
    candidates = [*cast.labellers, cast.careless]
    with cast.database.write() as session:
        now = cast.at(0, 1)
        items = [
            cast.ranking_item(session, prompt, _KINDS, gold=place % 4 != 3, now=now)
            for place, prompt in enumerate(cast.take(8, sensitive=4))
        ]
        overlap = len(candidates)
        rank = cast.batch(session, "Screening: rank", "ranking", "screening", items, now, overlap)
        demonstrate = cast.batch(
            session,
            "Screening: demonstrate",
            "demonstration",
            "screening",
            [ItemSpec(prompt.id) for prompt in cast.take(3, sensitive=3)],
            now,
            overlap,
        )
    patient = [replace(one, skip_rate=0.0) for one in candidates]
    evasive = dict.fromkeys(cast.demonstrations, ("I don't know.",))
    for batch in (rank, demonstrate):
        cast.work(patient[:-1], 1, batch_id=batch.id)
        cast.work(patient[-1:], 1, batch_id=batch.id, material=Material(evasive))
    with cast.database.write() as session:
        _assess_themselves(session, cast, candidates)
        _grade(session, cast)
        _decide(session, cast, candidates)
        for batch in (rank, demonstrate):
            set_state(
                session,
                batch.id,
                "closed",
                by=cast.researcher.account_id,
                reason="Screening is over",
                now=cast.at(2, 3),
            )


def practise(cast: Cast) -> None:
    """Those who passed practise until the gate is met; then the work is open to them."""
    with cast.database.write() as session:
        now = cast.at(2, 3)
        items = [
            cast.ranking_item(session, prompt, cast.some_kinds(4), gold=True, now=now)
            for prompt in cast.take(6)
        ]
        batch = cast.batch(
            session, "Practice", "ranking", "practice", items, now, len(cast.labellers)
        )
    cast.work(cast.labellers, 2, hour=4, batch_id=batch.id)
    with cast.database.write() as session:
        names = [one.account_id for one in cast.labellers]
        met = gates(names, judgements(session, cast.project_id), _SETTINGS)
        for name in names:
            gate = met[name]
            value = gate.gold.pairwise if gate.gold is not None else None
            agreed = f", agreeing with gold on {value.value:.0%} of pairs" if value else ""
            cast.move(
                session,
                name,
                "working",
                f"{gate.items_done} practice items done{agreed}",
                cast.at(2, 9),
            )
        for worker in cast.held_out:
            reason = "Held out: takes part in the final evaluation only"
            cast.move(session, worker.account_id, "working", reason, cast.at(2, 9))


def _assess_themselves(session: Session, cast: Cast, candidates: Sequence[Worker]) -> None:
    names = [stored for stored, _ in TOPICS]
    for worker in candidates:
        save_self_assessment(
            session,
            project_id=cast.project_id,
            account_id=worker.account_id,
            answers={
                "topics": sorted(worker.chance.sample(names, worker.chance.randint(3, 9))),
                "confidence": worker.chance.randint(3, 7),
                "note": "",
            },
            now=cast.at(1, 6),
        )


def _grade(session: Session, cast: Cast) -> None:
    """Each demonstration is graded once, by either reviewer in turn."""
    written = session.execute(
        select(DemonstrationRow)
        .join(SubmissionRow, SubmissionRow.id == DemonstrationRow.submission_id)
        .join(BatchRow, BatchRow.id == SubmissionRow.batch_id)
        .where(BatchRow.project_id == cast.project_id, BatchRow.purpose == "screening")
        .order_by(SubmissionRow.submitted_at)
    ).scalars()
    for number, row in enumerate(written):
        reviewer = cast.reviewers[number % len(cast.reviewers)]
        prompt = prompts_by_id(session, [row.prompt_id])[row.prompt_id]
        text = Completion(
            id=row.id, prompt_id=prompt.id, text=row.record["text"], checkpoint_id="graded"
        )
        grade_demonstration(
            session,
            demonstration_id=row.id,
            reviewer_id=reviewer.account_id,
            grade=reviewer.labeller.rate(prompt, text).quality,
            now=cast.at(2, number * 0.05),
        )


def _decide(session: Session, cast: Cast, candidates: Sequence[Worker]) -> None:
    """The careless one fails. The cut-offs are soft: the others pass, whatever else is said."""
    project_id = cast.project_id
    only: tuple[Purpose, ...] = ("screening",)
    found = screenings(
        [one.account_id for one in candidates],
        judgements=judgements(session, project_id, purposes=only),
        flags=flag_checks(session, project_id, purposes=only),
        demonstrations=graded_demonstrations(session, project_id, purposes=only),
        assessed=self_assessments(session, project_id),
        settings=_SETTINGS,
    )
    for worker in candidates:
        passed = worker is not cast.careless
        screening = found[worker.account_id]
        decide(
            session,
            project_id=project_id,
            account_id=worker.account_id,
            passed=passed,
            stage="practice" if passed else "excluded",
            criteria=screening.as_seen(),
            reason=_reason(screening, passed=passed),
            by=cast.researcher.account_id,
            now=cast.at(2, 2),
        )


def _reason(screening: Screening, *, passed: bool) -> str:
    below = [one.title.lower() for one in screening.criteria if one.standing == "below"]
    if not below:
        return "All criteria met." if passed else "Too hasty, though no criterion is missed."
    told = f"Below the cut-off in: {', '.join(below)}."
    return f"{told} Near enough to try." if passed else told
