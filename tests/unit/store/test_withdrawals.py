"""A person leaves the database: everything of theirs is gone, everything else is as it was."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fakes.label_answers import hand_in
from fakes.labelling_store import (
    DemoProject,
    demo_account,
    demo_batch,
    demo_completion,
    demo_project,
    demo_prompt,
)
from heedful.core.errors import DataError, NotAllowedError
from heedful.core.records import Ranking
from heedful.store.batches import ItemSpec, progress
from heedful.store.contents import add_completions, add_prompts
from heedful.store.database import Database
from heedful.store.drafts import save_draft
from heedful.store.exports import LabelFilter, iter_labels
from heedful.store.label_imports import ImportedLabels, add_labels
from heedful.store.labeller_overview import labeller_numbers
from heedful.store.labels import include_again
from heedful.store.presentations import present
from heedful.store.questions import ask
from heedful.store.screening_records import grade_demonstration
from heedful.store.slots import claim_next, heartbeat, skip
from heedful.store.tables import (
    AccountRow,
    Base,
    DemonstrationRow,
    ItemRow,
    PromptRow,
    SlotRow,
    SubmissionRow,
)
from heedful.store.withdrawals import (
    clean_free_texts,
    find_theirs,
    register_withdrawal,
    remove_theirs,
    scrub,
    withdrawn_people,
)

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ILSE = "user-ilse-1234"
SAID = "the otter of Ilse"
ONE, TWO = "account-labeller1", "account-labeller2"


def everything(session: Session) -> str:
    """All that the tables hold, as one text."""
    tables = Base.metadata.sorted_tables
    rows = [list(row) for table in tables for row in session.execute(select(table))]
    return json.dumps(rows, default=str, ensure_ascii=False)


def with_ilse(session: Session) -> DemoProject:
    """A project with a prompt of Ilse's among others, which two labellers do."""
    demo = demo_project(session, num_prompts=1, now=NOW)
    hers = demo_prompt("ilse", instruction=f"Tell me of {SAID}.").model_copy(
        update={"user_id": ILSE}
    )
    add_prompts(session, demo.id, [hers])
    made = [demo_completion(hers, n, text=f"Answer {n} on {SAID}.") for n in (1, 2, 3)]
    add_completions(session, demo.id, made)
    demo.prompts.append(hers)
    demo.completions[hers.id] = made
    return demo


def work_through(session: Session, account_id: str) -> None:
    while (claim := claim_next(session, account_id, now=NOW)) is not None:
        present(session, account_id, claim.item_id, now=NOW)
        hand_in(session, account_id, claim.item_id, token=claim.token, now=NOW)


def withdraw(database: Database, *names: str) -> dict[str, dict[str, int]]:
    with database.write() as session:
        theirs = find_theirs(session, names, lock=True)
        counts = remove_theirs(session, theirs, now=NOW)
        register_withdrawal(session, names, now=NOW)
    return counts


def test_a_prompt_goes_with_all_that_was_made_of_it(database: Database) -> None:
    with database.write() as session:
        demo = with_ilse(session)
        ranking = demo_batch(session, demo, overlap=2)
        demo_batch(session, demo, name="Demos", kind="demonstration", purpose="screening")
        demo_batch(session, demo, name="More", overlap=2)
        work_through(session, ONE)
        written = session.scalars(
            select(DemonstrationRow).where(DemonstrationRow.prompt_id == "prompt-ilse")
        ).all()
        for one in written:
            grade_demonstration(
                session, demonstration_id=one.id, reviewer_id="account-reviewer", grade=3
            )
        claim = claim_next(session, TWO, now=NOW)
        assert claim is not None
        other = session.scalars(
            select(ItemRow).where(ItemRow.batch_id == ranking.id, ItemRow.id != claim.item_id)
        ).one()
        begun = claim_next(session, TWO, now=NOW)
        assert begun is not None
        present(session, TWO, other.id, now=NOW)
        save_draft(session, TWO, other.id, {"note": f"about {SAID}"}, 0)
        ask(session, TWO, other.id, f"What is {SAID}?")
        hours = sum(one.work.seconds for one in labeller_numbers(session, project_id=demo.id))
    counts = withdraw(database, ILSE)
    with database.write() as session:
        assert SAID not in everything(session)
        assert ILSE not in everything(session)
        assert counts[demo.id]["prompts"] == 1
        assert counts[demo.id]["completions"] == 3
        labels = counts[demo.id]["labels"]
        numbers = labeller_numbers(session, project_id=demo.id)
        assert sum(one.work.seconds for one in numbers) == hours
        assert sum(one.work.excluded for one in numbers) == labels > 0
        assert {one.prompt_id for one in iter_labels(session, demo.id, LabelFilter())} == {
            "prompt-1"
        }
        now = progress(session, ranking.id, now=NOW)
        assert (now.items, now.slots, now.done, now.excluded) == (2, 2, 1, 1)
        with pytest.raises(NotAllowedError, match="withdrew it"):
            save_draft(session, TWO, other.id, {"note": "more"}, 0)
        with pytest.raises(NotAllowedError, match="withdrew it"):
            heartbeat(session, TWO, other.id, "any token", now=NOW)
        gone = select(SubmissionRow.id).where(SubmissionRow.excluded_at.is_not(None))
        with pytest.raises(DataError, match="was withdrawn"):
            include_again(session, session.scalars(gone).all(), reason="why not", by=None)


def test_items_that_nobody_saw_are_gone_and_skips_stay_counted(database: Database) -> None:
    with database.write() as session:
        demo = with_ilse(session)
        for name in ("Seen", "Unseen"):
            demo_batch(session, demo, name=name, items=[item_of(demo, "prompt-ilse")])
        claim = claim_next(session, ONE, now=NOW)
        assert claim is not None
        skip(session, ONE, claim.item_id, "other", f"I know {SAID}.")
    withdraw(database, ILSE)
    with database.read() as session:
        assert SAID not in everything(session)
        assert session.scalar(select(func.count()).select_from(ItemRow)) == 1
        assert session.scalar(select(func.count()).select_from(SlotRow)) == 0
        assert next(
            one.skips
            for one in labeller_numbers(session, project_id=demo.id)
            if one.account.id == ONE
        )


def item_of(demo: DemoProject, prompt_id: str) -> ItemSpec:
    return ItemSpec(prompt_id, [one.id for one in demo.completions[prompt_id]])


def test_who_labelled_leaves_with_their_labels_and_their_demonstrations(
    database: Database,
) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=2, now=NOW)
        written = demo_completion(demo.prompts[0], 9, text=SAID)
        add_completions(session, demo.id, [written], authors={written.id: ONE})
        mine = demo.completions[demo.prompts[0].id] + [written]
        demo_batch(
            session,
            demo,
            overlap=2,
            items=[
                ItemSpec(demo.prompts[0].id, [one.id for one in mine]),
                item_of(demo, demo.prompts[1].id),
            ],
        )
        demo_batch(session, demo, name="Prompts", kind="prompt")
        work_through(session, TWO)
        work_through(session, ONE)
    withdraw(database, ONE)
    with database.read() as session:
        assert SAID not in everything(session)
        assert session.get(PromptRow, demo.prompts[0].id) is not None
        assert session.get(PromptRow, demo.prompts[1].id) is not None
        left = list(iter_labels(session, demo.id, LabelFilter()))
        assert [(one.labeller_id, one.prompt_id) for one in left if one.ranking] == [
            (TWO, demo.prompts[1].id)
        ]
        assert not session.scalars(select(PromptRow).where(PromptRow.author_id == ONE)).all()


def test_a_labeller_of_elsewhere_loses_name_and_labels(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1, now=NOW)
        ids = tuple(one.id for one in demo.completions["prompt-1"])
        rankings = [
            Ranking(
                id=f"ranking-{who}",
                prompt_id="prompt-1",
                completion_ids=ids,
                ranks=(1, 2, 3),
                labeller_id=who,
                made_by="person",
            )
            for who in ("ilse.de.vries", "somebody")
        ]
        add_labels(session, demo.id, ImportedLabels(name="x.jsonl", rankings=rankings), by=None)
        demo_account(session, "ilse", "labeller")
    withdraw(database, "ilse.de.vries")
    with database.read() as session:
        assert "ilse.de.vries" not in everything(session)
        left = [one.ranking for one in iter_labels(session, demo.id, LabelFilter())]
        assert [one.id for one in left if one is not None] == ["ranking-somebody"]
        names = set(session.scalars(select(AccountRow.name)))
        assert {"Withdrawn (imported)", "somebody (imported)", "Ilse"} <= names


def test_the_register_knows_people_without_naming_them(database: Database) -> None:
    with database.read() as session:
        assert not withdrawn_people(session).holds(ILSE)
    withdraw(database, ILSE, "ilse@example.org")
    withdraw(database, "user-other-5678")
    with database.read() as session:
        known = withdrawn_people(session)
        assert all(map(known.holds, (ILSE, "ilse@example.org", "user-other-5678")))
        assert not known.holds("user-demo")
        assert "ilse" not in everything(session)


def test_free_texts_are_cleaned_where_they_stand(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1, now=NOW)
        demo_batch(session, demo)
        claim = claim_next(session, ONE, now=NOW)
        assert claim is not None
        ask(session, ONE, claim.item_id, f"What is {SAID}?")
        skip(session, ONE, claim.item_id, "other", SAID, now=NOW + timedelta(seconds=1))

        def clean(value: object) -> object:
            return "-" if isinstance(value, str) and SAID in value else value

        assert clean_free_texts(session, clean) == 2
        assert clean_free_texts(session, clean) == 0
        assert SAID not in everything(session)


def test_deleted_text_leaves_the_files(database: Database) -> None:
    with database.write() as session:
        with_ilse(session)
    withdraw(database, ILSE)
    assert scrub(database)
    if database.path is None:
        return
    for file in database.path.parent.iterdir():
        assert SAID.encode() not in file.read_bytes(), file


def test_a_reader_in_the_way_is_told_of(database: Database) -> None:
    if not database.is_sqlite:
        pytest.skip("a reader does not stand in the way of PostgreSQL's")
    with database.write() as session:
        with_ilse(session)
    impatient = Database(str(database.url), busy_seconds=0.1)
    with database.read() as session:
        session.execute(select(PromptRow)).first()
        withdraw(impatient, ILSE)
        assert not scrub(impatient)
    assert scrub(impatient)
    impatient.close()
