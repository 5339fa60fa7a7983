"""The work of the data room's later stages, from files to files.

Each reads what an earlier stage wrote, calls the module of `heedful.data` that decides, and
writes records, a manifest and what it dropped. Which stages there are, and in which order,
is `heedful.pipeline.data_room`'s.
"""

from collections.abc import Sequence
from pathlib import Path

from heedful.core.data_settings import (
    CapSettings,
    DedupSettings,
    DistributionSettings,
    EmbeddingSettings,
    LanguageSettings,
    SplitSettings,
)
from heedful.core.errors import DataError
from heedful.core.jsonl import read_records, write_json_atomic, write_records
from heedful.core.records import Demonstration, Prompt, Record
from heedful.data.caps import cap
from heedful.data.corpus import Corpus, Policy, normalised, words
from heedful.data.dedup import POLICIES, deduplicate, policy_by_name
from heedful.data.distribution import CountTokens, DataSet, DistributionReport, describe
from heedful.data.embedding import Embed
from heedful.data.language import LanguageIdentifier
from heedful.data.lineage import Dropped, write_stage
from heedful.data.plugins import DEDUP_POLICIES, factories
from heedful.data.split import Quarantined, place
from heedful.data.split_proof import prove_split
from heedful.data.tokenizer import TextTokenizer
from heedful.pipeline.data_embedding import load_embed
from heedful.pipeline.record_set import RECORD_FILES, RecordSet
from heedful.training.display import Display

PROMPTS = RECORD_FILES[0]
LINKS, EXAMPLES = "links.jsonl", "examples.json"
PROOF, QUARANTINE, DISTRIBUTION = "proof.json", "quarantine.jsonl", "distribution.json"


class PromptLink(Record):
    """Two prompts that belong in one split."""

    id: str
    of: str


def policies(
    names: Sequence[str], settings: DedupSettings, embed: Embed | None = None
) -> list[Policy]:
    """The policies of these names, ours and plugins', as they are set.

    Raises:
        ConfigError: There is no such policy.
    """
    strange = set(names) - POLICIES.keys()
    plugins = factories(DEDUP_POLICIES, POLICIES) if strange else {}
    found = []
    for name in names:
        values: dict[str, object] = {**settings.of_policy(name)}
        if name == "paraphrase":
            values["embed"] = embed
        found.append(policy_by_name(name, values, plugins=plugins))
    return found


def remove_duplicates(
    folder: Path,
    source: Path,
    settings: DedupSettings,
    embeddings: EmbeddingSettings | None = None,
    *,
    display: Display,
) -> None:
    """What the policies find is removed, joined or reported."""
    embed = load_embed(embeddings)
    found = deduplicate(
        read_records(source, Prompt),
        remove=policies(settings.remove, settings, embed),
        join=policies(settings.join, settings, embed),
        report=policies(settings.report, settings, embed),
    )
    write_records(folder / PROMPTS, found.kept)
    write_records(folder / LINKS, [PromptLink(id=one, of=other) for one, other in found.joined])
    write_json_atomic(folder / EXAMPLES, found.report.model_dump(mode="json"))
    write_stage(
        folder,
        inputs=[source],
        settings=settings.model_dump(mode="json"),
        num_out=len(found.kept),
        dropped=[
            Dropped(
                id=prompt_id,
                stage=folder.name,
                reason=removal.policy,
                because_of=removal.because_of,
            )
            for prompt_id, removal in found.removed.items()
        ],
        numbers={f"{count.name} links": count.num_links for count in found.report.policies},
    )
    counts = ", ".join(
        f"{count.name} {count.num_removed:,} removed"
        if count.action == "remove"
        else f"{count.name} {count.num_clusters:,} clusters ({count.action})"
        for count in found.report.policies
    )
    display.say(f"  {counts}; {len(found.kept):,} of {found.report.num_in:,} prompts stay.")


def cap_prompts(
    folder: Path, source: Path, settings: CapSettings, *, seed: int, display: Display
) -> None:
    """At most so many prompts of a user and of an organisation."""
    prompts = read_records(source, Prompt)
    found = cap(
        prompts,
        per_user=settings.per_user,
        per_organisation=settings.per_organisation,
        seed=seed,
    )
    write_records(folder / PROMPTS, found.kept)
    write_stage(
        folder,
        inputs=[source],
        settings={**settings.model_dump(mode="json"), "seed": seed},
        num_out=len(found.kept),
        dropped=[
            Dropped(
                id=prompt_id,
                stage=folder.name,
                reason=owner,
                detail=f"over the cap of one {owner}",
            )
            for prompt_id, owner in found.dropped.items()
        ],
    )
    display.say(f"  {len(found.kept):,} of {len(prompts):,} prompts are within the caps.")


def earlier_prompts(settings: SplitSettings) -> list[Path]:
    """The files of prompts that earlier runs placed.

    Raises:
        DataError: A folder is no finished run.
    """
    files = [folder / "split" / PROMPTS for folder in settings.previous]
    for file in files:
        if not file.is_file():
            raise DataError(
                f"{file}: no such file", "split.previous names the folders of finished runs."
            )
    return files


def split_prompts(
    folder: Path,
    source: Path,
    links: Path,
    settings: SplitSettings,
    dedup: DedupSettings,
    *,
    seed: int,
    display: Display,
) -> None:
    """Users, organisations and joined duplicates on one side each; earlier prompts stay put.

    Duplicates are looked for once more: prompts that only the earlier runs have are among them
    now, and in a crowd that the caps made smaller more are seen. They bind, and the proof is
    that none of them is torn apart.
    """
    prompts = read_records(source, Prompt)
    earlier = earlier_prompts(settings)
    old = [prompt for file in earlier for prompt in read_records(file, Prompt)]
    pairs = [(link.id, link.of) for link in read_records(links, PromptLink)]
    present = {prompt.id for prompt in prompts}
    gone = list({prompt.id: prompt for prompt in old if prompt.id not in present}.values())
    corpus = Corpus.of([*prompts, *gone])
    exact, near = (found_links(policy, corpus) for policy in policies(("exact", "near"), dedup))
    found = place(
        prompts, links=[*pairs, *exact, *near], old=old, shares=settings.shares, seed=seed
    )
    proof = prove_split(
        found.prompts,
        near,
        shares=dict(settings.shares),
        old=old,
    )
    write_records(folder / PROMPTS, found.prompts)
    write_records(folder / QUARANTINE, found.quarantined)
    write_json_atomic(folder / PROOF, proof.model_dump(mode="json"))
    write_stage(
        folder,
        inputs=[source, links, *earlier],
        settings={**settings.model_dump(mode="json"), "seed": seed},
        num_out=len(found.prompts),
        dropped=[_quarantined(item, folder.name) for item in found.quarantined],
        numbers={
            "groups": found.num_groups,
            "largest group": found.largest_group,
            "earlier prompts": len(old),
            "links": len(pairs),
        },
    )
    display.say(f"  {proof.summary()}")
    if found.quarantined:
        display.say(f"  {len(found.quarantined):,} prompts would bind earlier splits: quarantined.")
    if not proof.holds:
        display.say("  The earlier split leaks, and so does this one.", style="bold red")


def found_links(policy: Policy, corpus: Corpus) -> list[tuple[str, str]]:
    """What a policy finds, by the prompts' ids."""
    return [(corpus.ids[place], corpus.ids[of]) for place, of in policy.find(corpus)]


def _quarantined(item: Quarantined, stage: str) -> Dropped:
    return Dropped(
        id=item.prompt.id,
        stage=stage,
        reason="quarantined",
        because_of=item.because_of[0],
        detail=f"it would bind the splits of {' and '.join(item.because_of)} together",
    )


def assemble(folder: Path, prompts: Path, records: Path, *, display: Display) -> None:
    """What the trainers read: the split prompts and all that belongs to them."""
    found = RecordSet.read(records, prompts)
    kept, orphans = found.without_orphans(folder.name)
    kept.write(folder)
    write_stage(
        folder,
        inputs=[prompts, *(records / name for name in RECORD_FILES[1:])],
        settings={},
        num_out=len(kept.prompts),
        orphans=orphans,
        numbers=kept.numbers(),
    )
    sizes = ", ".join(f"{count:,} {kind}" for kind, count in kept.numbers().items() if count)
    display.say(f"  {sizes}; {len(orphans):,} records went with their prompts.")


def tabulate(
    folder: Path,
    source: Path,
    settings: DistributionSettings,
    languages: LanguageSettings | None,
    *,
    display: Display,
) -> None:
    """The tables of the report."""
    report = describe_sets([data_set(source.parent.name, source)], settings, languages)
    write_json_atomic(folder / DISTRIBUTION, report.model_dump(mode="json"))
    write_stage(
        folder,
        inputs=[source / name for name in RECORD_FILES[:2]],
        settings={
            **settings.model_dump(mode="json"),
            "languages": languages and languages.model_dump(mode="json"),
        },
        num_out=report.sets[0].num_prompts,
    )
    found = report.sets[0]
    lengths = next(numbers for numbers in found.prompt_lengths if numbers.by == "all")
    told = f"; languages: {', '.join(each.name for each in found.languages[:5])}"
    display.say(
        f"  {lengths.median:g} {found.unit} in the median prompt, {lengths.highest:,} in the "
        f"longest{told if found.languages else ''}."
    )


def describe_sets(
    sets: Sequence[DataSet], settings: DistributionSettings, languages: LanguageSettings | None
) -> DistributionReport:
    """The tables of one data set, or of two side by side."""
    count_tokens, unit = (
        (_count_words, "words")
        if settings.tokenizer is None
        else (_token_counter(settings.tokenizer), "tokens")
    )
    detect = None
    if languages is not None:
        detect = LanguageIdentifier(
            min_confidence=languages.min_confidence, low_memory=languages.low_memory
        )
    return describe(*sets, count_tokens=count_tokens, detect_language=detect, unit=unit)


def data_set(name: str, folder: Path) -> DataSet:
    """The prompts and demonstrations of a folder of records."""
    demonstrations = folder / RECORD_FILES[1]
    return DataSet(
        name=name,
        prompts=read_records(folder / PROMPTS, Prompt),
        demonstrations=(
            read_records(demonstrations, Demonstration) if demonstrations.is_file() else ()
        ),
    )


def _count_words(texts: Sequence[str]) -> list[int]:
    return [len(words(normalised(text))) for text in texts]


def _token_counter(folder: Path) -> CountTokens:
    tokenizer = TextTokenizer.from_dir(folder)
    return lambda texts: [len(ids) for ids in tokenizer.encode_batch(texts)]
