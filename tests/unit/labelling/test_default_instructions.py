"""The first instructions follow the paper's priorities and render as Markdown."""

from typing import get_args

from heedful.labelling.default_instructions import DEFAULT_INSTRUCTIONS
from heedful.labelling.rendering import markdown
from heedful.store.columns import Purpose


def test_every_purpose_has_a_text_that_renders() -> None:
    assert set(DEFAULT_INSTRUCTIONS) == set(get_args(Purpose))
    for text in DEFAULT_INSTRUCTIONS.values():
        html = markdown(text)
        assert html.startswith("<h2>")
        assert "<ol>" in html
        assert "**" not in html


def test_training_and_evaluation_have_opposite_priorities() -> None:
    assert "Helpfulness comes first" in DEFAULT_INSTRUCTIONS["training"]
    assert "Truth and harmlessness come first" in DEFAULT_INSTRUCTIONS["evaluation"]
    for part in ("far more helpful", "only slightly", "help customers"):
        assert part in DEFAULT_INSTRUCTIONS["evaluation"].replace("\n", " ")
