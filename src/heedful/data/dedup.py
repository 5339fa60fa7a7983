"""Applies deduplication policies to prompts, and says what came of it.

A policy finds links (`heedful.data.corpus.Policy`). Here they remove prompts, or bind those
that the split must keep together, or are only counted. Prompts are taken in canonical
order, so the order of the input makes no difference.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from inspect import signature
from itertools import islice
from typing import Literal, NamedTuple

from pydantic import Field

from heedful.core.errors import ConfigError, DataError, nearest
from heedful.core.records import Prompt, Record
from heedful.data.corpus import Corpus, Link, Policy, prompt_text
from heedful.data.dedup_containment import Containment
from heedful.data.dedup_exact import Exact
from heedful.data.dedup_near import Near
from heedful.data.dedup_paraphrase import Paraphrase
from heedful.data.dedup_prefix import CommonPrefix
from heedful.data.dedup_template import Template
from heedful.data.linking import Linker

Action = Literal["remove", "join", "report"]
PolicyFactory = Callable[..., Policy]

# A policy's settings are the arguments of its factory. (`paraphrase` needs an `embed`.)
POLICIES: Mapping[str, PolicyFactory] = {
    "exact": Exact,
    "containment": Containment,
    "common-prefix": CommonPrefix,
    "near": Near,
    "template": Template,
    "paraphrase": Paraphrase,
}
NUM_EXAMPLES = 5


class DuplicateExample(Record):
    """A link, with both texts; `removed` also names the later of two that both stay."""

    policy: str
    kept_id: str
    removed_id: str
    kept_text: str
    removed_text: str


class PolicyCount(Record):
    """What one policy found.

    Attributes:
        num_links: Enough to say what is linked to what, not all pairs.
        num_clusters: Groups of prompts linked directly or through others.
    """

    name: str
    action: Action
    num_links: int = Field(ge=0)
    num_clusters: int = Field(ge=0)
    num_removed: int = Field(ge=0)
    examples: tuple[DuplicateExample, ...]


class DedupReport(Record):
    """What deduplication did, policy after policy in the order they ran."""

    num_in: int = Field(ge=0)
    num_out: int = Field(ge=0)
    policies: tuple[PolicyCount, ...]


class Removal(NamedTuple):
    """Why a prompt was removed: the policy, and the prompt beside which it is not needed.

    That one stayed when this one went. If it went later, by this or another policy, it has
    a `Removal` of its own.
    """

    policy: str
    because_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deduplicated:
    """The result.

    Attributes:
        kept: In canonical order.
        removed: By id.
        joined: Ids of kept prompts that belong in one split.
        report: Counts and examples.
    """

    kept: list[Prompt]
    removed: dict[str, Removal]
    joined: list[tuple[str, str]]
    report: DedupReport


def policy_by_name(
    name: str,
    settings: Mapping[str, object] | None = None,
    *,
    plugins: Mapping[str, PolicyFactory] | None = None,
) -> Policy:
    """The policy of a name, ours or a plugin's, with its settings.

    Raises:
        ConfigError: There is no such policy, or its settings are not these.
    """
    known = {**POLICIES, **(plugins or {})}
    if name not in known:
        guess = nearest(name, known)
        raise ConfigError(
            f"there is no deduplication policy {name!r}",
            f"Did you mean {guess!r}?" if guess else f"Choose from: {', '.join(sorted(known))}.",
        )
    try:
        signature(known[name]).bind(**(settings or {}))
    except TypeError as error:
        raise ConfigError(
            f"{name}: {error}",
            f"Its settings are: {', '.join(signature(known[name]).parameters) or 'none'}.",
        ) from error
    return known[name](**(settings or {}))


def deduplicate(
    prompts: Sequence[Prompt],
    *,
    remove: Sequence[Policy] = (),
    join: Sequence[Policy] = (),
    report: Sequence[Policy] = (),
) -> Deduplicated:
    """Apply the policies: those that remove one after the other, then the others to the rest.

    Of a policy's linked prompts `removals` says which go, until the policy finds none.

    Raises:
        DataError: Two prompts have one id.
        ConfigError: A policy's links go in a circle.
    """
    by_id = {prompt.id: prompt for prompt in prompts}
    if len(by_id) != len(prompts):
        raise DataError(
            f"{len(prompts) - len(by_id)} prompts have the id of another",
            "Give each prompt an id of its own.",
        )
    corpus = Corpus.of(prompts)
    removed: dict[str, Removal] = {}
    counts = []
    for policy in remove:
        links, because = _find_until_none_is_left(policy, corpus)
        ids = corpus.ids
        removed |= {ids[place]: Removal(policy.name, ids[of]) for place, of in because.items()}
        shown = [Link(place, because[place]) for place in sorted(because)]
        counts.append(_count(policy, "remove", links, shown, corpus, by_id))
        corpus = corpus.select(set(range(len(corpus))) - because.keys())
    joined = []
    for policy in join:
        links = policy.find(corpus)
        joined += [(corpus.ids[place], corpus.ids[of]) for place, of in links]
        counts.append(_count(policy, "join", links, links, corpus, by_id))
    for policy in report:
        links = policy.find(corpus)
        counts.append(_count(policy, "report", links, links, corpus, by_id))
    return Deduplicated(
        kept=[by_id[name] for name in corpus.ids],
        removed=removed,
        joined=joined,
        report=DedupReport(num_in=len(prompts), num_out=len(corpus), policies=tuple(counts)),
    )


def removals(links: Sequence[Link]) -> dict[int, int]:
    """Which linked places go, and beside which one that stays.

    A place goes if, and only if, it is linked to one that stays. Links that form no circle
    leave one choice: settle a place after those that it is linked to.

    Raises:
        CycleError: The links go in a circle.
    """
    linked: dict[int, list[int]] = defaultdict(list)
    for place, of in links:
        linked[place].append(of)
    because: dict[int, int] = {}
    for place in TopologicalSorter(linked).static_order():
        staying = [of for of in linked.get(place, ()) if of not in because]
        if staying:
            because[place] = min(staying)
    return because


def _find_until_none_is_left(policy: Policy, corpus: Corpus) -> tuple[list[Link], dict[int, int]]:
    """All links that a policy found, and the removals that leave it nothing to find.

    A policy that counts words over the corpus, or looks at crowds in part, may find more
    once some prompts are gone.
    """
    links: list[Link] = []
    because: dict[int, int] = {}
    left = list(range(len(corpus)))
    while found := policy.find(corpus.select(left)):
        found = [Link(left[place], left[of]) for place, of in found]
        try:
            gone = removals(found)
        except CycleError as error:
            raise ConfigError(
                f"the policy {policy.name!r} calls prompts redundant beside each other in a circle",
                "Let it link a prompt to earlier ones only, or to shorter ones only.",
            ) from error
        links += found
        because |= gone
        left = [place for place in left if place not in gone]
    return links, because


def _count(
    policy: Policy,
    action: Action,
    links: Sequence[Link],
    shown: Sequence[Link],
    corpus: Corpus,
    by_id: Mapping[str, Prompt],
) -> PolicyCount:
    """The count of one policy, with the first of the links to show."""
    # One of each prompt that stays: five copies of one text would show little.
    first: dict[int, int] = {}
    for place, of in shown:
        first.setdefault(of, place)
    return PolicyCount(
        name=policy.name,
        action=action,
        num_links=len(links),
        num_clusters=_num_clusters(links),
        num_removed=len(shown) if action == "remove" else 0,
        examples=tuple(
            _example(policy, kept=by_id[corpus.ids[of]], gone=by_id[corpus.ids[place]])
            for of, place in islice(first.items(), NUM_EXAMPLES)
        ),
    )


def _example(policy: Policy, kept: Prompt, gone: Prompt) -> DuplicateExample:
    return DuplicateExample(
        policy=policy.name,
        kept_id=kept.id,
        removed_id=gone.id,
        kept_text=prompt_text(kept),
        removed_text=prompt_text(gone),
    )


def _num_clusters(links: Sequence[Link]) -> int:
    """Connected groups of more than one: places less the links that connect two groups."""
    linker = Linker()
    for place, of in links:
        linker.add(place, [of])
    return len({place for link in links for place in link}) - len(linker.links)
