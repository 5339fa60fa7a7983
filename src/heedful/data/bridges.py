"""The fewest new members to leave out so that no two labelled parts of a group hang together.

Members are bound by ties, each of any number of members. Some members have a label that
never moves; a group with two labels has to come apart. What the labels and the ties mean is
the caller's: `heedful.data.split` asks it about prompts, splits and what binds prompts.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

_UNBOUNDED = 1 << 60


@dataclass(frozen=True, slots=True)
class Separation:
    """A group taken apart.

    Attributes:
        groups: The members that remain, by what still binds them; a group has one label at most.
        bridges: The members left out, each with the labelled members, one of every label,
            that it would have bound together.
    """

    groups: list[list[str]]
    bridges: dict[str, tuple[str, ...]]


def separate(ties: Iterable[Sequence[str]], labels: Mapping[str, str]) -> Separation:
    """Leave out as few members without a label as it takes to keep the labels apart.

    The labels are cut off one after the other, in alphabetical order, from all that remain:
    a minimum vertex cut by maximum flow (Menger 1927, Dinitz 1970), of several the one
    nearest the label that is cut off, which is unique. Where two labels meet no smaller set
    does it; where three do, none is smaller than half of it. At last those are taken back, in
    order of their names, that bind no two labels any more. Neither the order of the ties nor
    of their members plays a part.

    A tie of members with different labels cannot be cut. It binds nothing, and its members
    without a label are left out.
    """
    left_out: set[str] = set()
    whole: list[Sequence[str]] = []
    torn: list[Sequence[str]] = []
    for tie in ties:
        if len({labels[member] for member in tie if member in labels}) > 1:
            torn.append(tie)
            left_out.update(member for member in tie if member not in labels)
        else:
            whole.append(tie)
    names = sorted(set(labels.values()))
    for place, name in enumerate(names[:-1]):
        ends = {member: label == name for member, label in labels.items() if label in names[place:]}
        left_out |= _smallest_cut(whole, ends, left_out)
    return _take_back(whole, torn, labels, left_out)


def _smallest_cut(
    ties: Sequence[Sequence[str]], ends: Mapping[str, bool], left_out: set[str]
) -> set[str]:
    """The members nearest the ends that are True that keep them from the ends that are False."""
    source, sink = 0, 1
    network = _Network()
    network.grow(2 + len(ties))
    entrance: dict[str, int] = {}
    for node, tie in enumerate(ties, start=2):
        for member in tie:
            if member in left_out:
                continue
            if member in ends:
                end = source if ends[member] else sink
                network.add(node, end, _UNBOUNDED, _UNBOUNDED)
                continue
            if member not in entrance:
                entrance[member] = network.grow(2)
                network.add(entrance[member], entrance[member] + 1, 1)
            network.add(node, entrance[member], _UNBOUNDED)
            network.add(entrance[member] + 1, node, _UNBOUNDED)
    network.saturate(source, sink)
    reached = network.levels(source)
    return {member for member, node in entrance.items() if reached[node] >= 0 > reached[node + 1]}


@dataclass(slots=True)
class _Network:
    """Nodes and edges with room for flow; edge e's way back is edge e ^ 1."""

    edges: list[list[int]] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    room: list[int] = field(default_factory=list)

    def grow(self, num_nodes: int) -> int:
        """Add nodes and return the first one's number."""
        first = len(self.edges)
        self.edges += [[] for _ in range(num_nodes)]
        return first

    def add(self, start: int, end: int, room: int, room_back: int = 0) -> None:
        self.edges[start].append(len(self.target))
        self.edges[end].append(len(self.target) + 1)
        self.target += [end, start]
        self.room += [room, room_back]

    def levels(self, source: int) -> list[int]:
        """Steps from the source over edges with room, -1 where there is no way."""
        level = [-1] * len(self.edges)
        level[source] = 0
        queue = deque([source])
        while queue:
            node = queue.popleft()
            for edge in self.edges[node]:
                end = self.target[edge]
                if self.room[edge] and level[end] < 0:
                    level[end] = level[node] + 1
                    queue.append(end)
        return level

    def saturate(self, source: int, sink: int) -> None:
        """Send all the flow that there is room for, in phases of shortest ways."""
        while (level := self.levels(source))[sink] >= 0:
            following = [0] * len(self.edges)
            while self._send_one(source, sink, level, following):
                pass

    def _send_one(self, source: int, sink: int, level: list[int], following: list[int]) -> bool:
        path: list[int] = []
        node = source
        while node != sink:
            edges = self.edges[node]
            while following[node] < len(edges):
                edge = edges[following[node]]
                if self.room[edge] and level[self.target[edge]] == level[node] + 1:
                    break
                following[node] += 1
            else:
                if not path:
                    return False
                node = self.target[path.pop() ^ 1]
                following[node] += 1
                continue
            path.append(edge)
            node = self.target[edge]
        for edge in path:  # a way leads through a member, which has room for one
            self.room[edge] -= 1
            self.room[edge ^ 1] += 1
        return True


def _take_back(
    whole: Sequence[Sequence[str]],
    torn: Sequence[Sequence[str]],
    labels: Mapping[str, str],
    left_out: set[str],
) -> Separation:
    """Group what remains, and take back who binds no two labels."""
    groups = _Groups(labels)
    spokesman: list[str | None] = []  # of each whole tie: whoever of it remains
    tied_by: dict[str, list[int]] = {member: [] for member in sorted(left_out)}
    for number, tie in enumerate(whole):
        first = None
        for member in tie:
            if member in left_out:
                tied_by[member].append(number)
            else:
                groups.join(member, first or member)
                first = first or member
        spokesman.append(first)
    ends: dict[str, dict[str, str]] = {member: {} for member in tied_by}
    for tie in torn:
        for member in tie:
            if member in labels:
                groups.join(member, member)
        nearest = {
            labels[member]: member for member in sorted(tie, reverse=True) if member in labels
        }
        for member in tie:
            if member in ends:
                ends[member] |= nearest
    bridges: dict[str, tuple[str, ...]] = {}
    for member, numbers in tied_by.items():
        met = [groups.anchor(speaker) for number in numbers if (speaker := spokesman[number])]
        for anchor in sorted((anchor for anchor in met if anchor), reverse=True):
            ends[member][labels[anchor]] = anchor
        if len(ends[member]) > 1:
            bridges[member] = tuple(sorted(ends[member].values()))
            continue
        for number in numbers:
            groups.join(member, spokesman[number] or member)
            spokesman[number] = member
    return Separation(groups=groups.all(), bridges=bridges)


class _Groups:
    """Members joined into groups, each standing for at most one label."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels
        self._parent: dict[str, str] = {}
        self._anchor: dict[str, str] = {}  # the least labelled member, by root

    def join(self, one: str, other: str) -> None:
        """Put two members, who may be new or the same, into one group."""
        one, other = self._root(one), self._root(other)
        if one == other:
            return
        anchors = [self._anchor.pop(root) for root in (one, other) if root in self._anchor]
        self._parent[one] = other
        if anchors:
            self._anchor[other] = min(anchors)

    def anchor(self, member: str) -> str | None:
        """The least labelled member of the group, if it has one."""
        return self._anchor.get(self._root(member))

    def all(self) -> list[list[str]]:
        """Every group, its members in order."""
        members = defaultdict(list)
        for member in sorted(self._parent):
            members[self._root(member)].append(member)
        return sorted(members.values())

    def _root(self, member: str) -> str:
        parent = self._parent
        if member not in parent:
            parent[member] = member
            if member in self._labels:
                self._anchor[member] = member
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member
