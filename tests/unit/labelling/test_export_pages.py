"""Downloading labels in every form."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from fakes.labeller_pages import Pages, labeller_pages
from heedful.store.tables import AuditRow, ProjectRow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with labeller_pages(tmp_path_factory.mktemp("site")) as opened:
        yield opened


def base(pages: Pages) -> str:
    return f"/projects/{pages.life.project.id}/export"


ALL = {"kinds": ["demonstrations", "rankings", "ratings"], "purposes": "training"}


def test_the_form_says_what_there_is(pages: Pages) -> None:
    text = pages.get("researcher", base(pages)).text
    assert "First rankings (14)" in text
    assert "Nine outputs" not in text
    assert "1 label is left out as excluded" in text


@pytest.mark.parametrize(("form", "suffix"), [("records", ".jsonl"), ("parquet", ".parquet")])
def test_records_come_in_a_zip(pages: Pages, form: str, suffix: str) -> None:
    answer = pages.form("researcher", base(pages), form=form, **ALL)
    assert answer.headers["content-type"] == "application/zip"
    assert "Harbour-pilot" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as opened:
        names = {Path(name).name for name in opened.namelist()}
    assert {f"prompts{suffix}", f"rankings{suffix}", f"demonstrations{suffix}"} <= names


@pytest.mark.parametrize("form", ["stream", "preference", "preference-text"])
def test_lines_come_in_one_file(pages: Pages, form: str) -> None:
    answer = pages.form("researcher", base(pages), form=form, **ALL)
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert len(rows) > 10
    assert ("chosen" in rows[0]) == form.startswith("preference")


def test_batches_and_purposes_are_chosen(pages: Pages) -> None:
    evaluation = pages.life.batches["Final evaluation"].id
    form = {"form": "stream", "kinds": "rankings", "batches": evaluation}
    nothing = pages.form("researcher", base(pages), purposes="training", **form)
    some = pages.form("researcher", base(pages), purposes="evaluation", **form)
    assert nothing.status_code == some.status_code == 200
    assert len(nothing.text.splitlines()) < len(some.text.splitlines())


def test_each_download_is_in_the_audit_log(pages: Pages) -> None:
    pages.form("researcher", base(pages), form="preference", **ALL)
    with pages.database.read() as session:
        query = select(AuditRow).where(AuditRow.action == "project.export")
        line = session.scalars(query.order_by(AuditRow.id.desc())).first()
    assert line is not None
    assert line.account_id == pages.id_of("researcher")
    assert line.detail["preferences"] > 0


def test_a_name_of_the_project_cannot_leave_the_folder(pages: Pages) -> None:
    with pages.database.write() as session:
        session.get_one(ProjectRow, pages.life.project.id).name = '../../"x"\r\nEvil: 1'
    answer = pages.form("researcher", base(pages), form="stream", **ALL)
    assert "Evil" not in answer.headers
    assert ".." not in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"form": "stream", "purposes": "training"}, "Choose at least one kind"),
        ({"form": "stream", "kinds": "rankings"}, "Choose at least one purpose"),
        ({"form": "exe", **ALL}, "choose one of the list"),
        ({"form": "stream", "batches": "batch-elsewhere", **ALL}, "choose from the list"),
    ],
)
def test_what_cannot_be_is_explained(pages: Pages, form: dict[str, str], words: str) -> None:
    answer = pages.form("researcher", base(pages), **form)
    assert answer.status_code == 422
    assert words in answer.text


def test_pseudonyms_need_a_key(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    form = {"form": "stream", "pseudonyms": "yes", **ALL}
    assert "With a secret in HEEDFUL_SALT" in pages.get("researcher", base(pages)).text
    monkeypatch.setenv("HEEDFUL_SALT", "a key of more than sixteen bytes")
    assert "Pseudonyms for labellers" in pages.get("researcher", base(pages)).text
    text = pages.form("researcher", base(pages), **form).text
    assert pages.id_of("ana") not in text
    assert '"labeller_id":"labeller-' in text.replace(": ", ":")


def test_only_researchers_download(pages: Pages) -> None:
    assert pages.form("ana", base(pages), form="stream", **ALL).status_code == 404
    assert pages.form("reviewer", base(pages), form="stream", **ALL).status_code == 403
