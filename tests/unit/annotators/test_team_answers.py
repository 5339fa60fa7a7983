"""What simulated labellers answer: marked as simulated, card by card, from given texts."""

import random
from dataclasses import replace

import pytest
from sqlalchemy.orm import Session

from fakes.labelling_store import DemoProject, demo_batch, demo_completion, demo_project
from heedful.annotators.simulated import simulated_team
from heedful.annotators.team_answers import Answered, Material, Worker, answer_task
from heedful.annotators.team_work import begin
from heedful.core.records import Example
from heedful.labelling.answers import BoardAnswer
from heedful.store.batches import ItemSpec
from heedful.store.columns import utc_now
from heedful.store.contents import add_completions
from heedful.store.database import Database
from heedful.store.slots import Assignment, assignment

ONE = "account-labeller1"


@pytest.fixture
def worker() -> Worker:
    return Worker(account_id=ONE, labeller=simulated_team(0)[0], chance=random.Random(0))


def opened(session: Session, worker: Worker) -> Assignment:
    task = begin(session, worker, now=utc_now())
    assert task is not None
    return assignment(session, worker.account_id, task.claim.item_id)


def answered(session: Session, worker: Worker, material: Material | None = None) -> Answered:
    return answer_task(session, worker, opened(session, worker), material or Material())


def ranking_batch(session: Session, demo: DemoProject) -> list[str]:
    """One item of which two outputs have the same text; gives the ids of these two."""
    prompt = demo.prompts[0]
    copy = demo_completion(prompt, 8, text="Answer 2 about 1.")
    add_completions(session, demo.id, [copy])
    ids = [one.id for one in demo.completions[prompt.id]]
    demo_batch(session, demo, items=[ItemSpec(prompt.id, [*ids, copy.id])])
    return [ids[1], copy.id]


def test_a_ranking_covers_all_outputs_and_same_texts_alike(
    database: Database, worker: Worker
) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        twins = ranking_batch(session, demo)
        assigned = opened(session, worker)
        done = answer_task(session, worker, assigned, Material())
        assert done.answer is not None
        ranking, ratings = done.answer.ranking, done.answer.ratings
        assert ranking is not None
        assert list(ranking.completion_ids) == assigned.item.completion_ids
        ranks = dict(zip(ranking.completion_ids, ranking.ranks, strict=True))
        qualities = {one.completion_id: one.quality for one in ratings}
        assert len({ranks[one] for one in twins}) == len({qualities[one] for one in twins}) == 1
        assert len({one.id for one in ratings}) == 4
        for label in (ranking, *ratings):
            assert (label.made_by, label.labeller_id) == ("simulated", ONE)
            assert label.batch_id == assigned.batch.id
        assert done.seconds > 0


def test_what_is_kept_is_what_the_board_would_send(database: Database, worker: Worker) -> None:
    with database.write() as session:
        ranking_batch(session, demo_project(session, num_prompts=1))
        assigned = opened(session, worker)
        done = answer_task(session, worker, assigned, Material())
        assert done.answer is not None
        board = BoardAnswer.model_validate(done.answer.raw)
        assert assigned.shown is not None
        assert list(board.ranks) == list(board.quality) == ["A", "B", "C"]
        assert done.answer.ranking is not None
        ranks = dict(
            zip(done.answer.ranking.completion_ids, done.answer.ranking.ranks, strict=True)
        )
        of_cards = [ranks[card[0]] for card in assigned.shown.cards]
        assert list(board.ranks.values()) == of_cards


def test_a_demonstration_is_one_of_the_texts_given(database: Database, worker: Worker) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=2)
        demo_batch(session, demo, kind="demonstration")
        material = Material({demo.prompts[0].id: ["One.", "Two."]})
        done = answered(session, worker, material)
        assert done.answer is not None
        (written,) = done.answer.demonstrations
        assert written.text in ("One.", "Two.")
        assert (written.made_by, written.labeller_id) == ("simulated", ONE)
        without = answered(session, worker, material)
        assert without.answer is None
        assert without.skip_reason == "cannot_judge"


@pytest.mark.parametrize("kind", ["plain", "few_shot"])
def test_a_prompt_is_a_new_record_of_the_wanted_kind(
    database: Database, worker: Worker, kind: str
) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=3)
        items = [ItemSpec(None, brief={"kind": kind, "use_case": "chat", "application": None})]
        demo_batch(session, demo, kind="prompt", items=items * 2)
        plain, other, shots = demo.prompts
        examples = (Example(prompt="a", completion="b"),)
        pool = [
            plain.model_copy(update={"use_case": "chat"}),
            other.model_copy(update={"use_case": "extract"}),
            shots.model_copy(update={"use_case": "chat", "examples": examples}),
        ]
        done = answered(session, worker, Material({}, pool))
        assert done.answer is not None
        (prompt,) = done.answer.prompts
        wanted = plain if kind == "plain" else shots
        assert prompt.instruction == wanted.instruction
        assert prompt.id not in {one.id for one in pool}
        assert (prompt.user_id, prompt.source) == (ONE, f"simulated/{kind}")
        assert answered(session, worker).answer is None


def test_skips_come_at_ones_own_rate_with_a_reason_that_fits(
    database: Database, worker: Worker
) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo)
        done = answered(session, replace(worker, skip_rate=1.0))
        assert done.answer is None
        assert done.skip_reason in ("unclear", "cannot_judge", "other")


def test_who_reads_faster_is_done_sooner(database: Database, worker: Worker) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo)
        assigned = opened(session, worker)
        seconds = []
        for pace in (100.0, 1000.0):
            quick = replace(worker, words_per_minute=pace, chance=random.Random(1))
            seconds.append(answer_task(session, quick, assigned, Material()).seconds)
        assert 8 < seconds[0] / seconds[1] < 12
