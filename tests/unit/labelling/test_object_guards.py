"""Who may see which thing of a project: each guard, each kind of person."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import Request
from sqlalchemy import select

from fakes.labelling_life import Life, live
from heedful.core.errors import NotAllowedError
from heedful.labelling.guards import NotFoundError, Viewer
from heedful.labelling.object_guards import (
    account_access,
    batch_access,
    demonstration_access,
    instructions_access,
    invite_access,
    item_access,
    member_access,
    own_item,
    prompt_access,
    question_access,
    submission_access,
)
from heedful.store.access import create_account
from heedful.store.database import Database, open_database
from heedful.store.invites import create_invite
from heedful.store.projects import PURPOSES, add_member, create_project
from heedful.store.tables import (
    AccountRow,
    DemonstrationRow,
    InstructionsRow,
    MemberRow,
    QuestionRow,
    SubmissionRow,
)

ALLOWED, REFUSED, HIDDEN = "allowed", "refused", "hidden"
GUARDS: dict[str, Callable[..., Any]] = {
    "batch": batch_access(),
    "item": item_access(),
    "own item": own_item,
    "submission": submission_access(),
    "own submission": submission_access("labeller"),
    "demonstration": demonstration_access(),
    "member": member_access(),
    "account": account_access(),
    "prompt": prompt_access(),
    "question": question_access(),
    "own question": question_access("labeller"),
    "instructions": instructions_access(),
    "invite": invite_access(),
    "invite without a project": invite_access(),
}
# admin, researcher, reviewer, ana (whose work it is), bo, a stranger who is a researcher.
TABLE = {
    "batch": (ALLOWED, ALLOWED, REFUSED, HIDDEN, HIDDEN, HIDDEN),
    "item": (ALLOWED, ALLOWED, REFUSED, HIDDEN, HIDDEN, HIDDEN),
    "own item": (HIDDEN, HIDDEN, HIDDEN, ALLOWED, HIDDEN, HIDDEN),
    "submission": (ALLOWED, ALLOWED, ALLOWED, HIDDEN, HIDDEN, HIDDEN),
    "own submission": (ALLOWED, ALLOWED, ALLOWED, ALLOWED, HIDDEN, HIDDEN),
    "demonstration": (ALLOWED, ALLOWED, ALLOWED, HIDDEN, HIDDEN, HIDDEN),
    "member": (ALLOWED, ALLOWED, REFUSED, HIDDEN, HIDDEN, HIDDEN),
    "account": (ALLOWED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED),
    "prompt": (ALLOWED, ALLOWED, REFUSED, HIDDEN, HIDDEN, HIDDEN),
    "question": (ALLOWED, ALLOWED, REFUSED, HIDDEN, HIDDEN, HIDDEN),
    "own question": (ALLOWED, ALLOWED, ALLOWED, ALLOWED, HIDDEN, HIDDEN),
    "instructions": (ALLOWED, ALLOWED, ALLOWED, ALLOWED, ALLOWED, HIDDEN),
    "invite": (ALLOWED, ALLOWED, REFUSED, HIDDEN, HIDDEN, HIDDEN),
    "invite without a project": (ALLOWED, HIDDEN, HIDDEN, HIDDEN, HIDDEN, HIDDEN),
}
# FastAPI hands these the ids by name; the others read them off the request.
BY_NAME = {"own item", "member", "account", "invite", "invite without a project"}
PEOPLE = ("admin", "researcher", "reviewer", "ana", "bo", "oscar")


@dataclass
class Place:
    request: Request
    people: dict[str, AccountRow]
    ids: dict[str, dict[str, str]]

    def outcome(self, name: str, login: str, ids: dict[str, str]) -> tuple[str, str]:
        """What a guard says, and the words in which it refuses."""
        viewer = Viewer(account=self.people[login])
        try:
            named = ids if name in BY_NAME else {}
            self.request.path_params = ids  # type: ignore[misc]
            GUARDS[name](self.request, viewer, **named)
        except NotFoundError as error:
            return HIDDEN, str(error)
        except NotAllowedError as error:
            return REFUSED, str(error)
        return ALLOWED, ""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("objects")
    with open_database(f"sqlite:///{folder / 'labels.db'}", migrate=True) as database:
        with database.write() as session:
            life = live(session)
            other = create_project(
                session,
                name="Other",
                instructions=dict.fromkeys(PURPOSES, "Be fair."),
                created_by=None,
            )
            oscar = create_account(session, login="oscar", name="Oscar", role="researcher")
            add_member(session, project_id=other.id, account_id=oscar.id)
        app = SimpleNamespace(state=SimpleNamespace(database=database))
        request = cast(Request, SimpleNamespace(app=app))
        yield Place(request, {**life.people, "oscar": oscar}, _ids(database, life))


def _ids(database: Database, life: Life) -> dict[str, dict[str, str]]:
    ana = life.people["ana"].id
    with database.write() as session:
        batch = life.batches["Demonstrations"]
        mine = select(SubmissionRow).where(SubmissionRow.account_id == ana)
        submission = session.scalars(mine.where(SubmissionRow.batch_id == batch.id)).first()
        assert submission is not None
        demonstration = session.scalars(
            select(DemonstrationRow).where(DemonstrationRow.submission_id == submission.id)
        ).one()
        question = session.scalars(select(QuestionRow).where(QuestionRow.account_id == ana)).one()
        rules = session.scalars(
            select(InstructionsRow).where(InstructionsRow.project_id == life.project.id)
        ).first()
        assert rules is not None
        invite, _ = create_invite(
            session, role="labeller", project_id=life.project.id, created_by=None
        )
        general, _ = create_invite(session, role="admin", created_by=None)
    work = {"item_id": submission.item_id}
    sent = {"submission_id": submission.id}
    return {
        "batch": {"batch_id": batch.id},
        "item": work,
        "own item": work,
        "submission": sent,
        "own submission": sent,
        "demonstration": {"demonstration_id": demonstration.id},
        "member": {"project_id": life.project.id, "account_id": ana},
        "account": {"account_id": ana},
        "prompt": {"prompt_id": life.prompts["tides"].id},
        "question": {"question_id": question.id},
        "own question": {"question_id": question.id},
        "instructions": {"instructions_id": rules.id},
        "invite": {"invite_id": invite.id},
        "invite without a project": {"invite_id": general.id},
    }


@pytest.mark.parametrize("name", GUARDS)
def test_who_may_see_it(place: Place, name: str) -> None:
    found = tuple(place.outcome(name, login, place.ids[name])[0] for login in PEOPLE)
    assert found == TABLE[name]


@pytest.mark.parametrize("name", GUARDS)
def test_what_is_hidden_reads_as_if_it_did_not_exist(place: Place, name: str) -> None:
    nothing = {key: f"{value.partition('-')[0]}-none" for key, value in place.ids[name].items()}
    for login, expected in zip(PEOPLE, TABLE[name], strict=True):
        said = place.outcome(name, login, nothing)
        assert said[0] == (REFUSED if name == "account" and login != "admin" else HIDDEN)
        if expected == HIDDEN:
            assert place.outcome(name, login, place.ids[name]) == said


def test_nobody_grades_their_own_demonstration(place: Place) -> None:
    database: Database = place.request.app.state.database
    with database.write() as session:
        ana = session.get_one(AccountRow, place.people["ana"].id)
        ana.role = "researcher"
    place.people["ana as researcher"] = ana
    said = place.outcome("demonstration", "ana as researcher", place.ids["demonstration"])
    with database.write() as session:
        session.get_one(AccountRow, ana.id).role = "labeller"
    assert said[0] == HIDDEN


def test_who_left_a_project_has_no_items_in_it(place: Place) -> None:
    database: Database = place.request.app.state.database
    with database.write() as session:
        row = session.scalars(
            select(MemberRow).where(MemberRow.account_id == place.people["ana"].id)
        ).one()
        session.delete(row)
    said = place.outcome("own item", "ana", place.ids["own item"])
    with database.write() as session:
        add_member(session, project_id=row.project_id, account_id=row.account_id)
    assert said[0] == HIDDEN
