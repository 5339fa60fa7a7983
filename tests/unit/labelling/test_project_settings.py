"""A project's settings: the paper's cut-offs, and only values that can be."""

import pytest

from heedful.core.errors import DataError
from heedful.labelling.project_settings import (
    ProjectSettings,
    as_stored,
    parse_settings,
    settings_of,
)
from heedful.store.tables import ProjectRow


def test_the_defaults_are_the_papers_cut_offs() -> None:
    settings = settings_of(ProjectRow(id="p", name="P", settings={}))
    assert settings.flag_agreement_cutoff == 0.75
    assert settings.ranking_agreement_cutoff == 0.75
    assert settings.demonstration_cutoff == 6
    assert "upsetting" in settings.content_warning


def test_only_what_differs_is_stored_and_comes_back() -> None:
    settings = ProjectSettings(practice_min_items=3, offer_survey=False)
    stored = as_stored(settings)
    assert stored == {"practice_min_items": 3, "offer_survey": False}
    assert settings_of(ProjectRow(id="p", name="P", settings=stored)) == settings


@pytest.mark.parametrize(
    "values",
    [{"pace_days": 0}, {"demonstration_cutoff": 8}, {"content_warning": ""}, {"unheard_of": 1}],
)
def test_what_cannot_be_is_named(values: dict[str, object]) -> None:
    (name,) = values
    with pytest.raises(DataError, match=name):
        parse_settings(values, where="project 'P'")
