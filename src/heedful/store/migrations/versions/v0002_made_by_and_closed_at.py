"""Who made a label must be one of the known makers; a batch knows when it was closed.

The time is taken from the audit log, where the last close of each closed batch stands.
"""

from contextlib import AbstractContextManager

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0002"
down_revision = "0001"

_MAKERS = "made_by IN ('person', 'simulated', 'model')"
# SQLite cannot add a constraint: the table is copied, and the copy made from what can be
# read back of it, which leaves its CHECKs out. So they are named here.
_CHECKS = {
    "accounts": {
        "role_known": "role IN ('admin', 'researcher', 'reviewer', 'labeller')",
        "state_known": "state IN ('active', 'suspended')",
    },
    "submissions": {"status_known": "status IN ('accepted', 'surplus')"},
}


def upgrade() -> None:
    """Add the constraint to both tables, and the time to batches."""
    for table, checks in _CHECKS.items():
        with _changed(table, checks) as changes:
            changes.create_check_constraint("made_by_known", _MAKERS)
    moment = sa.DateTime(timezone=True)
    op.add_column("batches", sa.Column("closed_at", moment))
    batches = sa.table("batches", sa.column("id"), sa.column("state"), sa.column("closed_at"))
    audit = sa.table("audit", sa.column("object_id"), sa.column("action"), sa.column("at"))
    closed = (audit.c.object_id == batches.c.id) & (audit.c.action == "batch.closed")
    op.execute(
        batches.update()
        .where(batches.c.state == "closed")
        .values(closed_at=sa.select(sa.func.max(audit.c.at)).where(closed).scalar_subquery())
    )


def downgrade() -> None:
    """Take both away again; the audit log still has the times."""
    op.drop_column("batches", "closed_at")
    for table, checks in _CHECKS.items():
        with _changed(table, checks | {"made_by_known": _MAKERS}) as changes:
            changes.drop_constraint(op.f(f"ck_{table}_made_by_known"), type_="check")


def _changed(table: str, checks: dict[str, str]) -> AbstractContextManager[BatchOperations]:
    """A change of `table`; on SQLite, a copy of it that keeps `checks`."""
    kept = (
        sa.CheckConstraint(sql, name=op.f(f"ck_{table}_{name}")) for name, sql in checks.items()
    )
    return op.batch_alter_table(table, table_args=tuple(kept))
