"""Evaluation sets, as questions with answers, from files, folders, the hub and lm_eval.

What a row means is told by its columns (`heedful.data.evaluation_formats`). Scoring models
on the sets is the evaluation room's; here they are what training data must not contain.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain, takewhile
from pathlib import Path

from heedful.core.errors import DataError
from heedful.core.jsonl import RowError, read_rows
from heedful.core.records import Record
from heedful.data.evaluation_formats import ASKS_NOTHING, SHAPES, Asked, ReadAsked
from heedful.data.evaluation_tasks import TASK_PREFIX, load_tasks, read_task
from heedful.data.hub import HUB_PREFIX, read_hub_rows
from heedful.data.items import FieldError, Row

_MASK = "[MASK]"
_MIN_LABELLED = 10  # fewer questions may begin alike by chance
_SUFFIXES = re.compile(r"(\.(jsonl|json|csv|tsv|parquet|txt))?(\.gz)?$")


class EvaluationItem(Record):
    """One question of an evaluation set.

    Attributes:
        id: The set's own, else the row's number from 1.
        question: Without a label that all questions of the set begin or end with.
        answers: Every answer that counts as right; none where answers are mere labels.
    """

    id: str
    question: str
    answers: tuple[str, ...] = ()


class EvaluationSet(Record):
    """Questions that a model is scored on.

    Attributes:
        name: Fit for a file name.
        source: The path, `hub:` or `lm_eval:` name it was read from.
    """

    name: str
    source: str
    items: tuple[EvaluationItem, ...]


class NothingAskedError(DataError):
    """A file that lies beside evaluation sets and holds none, such as a table of statistics."""


def read_evaluation_sets(
    source: Path | str, *, skipped: list[str] | None = None
) -> list[EvaluationSet]:
    """The evaluation sets of a file, a folder, `hub:owner/dataset[:split]` or `lm_eval:TASK`.

    A folder is read with its subfolders, whose names then begin the sets' names. A group
    of harness tasks gives a set for each task.

    Args:
        source: See above.
        skipped: Filled with the files of a folder that ask nothing, and why.

    Raises:
        RowError: A row cannot be read.
        DataError: The source is missing, of no known shape, or holds no questions.
    """
    name = str(source)
    if name.startswith(TASK_PREFIX):
        tasks = load_tasks(name)
        return [
            _set(task_name, f"{TASK_PREFIX}{task_name}", read_task(task_name, task))
            for task_name, task in tasks.items()
        ]
    if name.startswith(HUB_PREFIX):
        rows = _asked(Path(name), read_hub_rows(name))
        return [_set(name.removeprefix(HUB_PREFIX), name, rows)]
    path = Path(source)
    if not path.is_dir():
        return [_read_file(path, path.parent)]
    sets = []
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        try:
            sets.append(_read_file(file, path))
        except NothingAskedError as error:
            if skipped is not None:
                skipped.append(error.what)
    if not sets:
        raise DataError(f"{path}: holds no evaluation set", "Check the path.")
    return sets


def _read_file(path: Path, root: Path) -> EvaluationSet:
    asked = _masked_sentences(path) if path.suffix == ".txt" else _asked(path, read_rows(path))
    name = _SUFFIXES.sub("", path.relative_to(root).as_posix())
    return _set(name, str(path), asked)


def _set(name: str, source: str, asked: Iterable[Asked]) -> EvaluationSet:
    """The set of what was read; rows of one id must ask the same and are joined."""
    joined: dict[str, Asked] = {}
    for number, row in enumerate(asked, start=1):
        key = row.id if row.id is not None else str(number)
        known = joined.get(key)
        if known is not None and known.question != row.question:
            raise DataError(
                f"{source}: two questions have the id {key!r}", "Give each question its own id."
            )
        before = () if known is None else known.answers
        joined[key] = Asked(row.question, tuple(dict.fromkeys(before + row.answers)), key)
    if not joined:
        raise DataError(f"{source}: holds no questions", "Check the file.")
    questions = _without_template([row.question for row in joined.values()])
    items = (
        EvaluationItem(id=key, question=question, answers=row.answers)
        for question, (key, row) in zip(questions, joined.items(), strict=True)
    )
    return EvaluationSet(
        name=re.sub(r"[^\w.]+", "-", name).strip("-."), source=source, items=tuple(items)
    )


def _without_template(questions: list[str]) -> list[str]:
    """The questions without the labels that all of them begin or end with.

    "Question:" and a last line "Answer:" stand in no training document that has the bare
    question. A label ends with a colon or a line break, or is a line of its own.
    """
    if len(questions) < _MIN_LABELLED:
        return questions
    before, after = _shared_start(questions), _shared_start([text[::-1] for text in questions])
    begin = max(before.rfind(":"), before.rfind("\n")) + 1
    end = after.rfind("\n") + 1
    bare = [text[begin : len(text) - end].strip() for text in questions]
    return bare if all(bare) else questions


def _shared_start(texts: list[str]) -> str:
    first, last = min(texts), max(texts)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(letter for letter, _ in same)


def _asked(path: Path, rows: Iterator[tuple[int, Row]]) -> Iterator[Asked]:
    first = next(rows, None)
    if first is None:
        return
    read = _reader(path, first[1])
    for line, row in chain([first], rows):
        try:
            yield read(row)
        except FieldError as error:
            raise RowError(path, line, error.field, error.reason) from error
        except KeyError as error:
            raise RowError(path, line, str(error.args[0]), "missing") from error


def _reader(path: Path, row: Row) -> ReadAsked:
    columns = row.keys()
    for telling, reason in ASKS_NOTHING:
        if telling <= columns:
            raise NothingAskedError(f"{path}: asks nothing ({reason})", "Leave this file out.")
    for telling, read in SHAPES.values():
        if telling <= columns:
            return read
    known = "; ".join(f"{name}: {', '.join(sorted(need))}" for name, (need, _) in SHAPES.items())
    raise DataError(
        f"{path}: no known shape of evaluation set has the columns {', '.join(sorted(columns))}",
        f"Rename the columns to those of one of: {known}.",
    )


def _masked_sentences(path: Path) -> Iterator[Asked]:
    """Winograd schemas as blocks of four lines: sentence, mask, candidates, right candidate.

    Which pronoun stood at the mask is not in the file, so it stays.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file", "Check the path.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start + 1}") from error
    block: list[str] = []
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            block.append(line.strip())
        elif block:
            begin = number - len(block)
            if len(block) != 4 or _MASK not in block[0] or block[1] != _MASK:
                raise RowError(
                    path,
                    begin,
                    None,
                    f"expected a sentence with {_MASK}, {_MASK}, two candidates and the right one",
                    "Convert the file to JSONL with the columns question and answer.",
                )
            yield Asked(block[0], (block[3],))
            block = []
