"""A running site with two projects whose people must not see each other's things.

The first is `labelling_life`'s; the second has `oscar` (researcher), `rita` (reviewer) and
`lou` (labeller). For every path parameter there is one value that names a thing of the first
project; a route with another parameter has to be told about here.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select
from sqlalchemy.orm import Session

from fakes.labelling_life import PASSWORD, Life
from fakes.labelling_site import Site, csrf_of, living_site
from fakes.labelling_store import demo_completion, demo_prompt
from heedful.labelling.app import page_routes
from heedful.labelling.request_paths import PUBLIC, is_api
from heedful.store.access import create_account
from heedful.store.columns import Base, Role
from heedful.store.contents import add_completions, add_prompts
from heedful.store.invites import create_invite
from heedful.store.passwords import hashed
from heedful.store.projects import PURPOSES, add_member, create_project
from heedful.store.sessions import start_session
from heedful.store.tables import (
    AccountRow,
    DemonstrationRow,
    InstructionsRow,
    QuestionRow,
    SubmissionRow,
)
from heedful.store.tokens import create_token

STRANGERS = ("oscar", "rita", "lou")
STAFF_ROLES: dict[str, Role] = {"oscar": "researcher", "rita": "reviewer", "lou": "labeller"}
NOWHERE = "0000000000000000"
# What looking at a page may write: when somebody was seen, and how a task was shown to them.
SEEN = {"sessions": {"last_seen_at"}, "slots": {"lease_token_hash", "lease_expires_at"}}
SHOWN = {"presentations", "login_attempts"}


@dataclass
class World:
    """The site, its people, and a value for every path parameter.

    Attributes:
        own: Things of the first project, by the name of the path parameter.
        tokens: Of invites and programs, to look for in answers.
    """

    site: Site
    life: Life
    other_project: str
    own: dict[str, str]
    tokens: dict[str, str]
    clients: dict[str, httpx.Client] = field(default_factory=dict)
    csrf: dict[str, str] = field(default_factory=dict)

    def client(self, login: str | None) -> httpx.Client:
        """The browser of somebody, signed in once."""
        key = login or ""
        if key not in self.clients:
            self.clients[key] = self.site.client(login)
            self.csrf[key] = csrf_of(self.clients[key].get("/settings" if login else "/login").text)
        return self.clients[key]

    def send(self, who: str | None, method: str, path: str, /, **form: Any) -> httpx.Response:
        """A request as the browser of `who` would make it from our own pages."""
        client = self.client(who)
        headers = {"Origin": self.site.url, "Accept": "text/html"}
        if method == "GET":
            return client.get(path, headers=headers, params=form or None)
        body = {"csrf_token": self.csrf[who or ""], **form}
        return client.request(method, path, data=body, headers=headers)

    def routes(self, *, api: bool = False) -> Iterator[tuple[str, str]]:
        """(method, path template) of every route that is not public."""
        for route in page_routes(self.site.app):
            path = str(route.path)
            if path not in PUBLIC and is_api(path) == api:
                for method in sorted(set(route.methods or ()) - {"HEAD"}):
                    yield method, path

    def fill(self, template: str, value: Callable[[str], str] | None = None) -> str:
        """A path with a thing of the first project, or what `value` gives, in each place."""
        path = template
        for name in parameters(template):
            if name not in self.own:
                raise KeyError(f"{template}: tell tests/fakes/label_world.py of `{name}`")
            path = path.replace(f"{{{name}}}", value(name) if value else self.own[name])
        return path

    def nowhere(self, template: str) -> str:
        """A path to things that do not exist."""
        return self.fill(template, lambda name: f"{self.own[name].partition('-')[0]}-{NOWHERE}")

    def fingerprint(self) -> dict[str, str]:
        """A hash of each table's contents, to see that nothing changed."""
        prints = {}
        with self.site.database.read() as session:
            for table in Base.metadata.sorted_tables:
                if table.name in SHOWN:
                    continue
                columns = [c for c in table.columns if c.name not in SEEN.get(table.name, ())]
                rows = session.execute(select(*columns).order_by(*table.primary_key)).all()
                text = json.dumps([list(row) for row in rows], default=str)
                prints[table.name] = hashlib.sha256(text.encode()).hexdigest()
        return prints

    def secrets(self) -> set[str]:
        """Every hash in the database and every token given out: none may stand on a page."""
        found = set(self.tokens.values())
        with self.site.database.read() as session:
            for table in Base.metadata.sorted_tables:
                for column in table.columns:
                    if column.name.endswith("_hash") and table.name != "prompts":
                        found |= {value for value in session.scalars(select(column)) if value}
        return found

    def close(self) -> None:
        for client in self.clients.values():
            client.close()


def parameters(template: str) -> list[str]:
    """The names of a path's parameters."""
    return [part.partition("}")[0].partition(":")[0] for part in template.split("{")[1:]]


@contextmanager
def attacked_world(folder: Path, **settings: Any) -> Iterator[World]:
    """The world, running."""
    with living_site(folder, **settings) as site:
        assert site.life is not None
        with site.database.write() as session:
            other = _second_project(session)
            own, tokens = _things(session, site.life)
        world = World(site, site.life, other, own, tokens)
        try:
            # Signing in writes, and tests compare what was written.
            for login in (None, *site.life.people, *STRANGERS):
                world.client(login)
            yield world
        finally:
            world.close()


def _second_project(session: Session) -> str:
    project = create_project(
        session,
        name="Lighthouse",
        instructions=dict.fromkeys(PURPOSES, "Be fair."),
        created_by=None,
    )
    ready = hashed(PASSWORD, login="nobody")
    for login, role in STAFF_ROLES.items():
        account = create_account(session, login=login, name=login, role=role, password=ready)
        add_member(session, project_id=project.id, account_id=account.id, stage="working")
    prompt = demo_prompt("elsewhere")
    add_prompts(session, project.id, [prompt])
    add_completions(session, project.id, [demo_completion(prompt, n) for n in (1, 2)])
    return project.id


def _things(session: Session, life: Life) -> tuple[dict[str, str], dict[str, str]]:
    """One thing of the first project for each path parameter, and the tokens made for it."""
    ana = life.people["ana"]
    demonstrations = life.batches["Demonstrations"].id
    submission = session.scalars(
        select(SubmissionRow).where(
            SubmissionRow.account_id == ana.id, SubmissionRow.batch_id == demonstrations
        )
    ).first()
    assert submission is not None
    written = session.scalars(
        select(DemonstrationRow).where(DemonstrationRow.submission_id == submission.id)
    ).one()
    asked = session.scalars(select(QuestionRow).where(QuestionRow.account_id == ana.id)).first()
    assert asked is not None
    rules = session.scalars(
        select(InstructionsRow).where(InstructionsRow.project_id == life.project.id)
    ).first()
    assert rules is not None
    admin: AccountRow = life.people["admin"]
    invite, link = create_invite(
        session, role="labeller", project_id=life.project.id, created_by=admin.id
    )
    token, text = create_token(session, account_id=admin.id, name="export", scopes=["labels:read"])
    elsewhere, _ = start_session(session, admin.id, age=timedelta(days=1))
    own = {
        "project_id": life.project.id,
        "batch_id": demonstrations,
        "item_id": submission.item_id,
        "submission_id": submission.id,
        "demonstration_id": written.id,
        "account_id": ana.id,
        "prompt_id": life.prompts["tides"].id,
        "question_id": asked.id,
        "instructions_id": rules.id,
        "invite_id": invite.id,
        "session_id": elsewhere.id,
        "token_id": token.id,
        "token": link,
        "purpose": "training",
    }
    return own, {"invite": link, "program": text}
