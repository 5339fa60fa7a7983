"""One self-contained HTML page from the run folder of a data room.

Made from files alone: nothing is read again from the sources, nothing is measured anew.
Equal folders give equal bytes. A stage that has not run is left out.
"""

from collections.abc import Collection
from pathlib import Path

from heedful.core.jsonl import write_text_atomic
from heedful.reports import data_flow_sections as flow
from heedful.reports import data_overlap_sections as overlap
from heedful.reports.data_distribution_sections import distribution
from heedful.reports.data_run import DataRun, quoting_only, read_data_run
from heedful.reports.rendering import Page, to_html
from heedful.reports.view import Section


def build_data_report(
    run_dir: Path, out: Path, *, quote_only: Collection[str] | None = None
) -> Path:
    """Write the report of a data room's run to the file `out` and return its path.

    Args:
        run_dir: The `run.dir` of `heedful data prepare`.
        out: The HTML file; its folder is made, an older report is replaced.

        quote_only: Sources (`Prompt.source`) whose prompts may be quoted, for a page that leaves
            the house; everything else is named by its id. All is quoted where left out.

    Raises:
        DataError: No stage has run there, or a file is damaged.
    """
    run = read_data_run(run_dir)
    if quote_only is not None:
        run = quoting_only(run, quote_only)
    title, meaning = flow.headline(run)
    simulated = run.distribution is not None and any(
        data.simulated for data in run.distribution.sets
    )
    page = Page(
        name=run.name,
        title=title,
        meaning=meaning,
        simulated_at="distribution" if simulated else None,
        when="",
        hero=flow.hero(run),
        sections=_sections(run),
        made_from="the files of a data room's run",
    )
    write_text_atomic(out, to_html(page))
    return out


def _sections(run: DataRun) -> list[Section]:
    """In the order in which prompts meet the stages."""
    found = (
        flow.dropped(run),
        flow.personal_data(run),
        overlap.duplicates(run),
        flow.caps(run),
        overlap.split(run),
        overlap.contamination(run),
        distribution(run.distribution),
        flow.lineage(run),
    )
    return [section for section in found if section is not None]
