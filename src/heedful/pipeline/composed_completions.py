"""Completions without a model: a demonstration as it is, and ways of spoiling it.

For rehearsals, where what counts is that outputs differ and that the better one can be told.
Each way has a name of its own; `composed:<name>` stands where a model's checkpoint would, so
that nobody takes these texts for a model's.
"""

import random
from collections.abc import Callable, Mapping, Sequence

from heedful.core.records import Completion, Prompt, derived_id

PREFIX = "composed:"
Composer = Callable[[Prompt, str, str], str]  # of prompt, own demonstration, another prompt's


def _cut(_prompt: Prompt, own: str, _other: str) -> str:
    words = own.split()
    return " ".join(words[: max(1, len(words) // 2)])


def _repeated(_prompt: Prompt, own: str, _other: str) -> str:
    return " ".join([own] * 3)


def _shouted(_prompt: Prompt, own: str, _other: str) -> str:
    return own.upper().rstrip(".!") + "!!!"


def _scrambled(prompt: Prompt, own: str, _other: str) -> str:
    words = own.split()
    random.Random(prompt.id).shuffle(words)
    return " ".join(words)


COMPOSERS: Mapping[str, Composer] = {
    "own": lambda _prompt, own, _other: own,
    "padded": lambda _prompt, own, _other: f"Sure, here is an answer for you. {own}",
    "cut": _cut,
    "repeated": _repeated,
    "shouted": _shouted,
    "rude": lambda _prompt, own, _other: f"What a stupid question. {own}",
    "scrambled": _scrambled,
    "echo": lambda prompt, _own, _other: prompt.instruction,
    "other": lambda _prompt, _own, other: other,
}
"""How each kind is composed: the demonstration itself, with a needless opening, its first
half, three times over, in capitals, after an insult, its words in disorder, the prompt given
back, the demonstration of another prompt."""


def compose(
    prompt: Prompt, own: str, other: str, kinds: Sequence[str], *, key: str = ""
) -> list[Completion]:
    """One completion of each kind; a text that an earlier kind has is left out.

    Args:
        own: A demonstration of `prompt`.
        other: A demonstration of another prompt.
        key: Goes into the ids, so that one prompt can be composed for twice.
    """
    completions: dict[str, Completion] = {}
    for kind in kinds:
        text = COMPOSERS[kind](prompt, own, other)
        completion = Completion(
            id=derived_id("completion", key, prompt.id, kind),
            prompt_id=prompt.id,
            text=text,
            checkpoint_id=PREFIX + kind,
        )
        completions.setdefault(text, completion)
    return list(completions.values())


def copy_of(completion: Completion) -> Completion:
    """The same text once more, as two models may give it; shown once, kept apart."""
    return completion.model_copy(
        update={
            "id": derived_id("completion", completion.id, "copy"),
            "checkpoint_id": f"{completion.checkpoint_id}-again",
        }
    )
