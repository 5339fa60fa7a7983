"""What models are trained on, as documents."""

from collections.abc import Callable

import pytest

from heedful.core.errors import DataError
from heedful.core.records import Completion, Demonstration, Prompt
from heedful.data.training_documents import Document, of_answers, of_prompts, of_texts

MakePrompt = Callable[..., Prompt]


def test_prompts_are_documents_of_all_their_parts(make_prompt: MakePrompt) -> None:
    source = of_prompts(
        "asked", "ppo_prompts", [make_prompt("Sum it up.", context="A text.", id="p")]
    )
    assert list(source.read()) == [Document("p", "A text.\nSum it up.", "p")]
    assert list(source.read()) == list(source.read())


def test_answers_follow_their_prompts_and_those_of_a_prompt_stand_together(
    make_prompt: MakePrompt,
) -> None:
    prompts = [make_prompt("One", id="p1"), make_prompt("Two", id="p2")]
    completions = [
        Completion(id=f"c{number}", prompt_id=prompt, text=f"answer {number}", checkpoint_id="m")
        for number, prompt in enumerate(["p2", "p1", "p2"])
    ]
    documents = list(of_answers("ranked", "completions", prompts, completions).read())
    assert documents == [
        Document("c1", "One\nanswer 1", "p1"),
        Document("c0", "Two\nanswer 0", "p2"),
        Document("c2", "Two\nanswer 2", "p2"),
    ]


def test_an_answer_without_its_prompt_is_refused(make_prompt: MakePrompt) -> None:
    written = Demonstration(id="d", prompt_id="lost", text="x", labeller_id="l", made_by="person")
    with pytest.raises(DataError, match="d answers prompt lost, which is not given"):
        of_answers("written", "demonstrations", [make_prompt("One")], [written])


def test_texts_are_numbered_and_may_be_read_anew() -> None:
    documents = [Document("mix:0", "a", "0"), Document("mix:1", "b", "1")]
    assert list(of_texts("mix", ["a", "b"]).read()) == documents
    source = of_texts("mix", lambda: iter(["a", "b"]))
    assert source.kind == "pretraining"
    assert [list(source.read()) for _ in range(2)] == [documents, documents]
    once = of_texts("mix", iter(["a", "b"]))
    assert [list(once.read()) for _ in range(2)] == [documents, documents]
