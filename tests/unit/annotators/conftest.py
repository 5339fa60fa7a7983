"""Prompts and completions made in one line, and real samples of the start model.

`start_model_samples.jsonl` holds what SmolLM2-135M-Instruct wrote at temperature 1 to 40
of the embedded prompts (three times with its chat template, once after the few-shot
prefix), with the demonstration where there is one. It was drawn once and is never redrawn.
"""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from heedful.core.records import Completion, Expectation, FinishReason, Prompt, UseCase, text_hash
from heedful.data.embedded_data import embedded_prompts

SAMPLES = Path(__file__).parent / "start_model_samples.jsonl"

MakePrompt = Callable[..., Prompt]
MakeCompletion = Callable[..., Completion]


@pytest.fixture
def make_prompt() -> MakePrompt:
    """Builds a prompt from an instruction and expectations given as keyword = value."""

    def build(
        instruction: str = "Write one sentence about the sea.",
        *,
        context: str | None = None,
        use_case: UseCase = "generation",
        tags: tuple[str, ...] = (),
        **expectations: str | int | tuple[str, ...] | None,
    ) -> Prompt:
        return Prompt(
            id=f"prompt-{text_hash(instruction, context=context)[:8]}",
            text_hash=text_hash(instruction, context=context),
            instruction=instruction,
            context=context,
            source="customer",
            use_case=use_case,
            user_id="user-1",
            consent=True,
            tags=tags,
            expectations=tuple(Expectation(kind=k, value=v) for k, v in expectations.items()),
        )

    return build


@pytest.fixture
def make_completion() -> MakeCompletion:
    """Builds a completion of a prompt from its text."""

    def build(prompt: Prompt, text: str, finish_reason: FinishReason = "stop") -> Completion:
        return Completion(
            id=f"completion-{text_hash(text)[:8]}",
            prompt_id=prompt.id,
            text=text,
            checkpoint_id="start",
            finish_reason=finish_reason,
        )

    return build


@pytest.fixture(scope="session")
def sampled() -> list[tuple[Prompt, list[Completion]]]:
    """Each sampled prompt with its completions; a demonstration, if any, is the last."""
    prompts = {prompt.id: prompt for prompt in embedded_prompts()}
    by_prompt: dict[str, list[Completion]] = defaultdict(list)
    for line in SAMPLES.read_text(encoding="utf-8").splitlines():
        completion = Completion.model_validate_json(line)
        by_prompt[completion.prompt_id].append(completion)
    return [(prompts[prompt_id], group) for prompt_id, group in by_prompt.items()]
