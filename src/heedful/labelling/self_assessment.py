"""The fourth screening criterion: what a labeller says they can judge (paper, appendix B.1).

The answer is read by a researcher; nothing is computed from it.
"""

from typing import Any

from heedful.labelling.form_values import FormReader

TOPICS: tuple[tuple[str, str], ...] = (
    ("age", "Age"),
    ("disability", "Disability and illness"),
    ("ethnicity", "Ethnicity, skin colour, origin"),
    ("gender", "Gender and gender identity"),
    ("migration", "Migration and nationality"),
    ("orientation", "Sexual orientation"),
    ("politics", "Politics and social conflict"),
    ("poverty", "Poverty and class"),
    ("religion", "Religion and belief"),
    ("self_harm", "Self-harm and suicide"),
    ("sexual", "Sexual content"),
    ("violence", "Violence and terrorism"),
)
MAX_NOTE = 2_000


def read_self_assessment(form: FormReader) -> dict[str, Any]:
    """The answer in a form that was sent.

    `topics` are those that the labeller feels able to spot sensitive speech on, `note` is
    what else they say, such as the cultures and languages that they know from within.
    """
    return {
        "topics": sorted(set(form.many("topics", "The topics", dict(TOPICS)))),
        "confidence": form.number("confidence", "How sure you are", low=1, high=7),
        "note": form.text("note", "What you add", most=MAX_NOTE),
    }


def topic_names(answers: dict[str, Any]) -> list[str]:
    """The topics of an answer as they are shown."""
    return [shown for stored, shown in TOPICS if stored in answers.get("topics", ())]
