"""Splits prompts so that nobody, and no text, is in two splits.

Prompts of one user, of one organisation, or of the same text stay together (paper,
section 3.2 and appendix A: splits by user and organisation), and so do the ends of the
links that the caller gives, such as near-duplicates; none are looked for here. A prompt
that an earlier split placed stays where it is, whatever that does to the shares.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from heedful.core.errors import ConfigError, DataError
from heedful.core.records import Prompt, Record, Split
from heedful.data.bridges import separate

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


class Quarantined(Record):
    """A new prompt that would have bound two old splits together.

    Attributes:
        because_of: Prompts of the earlier split, one of each split that it hangs together with.
    """

    prompt: Prompt
    because_of: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the prompts went.

    Attributes:
        prompts: Those that have a split, in the order they came in.
        quarantined: Those that have none, by id.
        num_groups: Sets of placed prompts that had to stay together.
        largest_group: Prompts in the largest of them.
    """

    prompts: list[Prompt]
    quarantined: list[Quarantined]
    num_groups: int
    largest_group: int


def place(
    prompts: Sequence[Prompt],
    *,
    links: Iterable[tuple[str, str]] = (),
    old: Sequence[Prompt] = (),
    shares: Shares = DEFAULT_SHARES,
    seed: int = 0,
) -> Placement:
    """Give every prompt a split that keeps it together with all that it is bound to.

    Prompts that an earlier split placed never move, and what hangs together with them
    follows them. Where new prompts bind two old splits, as few as can be are quarantined
    (`heedful.data.bridges` has the rule). Then the larger groups are placed first, each where
    most is missing: no split misses its share by more than the largest group times the number
    of splits, unless old prompts fill it already. The order of the input makes no difference.

    Args:
        prompts: What to split; ids are unique. A prompt that names a split counts as old.
        links: Pairs of ids that stay together; ids of other prompts are passed over.
        old: Prompts of the earlier split. Those that are no longer among `prompts` still
            bind whoever shares a user, an organisation, a text or a link with them.
        shares: Of the prompts, by split.
        seed: Orders groups of the same size.

    Raises:
        ConfigError: The shares do not sum to 1, or an old prompt is in none of their splits.
        DataError: A prompt was in another split earlier.
    """
    _check_shares(shares)
    everybody, fixed = _with_old(prompts, old)
    _check_old(fixed, shares)
    groups, quarantined = _keep_apart(everybody, list(links), fixed)
    present = [[number for number in group if number < len(prompts)] for group in groups]
    num_placed = sum(map(len, present))
    missing = {name: share * num_placed for name, share in shares}
    split_of: dict[int, Split] = {}
    free: list[list[int]] = []
    for whole, group in zip(groups, present, strict=True):
        for number in whole:
            if number in fixed:
                missing[fixed[number]] -= len(group)
                split_of |= dict.fromkeys(group, fixed[number])
                break
        else:
            free.append(group)
    for group in sorted(free, key=lambda group: (-len(group), _draw(seed, prompts, group))):
        split = max(missing, key=lambda name: missing[name])
        missing[split] -= len(group)
        split_of |= dict.fromkeys(group, split)
    return Placement(
        prompts=[
            prompt.model_copy(update={"split": split_of[number]})
            for number, prompt in enumerate(prompts)
            if number in split_of
        ],
        quarantined=quarantined,
        num_groups=sum(map(bool, present)),
        largest_group=max(map(len, present), default=0),
    )


def split_by_organisation(
    prompts: Sequence[Prompt], *, shares: Shares = DEFAULT_SHARES, seed: int = 0
) -> tuple[list[Prompt], SplitReport]:
    """The prompts in their order, each with a new split, and the report on it; see `place`."""
    fresh = [prompt.model_copy(update={"split": None}) for prompt in prompts]
    placed = place(fresh, shares=shares, seed=seed).prompts
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
        prompts = place(prompts, shares=shares, seed=seed).prompts
    return {prompt.id: prompt for prompt in prompts}


def report_split(prompts: Sequence[Prompt], splits: Iterable[Split] = ()) -> SplitReport:
    """Count a split that is there, whoever made it; `splits` are listed even when empty."""
    sizes: dict[Split, int] = dict.fromkeys(splits, 0)
    users: dict[Split, set[str]] = {split: set() for split in sizes}
    home: dict[tuple[str, str], Split] = {}
    shared: dict[str, set[str]] = defaultdict(set)
    for prompt in prompts:
        if prompt.split is None:
            continue
        sizes[prompt.split] = sizes.get(prompt.split, 0) + 1
        users.setdefault(prompt.split, set()).add(prompt.user_id)
        for kind, value in _ties(prompt):
            if home.setdefault((kind, value), prompt.split) != prompt.split:
                shared[kind].add(value)
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


def _check_shares(shares: Shares) -> None:
    names = [name for name, _ in shares]
    if len(set(names)) != len(names) or any(share < 0 for _, share in shares):
        raise ConfigError(f"shares {shares}: each split once, none below 0")
    if abs(sum(share for _, share in shares) - 1) > 1e-9:
        raise ConfigError(f"the shares {shares} do not sum to 1", "Make them sum to 1.")


def _with_old(
    prompts: Sequence[Prompt], old: Sequence[Prompt]
) -> tuple[list[Prompt], dict[int, Split]]:
    """The prompts, then the old ones that are not among them; and who is placed already."""
    earlier: dict[str, Prompt] = {}
    for prompt in (*prompts, *old):
        known = earlier.setdefault(prompt.id, prompt) if prompt.split else prompt
        if known.split != prompt.split:
            raise DataError(
                f"prompt {prompt.id} is in {known.split}, and was in {prompt.split} earlier",
                "Old assignments never move: correct its `split`, or remove it.",
            )
    present = {prompt.id for prompt in prompts}
    gone = [prompt for prompt in earlier.values() if prompt.id not in present]
    everybody = [*prompts, *gone]
    fixed: dict[int, Split] = {}
    for number, prompt in enumerate(everybody):
        if prompt.id in earlier and (split := earlier[prompt.id].split) is not None:
            fixed[number] = split
    return everybody, fixed


def _check_old(fixed: Mapping[int, Split], shares: Shares) -> None:
    unknown = set(fixed.values()) - {name for name, _ in shares}
    if unknown:
        raise ConfigError(
            f"earlier prompts are in {min(unknown)}, which has no share",
            "Give every split of the earlier prompts a share, 0 if no new prompt should join it.",
        )


def _keep_apart(
    prompts: Sequence[Prompt], links: Sequence[tuple[str, str]], fixed: Mapping[int, Split]
) -> tuple[list[list[int]], list[Quarantined]]:
    """Groups with one old split at most, and the prompts that had to be left out for it."""
    groups: list[list[int]] = []
    crowded: list[int] = []
    for group in _groups(prompts, links):
        splits = {fixed[number] for number in group if number in fixed}
        if len(splits) > 1:
            crowded += group
        else:
            groups.append(group)
    if not crowded:
        return groups, []
    number_of = {prompts[number].id: number for number in crowded}
    ties: dict[tuple[str, str], list[str]] = defaultdict(list)
    for number in crowded:
        for tie in _ties(prompts[number]):
            ties[tie].append(prompts[number].id)
    pairs = [pair for pair in links if pair[0] in number_of and pair[1] in number_of]
    labels = {prompts[number].id: fixed[number] for number in crowded if number in fixed}
    found = separate([*ties.values(), *pairs], labels)
    groups += [[number_of[name] for name in group] for group in found.groups]
    quarantined = [
        Quarantined(prompt=prompts[number_of[name]], because_of=because_of)
        for name, because_of in sorted(found.bridges.items())
    ]
    return groups, quarantined


def _groups(prompts: Sequence[Prompt], links: Iterable[tuple[str, str]] = ()) -> list[list[int]]:
    """Numbers of the prompts that are bound together, directly or through others."""
    parent = list(range(len(prompts)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    first: dict[tuple[str, str], int] = {}
    for number, prompt in enumerate(prompts):
        for tie in _ties(prompt):
            parent[root(number)] = root(first.setdefault(tie, number))
    number_of = {prompt.id: number for number, prompt in enumerate(prompts)}
    for one, other in links:
        if one in number_of and other in number_of:
            parent[root(number_of[one])] = root(number_of[other])
    members: dict[int, list[int]] = defaultdict(list)
    for number in range(len(prompts)):
        members[root(number)].append(number)
    return list(members.values())


def _draw(seed: int, prompts: Sequence[Prompt], group: Sequence[int]) -> str:
    """A pseudo-random but reproducible place in the order, from the group's members alone."""
    name = min(prompts[place].id for place in group)
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
