"""Harness tasks read through a small task of the harness's shape; nothing is fetched."""

import sys
from types import ModuleType
from typing import Any

import pytest

from heedful.core.errors import DataError
from heedful.data.evaluation_formats import Asked
from heedful.data.evaluation_tasks import load_tasks, read_task


class SmallTask:
    """What `read_task` uses of a harness task."""

    def __init__(self, docs: list[dict[str, Any]]) -> None:
        self.eval_docs = docs

    def doc_to_text(self, doc: dict[str, Any]) -> Any:
        return doc["text"]

    def doc_to_target(self, doc: dict[str, Any]) -> Any:
        return doc["target"]

    def doc_to_choice(self, doc: dict[str, Any]) -> list[str]:
        choices: list[str] = doc["choices"]
        return choices


class Manager:
    """Stands where the harness has its task manager."""


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Puts a package in the harness's place; what is returned are its tasks."""
    tasks: dict[str, Any] = {}

    def get_task_dict(names: list[str], manager: Manager) -> dict[str, Any]:
        assert isinstance(manager, Manager)
        return {name: tasks[name] for name in names}

    module = ModuleType("lm_eval.tasks")
    vars(module).update(get_task_dict=get_task_dict, TaskManager=Manager)
    monkeypatch.setitem(sys.modules, "lm_eval", ModuleType("lm_eval"))
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", module)
    return tasks


def test_questions_and_answers_are_numbered_as_the_harness_logs_them() -> None:
    task = SmallTask(
        [{"text": "How many? ", "target": " four"}, {"text": "Why?", "target": " so."}]
    )
    assert list(read_task("small", task)) == [
        Asked("How many?", ("four",), "0"),
        Asked("Why?", ("so.",), "1"),
    ]


@pytest.mark.parametrize(("target", "answers"), [(1, ("b",)), (["x", "y"], ("x", "y"))])
def test_an_answer_may_be_a_choice_or_a_list(target: Any, answers: tuple[str, ...]) -> None:
    task = SmallTask([{"text": "Which?", "choices": ["a", "b"], "target": target}])
    assert [asked.answers for asked in read_task("small", task)] == [answers]


def test_a_question_may_be_made_of_choices() -> None:
    choices = ["Anna thanked Ida as Anna", "Anna thanked Ida as Ida"]
    task = SmallTask([{"text": 1, "choices": choices, "target": "had helped."}])
    (asked,) = read_task("small", task)
    assert asked.question == "Anna thanked Ida as Ida had helped."


def test_a_document_without_text_is_an_error() -> None:
    with pytest.raises(DataError, match=r"lm_eval:small, document 0: no text"):
        list(read_task("small", SmallTask([{"text": " ", "target": "x"}])))


def test_a_group_gives_its_tasks(harness: dict[str, Any]) -> None:
    first, second = SmallTask([]), SmallTask([])
    harness["group"] = {"one": first, object(): {"two": second}}
    assert load_tasks("lm_eval:group") == {"one": first, "two": second}


def test_an_unknown_task_says_where_to_look(harness: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="nothing") as error:
        load_tasks("lm_eval:nothing")
    assert "lm-eval ls tasks" in str(error.value.hint)


def test_the_harness_is_asked_for_where_it_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    with pytest.raises(DataError, match="lm_eval:rte: reading a task needs the package") as error:
        load_tasks("lm_eval:rte")
    assert "pip install lm-eval" in str(error.value.hint)
