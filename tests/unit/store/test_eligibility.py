"""Who may be given what: stage, purpose, role, authorship, sensitivity, adjudication."""

from typing import get_args

import pytest
from sqlalchemy.orm import Session

from fakes.label_answers import hand_in
from fakes.labelling_store import DemoProject, demo_batch, demo_completion, demo_project
from heedful.store.batches import ItemSpec, set_state
from heedful.store.columns import MemberStage, Purpose
from heedful.store.contents import add_completions
from heedful.store.database import Database
from heedful.store.slots import claim_next, remaining, skip
from heedful.store.tables import ItemRow, MemberRow, PromptRow

ONE, TWO = "account-labeller1", "account-labeller2"
PURPOSES_OF: dict[tuple[MemberStage, bool], set[Purpose]] = {
    ("screening", False): {"screening"},
    ("practice", False): {"practice"},
    ("working", False): {"training", "evaluation"},
    ("screening", True): {"evaluation"},
    ("practice", True): {"evaluation"},
    ("working", True): {"evaluation"},
}


def given(session: Session, account_id: str) -> list[str]:
    """The prompts of all items this account can claim; `remaining` must say the same number."""
    left = sum(one.items for one in remaining(session, account_id))
    prompts = []
    while (claim := claim_next(session, account_id)) is not None:
        prompts.append(session.get_one(ItemRow, claim.item_id).prompt_id or "")
    assert left == len(prompts)
    return prompts


def one_batch_of_each_purpose(session: Session, demo: DemoProject) -> dict[str, Purpose]:
    return {
        demo_batch(session, demo, name=purpose, purpose=purpose).id: purpose
        for purpose in get_args(Purpose)
    }


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("stage", get_args(MemberStage))
def test_stage_and_holding_out_decide_the_purpose(
    database: Database, stage: MemberStage, held_out: bool
) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        purposes = one_batch_of_each_purpose(session, demo)
        member = session.get_one(MemberRow, (demo.id, ONE))
        member.stage, member.held_out = stage, held_out
        found = {purposes[left.batch_id] for left in remaining(session, ONE)}
        assert found == PURPOSES_OF.get((stage, held_out), set())
        assert len(given(session, ONE)) == len(found)


def test_only_open_batches_of_ones_own_projects(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        other = demo_project(session, name="Other")
        demo_batch(session, demo, name="Draft", state="draft")
        paused = demo_batch(session, demo, name="Paused")
        set_state(session, paused.id, "paused", by=None)
        demo_batch(session, other)
        assert given(session, ONE) == []
        assert len(given(session, f"{ONE}-other")) == 4


def test_nobody_answers_their_own_prompt(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=2)
        session.get_one(PromptRow, demo.prompts[0].id).author_id = ONE
        demo_batch(session, demo, kind="demonstration")
        assert given(session, ONE) == [demo.prompts[1].id]
        assert given(session, TWO) == [demo.prompts[0].id]


def test_nobody_judges_their_own_text_but_others_of_the_same_prompt(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=2)
        prompt = demo.prompts[0]
        own = demo_completion(prompt, 9, text="What I wrote.")
        add_completions(session, demo.id, [own], authors={own.id: ONE})
        others = [one.id for one in demo.completions[prompt.id]]
        demo_batch(session, demo, name="With", items=[ItemSpec(prompt.id, [*others, own.id])])
        demo_batch(session, demo, name="Without", items=[ItemSpec(prompt.id, others)])
        assert given(session, ONE) == [prompt.id]
        assert given(session, TWO) == [prompt.id]


def test_who_opted_out_of_sensitive_items_gets_none(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=2)
        session.get_one(PromptRow, demo.prompts[0].id).sensitive = True
        session.flush()
        demo_batch(session, demo)
        demo.labellers[0].avoids_sensitive = True
        assert given(session, ONE) == [demo.prompts[1].id]
        assert given(session, TWO) == [demo.prompts[0].id]


def test_skipped_and_submitted_items_do_not_come_back(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=3)
        demo_batch(session, demo, overlap=2)
        first, second = claim_next(session, ONE), claim_next(session, ONE)
        assert first is not None
        assert second is not None
        skip(session, ONE, first.item_id, "sensitive")
        hand_in(session, ONE, second.item_id)
        assert given(session, ONE) == [demo.prompts[2].id]


def test_adjudication_is_for_others_than_labellers_and_than_those_who_labelled(
    database: Database,
) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        prompt, ids = demo.prompts[0], [one.id for one in demo.completions[demo.prompts[0].id]]
        batch = demo_batch(session, demo, overlap=2)
        disputed = ""
        for account in (demo.researcher, demo.labellers[0]):
            claim = claim_next(session, account.id)
            assert claim is not None
            hand_in(session, account.id, claim.item_id)
            disputed = claim.item_id
        set_state(session, batch.id, "closed", by=None)
        demo_batch(
            session,
            demo,
            name="Adjudication",
            kind="adjudication",
            items=[ItemSpec(prompt.id, ids, adjudicates=disputed)],
            overlap=3,
        )
        for account in (demo.researcher, *demo.labellers):
            assert given(session, account.id) == []
        session.get_one(MemberRow, (demo.id, demo.reviewer.id)).stage = "screening"
        assert given(session, demo.reviewer.id) == [prompt.id]


def test_held_out_reviewers_do_not_adjudicate_training(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo)
        member = session.get_one(MemberRow, (demo.id, demo.reviewer.id))
        member.held_out = True
        assert given(session, demo.reviewer.id) == []
        member.held_out = False
        assert len(given(session, demo.reviewer.id)) == 1
