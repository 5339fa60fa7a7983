"""Filters of prompts: an allow-list, the same in forms and addresses."""

from heedful.labelling.form_values import query_reader
from heedful.labelling.prompt_filters import filter_query, read_filter
from heedful.store.prompt_search import KnownValues, PromptFilter

KNOWN = KnownValues(
    sources=["hh"], splits=["train"], use_cases=["chat"], tags=["a&b"], checkpoints=[("m", 1)]
)


def test_every_filter_is_read_and_written() -> None:
    values = {
        "text": "a b",
        "source": "hh",
        "split": "train",
        "use_case": "chat",
        "tag": "a&b",
        "sensitive": "no",
        "written": "yes",
        "unused": "training",
    }
    query = query_reader(**values)
    assert read_filter(query, KNOWN, min_completions=2) == PromptFilter(
        text="a b",
        source="hh",
        split="train",
        use_case="chat",
        tag="a&b",
        sensitive=False,
        written_here=True,
        unused_for="training",
        min_completions=2,
    )
    assert query.errors == {}
    assert filter_query(query) == (
        "text=a+b&source=hh&split=train&use_case=chat&tag=a%26b&sensitive=no&written=yes"
        "&unused=training"
    )


def test_nothing_asks_nothing_and_strange_values_are_refused() -> None:
    assert read_filter(query_reader(), KNOWN) == PromptFilter()
    strange = query_reader(source="id; DROP", tag="zz", sensitive="perhaps", unused="x")
    assert read_filter(strange, KNOWN).text is None
    assert set(strange.errors) == {"source", "tag", "sensitive", "unused"}
