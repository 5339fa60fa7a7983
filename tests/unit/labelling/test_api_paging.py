from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from fakes.labelling_store import demo_project, demo_prompt
from heedful.labelling.api_models import Page
from heedful.labelling.api_paging import PageQuery, page_of
from heedful.store.contents import add_prompts
from heedful.store.database import Database
from heedful.store.tables import PromptRow


def page(database: Database, after: str | None, limit: int = 2) -> Page[str]:
    with database.read() as session:
        place = (PromptRow.created_at, PromptRow.id)
        return page_of(
            session, select(PromptRow), place, PageQuery(after, limit), lambda row: row.id
        )


def test_what_is_added_meanwhile_moves_nothing(database: Database, tmp_path: Path) -> None:
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    with database.write() as session:
        demo = demo_project(session, num_prompts=5, now=moment)
    first = page(database, None)
    assert first.entries == ["prompt-1", "prompt-2"]
    with database.write() as session:
        add_prompts(session, demo.id, [demo_prompt("0")])
    second = page(database, first.next)
    assert second.entries == ["prompt-3", "prompt-4"]
    last = page(database, second.next)
    assert (last.entries, last.next) == (["prompt-5", "prompt-0"], None)


def test_a_full_last_page_is_the_last(database: Database) -> None:
    with database.write() as session:
        demo_project(session, num_prompts=4)
    first = page(database, None)
    assert page(database, first.next).next is None
