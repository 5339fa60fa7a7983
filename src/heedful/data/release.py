"""A release: prompts, demonstrations and rankings that others may have.

Only prompts with consent and a licence leave, and nobody who withdrew; personal data is
masked; users, organisations, labellers and records get ids keyed by a secret salt, which is
never written. Times, text hashes, checkable expectations and labelling batches stay at
home, and so do completions that no ranking names. Each row stands alone: its placeholders
are numbered together, and no join is needed to read it. The card is
`heedful.data.data_card`'s.
"""

import secrets
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from heedful.core.errors import DataError
from heedful.core.jsonl import write_json_atomic, write_records, write_text_atomic
from heedful.core.records import (
    Completion,
    Demonstration,
    Example,
    Prompt,
    Ranking,
    Record,
    Split,
    Turn,
)
from heedful.data.data_card import (
    FACTS,
    KINDS,
    ReleasedPrompt,
    ReleaseFacts,
    recount,
    render_card,
)
from heedful.data.pseudonyms import SALT_VARIABLE, Key, fingerprint, keyed_id, require_key
from heedful.data.withdrawals import Register, honour

MaskTexts = Callable[[Sequence[str]], Sequence[str]]
"""The texts of one row, in order, with their personal data masked and numbered together."""


class LeftOut(Record):
    """A record that a release leaves out, and why."""

    kind: str
    id: str
    reason: str


def write_release(
    folder: Path,
    prompts: Sequence[Prompt],
    demonstrations: Sequence[Demonstration] = (),
    completions: Sequence[Completion] = (),
    rankings: Sequence[Ranking] = (),
    *,
    salt: Key,
    masker: MaskTexts,
    register: Register,
    title: str,
    how_made: Sequence[str] = (),
) -> tuple[ReleaseFacts, list[LeftOut]]:
    """Write a release, whole or not at all; return its facts, and what it leaves out.

    `datasets.load_dataset(folder, "prompts")` reads it, as it does the other two kinds.

    Args:
        folder: Must not exist, or be empty.
        prompts: Each with its split.
        demonstrations: Of these prompts.
        completions: Those at least that the rankings name.
        rankings: Of these prompts.
        salt: Keys all ids; a later withdrawal needs it too.
        masker: Is called once a row, with all of its texts.
        register: Who withdrew.
        title: Heads the card.
        how_made: Sentences for the card: what was done to the data before.

    Raises:
        ConfigError: There is no salt.
        DataError: The folder holds something, a prompt has no split, a record refers to
            one that is not there, or nothing may leave.
    """
    require_key(salt, "a release", SALT_VARIABLE)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is not empty", "Choose another folder for the release.")
    kept = honour(register, prompts, demonstrations, completions, rankings)
    making = _Making(salt, masker, {item.id: item for item in kept.completions})
    for kind, name in kept.withdrawn:
        making.leave(kind, name, "withdrawn")
    for prompt in kept.prompts:
        making.add_prompt(prompt)
    for demonstration in kept.demonstrations:
        making.add_demonstration(demonstration)
    for ranking in kept.rankings:
        making.add_ranking(ranking)
    if not making.rows:
        raise DataError(
            "no record may be released",
            f"Prompts need consent and a licence. Left out: {dict(making.reasons())}.",
        )
    facts = ReleaseFacts(
        title=title,
        released_on=datetime.now(UTC).date(),
        salt=fingerprint(salt),
        how_made=tuple(how_made),
        left_out=making.reasons(),
    )
    return _write(folder, making.rows, facts), making.left_out


@dataclass(slots=True)
class _Making:
    """Rows so far, by kind and split; `prompts` has None for one that is left out."""

    salt: Key
    masker: MaskTexts
    completions: dict[str, Completion]
    prompts: dict[str, Prompt | None] = field(default_factory=dict)
    rows: dict[tuple[str, Split], list[ReleasedPrompt]] = field(
        default_factory=lambda: defaultdict(list)
    )
    left_out: list[LeftOut] = field(default_factory=list)

    def reasons(self) -> dict[str, int]:
        """How many records were left out, by kind and reason."""
        return dict(Counter(f"{item.kind}: {item.reason}" for item in self.left_out))

    def add_prompt(self, prompt: Prompt) -> None:
        """A prompt, and its row."""
        self.prompts[prompt.id] = None
        if not prompt.consent:
            self.leave("prompt", prompt.id, "no consent")
        elif not prompt.licence:
            self.leave("prompt", prompt.id, "no licence")
        elif prompt.split is None:
            raise DataError(f"prompt {prompt.id} has no split", "Split the prompts first.")
        else:
            self.prompts[prompt.id] = prompt
            self._row("prompts", prompt, prompt.id, [], licence=prompt.licence)

    def add_demonstration(self, item: Demonstration) -> None:
        """The row of a demonstration."""
        prompt = self._prompt_of("demonstration", item)
        if prompt is None:
            return
        if not item.licence:
            self.leave("demonstration", item.id, "no licence")
            return
        self._row(
            "demonstrations",
            prompt,
            item.id,
            [item.text],
            licence=item.licence,
            prompt_licence=prompt.licence,
            **self._label(item),
        )

    def add_ranking(self, item: Ranking) -> None:
        """The row of a ranking."""
        prompt = self._prompt_of("ranking", item)
        if prompt is None:
            return
        missing = [name for name in item.completion_ids if name not in self.completions]
        if missing:
            raise DataError(f"ranking {item.id} ranks {missing[0]}, which is not there")
        ranked = [self.completions[name] for name in item.completion_ids]
        self._row(
            "rankings",
            prompt,
            item.id,
            [completion.text for completion in ranked],
            licence=prompt.licence,
            models=tuple(completion.checkpoint_id for completion in ranked),
            ranks=item.ranks,
            all_bad=item.all_bad,
            **self._label(item),
        )

    def _prompt_of(self, kind: str, item: Demonstration | Ranking) -> Prompt | None:
        if item.prompt_id not in self.prompts:
            raise DataError(f"{kind} {item.id} is of {item.prompt_id}, which is not there")
        if self.prompts[item.prompt_id] is None:
            self.leave(kind, item.id, "its prompt is left out")
        return self.prompts[item.prompt_id]

    def leave(self, kind: str, name: str, reason: str) -> None:
        """Note a record that stays at home."""
        self.left_out.append(LeftOut(kind=kind, id=name, reason=reason))

    def _label(self, item: Demonstration | Ranking) -> dict[str, Any]:
        return {
            "labeller": keyed_id("labeller", self.salt, item.labeller_id),
            "made_by": item.made_by,
            "instructions_version": item.instructions_version,
            "seconds_spent": item.seconds_spent,
        }

    def _row(
        self, kind: str, prompt: Prompt, name: str, completions: list[str], **fields: Any
    ) -> None:
        """Add a row, all of its texts masked together."""
        said = [turn.text for turn in prompt.turns]
        pairs = [text for item in prompt.examples for text in (item.prompt, item.completion)]
        context = [] if prompt.context is None else [prompt.context]
        texts = [*said, *pairs, *context, prompt.instruction, *prompt.tags, *completions]
        masked = iter(self.masker(texts))
        turns = [Turn(role=turn.role, text=next(masked)) for turn in prompt.turns]
        examples = [Example(prompt=next(masked), completion=next(masked)) for _ in prompt.examples]
        row: dict[str, Any] = {
            "id": keyed_id(kind.removesuffix("s"), self.salt, name),
            "prompt_id": keyed_id("prompt", self.salt, prompt.id),
            "turns": turns,
            "examples": examples,
            "context": next(masked) if context else None,
            "instruction": next(masked),
            "use_case": prompt.use_case,
            "tags": [next(masked) for _ in prompt.tags],
            "user": keyed_id("user", self.salt, prompt.user_id),
            "organisation": prompt.organisation
            and keyed_id("organisation", self.salt, prompt.organisation),
            "source": prompt.source,
        }
        if kind == "demonstrations":
            row["completion"] = next(masked)
        elif kind == "rankings":
            row["completions"] = list(masked)
        assert prompt.split is not None
        self.rows[kind, prompt.split].append(KINDS[kind].model_validate(row | fields))


def _write(
    folder: Path, rows: dict[tuple[str, Split], list[ReleasedPrompt]], facts: ReleaseFacts
) -> ReleaseFacts:
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    try:
        for (kind, split), group in rows.items():
            # In the order of their new ids, which says nothing about the old order.
            ordered = sorted(group, key=lambda row: row.id)
            write_records(unfinished / kind / f"{split}.jsonl", ordered)
        facts = recount(facts, release_files(unfinished))
        write_json_atomic(unfinished / FACTS, facts.model_dump(mode="json"))
        write_text_atomic(unfinished / "README.md", render_card(facts))
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return facts


def release_files(folder: Path) -> dict[tuple[str, Split], Path]:
    """The files of rows in a release's folder, by kind and split."""
    splits: tuple[Split, ...] = ("train", "validation", "test")
    files = {(kind, split): folder / kind / f"{split}.jsonl" for kind in KINDS for split in splits}
    return {name: file for name, file in files.items() if file.exists()}
