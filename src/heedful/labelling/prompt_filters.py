"""The filters of prompts as forms and addresses have them: an allow-list, read and written."""

from typing import Literal, get_args
from urllib.parse import urlencode

from heedful.core.records import Split, UseCase
from heedful.labelling.form_values import FormReader
from heedful.store.columns import Purpose
from heedful.store.prompt_search import KnownValues, PromptFilter

YesNo = Literal["yes", "no"]
FIELDS = ("text", "source", "split", "use_case", "tag", "sensitive", "written", "unused")
_PURPOSES = get_args(Purpose)


def read_filter(form: FormReader, known: KnownValues, *, min_completions: int = 0) -> PromptFilter:
    """The filter that a form or an address describes; faults go to the reader."""
    return PromptFilter(
        text=form.text("text", "The text", most=200) or None,
        source=form.optional("source", "The source", known.sources),
        split=form.optional("split", "The split", get_args(Split)),
        use_case=form.optional("use_case", "The use case", get_args(UseCase)),
        tag=form.optional("tag", "The tag", known.tags),
        sensitive=_yes_no(form, "sensitive", "Sensitive"),
        written_here=_yes_no(form, "written", "Written here"),
        unused_for=form.optional("unused", "Unused", _PURPOSES),
        min_completions=min_completions,
    )


def filter_query(form: FormReader) -> str:
    """The filter as the query of an address, without what is empty."""
    given = {name: form.raw(name) for name in FIELDS if form.raw(name)}
    return urlencode(given)


def _yes_no(form: FormReader, name: str, label: str) -> bool | None:
    value = form.optional(name, label, get_args(YesNo))
    return None if value is None else value == "yes"
