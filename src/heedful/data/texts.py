"""Plain documents for the pretraining mix: text files, and rows with a text column."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from heedful.core.errors import DataError
from heedful.core.jsonl import RowError, read_rows
from heedful.data.hub import HUB_PREFIX, read_hub_rows

_COLUMNS = ("text", "content")
_FORM_FEED = "\f"


def load_texts(path: Path | str, *, separator: str | None = None) -> list[str]:
    r"""The documents of a file, of every file in a folder, or of `hub:owner/dataset[:split]`.

    A .txt file is cut at each `separator` (`"\\n\\n"`: a blank line); without one, at form
    feeds, so that a file which has none is one document. Every other file has a column
    `text` or `content`, one document a row. Blank documents are left out.

    Raises:
        DataError: Nothing is there, or a row has no text.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file())
        texts = [text for file in files for text in _documents(file, separator)]
    else:
        texts = list(_documents(path, separator))
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise DataError(f"{path}: holds no text", "Check the path.")
    return texts


def cut_passages(texts: Iterable[str], num_characters: int) -> list[str]:
    """Cut texts into passages of at most `num_characters`, after white space where there is some.

    Nothing is lost: the passages of a text joined are the text.
    """
    passages = []
    for text in texts:
        start = 0
        while start < len(text):
            end = start + num_characters
            if end < len(text):
                end = max(text.rfind(" ", start, end), text.rfind("\n", start, end)) + 1 or end
            passages.append(text[start:end])
            start = end
    return passages


def _documents(path: Path, separator: str | None) -> Iterator[str]:
    if path.suffix == ".txt":
        yield from _read(path).split(_FORM_FEED if separator is None else separator)
        return
    is_hub = str(path).startswith(HUB_PREFIX)
    column: str | None = None
    for line, row in read_hub_rows(str(path)) if is_hub else read_rows(path):
        if column is None:
            column = next((name for name in _COLUMNS if name in row), None)
        if column is None:
            found = ", ".join(row)
            raise DataError(
                f"{path}: no column `text` or `content` (found {found})",
                "Rename the column that holds the text.",
            )
        text = row.get(column)
        if not isinstance(text, str):
            raise RowError(path, line, column, f"expected text, found {type(text).__name__}")
        yield text


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}", "Give a text file in UTF-8.") from error
