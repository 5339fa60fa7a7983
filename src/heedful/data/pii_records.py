"""Masks personal data in prompts, demonstrations and completions, and counts what it masked.

A prompt with its demonstrations and completions is one group with one numbering, so that an
answer that repeats the prompt's e-mail address has the prompt's placeholder. Ids, users and
organisations are pseudonyms already and stay as they are.
"""

import multiprocessing
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from heedful.core.records import Completion, Demonstration, Expectation, Prompt, text_hash
from heedful.data.pii import Detector, Masker, PersonalDataReport
from heedful.data.pii_addresses import address_detector
from heedful.data.pii_names import name_detector
from heedful.data.pii_patterns import pattern_detector
from heedful.data.pii_presidio import PresidioDetector

_GROUPS_A_TASK = 256


def default_detectors() -> list[Detector]:
    """The house's detectors; `docs/personal-data.md` says what they find and miss."""
    return [PresidioDetector(), pattern_detector(), address_detector(), name_detector()]


@dataclass(frozen=True, slots=True)
class Group:
    """A prompt and its answers; `prompt` is None where the answers' prompt is not at hand."""

    prompt: Prompt | None = None
    demonstrations: Sequence[Demonstration] = ()
    completions: Sequence[Completion] = ()


@dataclass(frozen=True, slots=True)
class MaskedRecords:
    """Records in the order given, and what was masked in them."""

    prompts: list[Prompt]
    demonstrations: list[Demonstration]
    completions: list[Completion]
    report: PersonalDataReport


def mask_group(
    group: Group, masker: Masker, *, key: bytes = b""
) -> tuple[Group, PersonalDataReport]:
    """Mask one group.

    Args:
        key: Of the prompt's `text_hash`, which is taken anew from the masked text.
    """
    prompt = group.prompt
    sizes = [len(_prompt_texts(prompt))] if prompt is not None else []
    texts = _prompt_texts(prompt) if prompt is not None else []
    texts += [answer.text for answer in group.demonstrations]
    texts += [answer.text for answer in group.completions]
    masked = masker.mask(texts)
    sizes += [1] * (len(group.demonstrations) + len(group.completions))
    report = _report(masked.counts, sizes)
    if report.num_with == 0:
        return group, report
    rest = list(masked.texts)
    if prompt is not None:
        prompt = _with_texts(prompt, rest[: sizes[0]], key)
        rest = rest[sizes[0] :]
    demonstrations = [
        record if record.text == text else record.model_copy(update={"text": text})
        for record, text in zip(group.demonstrations, rest, strict=False)
    ]
    completions = [
        # The tokens that were counted are not those of the masked text.
        record
        if record.text == text
        else record.model_copy(update={"text": text, "num_tokens": None})
        for record, text in zip(group.completions, rest[len(demonstrations) :], strict=True)
    ]
    return Group(prompt, demonstrations, completions), report


def mask_records(
    prompts: Sequence[Prompt],
    masker: Masker,
    *,
    demonstrations: Sequence[Demonstration] = (),
    completions: Sequence[Completion] = (),
    key: bytes = b"",
    processes: int = 1,
    on_progress: Callable[[int], None] | None = None,
) -> MaskedRecords:
    """Mask records, each prompt together with its answers; order is kept.

    Args:
        processes: Above 1, groups are spread over as many processes; the masker must pickle.
        on_progress: Called with the number of prompts that were masked since the last call.
    """
    groups = _groups(prompts, demonstrations, completions)
    if processes > 1:
        masked = _in_processes(groups, masker, key, processes)
    else:
        masked = (mask_group(group, masker, key=key) for group in groups)
    by_prompt: dict[str, Prompt] = {}
    by_demonstration: dict[str, Demonstration] = {}
    by_completion: dict[str, Completion] = {}
    reports = []
    for group, report in masked:
        if group.prompt is not None:
            by_prompt[group.prompt.id] = group.prompt
        by_demonstration.update((record.id, record) for record in group.demonstrations)
        by_completion.update((record.id, record) for record in group.completions)
        reports.append(report)
        if on_progress is not None and group.prompt is not None:
            on_progress(1)
    return MaskedRecords(
        prompts=[by_prompt[prompt.id] for prompt in prompts],
        demonstrations=[by_demonstration[record.id] for record in demonstrations],
        completions=[by_completion[record.id] for record in completions],
        report=PersonalDataReport.total(reports),
    )


def _groups(
    prompts: Sequence[Prompt],
    demonstrations: Sequence[Demonstration],
    completions: Sequence[Completion],
) -> list[Group]:
    of_prompt: dict[str, list[Demonstration]] = defaultdict(list)
    completed: dict[str, list[Completion]] = defaultdict(list)
    for demonstration in demonstrations:
        of_prompt[demonstration.prompt_id].append(demonstration)
    for completion in completions:
        completed[completion.prompt_id].append(completion)
    groups = [
        Group(prompt, of_prompt.pop(prompt.id, ()), completed.pop(prompt.id, ()))
        for prompt in prompts
    ]
    orphans = dict.fromkeys([*of_prompt, *completed])
    return groups + [Group(None, of_prompt.get(id_, ()), completed.get(id_, ())) for id_ in orphans]


def _prompt_texts(prompt: Prompt) -> list[str]:
    """Every text that the prompt's author wrote, in reading order."""
    texts = [turn.text for turn in prompt.turns]
    texts += [text for example in prompt.examples for text in (example.prompt, example.completion)]
    texts += [prompt.context or "", prompt.instruction]
    return texts + [text for item in prompt.expectations for text in _expected(item)]


def _expected(expectation: Expectation) -> tuple[str, ...]:
    value = expectation.value
    if isinstance(value, str):
        return (value,)
    return value if isinstance(value, tuple) else ()


def _with_texts(prompt: Prompt, texts: Sequence[str], key: bytes) -> Prompt:
    """The prompt with other texts, in the order of `_prompt_texts`."""
    if list(texts) == _prompt_texts(prompt):
        return prompt
    rest = iter(texts)
    turns = tuple(turn.model_copy(update={"text": next(rest)}) for turn in prompt.turns)
    examples = tuple(
        example.model_copy(update={"prompt": next(rest), "completion": next(rest)})
        for example in prompt.examples
    )
    context = next(rest) or prompt.context
    instruction = next(rest)
    expectations = tuple(
        item.model_copy(update={"value": _renewed(item, rest)}) for item in prompt.expectations
    )
    return prompt.model_copy(
        update={
            "turns": turns,
            "examples": examples,
            "context": context,
            "instruction": instruction,
            "expectations": expectations,
            "text_hash": text_hash(
                instruction, context=context, examples=examples, turns=turns, key=key
            ),
        }
    )


def _renewed(expectation: Expectation, texts: Iterator[str]) -> str | int | tuple[str, ...] | None:
    value = expectation.value
    if isinstance(value, str):
        return next(texts)
    return tuple(next(texts) for _ in value) if isinstance(value, tuple) else value


def _report(counts: Sequence[Mapping[str, int]], sizes: Sequence[int]) -> PersonalDataReport:
    """One record for each size, which is its number of texts."""
    total, num_with, place = Counter[str](), 0, 0
    for size in sizes:
        found = Counter[str]()
        for of_text in counts[place : place + size]:
            found.update(of_text)
        num_with += bool(found)
        total += found
        place += size
    return PersonalDataReport(
        num_records=len(sizes), num_with=num_with, counts=dict(sorted(total.items()))
    )


def _in_processes(
    groups: Sequence[Group], masker: Masker, key: bytes, processes: int
) -> Iterator[tuple[Group, PersonalDataReport]]:
    # A forked copy of a process with threads may hang, so each starts afresh.
    context = multiprocessing.get_context("spawn")
    tasks = [
        (groups[start : start + _GROUPS_A_TASK], masker, key)
        for start in range(0, len(groups), _GROUPS_A_TASK)
    ]
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        for masked in pool.map(_mask_task, tasks):
            yield from masked


def _mask_task(
    task: tuple[Sequence[Group], Masker, bytes],
) -> list[tuple[Group, PersonalDataReport]]:
    groups, masker, key = task
    return [mask_group(group, masker, key=key) for group in groups]
