"""Pages of the instructions: versions, preview, publishing, what changed."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from fakes.labeller_pages import Pages, labeller_pages
from heedful.labelling.instruction_pages import line_diff
from heedful.store.tables import InstructionsRow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with labeller_pages(tmp_path_factory.mktemp("site")) as opened:
        yield opened


def base(pages: Pages) -> str:
    return f"/projects/{pages.life.project.id}/instructions"


def versions(pages: Pages, purpose: str) -> list[InstructionsRow]:
    with pages.database.read() as session:
        query = select(InstructionsRow).where(InstructionsRow.purpose == purpose)
        return list(session.scalars(query.order_by(InstructionsRow.version)))


def test_every_purpose_is_listed(pages: Pages) -> None:
    text = pages.get("researcher", base(pages)).text
    for words in ("Training", "Final evaluation", "Screening", "Practice", "4 batches"):
        assert words in text


def test_a_text_is_looked_at_then_published(pages: Pages) -> None:
    path = f"{base(pages)}/practice/new"
    (first,) = versions(pages, "practice")
    assert first.text.splitlines()[0] in pages.get("researcher", path).text
    text = first.text + "\n\n## And\n\n<script>alert(1)</script> [x](javascript:alert(1)) **new**"
    shown = pages.form("researcher", path, text=text, action="preview").text
    assert "<strong>new</strong>" in shown
    assert "<script>alert" not in shown
    assert 'javascript:alert(1)"' not in shown
    assert '<p class="add">' in shown
    assert len(versions(pages, "practice")) == 1
    answer = pages.form("researcher", path, text=text, action="publish")
    second = versions(pages, "practice")[-1]
    assert answer.headers["location"] == f"/instructions/{second.id}"
    assert (second.version, second.published_by) == (2, pages.id_of("researcher"))
    page = pages.get("researcher", f"/instructions/{second.id}").text
    assert "What changed since version 1" in page
    assert "What changed" not in pages.get("researcher", f"/instructions/{first.id}").text


def test_nothing_is_published_that_is_empty_or_the_same(pages: Pages) -> None:
    path = f"{base(pages)}/training/new"
    (first,) = versions(pages, "training")
    for text in ("", " \n ", first.text, "x" * 40_001):
        assert pages.form("researcher", path, text=text, action="publish").status_code == 422
    assert len(versions(pages, "training")) == 1


def test_unknown_purposes_and_strangers_find_nothing(pages: Pages) -> None:
    (first,) = versions(pages, "training")
    assert pages.get("researcher", f"{base(pages)}/cooking/new").status_code == 404
    assert pages.get("ana", f"/instructions/{first.id}").status_code in (403, 404)
    assert pages.form("reviewer", f"{base(pages)}/training/new", text="x").status_code == 403


def test_a_diff_leaves_long_unchanged_stretches_out() -> None:
    before = "\n".join(str(number) for number in range(20))
    after = before.replace("\n3\n", "\nthree\n") + "\nend"
    lines = line_diff(before, after)
    assert ("remove", "3") in lines
    assert ("add", "three") in lines
    assert ("add", "end") in lines
    assert ("same", "…") in lines
    assert ("same", "10") not in lines
    assert line_diff(before, before) == []
