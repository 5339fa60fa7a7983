"""Tasks over HTTP: drafts, leases, sending once, skipping, asking; plain forms and scripts."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from fakes.labeller_pages import Pages, labeller_pages
from heedful.core.records import Prompt
from heedful.store.tables import (
    AccountRow,
    DemonstrationRow,
    PresentationRow,
    PromptRow,
    RankingRow,
    RatingRow,
    SkipRow,
    SlotRow,
    SubmissionRow,
)

_DATA = re.compile(r'<script type="application/json" id="\w+-data">(.*?)</script>', re.DOTALL)


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    with labeller_pages(tmp_path) as opened:
        yield opened


def data_of(html: str) -> dict[str, Any]:
    found = _DATA.search(html)
    assert found, html[:2000]
    data: dict[str, Any] = json.loads(found.group(1))
    return data


def whole_answer(data: dict[str, Any]) -> dict[str, Any]:
    letters = [card["letter"] for card in data["cards"]]
    return {
        "ranks": {letter: rank for rank, letter in enumerate(letters, start=1)},
        "quality": dict.fromkeys(letters, 4),
    }


def count(pages: Pages, table: Any, **where: Any) -> int:
    with pages.database.read() as session:
        query = select(func.count()).select_from(table).filter_by(**where)
        return session.scalar(query) or 0


def test_the_board_is_told_the_task_and_nothing_else(pages: Pages) -> None:
    path = pages.take("cleo", "Nine outputs")
    page = pages.get("cleo", path)
    assert page.status_code == 200
    assert "noscript" in page.text
    data = data_of(page.text)
    assert [card["letter"] for card in data["cards"]] == list("ABCDEFGHI")
    assert data["token"]
    for secret in ("model-", "completion-", '"gold"', "checkpoint"):
        assert secret not in page.text


def test_no_text_breaks_out_of_the_data(pages: Pages) -> None:
    path = pages.take("cleo", "Nine outputs")
    attack = "</script><script>alert(1)</script>"
    pages.script("cleo", f"{path}/draft", {"body": {"at": {"letter": attack}}, "base_revision": 0})
    page = pages.get("cleo", path)
    assert attack not in page.text
    assert data_of(page.text)["body"]["at"]["letter"] == attack


def test_work_is_sent_once_however_often_it_arrives(pages: Pages) -> None:
    path = pages.take("cleo", "Nine outputs")
    data = data_of(pages.get("cleo", path).text)
    body = {"answer": whole_answer(data), "token": data["token"], "seconds_spent": 61.5}
    first = pages.script("cleo", f"{path}/submit", body)
    assert first.json()["status"] == "accepted"
    again = pages.script("cleo", f"{path}/submit", body)
    assert again.json() == {**first.json(), "repeated": True}
    with pages.database.read() as session:
        mine = SubmissionRow.id == first.json()["submission_id"]
        row = session.scalars(select(SubmissionRow).where(mine)).one()
        assert row.seconds_spent == 61.5
    assert count(pages, RankingRow, submission_id=row.id) == 1
    assert count(pages, RatingRow, submission_id=row.id) == 9
    sent = pages.get("cleo", path)
    assert sent.status_code == 303
    assert sent.headers["location"] == path.replace("items", "history")


def test_unfinished_work_is_refused_with_what_is_missing(pages: Pages) -> None:
    path = pages.take("cleo", "Nine outputs")
    answer = whole_answer(data_of(pages.get("cleo", path).text))
    del answer["ranks"]["C"]
    refused = pages.script("cleo", f"{path}/submit", {"answer": answer})
    assert refused.status_code == 422
    assert "Still in the tray: C" in refused.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{",
        "null",
        '{"answer": 1}',
        "{}",
        '{"answer": {"ranks": NaN}}',
        '{"answer":' + "[" * 5000 + "]" * 5000 + "}",
    ],
)
def test_what_is_no_answer_is_refused(pages: Pages, body: str) -> None:
    path = pages.take("cleo", "Nine outputs")
    assert pages.script("cleo", f"{path}/submit", body).status_code == 422


def test_drafts_are_kept_by_revision(pages: Pages) -> None:
    path = pages.take("cleo", "Nine outputs")
    mine, theirs = {"quality": {"A": 5}}, {"quality": {"A": 2}}
    saved = pages.script("cleo", f"{path}/draft", {"body": mine, "base_revision": 0})
    assert saved.json() == {"revision": 1}
    late = pages.script("cleo", f"{path}/draft", {"body": theirs, "base_revision": 0})
    assert late.status_code == 409
    assert (late.json()["revision"], late.json()["body"]) == (1, mine)
    assert data_of(pages.get("cleo", path).text)["body"] == mine


@pytest.mark.parametrize(
    "body",
    [{"body": 1, "base_revision": 0}, {"body": {}}, {"body": {}, "base_revision": True}, {}],
)
def test_what_is_no_draft_is_refused(pages: Pages, body: dict[str, Any]) -> None:
    path = pages.take("cleo", "Nine outputs")
    assert pages.script("cleo", f"{path}/draft", body).status_code == 422


def test_a_draft_keeps_what_databases_do_not_store_out(pages: Pages) -> None:
    path = pages.take("cleo", "Demonstrations")
    body = '{"body": {"fields": {"text": "a\\u0000b \\ud83d"}}, "base_revision": 0}'
    assert pages.script("cleo", f"{path}/draft", body).status_code == 200
    page = pages.get("cleo", f"{path}?show=yes").text
    assert data_of(page)["body"] == {"fields": {"text": "ab ?"}}


def test_after_sending_drafts_and_heartbeats_are_told_so(pages: Pages) -> None:
    path = pages.take("cleo", "Nine outputs")
    data = data_of(pages.get("cleo", path).text)
    pages.script("cleo", f"{path}/submit", {"answer": whole_answer(data)})
    draft = pages.script("cleo", f"{path}/draft", {"body": {}, "base_revision": 0})
    beat = pages.script("cleo", f"{path}/heartbeat", {"token": data["token"]})
    assert (draft.status_code, beat.status_code) == (410, 410)


def test_heartbeats_count_time_and_tell_a_lost_lease(pages: Pages) -> None:
    path = pages.take("cleo", "Nine outputs")
    token = data_of(pages.get("cleo", path).text)["token"]
    kept = pages.script("cleo", f"{path}/heartbeat", {"token": token, "active_seconds": 0})
    assert "lease_expires_at" in kept.json()
    assert pages.script("cleo", f"{path}/heartbeat", {"token": "other"}).status_code == 409
    for seconds in ("long", -1, 1e9):
        body = {"token": token, "active_seconds": seconds}
        assert pages.script("cleo", f"{path}/heartbeat", body).status_code == 422


def test_skipping_needs_a_reason_and_frees_the_slot(pages: Pages) -> None:
    path = pages.take("cleo", "Nine outputs")
    assert pages.form("cleo", f"{path}/skip", reason="bored").status_code == 422
    assert pages.form("cleo", f"{path}/skip", reason="unclear", note="Which?").status_code == 303
    item_id = path.rpartition("/")[2]
    with pages.database.read() as session:
        row = session.get_one(SkipRow, (item_id, pages.id_of("cleo")))
        assert (row.reason, row.note) == ("unclear", "Which?")
    assert count(pages, SlotRow, item_id=item_id, labeller_id=pages.id_of("cleo")) == 0


def sensitive_task(pages: Pages) -> str:
    """Take cleo to the demonstration of a sensitive prompt."""
    for _ in range(6):
        path = pages.take("cleo", "Demonstrations")
        page = pages.get("cleo", path)
        if "Sensitive content" in page.text:
            return path
        pages.form("cleo", f"{path}/skip", reason="other")
    raise AssertionError("no sensitive task came")


def test_sensitive_text_comes_after_a_warning(pages: Pages) -> None:
    path = sensitive_task(pages)
    warned = pages.get("cleo", path)
    assert "rude customer" not in warned.text
    item = path.rpartition("/")[2]
    assert count(pages, PresentationRow, item_id=item, account_id=pages.id_of("cleo")) == 0
    assert "rude customer" in pages.get("cleo", f"{path}?show=yes").text
    assert "rude customer" in pages.get("cleo", path).text  # once seen, no second warning


def test_one_can_opt_out_at_the_warning(pages: Pages) -> None:
    path = sensitive_task(pages)
    done = pages.form("cleo", f"{path}/skip", reason="sensitive", avoid="yes")
    assert done.status_code == 303
    with pages.database.read() as session:
        assert session.get_one(AccountRow, pages.id_of("cleo")).avoids_sensitive


def test_a_question_leaves_the_work_as_it_is(pages: Pages) -> None:
    path = pages.take("cleo", "Nine outputs")
    asked = pages.script("cleo", f"{path}/question", {"text": "Is a tie fine?"})
    assert "sent" in asked.json()["said"]
    assert pages.form("cleo", f"{path}/question", text="And plain?").headers["location"] == path
    page = pages.get("cleo", path).text
    assert "Is a tie fine?" in page
    assert "And plain?" in page
    assert pages.form("cleo", f"{path}/question", text=" ").status_code == 422


def test_a_demonstration_is_written_without_scripts(pages: Pages) -> None:
    path = pages.take("cleo", "Demonstrations")
    pages.get("cleo", f"{path}?show=yes")
    empty = pages.form("cleo", f"{path}/submit", text="  ")
    assert empty.status_code == 422
    assert "Write the answer before you send it." in empty.text
    assert pages.form("cleo", f"{path}/submit", text="Dear\r\nneighbour").status_code == 303
    with pages.database.read() as session:
        texts = [row.record["text"] for row in session.scalars(select(DemonstrationRow))]
    assert "Dear\nneighbour" in texts


def test_prompts_of_every_kind_are_written_without_scripts(pages: Pages) -> None:
    written = {
        "Write a prompt<": {"instruction": "Sum <b>this</b> up.", "context": "Long."},
        "with examples": {
            "instruction": "Name the mood.",
            "pair_prompt": ["Hooray", "Alas"],
            "pair_completion": ["glad", "sad"],
        },
        "for a use case": {"instruction": "What goes with leeks?", "sensitive": "yes"},
    }
    kinds = []
    for _ in range(3):
        path = pages.take("cleo", "New prompts")
        page = pages.get("cleo", path).text
        kind = next(words for words in written if words in page.replace(" <span", "<span"))
        kinds.append(kind)
        done = pages.form("cleo", f"{path}/submit", **written[kind])
        assert done.status_code == 303, done.text[:3000]
    assert sorted(kinds) == sorted(written)
    with pages.database.read() as session:
        mine = PromptRow.author_id == pages.id_of("cleo")
        rows = session.scalars(select(PromptRow).where(mine)).all()
    prompts = [Prompt.model_validate(row.record) for row in rows]
    assert sorted(prompt.source for prompt in prompts) == [
        "labeller:few_shot",
        "labeller:few_shot",
        "labeller:plain",
        "labeller:user_based",
    ]
    assert [row.sensitive for row in rows].count(True) == 1


def test_a_pair_can_be_added_without_scripts(pages: Pages) -> None:
    for _ in range(3):
        path = pages.take("cleo", "New prompts")
        if "Pair 1" in pages.get("cleo", path).text:
            break
        pages.form("cleo", f"{path}/skip", reason="other")
    more = pages.form(
        "cleo",
        f"{path}/submit",
        instruction="Keep me",
        pair_prompt=["One?", "", ""],
        pair_completion=["1", "", ""],
        more="yes",
    )
    assert more.status_code == 200
    assert "Pair 4" in more.text
    assert "Keep me" in more.text
    assert "One?" in more.text
    assert count(pages, SubmissionRow, account_id=pages.id_of("cleo"), made_by="person") == 7


def test_nobody_reaches_the_task_of_another(pages: Pages) -> None:
    path = pages.take("cleo", "Demonstrations")
    pages.get("cleo", path)
    assert pages.get("ana", path).status_code == 404
    for action in ("draft", "heartbeat", "submit", "question"):
        body = {"body": {}, "base_revision": 0, "answer": {"text": "x"}, "text": "x"}
        assert pages.script("ana", f"{path}/{action}", body).status_code == 404
    assert pages.form("ana", f"{path}/skip", reason="other").status_code == 404
