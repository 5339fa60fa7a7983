"""The version follows whatever agreement is computed from, and nothing else."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from fakes.label_answers import hand_in
from fakes.labelling_store import DemoProject, demo_batch, demo_completion, demo_project
from heedful.store.access import set_name, set_role
from heedful.store.batches import ItemSpec, create_batch
from heedful.store.contents import add_completions
from heedful.store.database import Database
from heedful.store.drafts import save_draft
from heedful.store.label_versions import label_version
from heedful.store.labels import exclude, include_again
from heedful.store.presentations import present
from heedful.store.projects import set_stage
from heedful.store.slots import claim_next
from heedful.store.survey_records import save_survey
from heedful.store.tables import ItemRow, SubmissionRow

ONE, TWO = "account-labeller1", "account-labeller2"


@pytest.fixture
def demo(database: Database) -> DemoProject:
    """Both labellers ranked the first prompt; three are left."""
    with database.write() as session:
        demo = demo_project(session)
        demo_batch(session, demo, overlap=2)
        for account in (ONE, TWO):
            send(session, demo, account)
    return demo


def send(session: Session, _demo: DemoProject, account: str = ONE) -> None:
    claim = claim_next(session, account)
    assert claim is not None
    present(session, account, claim.item_id)
    hand_in(session, account, claim.item_id, token=claim.token)


def first_label(session: Session) -> list[str]:
    return [session.scalars(select(SubmissionRow.id).order_by(SubmissionRow.id)).all()[0]]


def adjudicate(session: Session, demo: DemoProject) -> None:
    item = session.scalars(select(ItemRow).order_by(ItemRow.place)).all()[0]
    spec = ItemSpec(item.prompt_id, item.completion_ids, adjudicates=item.id)
    create_batch(
        session,
        project_id=demo.id,
        name="Decide",
        kind="adjudication",
        purpose="training",
        items=[spec],
    )


def survey(session: Session, demo: DemoProject) -> None:
    save_survey(session, project_id=demo.id, account_id=ONE, answers={"gender": "man"}, linked=True)


CHANGES: list[Callable[[Session, DemoProject], object]] = [
    send,
    lambda session, _: exclude(session, first_label(session), reason="no", by=None),
    lambda session, _: set_name(session, account_id=ONE, name="Another", by=None),
    lambda session, _: set_role(session, account_id=ONE, role="reviewer", by=None),
    lambda session, demo: set_stage(
        session, project_id=demo.id, account_id=ONE, stage="paused", by=None, reason="x"
    ),
    adjudicate,
    survey,
]


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_what_counts_changes_it(database: Database, demo: DemoProject, number: int) -> None:
    with database.write() as session:
        before = label_version(session, demo.id)
        CHANGES[number](session, demo)
        session.flush()
        assert label_version(session, demo.id) != before


def test_one_label_in_place_of_another_changes_it(database: Database, demo: DemoProject) -> None:
    with database.write() as session:
        one, other = session.scalars(select(SubmissionRow.id).order_by(SubmissionRow.id)).all()
        exclude(session, [one], reason="no", by=None)
        session.flush()
        before = label_version(session, demo.id)
        include_again(session, [one], reason="yes", by=None)
        exclude(session, [other], reason="no", by=None)
        session.flush()
        assert label_version(session, demo.id) != before


def test_work_in_hand_leaves_it(database: Database, demo: DemoProject) -> None:
    with database.write() as session:
        before = label_version(session, demo.id)
        claim = claim_next(session, ONE)
        assert claim is not None
        present(session, ONE, claim.item_id)
        save_draft(session, ONE, claim.item_id, {"half": "done"}, 0)
        add_completions(session, demo.id, [demo_completion(demo.prompts[0], 8)])
        other = demo_project(session, name="Other")
        demo_batch(session, other)
        send(session, other, "account-labeller1-other")
        session.flush()
        assert label_version(session, demo.id) == before
