"""The register of people who withdrew their consent; what enters or leaves later honours it.

The register names nobody: it holds keyed hashes of the ids that a person has in records,
and the hashes of the files that a withdrawal changed, so that a later one still finds what
was trained on their earlier content. Removing people from files is
`heedful.data.withdraw`'s.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, Self

from heedful.core.errors import DataError
from heedful.core.jsonl import read_records
from heedful.core.records import Completion, Demonstration, Prompt, Ranking, Record
from heedful.data.pseudonyms import Key, fingerprint, keyed_id


class Rewritten(Record):
    """A file before and after a withdrawal, by SHA-256."""

    before: str
    after: str


class Withdrawal(Record):
    """One line of the register.

    Attributes:
        key: Fingerprint of the key under which `people` are hashed.
        people: Hashes of every id that the person may have in records.
        checkpoints: What was trained on them: ids, or folders where there is no id.
    """

    schema_version: Literal[1] = 1
    key: str
    people: tuple[str, ...]
    withdrawn_at: datetime
    rewritten: tuple[Rewritten, ...] = ()
    checkpoints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Register:
    """Who withdrew, as far as a record's ids can be recognised with the key."""

    key: Key
    withdrawals: tuple[Withdrawal, ...] = ()

    @classmethod
    def read(cls, path: Path, key: Key) -> Self:
        """The register in `path`; an empty one where there is no such file.

        Raises:
            DataError: It was written under another key, so that nobody would be recognised.
        """
        found = read_records(path, Withdrawal) if path.exists() else []
        if any(withdrawal.key != fingerprint(key) for withdrawal in found):
            raise DataError(
                f"{path}: the register of withdrawals was written under another key",
                "Give the key that was used then.",
            )
        return cls(key, tuple(found))

    def hash_of(self, person_id: str) -> str:
        """What the register holds of an id."""
        return keyed_id("withdrawn", self.key, person_id)

    def holds(self, person_id: str) -> bool:
        """Whether the user or labeller with this id withdrew."""
        hashed = self.hash_of(person_id)
        return any(hashed in withdrawal.people for withdrawal in self.withdrawals)

    def earlier(self, sha256: str) -> set[str]:
        """Hashes of a file's content before withdrawals changed it, the present one included."""
        known = {sha256}
        for withdrawal in reversed(self.withdrawals):
            known |= {file.before for file in withdrawal.rewritten if file.after in known}
        return known


class KnowsWhoWithdrew(Protocol):
    """A register, in a file or elsewhere."""

    def holds(self, person_id: str) -> bool:
        """Whether the user or labeller with this id withdrew."""
        ...


class Kept(NamedTuple):
    """Records of people who did not withdraw; kind and id of each of the others'."""

    prompts: list[Prompt]
    demonstrations: list[Demonstration]
    completions: list[Completion]
    rankings: list[Ranking]
    withdrawn: list[tuple[str, str]]


def honour(
    register: KnowsWhoWithdrew,
    prompts: Iterable[Prompt],
    demonstrations: Sequence[Demonstration] = (),
    completions: Sequence[Completion] = (),
    rankings: Sequence[Ranking] = (),
) -> Kept:
    """The records without those of people who withdrew, and without what derives from them."""
    kept = Kept([], [], [], [], [])
    gone: set[str] = set()
    people: dict[str, bool] = {}

    def is_gone(person_id: str) -> bool:
        if person_id not in people:
            people[person_id] = register.holds(person_id)
        return people[person_id]

    for prompt in prompts:
        if is_gone(prompt.user_id):
            gone.add(prompt.id)
            kept.withdrawn.append(("prompt", prompt.id))
        else:
            kept.prompts.append(prompt)
    for completion in completions:
        if completion.prompt_id in gone:
            kept.withdrawn.append(("completion", completion.id))
        else:
            kept.completions.append(completion)
    for demonstration in demonstrations:
        if demonstration.prompt_id in gone or is_gone(demonstration.labeller_id):
            kept.withdrawn.append(("demonstration", demonstration.id))
        else:
            kept.demonstrations.append(demonstration)
    for ranking in rankings:
        if ranking.prompt_id in gone or is_gone(ranking.labeller_id):
            kept.withdrawn.append(("ranking", ranking.id))
        else:
            kept.rankings.append(ranking)
    return kept
