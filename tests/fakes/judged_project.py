"""A project whose labellers have ranked, rated, demonstrated and been graded, for quality pages.

Eight labellers: 1 to 5 work, 6 is held out, 7 practises, 8 is screened. Labeller 5 always
puts the longest output first. All rank the same prompts; item 1 of each batch has gold.
"""

import random
from dataclasses import dataclass

from sqlalchemy import update
from sqlalchemy.orm import Session

from fakes.labelling_store import DemoProject, demo_batch, demo_project
from fakes.sent_work import items_of, sent
from heedful.core.records import Demonstration, new_id
from heedful.store.batches import ItemSpec
from heedful.store.label_tables import label_row
from heedful.store.projects import set_stage
from heedful.store.screening_records import grade_demonstration, save_self_assessment
from heedful.store.survey_records import save_survey
from heedful.store.tables import (
    BatchRow,
    CompletionRow,
    ItemRow,
    MemberRow,
    PresentationRow,
    SubmissionRow,
)

LENGTHS = (120, 40, 90, 60)


@dataclass(frozen=True)
class JudgedProject:
    """What `judged_project` made; batches by purpose, `written` are demonstration ids."""

    demo: DemoProject
    batches: dict[str, BatchRow]
    written: list[str]

    @property
    def id(self) -> str:
        return self.demo.id

    def labeller(self, number: int) -> str:
        """The account id of the labeller with this number."""
        return self.demo.labellers[number - 1].id


def judged_project(session: Session, *, num_prompts: int = 6) -> JudgedProject:
    """Make it; the completions in order are the true ranking."""
    demo = demo_project(
        session, num_labellers=8, num_prompts=num_prompts, num_completions=len(LENGTHS)
    )
    for prompt in demo.prompts:
        for completion, length in zip(demo.completions[prompt.id], LENGTHS, strict=True):
            row = session.get_one(CompletionRow, completion.id)
            row.record = {**row.record, "text": completion.id.ljust(length, ".")}
    judged = JudgedProject(demo, {}, [])
    _stages(session, judged)
    drawn = random.Random(5)
    for purpose, who in (
        ("training", [1, 2, 3, 4, 5]),
        ("evaluation", [1, 2, 6]),
        ("practice", [7]),
        ("screening", [7, 8]),
    ):
        batch = demo_batch(
            session,
            demo,
            name=f"{purpose} rankings",
            purpose=purpose,
            items=_items(demo),
            overlap=len(who),
        )
        judged.batches[purpose] = batch
        for item in items_of(session, batch):
            for number in who:
                judge(session, judged, batch, item, number, drawn)
    # A researcher ranked some of the training items, too.
    batch = judged.batches["training"]
    for item in items_of(session, batch)[:3]:
        row = sent(session, batch, item, demo.researcher.id, ranks=(1, 2, 3, 4))
        row.status = "accepted"
    _screening(session, judged)
    _survey(session, judged)
    session.flush()
    return judged


def judge(
    session: Session,
    judged: JudgedProject,
    batch: BatchRow,
    item: ItemRow,
    number: int,
    drawn: random.Random,
) -> SubmissionRow:
    """A labeller's ranking, as it was shown to them, at their own speed."""
    size = len(item.completion_ids)
    if number == 5:
        ranks = tuple(1 + sum(other > one for other in LENGTHS) for one in LENGTHS)
    else:
        ranks = tuple(
            max(1, place + drawn.choice((-1, 0, 0, 0, 1))) for place in range(1, size + 1)
        )
    account = judged.labeller(number)
    shown = list(item.completion_ids)
    drawn.shuffle(shown)
    session.add(
        PresentationRow(
            item_id=item.id,
            account_id=account,
            cards=[[one] for one in shown],
            instructions_id=batch.instructions_id,
            opened_at=batch.created_at,
        )
    )
    seconds = 4.0 if number == 4 and item.place == 1 else drawn.uniform(60, 120)
    return sent(session, batch, item, account, seconds=seconds, ranks=ranks)


def _stages(session: Session, judged: JudgedProject) -> None:
    for number, stage in ((7, "practice"), (8, "screening")):
        set_stage(
            session,
            project_id=judged.id,
            account_id=judged.labeller(number),
            stage=stage,
            by=None,
            reason="",
        )
    session.execute(
        update(MemberRow).where(MemberRow.account_id == judged.labeller(6)).values(held_out=True)
    )


def _items(demo: DemoProject) -> list[ItemSpec]:
    items = []
    for prompt in demo.prompts:
        ids = [one.id for one in demo.completions[prompt.id]]
        gold = {
            "ranks": {one: place for place, one in enumerate(ids, start=1)},
            "flags": {ids[0]: {"hallucination": False}, ids[1]: {"hallucination": True}},
        }
        items.append(ItemSpec(prompt.id, ids, gold=None if items else gold))
    return items


def _screening(session: Session, judged: JudgedProject) -> None:
    batch = demo_batch(
        session,
        judged.demo,
        name="screening demonstrations",
        kind="demonstration",
        purpose="screening",
        overlap=2,
    )
    judged.batches["demonstrations"] = batch
    for item in items_of(session, batch)[:2]:
        account = judged.labeller(8)
        row = sent(session, batch, item, account)
        demonstration = Demonstration(
            id=new_id("demonstration"),
            prompt_id=str(item.prompt_id),
            text="A reply to a rude customer, firm but polite.",
            labeller_id=account,
            made_by="person",
        )
        session.add(label_row(demonstration, row.id))
        judged.written.append(demonstration.id)
    session.flush()
    for reviewer, grade in ((judged.demo.reviewer.id, 7), (judged.demo.researcher.id, 5)):
        grade_demonstration(
            session, demonstration_id=judged.written[0], reviewer_id=reviewer, grade=grade
        )
    save_self_assessment(
        session,
        project_id=judged.id,
        account_id=judged.labeller(8),
        answers={"topics": ["religion"], "confidence": 5, "note": "I know two faiths from within."},
    )


def _survey(session: Session, judged: JudgedProject) -> None:
    for number in range(1, 7):
        save_survey(
            session,
            project_id=judged.id,
            account_id=judged.labeller(number),
            answers={
                "gender": "woman" if number < 4 else "man",
                "background": ["south_asian"] if number == 1 else ["white", "east_asian"],
                "nationality": "filipino" if number % 2 else "Filipino",
                "clear": "4",
            },
            linked=True,
        )
