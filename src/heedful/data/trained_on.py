"""Which checkpoints were trained on a file, or descend from one that was.

Runs are found by their cards: what they read is there by content hash, what they began
with by the checkpoint's id. Data that was passed on some other way is not seen.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from heedful.core.errors import CheckpointError
from heedful.core.records import Checkpoint
from heedful.core.run import RunCard, read_card


class TrainedOn(NamedTuple):
    """A run or a checkpoint's folder, its checkpoint's id where it has one, and why it is named."""

    folder: Path
    checkpoint_id: str | None
    why: str


class _Node(NamedTuple):
    folder: Path
    card: RunCard | None
    checkpoint: Checkpoint | None

    @property
    def parents(self) -> set[str]:
        from_card = set(self.card.parents.values()) if self.card else set()
        return from_card | set(self.checkpoint.parents if self.checkpoint else ())


def trained_on(
    folders: Iterable[Path], was_theirs: Callable[[str], bool]
) -> tuple[list[TrainedOn], list[Path]]:
    """Checkpoints under `folders` that read content for which `was_theirs(sha256)`, and theirs.

    Also returned: cards that cannot be read, about whose checkpoints nothing can be said.
    """
    nodes, unreadable = _nodes(folders)
    found: dict[Path, TrainedOn] = {}
    ids: set[str] = set()
    for node in nodes:
        inputs = node.card.inputs.items() if node.card else ()
        read = [name for name, file in inputs if was_theirs(file.sha256)]
        if read:
            found[node.folder] = _named(node, f"read {', '.join(read)}")
    waiting = list(found.values())
    while waiting:
        ids |= {item.checkpoint_id for item in waiting if item.checkpoint_id}
        waiting = [
            _named(node, f"began with {', '.join(sorted(node.parents & ids))}")
            for node in nodes
            if node.folder not in found and node.parents & ids
        ]
        found |= {item.folder: item for item in waiting}
    return list(found.values()), unreadable


def _named(node: _Node, why: str) -> TrainedOn:
    return TrainedOn(node.folder, node.checkpoint.id if node.checkpoint else None, why)


def _nodes(folders: Iterable[Path]) -> tuple[Sequence[_Node], list[Path]]:
    """Runs, and folders of checkpoints that lie in no run, in the order of their paths."""
    nodes: dict[Path, _Node] = {}
    unreadable: list[Path] = []
    for file in sorted(file for folder in folders for file in folder.rglob("run.json")):
        try:
            nodes[file.parent] = _Node(file.parent, read_card(file.parent), None)
        except CheckpointError:
            unreadable.append(file)
    for file in sorted(file for folder in folders for file in folder.rglob("checkpoint.json")):
        try:
            checkpoint = Checkpoint.model_validate(json.loads(file.read_text(encoding="utf-8")))
        except (ValidationError, ValueError):
            unreadable.append(file)
            continue
        folder = file.parent
        if folder.parent in nodes:
            folder = folder.parent
        card = nodes[folder].card if folder in nodes else None
        nodes[folder] = _Node(folder, card, checkpoint)
    return list(nodes.values()), unreadable
