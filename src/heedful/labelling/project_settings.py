"""What researchers may set in a project beside its name and pay rate: cut-offs and habits.

Kept as JSON in `projects.settings`; what is not there has its default, so that a project
made before a setting existed keeps working. What the numbers decide is done by the
modules that judge (`screening`, `gate`); nothing here decides about a person.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from heedful.core.errors import DataError
from heedful.store.tables import ProjectRow


class ProjectSettings(BaseModel):
    """The settings of one project; the cut-offs are soft: a researcher decides.

    Attributes:
        flag_agreement_cutoff: Least agreement with the gold flags of sensitive content
            (screening criterion 1; the paper's is 75 %).
        ranking_agreement_cutoff: Least agreement with the gold rankings (criterion 2; 75 %).
        demonstration_cutoff: Least mean grade of the demonstrations, 1 to 7 (criterion 3; 6).
        screening_min_pairs: Gold pairs below which criterion 2 is called undecided.
        practice_min_items: Practice items to finish before the gate opens.
        practice_agreement_cutoff: Least agreement with the gold rankings of practice.
        content_warning: Shown before a sensitive item; plain text.
        offer_survey: Offer the optional labeller survey.
        pace_days: Days back that the forecast takes the present pace from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    flag_agreement_cutoff: float = Field(default=0.75, ge=0, le=1)
    ranking_agreement_cutoff: float = Field(default=0.75, ge=0, le=1)
    demonstration_cutoff: float = Field(default=6.0, ge=1, le=7)
    screening_min_pairs: int = Field(default=20, ge=1, le=10_000)
    practice_min_items: int = Field(default=5, ge=0, le=1_000)
    practice_agreement_cutoff: float = Field(default=0.75, ge=0, le=1)
    content_warning: str = Field(
        default=(
            "The next item may contain violent, sexual, hateful or otherwise upsetting text. "
            "You may pass it on without giving a reason, and you can ask in your settings "
            "never to be given such items."
        ),
        min_length=1,
        max_length=2_000,
    )
    offer_survey: bool = True
    pace_days: int = Field(default=7, ge=1, le=90)


def settings_of(project: ProjectRow) -> ProjectSettings:
    """The settings of `project`.

    Raises:
        DataError: What is stored is not such settings (a newer program wrote it, perhaps).
    """
    return parse_settings(project.settings, where=f"project {project.name!r}")


def parse_settings(values: dict[str, Any], *, where: str = "settings") -> ProjectSettings:
    """Settings from plain values, as stored or as a form sends them.

    Raises:
        DataError: The first value that cannot be, by name.
    """
    try:
        return ProjectSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{where}, `{name}`: {first['msg']}", "Correct that value.") from error


def as_stored(settings: ProjectSettings) -> dict[str, Any]:
    """What goes into `projects.settings`: only what differs from the defaults."""
    return settings.model_dump(mode="json", exclude_defaults=True)
