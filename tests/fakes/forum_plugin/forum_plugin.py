"""What a forum adds to Heedful's data room: its posts, a dedup policy, a detector."""

import re
from collections.abc import Iterator
from typing import Any

from heedful.data.corpus import Corpus, Link
from heedful.data.items import Answer, Item, text_field
from heedful.data.pii import Span


def read_post(row: dict[str, Any]) -> Iterator[Item]:
    """A post with the replies to it, the one with the most votes first."""
    replies = sorted(row.get("replies") or [], key=lambda reply: -reply["votes"])
    yield Item(
        instruction=text_field(row, "post"),
        author=text_field(row, "member"),
        answers=tuple(
            Answer(text=text_field(reply, "text"), rank=rank)
            for rank, reply in enumerate(replies, start=1)
        ),
    )


FORUM = (frozenset({"post", "member"}), read_post)


class FirstWords:
    """Prompts that begin with the same six words are the same question asked again."""

    name = "first-words"

    def find(self, corpus: Corpus) -> list[Link]:
        first: dict[tuple[str, ...], int] = {}
        links = []
        for place, words in enumerate(corpus.words):
            of = first.setdefault(tuple(words[:6]), place)
            if of != place and len(words) >= 6:
                links.append(Link(place, of))
        return links


class Members:
    """Members are mentioned as @name."""

    name = "members"

    def find(self, text: str) -> Iterator[Span]:
        for match in re.finditer(r"@\w+", text):
            yield Span(match.start(), match.end(), "MEMBER")
