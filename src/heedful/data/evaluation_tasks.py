"""Tasks of lm-evaluation-harness as questions and answers; the package is optional.

The documents a task is scored on (test, else validation) are taken, without few-shot
examples, under the number that the harness's own sample logs call `doc_id`.
"""

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, Protocol

from heedful.core.errors import DataError
from heedful.data.evaluation_formats import Asked

TASK_PREFIX = "lm_eval:"


class Task(Protocol):
    """What is used of `lm_eval.api.task.Task`."""

    @property
    def eval_docs(self) -> Iterable[Any]:
        """The documents that the task is scored on."""
        ...

    def doc_to_text(self, doc: Any) -> Any:
        """The question; for some tasks the number of the choice that precedes the answer."""
        ...

    def doc_to_target(self, doc: Any) -> Any:
        """The right answer, its number among the choices, or a list of either."""
        ...

    def doc_to_choice(self, doc: Any) -> list[str]:
        """The choices; called only where a number refers to them."""
        ...


def load_tasks(name: str) -> dict[str, Task]:
    """The tasks of `lm_eval:TASK`, by name; a group has several.

    Raises:
        DataError: lm-evaluation-harness is not installed, or has no such task, or the
            task's data cannot be had.
    """
    try:
        tasks = import_module("lm_eval.tasks")
    except ImportError as error:
        raise DataError(
            f"{name}: reading a task needs the package `lm_eval`",
            "Install it with: pip install lm-eval. Or give the evaluation set as a file.",
        ) from error
    try:
        found = tasks.get_task_dict([name.removeprefix(TASK_PREFIX)], tasks.TaskManager())
    except (KeyError, ValueError, OSError) as error:
        raise DataError(
            f"{name}: {error}", "Check the name with: lm-eval ls tasks, and the network."
        ) from error
    return dict(_leaves(found))


def read_task(name: str, task: Task) -> Iterator[Asked]:
    """What a task asks.

    Raises:
        DataError: A document gives no text.
    """
    for number, doc in enumerate(task.eval_docs):
        text, target = task.doc_to_text(doc), task.doc_to_target(doc)
        answers = [
            task.doc_to_choice(doc)[answer] if isinstance(answer, int) else str(answer)
            for answer in (target if isinstance(target, list) else [target])
        ]
        if isinstance(text, int):
            # Winogrande's way: the choices are beginnings, the target is their common end.
            text = f"{task.doc_to_choice(doc)[text]} {' '.join(answers)}"
        if not isinstance(text, str) or not text.strip():
            raise DataError(
                f"{TASK_PREFIX}{name}, document {number}: no text", "Leave the task out."
            )
        yield Asked(text.strip(), tuple(answer.strip() for answer in answers), str(number))


def _leaves(found: Mapping[Any, Any]) -> Iterator[tuple[str, Task]]:
    for name, task in found.items():
        if isinstance(task, Mapping):
            yield from _leaves(task)
        else:
            yield str(name), task
