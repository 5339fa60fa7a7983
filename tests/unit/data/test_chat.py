"""The sandboxed chat template."""

import pytest

from heedful.core.errors import DataError
from heedful.data.chat import ChatTemplate

ASK = [{"role": "user", "content": 'say "é" & <b>'}]


def render(source: str) -> str:
    return ChatTemplate(source, {"eos_token": "<e>"}).render(ASK, add_generation_prompt=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ messages[0].content | tojson }}", '"say \\"é\\" & <b>"'),
        ("{{ eos_token }}{{ add_generation_prompt }}", "<e>True"),
        ("{{ strftime_now('%d %b %Y') }}", "26 Jul 2024"),
        ("{% for m in messages %}\n  {% if true %}\nx\n  {% endif %}\n{% endfor %}", "x\n"),
        ("{% for m in [1, 2] %}{% break %}{% endfor %}a", "a"),
        ("{% generation %}{{ messages[0].role }}{% endgeneration %}", "user"),
        ("{% if tools %}t{% else %}n{% endif %}", "n"),
        ("{% set ns = namespace(a=1) %}{% set ns.a = 2 %}{{ ns.a }}", "2"),
    ],
)
def test_what_templates_use(source: str, expected: str) -> None:
    assert render(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('no system role') }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ nothing.at.all }}",
    ],
)
def test_refusals_and_escapes_are_data_errors(source: str) -> None:
    with pytest.raises(DataError, match="refuses the conversation") as caught:
        render(source)
    assert "plain" in str(caught.value.hint)


def test_broken_template() -> None:
    with pytest.raises(DataError, match="not valid Jinja"):
        render("{% for %}")
