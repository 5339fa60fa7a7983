"""Splits prompts so that nobody, and no text, is in two splits.

Prompts of one user, of one organisation, or of the same text stay together (paper,
section 3.2 and appendix A: splits by user and organisation). Near-duplicates are not
looked for here.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from heedful.core.errors import ConfigError, DataError
from heedful.core.records import Prompt, Split

Shares = Sequence[tuple[Split, float]]
DEFAULT_SHARES: Shares = (("train", 0.6), ("validation", 0.1), ("test", 0.3))


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitReport:
    """What a split looks like, counted on the split prompts themselves.

    Attributes:
        num_prompts: Prompts by split.
        num_users: Users by split.
        num_groups: Sets of prompts that had to stay together.
        largest_group: Prompts in the largest of them.
        shared_users: Users in more than one split; empty, or the split leaks.
        shared_organisations: Organisations in more than one split; likewise.
        shared_texts: Text hashes in more than one split; likewise.
    """

    num_prompts: dict[Split, int]
    num_users: dict[Split, int]
    num_groups: int
    largest_group: int
    shared_users: tuple[str, ...]
    shared_organisations: tuple[str, ...]
    shared_texts: tuple[str, ...]

    @property
    def leaks(self) -> bool:
        """Whether a user, an organisation or a text is in two splits."""
        return bool(self.shared_users or self.shared_organisations or self.shared_texts)

    def summary(self) -> str:
        """One sentence for a log."""
        sizes = ", ".join(
            f"{split} {count} prompts of {self.num_users[split]} users"
            for split, count in self.num_prompts.items()
        )
        return (
            f"{sizes}; {self.num_groups} groups, the largest of {self.largest_group} prompts; "
            f"in two splits: {len(self.shared_users)} users, "
            f"{len(self.shared_organisations)} organisations, {len(self.shared_texts)} texts."
        )


def split_by_organisation(
    prompts: Sequence[Prompt], *, shares: Shares = DEFAULT_SHARES, seed: int = 0
) -> tuple[list[Prompt], SplitReport]:
    """The prompts in their order, each with a split, and the report on it.

    The larger groups are placed first, each where most is missing, so the shares are met
    as closely as the groups allow. The order of the input makes no difference.

    Raises:
        ConfigError: The shares do not sum to 1.
    """
    names = [name for name, _ in shares]
    if len(set(names)) != len(names) or any(share < 0 for _, share in shares):
        raise ConfigError(f"shares {shares}: each split once, none below 0")
    if abs(sum(share for _, share in shares) - 1) > 1e-9:
        raise ConfigError(f"the shares {shares} do not sum to 1", "Make them sum to 1.")
    groups = _groups(prompts)
    missing = {name: share * len(prompts) for name, share in shares}
    split_of: dict[int, Split] = {}
    for group in sorted(groups, key=lambda group: (-len(group), _draw(seed, prompts, group))):
        split = max(missing, key=lambda name: missing[name])
        missing[split] -= len(group)
        split_of |= dict.fromkeys(group, split)
    placed = [
        prompt.model_copy(update={"split": split_of[place]}) for place, prompt in enumerate(prompts)
    ]
    return placed, report_split(placed, [name for name, _ in shares])


def with_splits(prompts: Sequence[Prompt], validation_share: float, seed: int) -> dict[str, Prompt]:
    """The prompts by id, each with a split: the data's own, or one by `split_by_organisation`.

    Raises:
        DataError: Some prompts name a split and some do not.
    """
    named = sum(prompt.split is not None for prompt in prompts)
    if named not in (0, len(prompts)):
        raise DataError(
            f"{named} of {len(prompts)} prompts name a split and the others do not",
            "Give all of them one (field `split`), or none.",
        )
    if not named:
        shares: tuple[tuple[Split, float], ...] = (
            ("train", 1 - validation_share),
            ("validation", validation_share),
        )
        prompts, _ = split_by_organisation(prompts, shares=shares, seed=seed)
    return {prompt.id: prompt for prompt in prompts}


def report_split(prompts: Sequence[Prompt], splits: Iterable[Split] = ()) -> SplitReport:
    """Count a split that is there, whoever made it; `splits` are listed even when empty."""
    sizes: dict[Split, int] = dict.fromkeys(splits, 0)
    users: dict[Split, set[str]] = {split: set() for split in sizes}
    found: dict[tuple[str, str], set[Split]] = defaultdict(set)
    for prompt in prompts:
        if prompt.split is None:
            continue
        sizes[prompt.split] = sizes.get(prompt.split, 0) + 1
        users.setdefault(prompt.split, set()).add(prompt.user_id)
        for tie in _ties(prompt):
            found[tie].add(prompt.split)
    shared: dict[str, list[str]] = defaultdict(list)
    for (kind, value), places in found.items():
        if len(places) > 1:
            shared[kind].append(value)
    groups = _groups(prompts)
    return SplitReport(
        num_prompts=sizes,
        num_users={split: len(members) for split, members in users.items()},
        num_groups=len(groups),
        largest_group=max(map(len, groups), default=0),
        shared_users=tuple(sorted(shared["user"])),
        shared_organisations=tuple(sorted(shared["organisation"])),
        shared_texts=tuple(sorted(shared["text"])),
    )


def _ties(prompt: Prompt) -> list[tuple[str, str]]:
    """What binds a prompt to others."""
    ties = [("user", prompt.user_id), ("text", prompt.text_hash)]
    if prompt.organisation is not None:
        ties.append(("organisation", prompt.organisation))
    return ties


def _groups(prompts: Sequence[Prompt]) -> list[list[int]]:
    """Places of the prompts that are bound together, directly or through others."""
    parent = list(range(len(prompts)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first: dict[tuple[str, str], int] = {}
    for place, prompt in enumerate(prompts):
        for tie in _ties(prompt):
            parent[root(place)] = root(first.setdefault(tie, place))
    members: dict[int, list[int]] = defaultdict(list)
    for place in range(len(prompts)):
        members[root(place)].append(place)
    return list(members.values())


def _draw(seed: int, prompts: Sequence[Prompt], group: Sequence[int]) -> str:
    """A pseudo-random but reproducible place in the order, from the group's members alone."""
    name = min(prompts[place].id for place in group)
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
