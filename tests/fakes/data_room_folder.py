"""Writes a folder like that of `heedful data prepare`: real records, made-up numbers."""

import random
from collections.abc import Sequence
from pathlib import Path

from fakes.quickstart_folder import HOSTILE
from heedful.core.jsonl import write_json_atomic, write_records
from heedful.core.records import Demonstration, Example, Prompt, Record, Split, text_hash
from heedful.core.statistics import wilson_interval
from heedful.data.contamination_records import (
    ContaminationReport,
    OverlapExample,
    OverlapRow,
    OverlapRules,
    SetSummary,
    SourceSummary,
    write_report,
)
from heedful.data.corpus import prompt_text
from heedful.data.dedup import DedupReport, DuplicateExample, PolicyCount
from heedful.data.distribution import DataSet, describe
from heedful.data.lineage import Dropped, write_stage
from heedful.data.pii import PersonalDataReport
from heedful.data.split import Quarantined
from heedful.data.split_proof import SplitProof

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_THINGS = "a harbour|two old friends|the night train|a lost umbrella|my grandmother's garden"
_TASKS = {
    "generation": "Write a short story about {}.",
    "open_qa": "What should I know before I write about {}?",
    "brainstorming": "Give me five ideas for a party with the theme {}.",
    "chat": "Let us talk about {}. You begin.",
    "summarisation": "Summarise what I told you about {} in two sentences.",
    None: "Say something about {}, as you would to a child.",
}
_LANGUAGES = ("en",) * 40 + ("de", "de", "fr", "fr", "es", "ja", "unknown", "unknown", "unknown")


def made_up_prompts(number: int, seed: int = 0) -> list[Prompt]:
    """Prompts of users with few and with many, in three splits."""
    rng = random.Random(seed)
    things = _THINGS.split("|")
    prompts = []
    for n in range(number):
        user = int(rng.paretovariate(0.8)) % 60
        use_case = rng.choices(list(_TASKS), weights=(45, 12, 11, 8, 5, 19))[0]
        text = _TASKS[use_case].format(rng.choice(things))
        text += " And then go on." * int(rng.lognormvariate(1.2, 1.1))
        few_shot = (Example(prompt="Say hello.", completion="Hello."),) * (n % 5 == 0)
        prompts.append(
            Prompt(
                id=f"prompt-{seed}-{n:05d}",
                text_hash=text_hash(text, examples=few_shot),
                instruction=text,
                examples=few_shot,
                source="labeller: few-shot" if few_shot else rng.choice(("labeller: plain", "api")),
                use_case=use_case,  # type: ignore[arg-type]
                user_id=f"user-{user}",
                organisation=f"organisation-{user % 17}" if user % 3 else None,
                split=SPLITS[0 if user % 10 < 6 else 1 if user % 10 < 7 else 2],
                consent=True,
                tags=tuple(
                    t for t in ("sensitive", "closed_domain", "opinion") if rng.random() < 0.1
                ),
            )
        )
    return prompts


def write_data_room_folder(folder: Path, *, num_prompts: int = 600) -> Path:
    """Everything that the data room writes and its page reads."""
    prompts = made_up_prompts(num_prompts)
    source = folder.parent / "prompts.jsonl"
    write_records(source, prompts)
    gone = [f"gone-{n}" for n in range(num_prompts // 4)]
    reasons = ["exact"] * 50 + ["containment"] * 30 + ["near"] * 20
    write_stage(
        folder / "read",
        inputs=[source],
        settings={"sources": [{"path": "prompts.jsonl", "kind": "prompts"}], "max_rejects": 10},
        num_out=len(prompts) + len(gone) + 20,
        dropped=[
            Dropped(id=f"prompts.jsonl:{n}", stage="read", reason="not a record") for n in range(3)
        ],
        numbers={"demonstrations": num_prompts // 3},
    )
    write_records(folder / "read" / "prompts.jsonl", prompts)
    _write(
        folder / "read" / "personal_data.json",
        PersonalDataReport(
            num_records=num_prompts * 2,
            num_with=num_prompts // 9,
            counts={"EMAIL": 21, "PERSON": 55, "PHONE": 9, "NATIONAL_ID": 2},
        ),
    )
    write_stage(
        folder / "dedup",
        inputs=[folder / "read" / "manifest.json"],
        settings={"remove": ["exact", "containment", "near"], "near": {"threshold": 0.8}},
        num_out=len(prompts) + 20,
        dropped=[
            Dropped(id=name, stage="dedup", reason=reasons[n % 100], because_of=prompts[0].id)
            for n, name in enumerate(gone)
        ],
    )
    _write(folder / "dedup" / "examples.json", _dedup(prompts, len(gone)))
    write_stage(
        folder / "cap",
        inputs=[],
        settings={"per_user": 200, "per_organisation": 200, "seed": 0},
        num_out=len(prompts) + 4,
        dropped=[Dropped(id=f"over-{n}", stage="cap", reason="user") for n in range(16)],
    )
    _write_split(folder / "split", prompts)
    write_report(folder / "contamination", _contamination())
    write_stage(
        folder / "contamination", inputs=[], settings={"embeddings": None}, num_out=len(prompts)
    )
    _write_distribution(folder / "distribution", prompts)
    return folder


def _write_split(folder: Path, prompts: Sequence[Prompt]) -> None:
    quarantined = [
        Quarantined(prompt=prompt, because_of=("prompt-old-1", "prompt-old-2"))
        for prompt in made_up_prompts(4, seed=7)
    ]
    write_records(folder / "quarantine.jsonl", quarantined)
    write_stage(
        folder,
        inputs=[],
        settings={"train": 0.6, "validation": 0.1, "test": 0.3},
        num_out=len(prompts),
        dropped=[
            Dropped(id=each.prompt.id, stage="split", reason="quarantine") for each in quarantined
        ],
    )
    _write(folder / "proof.json", proof(prompts))


def proof(prompts: Sequence[Prompt], **changes: object) -> SplitProof:
    """One that holds, unless changed."""
    users = {split: {p.user_id for p in prompts if p.split == split} for split in SPLITS}
    found = {
        "shares": dict(zip(SPLITS, (0.6, 0.1, 0.3), strict=True)),
        "num_prompts": {split: sum(p.split == split for p in prompts) for split in SPLITS},
        "num_users": {split: len(members) for split, members in users.items()},
        "num_organisations": {split: len(members) // 3 for split, members in users.items()},
        "num_links": 31,
        "shared_users": (),
        "shared_organisations": (),
        "shared_texts": (),
        "shared_near": (),
    }
    return SplitProof.model_validate(found | changes)


def _dedup(prompts: Sequence[Prompt], num_removed: int) -> DedupReport:
    kept, other = prompt_text(prompts[1]), prompt_text(prompts[2])
    changed = {
        "exact": kept,
        "containment": f"I have a question before I go to bed. {kept} Thank you, and sleep well.",
        "near": kept + " Please.",
        "template": kept.replace("a harbour", "a lighthouse") + HOSTILE,
        "paraphrase": "Tell me in your own words what comes to mind here.",
    }
    policies = []
    for n, (name, text) in enumerate(changed.items()):
        example = DuplicateExample(
            policy=name,
            kept_id=prompts[1].id,
            removed_id=f"gone-{n}",
            kept_text=other if name == "paraphrase" else kept,
            removed_text=text,
        )
        removes = name in ("exact", "containment", "near")
        policies.append(
            PolicyCount(
                name=name,
                action="remove" if removes else "report" if name == "paraphrase" else "join",
                num_links=120 - 17 * n,
                num_clusters=90 - 13 * n,
                num_removed=num_removed // 3 if removes else 0,
                examples=(example,),
            )
        )
    size = len(prompts) + 20
    return DedupReport(num_in=size + num_removed, num_out=size, policies=tuple(policies))


def _contamination() -> ContaminationReport:
    sizes = {"gsm8k": (900, 31), "hellaswag": (5000, 18), "truthfulqa": (817, 4), "rte": (277, 0)}
    sets, rows = [], []
    for name, (size, dirty) in sizes.items():
        share = wilson_interval(dirty, size)
        interval = {"share": share.value, "low": share.low, "high": share.high}
        fields = {"num_items": size, "num_dirty": dirty, **interval}
        sets.append(
            SetSummary.model_validate(
                {"name": name, "source": f"{name}.jsonl", "num_short": 12, **fields}
            )
        )
        if dirty:
            rules = {"question": dirty // 3, "ngram_13": dirty // 2, "ngram_8": dirty, "answer": 1}
            rows.append(
                OverlapRow.model_validate(
                    {
                        "source": "demonstrations",
                        "kind": "demonstrations",
                        "evaluation_set": name,
                        "dirty": rules,
                        "common_ngrams": {"ngram_13": 2},
                        "examples": _overlaps(name),
                        **fields,
                    }
                )
            )
    return ContaminationReport(
        rules=OverlapRules(),
        sources=(
            SourceSummary(
                name="demonstrations", kind="demonstrations", num_documents=200, num_words=18_230
            ),
            SourceSummary(name="books", kind="pretraining", num_documents=96, num_words=7_801_022),
        ),
        sets=tuple(sets),
        rows=tuple(rows),
        with_paraphrases=False,
    )


def _overlaps(name: str) -> tuple[OverlapExample, ...]:
    question = "a baker sells 48 loaves in the morning and half as many in the afternoon how many"
    document = f"here is a riddle from {name}: {question} loaves does the baker sell in a day? 72."
    return (
        OverlapExample(
            item_id=f"{name}-17",
            document_id="demonstration-0042",
            rules=("question", "ngram_13"),
            overlap=1.0,
            item_text=question,
            document_text=document,
        ),
        OverlapExample(
            item_id=f"{name}-18", document_id="demonstration-0043", rules=("answer",), overlap=0.4
        ),
    )


def _write_distribution(folder: Path, prompts: Sequence[Prompt]) -> None:
    demonstrations = [
        Demonstration(
            id=f"demonstration-{n:04d}",
            prompt_id=prompt.id,
            text="Once upon a time. " * (1 + n % 23),
            labeller_id="simulated-1",
            made_by="simulated",
        )
        for n, prompt in enumerate(prompts[::3])
    ]
    report = describe(
        DataSet(name="this data", prompts=prompts, demonstrations=demonstrations),
        DataSet(name="embedded", prompts=made_up_prompts(150, seed=3)),
        count_tokens=lambda texts: [len(text.split()) for text in texts],
        detect_language=lambda texts: [_LANGUAGES[len(t) % len(_LANGUAGES)] for t in texts],
        unit="words",
    )
    _write(folder / "distribution.json", report)
    write_stage(folder, inputs=[], settings={"tokenizer": None}, num_out=len(prompts))


def _write(path: Path, record: Record) -> None:
    write_json_atomic(path, record.model_dump(mode="json"))
