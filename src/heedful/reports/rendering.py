"""From the parts of a page to one self-contained HTML text.

The page makes no request and runs no script. What stands on it is the callers'.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from jinja2 import Environment, PackageLoader, StrictUndefined

from heedful.reports.palette import variables
from heedful.reports.view import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that stands on a page, in plain text but for the figures.

    Attributes:
        name: What the page is about, such as a folder.
        title: What came out, in one sentence.
        meaning: One sentence about that.
        simulated_at: The section that says which labels are simulated; None where none are.
        when: Date, seeds, revision.
        hero: What stands beside the title; its own title is not shown.
        absent: What is missing, each with its section; None leaves the list out.
        made_from: As in "made from run directories alone".
    """

    name: str
    title: str
    meaning: str
    when: str
    hero: Section
    sections: Sequence[Section]
    made_from: str
    simulated_at: str | None = None
    absent: Sequence[tuple[Section, str]] | None = None


def to_html(page: Page) -> str:
    """The page; equal pages give equal text."""
    environment = Environment(
        loader=PackageLoader("heedful.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    parts = {field.name: getattr(page, field.name) for field in fields(page)}
    return environment.get_template("report.html.j2").render(**parts, colours=variables())
