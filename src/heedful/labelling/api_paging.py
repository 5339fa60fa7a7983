"""Lists of the JSON API page by page, in the order in which things came to be.

A page is found by the place after which it begins, not by counting, so that what is added
meanwhile neither repeats nor hides an entry.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import Query
from sqlalchemy import Select, tuple_
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import InstrumentedAttribute

from heedful.labelling.api_models import MOST_A_PAGE, Page, cursor_from, cursor_text

Row = TypeVar("Row")
Out = TypeVar("Out")


class PageQuery:
    """Which page is wanted, from the address."""

    def __init__(
        self,
        after: Annotated[
            str | None, Query(max_length=500, description="`next` of the page before.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_A_PAGE, description="Most entries.")] = 100,
    ) -> None:
        self.after = after
        self.limit = limit


def page_of(
    session: Session,
    query: Select[Row],
    place: tuple[InstrumentedAttribute[Any], InstrumentedAttribute[Any]],
    wanted: PageQuery,
    out: Callable[[Row], Out],
) -> Page[Out]:
    """One page of `query`.

    Args:
        place: The columns of time and id that the list is ordered by.
        out: What an entry looks like.
    """
    after = cursor_from(wanted.after)
    if after is not None:
        types = [column.type for column in place]
        query = query.where(tuple_(*place) > tuple_(*after, types=types))
    rows = session.scalars(query.order_by(*place).limit(wanted.limit + 1)).all()
    shown = rows[: wanted.limit]
    following = None
    if len(rows) > wanted.limit:
        last: Any = shown[-1]
        following = cursor_text(getattr(last, place[0].key), getattr(last, place[1].key))
    return Page(entries=[out(row) for row in shown], next=following)
