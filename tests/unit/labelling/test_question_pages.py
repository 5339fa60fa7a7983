"""The page where researchers answer labellers' questions."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from fakes.labeller_pages import Pages, labeller_pages
from heedful.store.tables import QuestionRow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with labeller_pages(tmp_path_factory.mktemp("site")) as opened:
        yield opened


def base(pages: Pages) -> str:
    return f"/projects/{pages.life.project.id}/questions"


def question(pages: Pages, login: str) -> QuestionRow:
    with pages.database.read() as session:
        query = select(QuestionRow).where(QuestionRow.account_id == pages.id_of(login))
        return session.scalars(query).one()


def test_waiting_and_answered_questions_are_shown(pages: Pages) -> None:
    text = pages.get("researcher", base(pages)).text
    assert text.index("May two outputs share") < text.index("Whose letter is it?")
    assert "Nine outputs, item 1" in text
    assert "not seen yet" in text


def test_a_question_is_answered_and_corrected(pages: Pages) -> None:
    path = f"/questions/{question(pages, 'ana').id}/answer"
    pages.form("researcher", path, answer=" ")
    assert question(pages, "ana").answer is None
    for words in ("Yes, as many as you like.", "Yes <b>gladly</b>."):
        answer = pages.form("researcher", path, answer=words)
        assert answer.headers["location"].startswith(base(pages))
        assert question(pages, "ana").answer == words
    text = pages.get("researcher", base(pages)).text
    assert "None. Everything is answered." in text
    assert "Yes &lt;b&gt;gladly" in text
    log = pages.get("admin", "/admin/audit?action=question.correct").text
    assert "question.correct" in log


def test_only_researchers_answer(pages: Pages) -> None:
    path = f"/questions/{question(pages, 'bo').id}/answer"
    for login in ("ana", "bo", "reviewer"):
        assert pages.form(login, path, answer="x").status_code in (403, 404)
        assert pages.get(login, base(pages)).status_code in (403, 404)
