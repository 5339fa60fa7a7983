"""What models are trained on, as documents to hold against evaluation sets.

A completion or demonstration is looked at with its prompt, as the models read it: an
answer says something only near its question.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from heedful.core.errors import DataError
from heedful.core.records import Completion, Demonstration, Prompt
from heedful.data.contamination_records import SourceKind
from heedful.data.corpus import prompt_text


class Document(NamedTuple):
    """One text that a model is trained on.

    `group` is what it shares most of its words with, such as its prompt: a group counts as
    one document where n-grams are called common. A group's documents stand together.
    """

    id: str
    text: str
    group: str


@dataclass(frozen=True, slots=True)
class TrainingSource:
    """A source of documents.

    Attributes:
        name: As the report names it.
        read: Gives the documents, the same ones at every call; they need not fit in memory.
    """

    name: str
    kind: SourceKind
    read: Callable[[], Iterable[Document]]


def of_prompts(name: str, kind: SourceKind, prompts: Sequence[Prompt]) -> TrainingSource:
    """Prompts alone: those that are ranked, or those of PPO."""
    return TrainingSource(
        name, kind, lambda: (Document(p.id, prompt_text(p), p.id) for p in prompts)
    )


def of_answers(
    name: str,
    kind: SourceKind,
    prompts: Sequence[Prompt],
    answers: Sequence[Demonstration] | Sequence[Completion],
) -> TrainingSource:
    """Demonstrations or completions, each after its prompt.

    Raises:
        DataError: An answer's prompt is not given.
    """
    texts = {prompt.id: prompt_text(prompt) for prompt in prompts}
    for answer in answers:
        if answer.prompt_id not in texts:
            raise DataError(
                f"{name}: {answer.id} answers prompt {answer.prompt_id}, which is not given",
                "Pass the prompts of all answers.",
            )
    ordered: list[Demonstration | Completion] = sorted(answers, key=lambda answer: answer.prompt_id)

    def read() -> Iterator[Document]:
        for answer in ordered:
            text = f"{texts[answer.prompt_id]}\n{answer.text}"
            yield Document(answer.id, text, answer.prompt_id)

    return TrainingSource(name, kind, read)


def of_texts(
    name: str, texts: Iterable[str] | Callable[[], Iterable[str]], kind: SourceKind = "pretraining"
) -> TrainingSource:
    """Plain documents, called `name:0`, `name:1` and so on.

    Args:
        name: See `TrainingSource`.
        texts: A list, or a function that reads them anew each time, for files of any size.
        kind: See `TrainingSource`.
    """
    if not callable(texts):
        texts = list(texts)

    def read() -> Iterator[Document]:
        for number, text in enumerate(texts() if callable(texts) else texts):
            yield Document(f"{name}:{number}", text, str(number))

    return TrainingSource(name, kind, read)
