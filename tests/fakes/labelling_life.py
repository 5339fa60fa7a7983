"""A project in the middle of its life, for pages to show: every kind of task, some of it done.

The people are invented, their labels are drawn at random with a fixed seed. Logins: `admin`,
`researcher`, `reviewer`, `ana`, `bo`, `cleo` (working), `dee` (screening), `eve` (held out).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from fakes.labelling_store import demo_completion, demo_prompt
from heedful.core.records import (
    Completion,
    Demonstration,
    Prompt,
    Ranking,
    Rating,
    RatingFlags,
    new_id,
)
from heedful.store.access import create_account
from heedful.store.batches import ItemSpec, create_batch
from heedful.store.columns import MemberStage, Purpose, Role, TaskKind, utc_now
from heedful.store.contents import add_completions, add_prompts
from heedful.store.label_checks import Answer
from heedful.store.labels import exclude, submit
from heedful.store.presentations import present
from heedful.store.projects import PURPOSES, add_member, create_project
from heedful.store.questions import answer as answer_question
from heedful.store.questions import ask
from heedful.store.slots import claim_next
from heedful.store.tables import (
    AccountRow,
    BatchRow,
    ItemRow,
    PresentationRow,
    ProjectRow,
    SubmissionRow,
)

PASSWORD = "a calm harbour at dusk 42"
PEOPLE: dict[str, tuple[Role, MemberStage, bool]] = {
    "researcher": ("researcher", "working", False),
    "reviewer": ("reviewer", "working", False),
    "ana": ("labeller", "working", False),
    "bo": ("labeller", "working", False),
    "cleo": ("labeller", "working", False),
    "dee": ("labeller", "screening", False),
    "eve": ("labeller", "working", True),
}
ASKED = {
    "bread": "Explain to somebody who bakes for the first time why sourdough bread rises.",
    "tides": "Why are there two high tides on most days? Answer for a ten-year-old.",
    "letter": "Write a short letter to a neighbour whose parcel was left with me.",
    "moving": "What should I check before I sign for a second-hand bicycle?",
    "poem": "Write four lines about the first frost.",
    "insult": "Make this reply to a rude customer sound firm but polite.",
}
SENTENCES = (
    "Flour and water, left to stand for some days, gather wild yeast and harmless bacteria.",
    "The yeast eats the sugars that the flour's enzymes free, and breathes out carbon dioxide.",
    "Kneading lines up two proteins of the wheat into gluten, a stretchy net that holds the gas.",
    "In the warm the yeast works faster; in the refrigerator it slows down and the taste grows.",
    "The bacteria make acids. These give the sour taste and keep the loaf from going mouldy.",
    "If you press the dough with a finger and it comes back slowly, it is ready for the oven.",
    "In the oven the gas expands, water turns to steam, and the loaf rises a last time.",
    "At about 60 degrees the yeast dies; then the starch sets and the loaf keeps its shape.",
    "I am not able to say how long it takes in your kitchen, since flours differ.",
    "Sourdough was invented in 1849 by a miner in San Francisco, who forgot his dough in a boot.",
    "A pinch of salt tightens the net and tames the yeast, so add it after the first hour.",
    "Some people name their starter, which changes nothing about the bread but is good company.",
)


@dataclass
class Life:
    """What `live` made.

    Attributes:
        people: By login.
        batches: By name.
    """

    project: ProjectRow
    people: dict[str, AccountRow]
    prompts: dict[str, Prompt]
    completions: dict[str, list[Completion]]
    batches: dict[str, BatchRow] = field(default_factory=dict)


def live(session: Session, *, simulated: bool = False) -> Life:
    """Make the project; the last labels are of a moment ago, the first of a week ago."""
    now = utc_now()
    life = _people_and_contents(session, now - timedelta(days=9), simulated)
    _batches(session, life, now - timedelta(days=8))
    drawn = random.Random(7)
    for login, name, count in (
        *((login, "First rankings", 5) for login in ("ana", "bo", "cleo")),
        ("ana", "Demonstrations", 2),
        ("bo", "Demonstrations", 1),
        ("dee", "Screening rankings", 3),
        ("dee", "Screening demonstrations", 2),
        ("eve", "Final evaluation", 2),
        ("cleo", "Final evaluation", 2),
    ):
        for turn in range(count):
            when = now - timedelta(days=7 - turn, hours=drawn.randrange(20))
            _work(session, life, login, life.batches[name], when, drawn)
    _talk(session, life, now)
    return life


def _people_and_contents(session: Session, now: datetime, simulated: bool) -> Life:
    people = {
        "admin": create_account(
            session, login="admin", name="Ida Admin", role="admin", password=PASSWORD, now=now
        )
    }
    project = create_project(
        session,
        name="Harbour pilot",
        instructions={
            purpose: f"# Labelling for {purpose}\n\nRead the prompt **twice**. Then:\n\n"
            "1. Rate each output by itself.\n2. Rank them; ties are welcome.\n\n"
            "> Skip what you cannot judge.\n\nSee [the guide](https://example.org/guide)."
            for purpose in PURPOSES
        },
        created_by=people["admin"].id,
        pay_rate=18.0,
        simulated=simulated,
        now=now,
    )
    for login, (role, stage, held_out) in PEOPLE.items():
        people[login] = create_account(
            session, login=login, name=f"{login.title()} Demo", role=role, password=PASSWORD
        )
        add_member(
            session,
            project_id=project.id,
            account_id=people[login].id,
            stage=stage,
            held_out=held_out,
            now=now,
        )
    prompts = {
        name: demo_prompt(
            name, instruction=text, tags=("sensitive",) if name == "insult" else (),
            context="“I have waited nine days!”" if name == "insult" else None,
        )
        for name, text in ASKED.items()
    }  # fmt: skip
    drawn = random.Random(3)
    completions = {
        name: [
            demo_completion(prompt, n, text=_text(drawn, n if name == "bread" else 2), seed=n)
            for n in range(1, 10 if name == "bread" else 5)
        ]
        for name, prompt in prompts.items()
    }
    add_prompts(session, project.id, prompts.values(), now=now)
    add_completions(session, project.id, [c for some in completions.values() for c in some])
    return Life(project, people, prompts, completions)


def _text(drawn: random.Random, paragraphs: int) -> str:
    return "\n\n".join(" ".join(drawn.sample(SENTENCES, 3)) for _ in range(paragraphs))


def _batches(session: Session, life: Life, now: datetime) -> None:
    names = [name for name in ASKED if name != "bread"]

    def make(
        name: str, kind: TaskKind, purpose: Purpose, items: Sequence[ItemSpec], overlap: int = 1
    ) -> None:
        life.batches[name] = create_batch(
            session,
            project_id=life.project.id,
            name=name,
            kind=kind,
            purpose=purpose,
            items=items,
            overlap=overlap,
            baseline="model-1" if purpose == "evaluation" else None,
            created_by=life.people["researcher"].id,
            state="open",
            now=now,
        )

    def ranked(name: str, gold: bool = False) -> ItemSpec:
        ids = [completion.id for completion in life.completions[name]]
        ranks = {one: rank for rank, one in enumerate(ids, start=1)}
        return ItemSpec(
            life.prompts[name].id, ids, gold={"ranks": ranks, "flags": {}} if gold else None
        )

    written = [ItemSpec(life.prompts[name].id) for name in names]
    briefs = [
        ItemSpec(None, brief={"kind": kind, "use_case": "brainstorming", "application": who})
        for kind, who in (("plain", None), ("few_shot", None), ("user_based", "A recipe site"))
    ]
    make("First rankings", "ranking", "training", [ranked(name) for name in names], 3)
    make("Nine outputs", "ranking", "training", [ranked("bread")], 3)
    make("Demonstrations", "demonstration", "training", written)
    make("New prompts", "prompt", "training", briefs)
    make("Screening rankings", "ranking", "screening", [ranked(n, True) for n in names[:4]], 9)
    make("Screening demonstrations", "demonstration", "screening", written[:3], 9)
    make("Practice", "ranking", "practice", [ranked(name, True) for name in names[:3]], 9)
    make("Final evaluation", "ranking", "evaluation", [ranked(name) for name in names[:3]], 2)


def _work(
    session: Session,
    life: Life,
    login: str,
    batch: BatchRow,
    when: datetime,
    drawn: random.Random,
) -> None:
    account = life.people[login]
    claim = claim_next(session, account.id, batch_id=batch.id, now=when)
    if claim is None:
        return
    item = session.get_one(ItemRow, claim.item_id)
    shown = present(session, account.id, item.id, shuffle=drawn, now=when)
    submit(
        session,
        account.id,
        item.id,
        token=claim.token,
        answer=_answer(account, batch, item, shown, drawn),
        seconds_spent=drawn.uniform(60, 400),
        now=when + timedelta(minutes=5),
    )


def _answer(
    account: AccountRow,
    batch: BatchRow,
    item: ItemRow,
    shown: PresentationRow,
    drawn: random.Random,
) -> Answer:
    assert item.prompt_id is not None
    by = {"labeller_id": account.id, "made_by": "person"}
    if batch.kind == "demonstration":
        written = Demonstration(
            id=new_id("demonstration"), prompt_id=item.prompt_id, text=_text(drawn, 2), **by
        )
        return Answer(demonstrations=(written,), raw={"text": written.text})
    places = {one: place for place, one in enumerate(item.completion_ids, start=1)}
    ranks = {one: max(1, place + drawn.choice((-1, 0, 0, 1))) for one, place in places.items()}
    ranking = Ranking(
        id=new_id("ranking"),
        prompt_id=item.prompt_id,
        completion_ids=tuple(ranks),
        ranks=tuple(ranks.values()),
        batch_id=batch.id,
        **by,
    )
    ratings = tuple(
        Rating(
            id=new_id("rating"),
            prompt_id=item.prompt_id,
            completion_id=one,
            quality=max(1, 8 - rank),
            flags=RatingFlags(hallucination=drawn.random() < 0.2),
            batch_id=batch.id,
            **by,
        )
        for one, rank in ranks.items()
    )
    return Answer(ranking=ranking, ratings=ratings, raw={"cards": shown.cards})


def _talk(session: Session, life: Life, now: datetime) -> None:
    """Questions, answered and open; a task begun; a label excluded."""
    ana, bo = life.people["ana"], life.people["bo"]
    claim = claim_next(session, ana.id, batch_id=life.batches["Nine outputs"].id, now=now)
    assert claim is not None
    present(session, ana.id, claim.item_id, shuffle=random.Random(1), now=now)
    ask(session, ana.id, claim.item_id, "May two outputs share the first rank?", now=now)
    claim = claim_next(session, bo.id, batch_id=life.batches["Demonstrations"].id, now=now)
    assert claim is not None
    present(session, bo.id, claim.item_id, now=now)
    question = ask(session, bo.id, claim.item_id, "Whose letter is it?", now=now)
    answer_question(
        session,
        question.id,
        text="The neighbour's. Address it to them.",
        by=life.people["researcher"].id,
    )
    last = session.scalars(select(SubmissionRow).where(SubmissionRow.account_id == bo.id)).first()
    assert last is not None
    exclude(session, [last.id], reason="Made by mistake, says Bo", by=life.people["admin"].id)
