"""What statistics read is what counts, once, in bulk, on both databases."""

from sqlalchemy import event

from fakes.judged_project import LENGTHS, judged_project
from fakes.labelling_store import demo_batch, demo_completion, demo_project
from fakes.sent_work import items_of, sent
from heedful.core.records import new_id
from heedful.store.batches import ItemSpec
from heedful.store.contents import add_completions
from heedful.store.database import Database
from heedful.store.labels import exclude
from heedful.store.quality_queries import (
    GOLD,
    completion_lengths,
    flag_checks,
    graded_demonstrations,
    judgements,
    members,
    open_to_adjudication,
    times_spent,
)
from heedful.store.tables import (
    BatchRow,
    ItemRow,
    PresentationRow,
    RankingRow,
    SubmissionRow,
)


def test_judgements_are_read_with_where_they_come_from(database: Database) -> None:
    with database.write() as session:
        judged = judged_project(session)
        found = judgements(session, judged.id)
        training = judgements(session, judged.id, purposes=["training"])
        of_one = judgements(session, judged.id, account_id=judged.labeller(1))
        of_batch = judgements(session, judged.id, batch_id=judged.batches["evaluation"].id)
    assert {one.purpose for one in found} == {"training", "evaluation", "practice", "screening"}
    assert len(training) == 5 * 6 + 3
    assert (len(of_one), len(of_batch)) == (12, 18)
    first = next(one for one in training if one.labeller_id == judged.labeller(1))
    assert set(first.shown) == set(first.ranking.completion_ids)
    gold = [one for one in training if one.gold is not None]
    assert {one.ranking.prompt_id for one in gold} == {judged.demo.prompts[0].id}
    assert gold[0].gold is not None
    assert (gold[0].gold.ranks, gold[0].gold.labeller_id) == ((1, 2, 3, 4), GOLD)


def test_what_does_not_count_is_left_out(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        batch = demo_batch(session, demo, overlap=1)
        item = items_of(session, batch)[0]
        counted = sent(session, batch, item, demo.labellers[0].id, ranks=(1, 2, 3))
        surplus = sent(session, batch, item, demo.labellers[1].id, ranks=(1, 2, 3))
        assert [one.submission_id for one in judgements(session, demo.id)] == [counted.id]
        assert [one.submission_id for one in times_spent(session, demo.id)] == [counted.id]
        assert surplus.status == "surplus"
        exclude(session, [counted.id], reason="a test", by=None)
        assert judgements(session, demo.id) == times_spent(session, demo.id) == []


def test_identical_texts_are_judged_once(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1, num_completions=3)
        prompt = demo.prompts[0]
        same = demo_completion(prompt, 9, text=demo.completions[prompt.id][1].text)
        add_completions(session, demo.id, [same])
        ids = [one.id for one in demo.completions[prompt.id]] + [same.id]
        gold = {"ranks": dict(zip(ids, (1, 2, 3, 2), strict=True))}
        batch = demo_batch(session, demo, items=[ItemSpec(prompt.id, ids, gold=gold)], overlap=2)
        item = items_of(session, batch)[0]
        cards = [[ids[2]], [ids[1], ids[3]], [ids[0]]]
        session.add(
            PresentationRow(
                item_id=item.id,
                account_id=demo.labellers[0].id,
                cards=cards,
                instructions_id=batch.instructions_id,
                opened_at=batch.created_at,
            )
        )
        for labeller in demo.labellers:  # one of the two came by an import, without cards
            sent(session, batch, item, labeller.id, ranks=(1, 2, 3, 2))
        found = judgements(session, demo.id)
    assert [one.ranking.completion_ids for one in found] == [tuple(ids[:3])] * 2
    assert {one.shown for one in found} == {(ids[2], ids[1], ids[0]), ()}
    assert [one.gold.ranks for one in found if one.gold] == [(1, 2, 3)] * 2


def test_members_are_everybody_whose_labels_are_here(database: Database) -> None:
    with database.write() as session:
        judged = judged_project(session)
        other = demo_project(session, name="Other")
        item = items_of(session, judged.batches["training"])[0]
        sent(session, judged.batches["training"], item, other.labellers[0].id, ranks=(1, 2, 3, 4))
        found = members(session, judged.id)
    assert [one.name for one in found.values()] == sorted(one.name for one in found.values())
    assert found[judged.labeller(6)].held_out
    assert found[judged.labeller(7)].stage == "practice"
    assert found[other.labellers[0].id].stage == ""
    assert other.labellers[1].id not in found
    assert found[judged.demo.researcher.id].role == "researcher"


def test_lengths_flags_grades(database: Database) -> None:
    with database.write() as session:
        judged = judged_project(session)
        lengths = completion_lengths(session, judged.id)
        checks = flag_checks(session, judged.id, purposes=["screening"])
        graded = graded_demonstrations(session, judged.id, purposes=["screening"])
        assert graded_demonstrations(session, judged.id, purposes=["training"]) == []
    prompt = judged.demo.prompts[0].id
    assert tuple(lengths[one.id] for one in judged.demo.completions[prompt]) == LENGTHS
    assert {one.labeller_id for one in checks} == {judged.labeller(7), judged.labeller(8)}
    assert [one.gold for one in checks[:2]] == [{"hallucination": False}, {"hallucination": True}]
    by_id = {one.demonstration_id: one for one in graded}
    assert sorted(by_id[judged.written[0]].grades) == [5, 7]
    assert by_id[judged.written[1]].grades == ()


def test_adjudicated_items_are_not_open_any_more(database: Database) -> None:
    with database.write() as session:
        judged = judged_project(session)
        item = items_of(session, judged.batches["training"])[0]
        known = open_to_adjudication(session, judged.id)
        assert known[item.id][1] == "training"
        demo_batch(
            session,
            judged.demo,
            name="Adjudication",
            kind="adjudication",
            items=[ItemSpec(item.prompt_id, item.completion_ids, adjudicates=item.id)],
        )
        assert item.id not in open_to_adjudication(session, judged.id)


def test_the_queries_for_five_thousand_rankings_are_few(database: Database) -> None:
    with database.write() as session:
        judged = judged_project(session)
        template = judgements(session, judged.id, purposes=["training"])[0]
        batch = session.get_one(BatchRow, template.batch_id)
        ids = [f"many-{number}" for number in range(5000)]
        session.add_all(
            ItemRow(id=one, batch_id=batch.id, place=place, prompt_id=template.ranking.prompt_id)
            for place, one in enumerate(ids)
        )
        session.flush()
        session.add_all(
            SubmissionRow(
                id=one,
                project_id=judged.id,
                batch_id=batch.id,
                item_id=one,
                account_id=template.labeller_id,
                status="accepted",
                answer={},
                made_by="person",
                instructions_id=batch.instructions_id,
                seconds_spent=1.0,
                submitted_at=template.submitted_at,
            )
            for one in ids
        )
        session.flush()
        for one in ids:
            ranking = template.ranking.model_copy(update={"id": new_id("ranking")})
            session.add(
                RankingRow(
                    id=ranking.id,
                    submission_id=one,
                    prompt_id=ranking.prompt_id,
                    record=ranking.model_dump(mode="json"),
                )
            )
    asked: list[str] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def _count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    with database.read() as session:
        found = judgements(session, judged.id, purposes=["training"])
    assert len(found) == 5033
    assert len(asked) < 10, asked[:12]
