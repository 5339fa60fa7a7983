"""Renders a model's own chat template, the way transformers does, in a sandbox.

A template is code that came with a model, so it runs sandboxed, without access to
anything but the messages. Turning the text into ids is `heedful.data.formatting`'s.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn, TypedDict

import jinja2.ext
from jinja2 import TemplateError, nodes
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from heedful.core.errors import DataError

# Some templates state today's date. A prompt must be the same tokens tomorrow, or a
# resumed run would differ from an uninterrupted one; so for them it is always this day.
TEMPLATE_DATE = datetime(2024, 7, 26, tzinfo=UTC)


class Message(TypedDict):
    """One message, as chat templates expect it."""

    role: str
    content: str


class ChatTemplate:
    """A compiled chat template.

    Args:
        source: The Jinja text.
        special_names: What the template may call `eos_token` and so on.
    """

    def __init__(self, source: str, special_names: Mapping[str, str]) -> None:
        self._special_names = dict(special_names)
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_GenerationTag, jinja2.ext.loopcontrols],
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = TEMPLATE_DATE.strftime
        try:
            self._template = environment.from_string(source)
        except TemplateError as error:
            raise DataError(
                f"the chat template is not valid Jinja: {error}",
                "Repair chat_template.jinja beside the tokenizer, or set format.template = "
                '"plain".',
            ) from error

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
        """The text of a conversation.

        Raises:
            DataError: The template refuses the messages (some know no system message).
        """
        try:
            return self._template.render(
                messages=list(messages),
                add_generation_prompt=add_generation_prompt,
                tools=None,
                documents=None,
                **self._special_names,
            )
        except TemplateError as error:
            raise DataError(
                f"the model's chat template refuses the conversation: {error}",
                'Change the prompt, or set format.template = "plain".',
            ) from error


class _GenerationTag(jinja2.ext.Extension):
    """Accepts `{% generation %}` blocks, which mark the assistant's text for transformers."""

    tags = {"generation"}  # noqa: RUF012 (jinja2 declares it as an instance variable)

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as it is; Jinja's own filter would escape it for HTML."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )
