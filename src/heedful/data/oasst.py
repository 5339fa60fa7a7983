"""OpenAssistant conversation trees: each prompt with its replies, ranked by people.

Reads the published tree files, and the flat messages of the hub, which it first puts
back together. Deleted messages, those that reviewers refused, and what hangs below
them are left out.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime

from heedful.core.records import Turn
from heedful.data.items import Answer, FieldError, Item, Row, text_field


def read_tree(row: Row, languages: Collection[str] | None = None) -> Iterator[Item]:
    """One item per prompter's message, the path to it as turns, its replies as answers.

    Ranks count from 0 in the data and from 1 here. `languages` keeps messages of these
    languages only (codes as in the data, such as `en`).
    """
    root = row.get("prompt")
    if not isinstance(root, dict):
        raise FieldError("prompt", "expected a message")
    tree = text_field(row, "message_tree_id")
    # Deep conversations must not end in Python's recursion limit.
    waiting: list[tuple[Row, tuple[Turn, ...]]] = [(root, ())]
    while waiting:
        message, path = waiting.pop()
        if not _is_usable(message, languages):
            continue
        replies = [reply for reply in _replies(message) if _is_usable(reply, languages)]
        text = text_field(message, "text")
        role = message.get("role")
        if role == "prompter":
            yield Item(
                instruction=text,
                turns=path,
                answers=tuple(_answer(reply) for reply in replies),
                key=text_field(message, "message_id"),
                author=message.get("user_id"),
                group=tree,
                created_at=_date(message),
                tags=(f"language:{message['lang']}",) if message.get("lang") else (),
            )
        elif role != "assistant":
            raise FieldError("role", "not prompter or assistant")
        said = Turn(role="user" if role == "prompter" else "assistant", text=text)
        waiting += [(reply, (*path, said)) for reply in reversed(replies)]


def trees_of_messages(
    rows: Iterable[tuple[int, Row]], on_bad_field: Callable[[int, FieldError], None]
) -> Iterator[tuple[int, Row]]:
    """Trees from flat messages that name their parents; numbered by their first message."""
    messages: dict[str, tuple[int, Row]] = {}
    for line, row in rows:
        try:
            messages[text_field(row, "message_id")] = (line, {**row, "replies": []})
        except FieldError as error:
            on_bad_field(line, error)
    roots = []
    for line, message in messages.values():
        parent = message.get("parent_id")
        if parent is None:
            roots.append((line, message))
        elif parent in messages:
            messages[parent][1]["replies"].append(message)
        # Else the publishers withheld the parent, as they do with deleted messages.
    for line, root in roots:
        yield line, {"message_tree_id": root.get("message_tree_id"), "prompt": root}


def _is_usable(message: Row, languages: Collection[str] | None) -> bool:
    return (
        not message.get("deleted")
        and message.get("review_result") is not False
        and (languages is None or message.get("lang") in languages)
    )


def _replies(message: Row) -> list[Row]:
    replies = message.get("replies") or []
    if not isinstance(replies, list) or not all(isinstance(reply, dict) for reply in replies):
        raise FieldError("replies", "expected a list of messages")
    return replies


def _answer(reply: Row) -> Answer:
    rank = reply.get("rank")
    if rank is not None and (not isinstance(rank, int | float) or rank < 0 or rank != int(rank)):
        raise FieldError("rank", "expected a count from 0")
    return Answer(
        text=text_field(reply, "text"),
        rank=None if rank is None else int(rank) + 1,
        author=reply.get("user_id"),
        made_by="model" if reply.get("synthetic") else "person",
        model=reply.get("model_name"),
    )


def _date(message: Row) -> datetime | None:
    value = message.get("created_date")
    if not isinstance(value, str):
        return value if isinstance(value, datetime) else None
    try:
        return datetime.fromisoformat(value)
    except ValueError as error:
        raise FieldError("created_date", "not a date") from error
