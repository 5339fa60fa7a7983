"""Pages of accounts, for admins: who there is, their roles, suspending them.

What somebody did in a project is `heedful.labelling.people_pages`'; signing in and one's own
settings are `heedful.labelling.access_pages`'.
"""

from typing import Annotated, Literal, get_args

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from heedful.labelling.form_values import Form, page_number, query_reader
from heedful.labelling.guards import Store, Viewer, needs
from heedful.labelling.object_guards import account_access
from heedful.labelling.rendering import page as render
from heedful.labelling.rendering import redirect
from heedful.store.access import reinstate, set_role, suspend
from heedful.store.columns import AccountState, Role
from heedful.store.tables import AccountRow, MemberRow, ProjectRow, SessionRow

router = APIRouter()
Admin = Annotated[Viewer, Depends(needs("admin"))]
AtAccount = Annotated[tuple[Viewer, AccountRow], Depends(account_access())]
ACCOUNTS_A_PAGE = 50


@router.get("/admin/accounts")
def account_list(
    request: Request,
    viewer: Admin,
    store: Store,
    text: str = "",
    role: str = "",
    state: str = "",
    page: str = "1",
) -> Response:
    """The accounts, by name, with filters."""
    query = query_reader(text=text, role=role, state=state)
    wanted = query.text("text", "The text", most=100)
    conditions = []
    if wanted:
        conditions.append(
            or_(
                AccountRow.login.icontains(wanted, autoescape=True),
                AccountRow.name.icontains(wanted, autoescape=True),
            )
        )
    if (chosen := query.optional("role", "The role", get_args(Role))) is not None:
        conditions.append(AccountRow.role == chosen)
    if (in_state := query.optional("state", "The state", get_args(AccountState))) is not None:
        conditions.append(AccountRow.state == in_state)
    number = page_number(page)
    with store.read() as session:
        found = session.scalar(select(func.count(AccountRow.id)).where(*conditions)) or 0
        accounts = session.scalars(
            select(AccountRow)
            .where(*conditions)
            .order_by(func.lower(AccountRow.name), AccountRow.id)
            .limit(ACCOUNTS_A_PAGE)
            .offset((number - 1) * ACCOUNTS_A_PAGE)
        ).all()
        seen = _last_seen(session, [account.id for account in accounts])
    return render(
        request,
        "admin/accounts.html",
        viewer=viewer,
        status=422 if query.errors else 200,
        errors=query.errors,
        accounts=accounts,
        seen=seen,
        values=query.values,
        found=found,
        page_number=number,
        num_pages=max(1, -(-found // ACCOUNTS_A_PAGE)),
        roles=get_args(Role),
    )


@router.get("/admin/accounts/{account_id}")
def account(request: Request, at: AtAccount, store: Store) -> Response:
    """One account: its projects, its role, its state."""
    viewer, row = at
    with store.read() as session:
        places = session.execute(
            select(MemberRow, ProjectRow)
            .join(ProjectRow, ProjectRow.id == MemberRow.project_id)
            .where(MemberRow.account_id == row.id)
            .order_by(ProjectRow.name)
        ).all()
        seen = _last_seen(session, [row.id])
    return render(
        request,
        "admin/account.html",
        viewer=viewer,
        account=row,
        places=places,
        last_seen=seen.get(row.id),
        roles=get_args(Role),
    )


@router.post("/admin/accounts/{account_id}/role")
def change_role(request: Request, at: AtAccount, store: Store, form: Form) -> Response:
    """Give the account another role; it must sign in again."""
    viewer, row = at
    role: Role = form.choice("role", "The role", get_args(Role))
    if form.errors:
        return _back(request, row, form.errors["role"], is_bad=True)
    with store.write() as session:
        set_role(session, account_id=row.id, role=role, by=viewer.id)
    return _back(request, row, f"{row.name} is a {role} now.")


@router.post("/admin/accounts/{account_id}/suspend")
def suspend_account(request: Request, at: AtAccount, store: Store, form: Form) -> Response:
    """Shut the account out at once, with the reason."""
    viewer, row = at
    reason = form.text("reason", "The reason", most=500, required=True)
    if form.errors:
        return _back(request, row, form.errors["reason"], is_bad=True)
    with store.write() as session:
        suspend(session, account_id=row.id, by=viewer.id, reason=reason)
    return _back(request, row, f"{row.name} is shut out. Their labels stay.")


@router.post("/admin/accounts/{account_id}/reinstate")
def reinstate_account(request: Request, at: AtAccount, store: Store) -> Response:
    """Let the account sign in again."""
    viewer, row = at
    with store.write() as session:
        reinstate(session, account_id=row.id, by=viewer.id)
    return _back(request, row, f"{row.name} can sign in again.")


def _last_seen(session: Session, ids: list[str]) -> dict[str, object]:
    rows = session.execute(
        select(SessionRow.account_id, func.max(SessionRow.last_seen_at))
        .where(SessionRow.account_id.in_(ids))
        .group_by(SessionRow.account_id)
    )
    return {row[0]: row[1] for row in rows}


def _back(request: Request, row: AccountRow, told: str, *, is_bad: bool = False) -> Response:
    kind: Literal["good", "bad"] = "bad" if is_bad else "good"
    return redirect(request, f"/admin/accounts/{row.id}", message=told, kind=kind)
