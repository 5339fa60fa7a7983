"""One self-contained HTML page from a folder of runs.

The page makes no request and runs no script; equal inputs give equal bytes. It is made
from files alone: no model is loaded, nothing is measured anew.
"""

from pathlib import Path

from heedful.core.jsonl import write_text_atomic
from heedful.reports import evaluation_sections as evaluation
from heedful.reports import provenance_sections as provenance
from heedful.reports import samples_sections as samples
from heedful.reports import training_sections as training
from heedful.reports.project import Project, read_project
from heedful.reports.rendering import Page, to_html
from heedful.reports.view import Section


def build_report(project_dir: Path, out: Path) -> Path:
    """Write the report of `project_dir` to the file `out` and return its path.

    Args:
        project_dir: A run directory, a folder of run directories, or the folder that the
            quickstart makes. Every part is optional; the page says what is absent.
        out: The HTML file; its folder is made, an older report is replaced.

    Raises:
        DataError: There is nothing to report on, or a file is damaged.
    """
    project = read_project(project_dir)
    hero, sections = evaluation.win_rates(project), _sections(project)
    title, meaning = evaluation.headline(project)
    page = Page(
        name=project.name,
        title=title,
        meaning=meaning,
        simulated_at="labels" if project.simulated else None,
        when=provenance.when_and_where([run.card for run in project.runs]),
        hero=hero,
        sections=sections,
        absent=[(section, text) for section in (hero, *sections) for text in section.missing],
        made_from="run directories",
    )
    write_text_atomic(out, to_html(page))
    return out


def _sections(project: Project) -> list[Section]:
    """What follows the headline, in the order of a reader's questions."""
    found = (
        evaluation.before_and_after(project),
        evaluation.other_results(project),
        samples.side_by_side(project),
        training.learning_curves(project),
        training.reward_model(project),
        samples.training_samples(project),
        provenance.stages(project),
        provenance.cost(project),
        provenance.lineage(project),
        provenance.labels(project),
    )
    return [section for section in found if section is not None]
