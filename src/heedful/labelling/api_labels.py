"""Labels in the JSON API: page by page with where they come from, as one stream, and agreement."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import select

from heedful.core.records import MadeBy, Split
from heedful.labelling.agreement import Agreement
from heedful.labelling.api_models import (
    AgreementOut,
    AgreementReportOut,
    LabelOut,
    Page,
    cursor_from,
    cursor_text,
)
from heedful.labelling.api_paging import PageQuery
from heedful.labelling.exports import (
    LABEL_KINDS,
    ExportOptions,
    Kind,
    LineForm,
    export_lines,
    safe_name,
)
from heedful.labelling.guards import ProjectView, Store, not_found, token_project
from heedful.labelling.kept_results import Kept
from heedful.labelling.paired_rankings import TiePolicy
from heedful.labelling.team_agreement import team_report
from heedful.store import audit
from heedful.store.columns import Purpose
from heedful.store.exports import Adjudicated, Label, LabelFilter, iter_labels
from heedful.store.label_versions import label_version
from heedful.store.quality_queries import judgements, members
from heedful.store.tables import BatchRow

router = APIRouter(tags=["labels"])
Reader = Annotated[ProjectView, Depends(token_project("labels:read"))]


class LabelQuery:
    """Which labels are wanted, from the address; all that count where nothing is said."""

    def __init__(
        self,
        batch: Annotated[list[str] | None, Query(max_length=100, description="Ids.")] = None,
        purpose: Annotated[list[Purpose] | None, Query()] = None,
        made_by: Annotated[list[MadeBy] | None, Query()] = None,
        split: Split | None = None,
        surplus: Annotated[bool, Query(description="Also surplus ones.")] = False,
        excluded: Annotated[bool, Query(description="Also excluded ones.")] = False,
        adjudicated: Annotated[
            Adjudicated, Query(description="What becomes of labels that disagreed.")
        ] = "replace",
    ) -> None:
        self.wanted = LabelFilter(
            batches=None if batch is None else tuple(batch),
            purposes=None if purpose is None else tuple(purpose),
            made_by=None if made_by is None else tuple(made_by),
            split=split,
            surplus=surplus,
            excluded=excluded,
            adjudicated=adjudicated,
        )


Wanted = Annotated[LabelQuery, Depends()]


@router.get("/projects/{project_id}/labels")
def labels(
    here: Reader, store: Store, query: Wanted, paging: Annotated[PageQuery, Depends()]
) -> Page[LabelOut]:
    """The labels of a project, oldest first, of every purpose unless one is named."""
    after = cursor_from(paging.after)
    with store.read() as session:
        found = list(
            iter_labels(session, here.project.id, query.wanted, after=after, limit=paging.limit + 1)
        )
    shown = found[: paging.limit]
    more = len(found) > len(shown)
    return Page(
        entries=[_label(one) for one in shown],
        next=cursor_text(*shown[-1].cursor) if more else None,
    )


@router.get(
    "/projects/{project_id}/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {}}}},
)
def export(
    here: Reader,
    store: Store,
    query: Wanted,
    form: Annotated[LineForm, Query(description="As `heedful label export --as`.")] = "stream",
    kind: Annotated[list[Kind] | None, Query(description="All labels if left out.")] = None,
) -> Response:
    """The labels as JSONL. A `stream` that lacks its last line, `{"end": ...}`, was cut off."""
    _check_batches(store, here, query.wanted)
    kinds = tuple(dict.fromkeys(kind)) if kind else LABEL_KINDS
    options = ExportOptions(wanted=query.wanted, kinds=kinds)
    with store.write() as session:
        audit.record_project(
            session,
            here.project.id,
            "project.export",
            by=here.viewer.id,
            detail={"form": form, "through": "api"},
        )

    def lines() -> Iterator[bytes]:
        with store.read() as session:
            yield from export_lines(session, here.project.id, options, form, Counter())

    name = f"{safe_name(here.project.name, form)}.jsonl"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines(), media_type="application/x-ndjson", headers=headers)


@router.get("/projects/{project_id}/agreement")
def agreement(
    here: Reader, store: Store, kept: Kept, ties: TiePolicy = "exact"
) -> AgreementReportOut:
    """How far the project's labellers agree, with 95 % intervals."""
    where = here.project.id
    with store.read() as session:
        report = kept.get(
            ("agreement report", where, ties),
            label_version(session, where),
            lambda: team_report(judgements(session, where), members(session, where), ties=ties),
        )
    return AgreementReportOut(
        ties=ties,
        num_rankings=report.num_rankings,
        overall=_agreement(report.overall[ties]),
        within=_agreement(report.within),
        researchers=_agreement(report.researchers),
        training=_agreement(report.training),
        held_out=_agreement(report.held_out),
        between=_agreement(report.between),
        labellers={name: _agreement(one) for name, one in report.labellers.items()},
    )


def _check_batches(store: Store, here: ProjectView, wanted: LabelFilter) -> None:
    """Refuse batches that are not of this project, rather than export nothing of them."""
    if wanted.batches is None:
        return
    with store.read() as session:
        query = select(BatchRow.id).where(BatchRow.project_id == here.project.id)
        known = set(session.scalars(query.where(BatchRow.id.in_(wanted.batches))))
    if not known.issuperset(wanted.batches):
        raise not_found("batch")


def _label(label: Label) -> LabelOut:
    return LabelOut.model_validate(label, from_attributes=True)


def _agreement(found: Agreement) -> AgreementOut:
    return AgreementOut.model_validate(found, from_attributes=True)
