"""A labeller's start page, taking tasks, keys."""

from collections.abc import Iterator

import pytest

from fakes.labeller_pages import Pages, labeller_pages
from heedful.store.tables import AccountRow, MemberRow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with labeller_pages(tmp_path_factory.mktemp("work")) as opened:
        yield opened


def test_the_start_page_says_what_waits_and_how_it_goes(pages: Pages) -> None:
    page = pages.get("cleo", "/work").text
    assert "Harbour pilot" in page
    assert "Working" in page
    assert "waiting:" in page
    assert "Next task" in page
    assert 'tile-value">7<' in page
    assert "Answer the labeller survey" in page


def test_what_is_begun_can_be_continued(pages: Pages) -> None:
    page = pages.get("ana", "/work").text
    assert "Continue: rate and rank" in page


def test_a_new_answer_is_announced_until_it_is_read(pages: Pages) -> None:
    assert "question of yours has" in pages.get("bo", "/work").text
    assert "Address it to them" in pages.get("bo", "/work/questions").text
    assert "question of yours has" not in pages.get("bo", "/work").text


def test_screening_is_explained(pages: Pages) -> None:
    page = pages.get("dee", "/work").text
    assert "being screened" in page
    assert "Answer the self-assessment" in page
    assert "Screening, version 1" in page
    assert "Training, version" not in page


def test_a_held_out_labeller_hears_of_evaluation_alone(pages: Pages) -> None:
    page = pages.get("eve", "/work").text
    assert "Final evaluation, version 1" in page
    assert "Training" not in page


@pytest.mark.parametrize(
    ("stage", "words"), [("practice", "practising"), ("paused", "paused"), ("excluded", "ended")]
)
def test_every_stage_is_explained(pages: Pages, stage: str, words: str) -> None:
    key = (pages.life.project.id, pages.id_of("eve"))
    with pages.database.write() as session:
        session.get_one(MemberRow, key).stage = stage
    assert words in pages.get("eve", "/work").text
    with pages.database.write() as session:
        session.get_one(MemberRow, key).stage = "working"


def test_taking_a_task_continues_the_one_begun(pages: Pages) -> None:
    first = pages.form("cleo", "/work/next", project_id=pages.life.project.id)
    assert first.status_code == 303
    assert first.headers["location"].startswith("/work/items/")
    again = pages.form("cleo", "/work/next")
    assert again.headers["location"] == first.headers["location"]


def test_where_nothing_waits_one_is_told(pages: Pages) -> None:
    with pages.database.write() as session:
        key = (pages.life.project.id, pages.id_of("eve"))
        session.get_one(MemberRow, key).stage = "paused"
    assert pages.form("eve", "/work/next").headers["location"] == "/work"
    assert pages.form("cleo", "/work/next", project_id="no-such").headers["location"] == "/work"


def test_the_session_says_who_is_here(pages: Pages) -> None:
    found = pages.get("cleo", "/work/session", accept="application/json").json()
    assert found["account"] == pages.id_of("cleo")
    assert len(found["csrf"]) == 64
    pages.client.cookies.clear()
    answer = pages.client.get("/work/session", headers={"Accept": "application/json"})
    assert answer.status_code == 401


def test_keys_are_changed_switched_off_and_put_back(pages: Pages) -> None:
    assert 'value="Space"' in pages.get("ana", "/work/shortcuts").text
    changed = {"on": "yes", "key-next": "l", "key-read": "Space"}
    assert pages.form("ana", "/work/shortcuts", **changed).status_code == 303
    page = pages.get("ana", "/work/shortcuts").text
    assert 'name="key-next" value="l"' in page
    assert "normally j" in page
    assert pages.form("ana", "/work/shortcuts", **{"key-next": "l"}).status_code == 303
    with pages.database.read() as session:
        stored = session.get_one(AccountRow, pages.id_of("ana")).preferences["shortcuts"]
    assert stored == {"on": False, "keys": {"next": "l"}}
    back = {"on": "yes", "reset": "yes", "key-next": "l"}
    assert pages.form("ana", "/work/shortcuts", **back).status_code == 303
    assert 'name="key-next" value="j"' in pages.get("ana", "/work/shortcuts").text


def test_keys_that_clash_are_shown_with_the_reason(pages: Pages) -> None:
    refused = pages.form("ana", "/work/shortcuts", **{"on": "yes", "key-next": "5"})
    assert refused.status_code == 422
    assert "digits rate and place" in refused.text
    assert 'name="key-next" value="5"' in refused.text
