"""A person leaves a project in the middle of its life; its pages, imports and API go on."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from fakes.api_site import api_site
from fakes.labeller_pages import Pages, labeller_pages
from fakes.labelling_store import demo_project
from heedful.data.pseudonyms import Key
from heedful.labelling.exports import ExportOptions, stream_export
from heedful.labelling.imports import ImportOptions, read_import, store_import
from heedful.labelling.withdrawal import records_in, withdraw_from
from heedful.store.database import Database
from heedful.store.labels import exclude
from heedful.store.projects import publish_instructions
from heedful.store.tables import (
    AuditRow,
    Base,
    BatchRow,
    InstructionsRow,
    ItemRow,
    PromptRow,
    SubmissionRow,
)

ILSE = "user-ilse-1234"
SAID = "two high tides on most days"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Ilse asked about the tides; an exclusion and the instructions quote her; she left."""
    with labeller_pages(tmp_path_factory.mktemp("site")) as opened:
        life, database = opened.life, opened.database
        prompt = life.prompts["tides"]
        with database.write() as session:
            session.get_one(PromptRow, prompt.id).record = prompt.model_copy(
                update={"user_id": ILSE}
            ).model_dump(mode="json")
            sent = session.scalars(
                select(SubmissionRow).join(ItemRow, ItemRow.id == SubmissionRow.item_id)
            ).all()
            exclude(session, [sent[0].id], reason=f"See “{prompt.instruction}”", by=None)
            publish_instructions(
                session,
                project_id=life.project.id,
                purpose="training",
                text=f"# How to label\n\nBe kind.\n\n> {prompt.instruction.upper()}\n\nBe fair.",
                published_by=None,
            )
        assert any(SAID in str(one) for one in records_in(database, ILSE))
        told = withdraw_from(database, ILSE)
        assert told.removed["prompts"] == 1
        assert told.removed["labels"] >= 3
        assert told.cleaned >= 3
        yield opened


def test_nothing_of_them_is_left(pages: Pages) -> None:
    with pages.database.read() as session:
        rows = [
            list(row)
            for table in Base.metadata.sorted_tables
            for row in session.execute(select(table))
        ]
        held = json.dumps(rows, default=str, ensure_ascii=False)
        assert SAID.lower() not in held.lower()
        assert ILSE not in held
        newest = session.scalars(
            select(InstructionsRow.text).order_by(InstructionsRow.published_at.desc())
        ).first()
        assert newest is not None
        assert "Be kind." in newest
        assert "Be fair." in newest
        project = pages.life.project.id
        lines = b"".join(stream_export(session, project, ExportOptions())).decode()
        assert SAID not in lines
        assert '"end"' in lines
    path = pages.database.path
    assert path is not None
    for file in path.parent.iterdir():
        assert SAID.encode() not in file.read_bytes(), file


def test_every_page_still_answers(pages: Pages) -> None:
    with pages.database.read() as session:
        items = session.scalars(select(ItemRow)).all()
        sent = session.scalars(select(SubmissionRow)).all()
        batches = session.scalars(select(BatchRow.id)).all()
    assert any(one.is_withdrawn for one in items)
    project = f"/projects/{pages.life.project.id}"
    for path in (
        *(f"/items/{one.id}" for one in items),
        *(f"/submissions/{one.id}" for one in sent),
        *(f"/batches/{one}" for one in batches),
        *(f"{project}{path}" for path in ("", "/agreement", "/audit", "/labellers", "/questions")),
        *(f"{project}/labellers/{pages.id_of(login)}" for login in ("ana", "dee")),
        *(f"{project}/screening/{pages.id_of(login)}" for login in ("ana", "dee")),
    ):
        assert pages.get("researcher", path).status_code == 200, path
    mine = [one for one in sent if one.account_id == pages.id_of("ana")]
    for path in ("/work", "/work/history", *(f"/work/history/{one.item_id}" for one in mine)):
        assert pages.get("ana", path).status_code == 200, path


def test_it_is_said_where_something_is_missing(pages: Pages) -> None:
    with pages.database.read() as session:
        gone = session.scalars(
            select(SubmissionRow).where(SubmissionRow.account_id == pages.id_of("ana"))
        ).all()
        (label,) = [one for one in gone if one.is_withdrawn and one.batch_id == first(pages)]
    assert "Your time still counts." in pages.get("ana", f"/work/history/{label.item_id}").text
    text = pages.get("researcher", f"/submissions/{label.id}").text
    assert "cannot count again" in text
    assert "Include again" not in text
    assert "withdrew their consent" in pages.get("researcher", f"/items/{label.item_id}").text
    assert "Withdrawn by its author" in pages.get("researcher", f"/batches/{label.batch_id}").text


def first(pages: Pages) -> str:
    return pages.life.batches["First rankings"].id


def test_the_log_says_what_was_removed_and_not_of_whom(pages: Pages) -> None:
    with pages.database.read() as session:
        counted = session.scalars(
            select(AuditRow).where(AuditRow.action == "project.withdraw")
        ).one()
        assert counted.detail["prompts"] == 1
    text = pages.get("admin", "/admin/audit").text
    assert "person.withdraw" in text
    assert "people:" not in text


def test_a_later_import_leaves_them_out(database: Database, tmp_path: Path) -> None:
    key = Key(b"a key of at least sixteen bytes")
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
    rows = [
        {"schema_version": 1, "id": f"prompt-{who}", "text_hash": "x", "instruction": f"Of {who}?"}
        | {"source": "ours", "user_id": who, "consent": True}
        for who in ("ilse@example.org", "jan@example.org")
    ]
    rows += [
        {"schema_version": 1, "id": f"completion-{who}", "prompt_id": f"prompt-{who}"}
        | {"text": "So.", "checkpoint_id": "model"}
        for who in ("ilse@example.org", "jan@example.org")
    ]
    folder = tmp_path / "records"
    folder.mkdir()
    for kind, some in (("prompts", rows[:2]), ("completions", rows[2:])):
        lines = (json.dumps(row) + "\n" for row in some)
        (folder / f"{kind}.jsonl").write_text("".join(lines))
    told = withdraw_from(database, "ilse@example.org", key=key)
    assert "nothing of theirs was found; their withdrawal is registered" in told.lines()[0]
    read = read_import(folder, ImportOptions())
    with database.write() as session:
        imported = store_import(session, demo.id, read, by=None)
        assert session.get(PromptRow, "prompt-jan@example.org") is not None
        assert session.get(PromptRow, "prompt-ilse@example.org") is None
    assert imported.withdrawn == 2
    assert "people withdrew: 2 records" in imported.lines()[-1]


def test_programs_cannot_bring_them_back(tmp_path: Path) -> None:
    with api_site(tmp_path) as site:
        headers = site.token(site.project.demo.admin.id)
        body = {"prompts": [{"instruction": "Me again.", "consent": True, "user_id": ILSE}]}
        withdraw_from(site.database, ILSE)
        answer = site.client.post(f"{site.base}/prompts", headers=headers, json=body).json()
        assert (answer["new"], answer["withdrawn"], answer["ids"]) == (0, 1, [])


def test_accounts_that_stay_are_named(database: Database) -> None:
    with database.write() as session:
        demo_project(session)
    told = withdraw_from(database, "account-labeller1").lines()
    assert any("the account `labeller1` is theirs and stays" in line for line in told)
    assert "backups made before now are not reached" in told[-1]
