"""A project in which some of the work has been done, in all the ways that exports tell apart."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from fakes.labelling_store import DemoProject, demo_batch, demo_project
from fakes.sent_work import items_of, sent
from heedful.core.records import Demonstration, new_id
from heedful.store.batches import ItemSpec
from heedful.store.label_tables import label_row
from heedful.store.labels import exclude
from heedful.store.tables import SubmissionRow

BEGAN = datetime(2026, 11, 1, 9, tzinfo=UTC)


@dataclass(frozen=True)
class LabelledProject:
    """What `labelled_project` made: submission ids by what they are."""

    demo: DemoProject
    batches: dict[str, str]
    submissions: dict[str, str]

    def names(self, submission_ids: list[str]) -> list[str]:
        """What these submissions are called here."""
        called = {one: name for name, one in self.submissions.items()}
        return [called[one] for one in submission_ids]


def labelled_project(session: Session) -> LabelledProject:
    """Rankings by two labellers, of which one pair is adjudicated, one excluded, one surplus.

    Also a demonstration, and a simulated ranking for evaluation.
    """
    demo = demo_project(session)
    one, two = (account.id for account in demo.labellers)
    training = demo_batch(session, demo, name="Training", overlap=2)
    first, second, third, _ = items_of(session, training)
    made: dict[str, SubmissionRow] = {}
    moments = (BEGAN + timedelta(minutes=minute) for minute in range(100))
    made["first by one"] = sent(session, training, first, one, at=next(moments), ranks=(1, 2, 3))
    made["first by two"] = sent(session, training, first, two, at=next(moments), ranks=(3, 2, 1))
    made["second by one"] = sent(session, training, second, one, at=next(moments), ranks=(1, 1, 2))
    made["second by two"] = sent(session, training, second, two, at=next(moments), ranks=(1, 2, 3))
    made["surplus"] = sent(
        session, training, second, demo.reviewer.id, at=next(moments), ranks=(1, 2, 3)
    )
    made["excluded"] = sent(session, training, third, two, at=next(moments), ranks=(1, 2, 3))
    exclude(session, [made["excluded"].id], reason="too fast", by=demo.researcher.id)
    spec = ItemSpec(first.prompt_id, tuple(first.completion_ids), adjudicates=first.id)
    again = demo_batch(session, demo, name="Disputes", kind="adjudication", items=[spec])
    item = items_of(session, again)[0]
    made["adjudication"] = sent(
        session, again, item, demo.researcher.id, at=next(moments), ranks=(2, 1, 3)
    )
    final = demo_batch(session, demo, name="Final", purpose="evaluation")
    item = items_of(session, final)[3]
    made["evaluation"] = sent(
        session, final, item, two, at=next(moments), ranks=(1, 2, 3), made_by="simulated"
    )
    writing = demo_batch(session, demo, name="Writing", kind="demonstration")
    item = items_of(session, writing)[2]
    made["demonstration"] = sent(session, writing, item, one, at=next(moments))
    record = Demonstration(
        id=new_id("demonstration"),
        prompt_id=str(item.prompt_id),
        text="A demonstration.",
        labeller_id=one,
        made_by="person",
    )
    session.add(label_row(record, made["demonstration"].id))
    session.flush()
    batches = {batch.name: batch.id for batch in (training, again, final, writing)}
    return LabelledProject(demo, batches, {name: row.id for name, row in made.items()})
