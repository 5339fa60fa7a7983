"""Counts who and what is in two splits, from the placed prompts and the links alone.

Nothing of the code that split them is used here, so that a mistake there shows. What is a
near-duplicate is the caller's to say.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from heedful.core.errors import DataError
from heedful.core.records import Prompt, Record, Split
from heedful.data.corpus import normalised, prompt_text

Pair = tuple[str, str]


class SplitProof(Record):
    """What a split looks like, and that it does not leak.

    Attributes:
        shares: The shares that were asked for.
        num_prompts: Prompts by split.
        num_users: Users by split.
        num_organisations: Organisations by split.
        num_links: Near-duplicate links between placed prompts that were looked at.
        shared_users: Users in more than one split.
        shared_organisations: Organisations in more than one split.
        shared_texts: Two prompts of one normalised text in two splits, for every such text.
        shared_near: Linked prompts in two splits.
    """

    shares: dict[Split, float]
    num_prompts: dict[Split, int]
    num_users: dict[Split, int]
    num_organisations: dict[Split, int]
    num_links: int
    shared_users: tuple[str, ...]
    shared_organisations: tuple[str, ...]
    shared_texts: tuple[Pair, ...]
    shared_near: tuple[Pair, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is in two splits."""
        return not (
            self.shared_users or self.shared_organisations or self.shared_texts or self.shared_near
        )

    def summary(self) -> str:
        """One sentence for a log."""
        total = sum(self.num_prompts.values())
        sizes = ", ".join(
            f"{split} {count:,} ({100 * count / max(1, total):.1f} %, "
            f"wanted {100 * self.shares.get(split, 0):.1f} %)"
            for split, count in self.num_prompts.items()
        )
        return (
            f"{sizes}; in two splits: {len(self.shared_users)} users, "
            f"{len(self.shared_organisations)} organisations, {len(self.shared_texts)} exact "
            f"and {len(self.shared_near)} near duplicates."
        )


def prove_split(
    prompts: Sequence[Prompt],
    links: Iterable[Pair],
    *,
    shares: Mapping[Split, float],
    old: Sequence[Prompt] = (),
) -> SplitProof:
    """Count a split that is there.

    Args:
        prompts: The placed prompts.
        links: Pairs of ids of near-duplicates, in any order; a pair of which one is not
            placed is passed over.
        shares: Those that were asked for, by split.
        old: Prompts of an earlier split. They must share nothing either, but are no part of
            the counts by split.

    Raises:
        DataError: A prompt has no split.
    """
    split_of: dict[str, Split] = {}
    homes: dict[str, _Homes] = {name: _Homes() for name in ("user", "organisation", "text")}
    for prompt in [*prompts, *old]:
        if prompt.split is None:
            raise DataError(f"prompt {prompt.id} is not split", "Split first, then prove it.")
        if split_of.setdefault(prompt.id, prompt.split) != prompt.split:
            homes["text"].shared.append((prompt.id, prompt.id))
        text = hashlib.blake2b(normalised(prompt_text(prompt)).encode(), digest_size=16).digest()
        homes["text"].add(text, prompt.split, prompt.id)
        homes["user"].add(prompt.user_id, prompt.split, prompt.user_id)
        if prompt.organisation is not None:
            homes["organisation"].add(prompt.organisation, prompt.split, prompt.organisation)
    pairs = sorted(
        {(min(pair), max(pair)) for pair in links if pair[0] in split_of and pair[1] in split_of}
    )
    names = list(shares)
    return SplitProof(
        shares=dict(shares),
        num_prompts=_by_split(names, ((item.split, item.id) for item in prompts)),
        num_users=_by_split(names, ((item.split, item.user_id) for item in prompts)),
        num_organisations=_by_split(
            names, ((item.split, item.organisation) for item in prompts if item.organisation)
        ),
        num_links=len(pairs),
        shared_users=tuple(sorted({one for one, _ in homes["user"].shared})),
        shared_organisations=tuple(sorted({one for one, _ in homes["organisation"].shared})),
        shared_texts=tuple(sorted(set(homes["text"].shared))),
        shared_near=tuple(pair for pair in pairs if split_of[pair[0]] != split_of[pair[1]]),
    )


class _Homes:
    """The split where something was first seen, and what was seen in another one later."""

    def __init__(self) -> None:
        self._first: dict[str | bytes, tuple[Split, str]] = {}
        self.shared: list[Pair] = []

    def add(self, value: str | bytes, split: Split, name: str) -> None:
        home, first = self._first.setdefault(value, (split, name))
        if home != split:
            self.shared.append((min(first, name), max(first, name)))


def _by_split(
    names: Sequence[Split], members: Iterable[tuple[Split | None, str]]
) -> dict[Split, int]:
    """How many different members each split has, the named splits first."""
    found: dict[Split | None, set[str]] = defaultdict(set)
    for split, member in members:
        found[split].add(member)
    counts = Counter({split: len(members) for split, members in found.items() if split})
    return {split: counts[split] for split in dict.fromkeys((*names, *sorted(counts)))}
