"""Data files, as they are, to our records: prompts, demonstrations, rankings.

Public files, labellers' prompts and served traffic in the formats of `FORMATS`, and our own
folders of records. What is published is taken as consented, under the licence that the
caller states. Telling formats, rejects and ids are `heedful.data.reading`'s; cleaning,
splitting and deduplication other modules'.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Unpack

from heedful.core.errors import DataError
from heedful.core.records import (
    Completion,
    Demonstration,
    MadeBy,
    Prompt,
    Ranking,
    derived_id,
    text_hash,
)
from heedful.data import own_records
from heedful.data.items import Answer, Item
from heedful.data.reading import (
    FORMATS,
    Loaded,
    ReadOptions,
    Reject,
    Rejects,
    Source,
    read_items,
    write_rejects,
)
from heedful.data.record_stream import Parcel
from heedful.data.texts import cut_passages, load_texts

__all__ = [
    "FORMATS",
    "DemonstrationSet",
    "RankingSet",
    "ReadOptions",
    "Reject",
    "Rejects",
    "cut_passages",
    "load_demonstrations",
    "load_everything",
    "load_prompts",
    "load_rankings",
    "load_texts",
    "write_rejects",
]


class DemonstrationSet(NamedTuple):
    """Demonstrations, and all prompts of the source.

    The unanswered ones too: then a split of the prompts is the same for every use of
    the source, and what one stage holds out no other trains on.
    """

    prompts: list[Prompt]
    demonstrations: list[Demonstration]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingSet:
    """Rankings, the completions that they rank, and all prompts of the source.

    The unranked prompts too, for the reason given at `DemonstrationSet`.
    """

    prompts: list[Prompt]
    completions: list[Completion]
    rankings: list[Ranking]


def load_prompts(path: Path | str, **options: Unpack[ReadOptions]) -> list[Prompt]:
    """Every prompt of a file, a folder of our records, or `hub:owner/dataset[:split]`.

    Raises:
        RowError: A row is unreadable, more than `max_rejects` times.
        DataError: The path or the format is not known.
    """
    source = Source(path=Path(path), **options)
    if own_records.is_own(source.path, source.format):
        return own_records.read_prompts(source.path, source.reject)
    return [_prompt(loaded) for loaded in read_items(source)]


def load_demonstrations(
    path: Path | str,
    *,
    answers: Literal["best", "all"] = "best",
    made_by: MadeBy = "person",
    **options: Unpack[ReadOptions],
) -> DemonstrationSet:
    """The demonstrations of a source, and its prompts; errors as in `load_prompts`.

    Args:
        path: See `load_prompts`.
        answers: `best` takes the answer ranked first, or the only one; `all` takes all.
        made_by: Who wrote the answers, where the format does not say.
        options: See `ReadOptions`.
    """
    source = Source(path=Path(path), **options)
    if own_records.is_own(source.path, source.format):
        return DemonstrationSet(*own_records.read_demonstrations(source.path, source.reject))
    found = DemonstrationSet([], [])
    for loaded in read_items(source):
        written = []
        for place, answer in enumerate(loaded.item.answers):
            if answers == "best" and not _is_best(answer, loaded.item):
                continue
            if answer.text:
                written.append(_demonstration(loaded, place, answer, made_by))
            else:
                source.set_aside(loaded.line, "the answer is empty")
        found.prompts.append(_prompt(loaded))
        found.demonstrations.extend(written)
    if not found.demonstrations:
        raise DataError(f"{source.path}: holds no demonstrations", source.hint())
    return found


def load_rankings(
    path: Path | str, *, made_by: MadeBy = "person", **options: Unpack[ReadOptions]
) -> RankingSet:
    """The rankings of a source, of two or more answers each; errors as in `load_prompts`.

    Of a partly ranked group the ranked members are taken.

    Args:
        path: See `load_prompts`.
        made_by: Who ranked; no public format says.
        options: See `ReadOptions`.
    """
    source = Source(path=Path(path), **options)
    if own_records.is_own(source.path, source.format):
        prompts, completions, rankings = own_records.read_rankings(source.path, source.reject)
        return RankingSet(prompts=prompts, completions=completions, rankings=rankings)
    found = RankingSet(prompts=[], completions=[], rankings=[])
    for loaded in read_items(source):
        found.prompts.append(_prompt(loaded))
        if sum(answer.rank is not None for answer in loaded.item.answers) < 2:
            continue
        completions, ranking = _ranked(loaded, made_by)
        found.completions.extend(completions)
        found.rankings.append(ranking)
    if not found.rankings:
        raise DataError(f"{source.path}: holds no rankings", source.hint())
    return found


def load_everything(
    path: Path | str, *, made_by: MadeBy = "person", **options: Unpack[ReadOptions]
) -> Parcel:
    """All that a source holds, in one reading; errors as in `load_prompts`.

    Two or more ranked answers are completions with a ranking, a single unranked answer is a
    demonstration. Of our own records what is there is taken, whatever it refers to.

    Args:
        path: See `load_prompts`.
        made_by: Who labelled, where the format does not say.
        options: See `ReadOptions`.
    """
    source = Source(path=Path(path), **options)
    if own_records.is_own(source.path, source.format):
        return own_records.read_parcel(source.path, source.reject)
    found = Parcel()
    for loaded in read_items(source):
        found.prompts.append(_prompt(loaded))
        answers = loaded.item.answers
        if sum(answer.rank is not None for answer in answers) >= 2:
            completions, ranking = _ranked(loaded, made_by)
            found.completions.extend(completions)
            found.rankings.append(ranking)
        elif len(answers) == 1 and answers[0].text:
            found.demonstrations.append(_demonstration(loaded, 0, answers[0], made_by))
    return found


def _ranked(loaded: Loaded, made_by: MadeBy) -> tuple[list[Completion], Ranking]:
    """The ranked answers of an item as completions, and their ranking."""
    places = enumerate(loaded.item.answers)
    ranked = {place: answer for place, answer in places if answer.rank is not None}
    completions = [_completion(loaded, place, answer) for place, answer in ranked.items()]
    ranking = Ranking(
        id=loaded.id("ranking"),
        prompt_id=loaded.id("prompt"),
        completion_ids=tuple(completion.id for completion in completions),
        ranks=tuple(answer.rank for answer in ranked.values() if answer.rank),
        labeller_id=loaded.id("labeller"),
        made_by=made_by,
    )
    return completions, ranking


def _prompt(loaded: Loaded) -> Prompt:
    item, source = loaded.item, loaded.source
    group = None if item.group is None else derived_id("group", loaded.format, item.group)
    if item.organisation is not None:
        group = loaded.pseudonym("organisation", item.organisation)
    tags = item.tags
    if item.application is not None:
        tags = (*tags, loaded.pseudonym("application", item.application))
    return Prompt(
        id=loaded.id("prompt"),
        text_hash=text_hash(
            item.instruction,
            context=item.context,
            examples=item.examples,
            turns=item.turns,
            key=source.secret,
        ),
        instruction=item.instruction,
        context=item.context,
        examples=item.examples,
        turns=item.turns,
        source=item.source or f"{loaded.format}:{source.name}",
        use_case=item.use_case,
        # An unknown author is nobody else: one of their own per row, or per group.
        user_id=(
            derived_id("user", *loaded.origin)
            if item.author is None
            else loaded.pseudonym("user", item.author)
        ),
        organisation=group,
        consent=True,
        licence=item.licence or source.licence,
        created_at=item.created_at,
        tags=tags,
    )


def _demonstration(loaded: Loaded, place: int, answer: Answer, made_by: MadeBy) -> Demonstration:
    known = None if answer.author is None else loaded.pseudonym("user", answer.author)
    return Demonstration(
        id=loaded.id("demonstration", place),
        prompt_id=loaded.id("prompt"),
        text=answer.text,
        labeller_id=known or loaded.id("labeller", place),
        made_by=answer.made_by or made_by,
        licence=loaded.item.licence or loaded.source.licence,
    )


def _completion(loaded: Loaded, place: int, answer: Answer) -> Completion:
    return Completion(
        id=loaded.id("completion", place),
        prompt_id=loaded.id("prompt"),
        text=answer.text,
        checkpoint_id=answer.model or f"{loaded.format}:{loaded.source.name}",
    )


def _is_best(answer: Answer, item: Item) -> bool:
    return answer.rank == 1 or (answer.rank is None and len(item.answers) == 1)
