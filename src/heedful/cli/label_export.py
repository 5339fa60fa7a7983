"""`heedful label export`: labels to files, or down a pipe."""

import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from heedful.cli.label_batches import Purpose, batch_named
from heedful.cli.label_options import (
    DEFAULT_DATABASE,
    DatabaseName,
    ProjectName,
    opened,
    project_named,
)
from heedful.core.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from heedful.labelling.exports import Exported, ExportOptions, FileFormat

MadeBy = Literal["person", "simulated", "model"]
Form = Literal["stream", "folder", "parquet", "preference", "preference-text"]
Adjudicated = Literal["replace", "keep", "leave-out"]

Out = Annotated[
    Path | None, typer.Option(help="A new file or folder; standard output if left out.")
]
As = Annotated[
    Form,
    typer.Option(
        "--as",
        help="`stream` is what `heedful train` reads from a pipe; `folder` and `parquet` are "
        "folders of records; `preference` is TRL's, in messages or in text.",
    ),
]
Batches = Annotated[
    list[str] | None, typer.Option("--batch", help="Only of this batch; may be repeated.")
]
Purposes = Annotated[
    list[str] | None,
    typer.Option("--purpose", help="training if left out; may be repeated; `all` for all."),
]
Kinds = Annotated[
    list[str] | None,
    typer.Option(
        "--kind",
        help="demonstrations, rankings, ratings, or prompts (every prompt of the project); may "
        "be repeated; all labels if left out.",
    ),
]
Makers = Annotated[
    list[str] | None,
    typer.Option("--made-by", help="person, simulated or model; may be repeated."),
]
Splits = Annotated[
    Literal["train", "validation", "test"] | None,
    typer.Option("--split", help="Only labels of prompts of this split."),
]
Surplus = Annotated[
    bool, typer.Option("--surplus", help="Also labels that came when enough were there.")
]
Excluded = Annotated[bool, typer.Option("--excluded", help="Also excluded labels.")]
Disputes = Annotated[
    Adjudicated,
    typer.Option(
        help="An adjudication goes out in place of the labels that disagreed, beside them, or "
        "not at all."
    ),
]
Pseudonyms = Annotated[
    bool,
    typer.Option(
        "--pseudonyms", help="Hide who labelled; keyed by HEEDFUL_SALT or HEEDFUL_SALT_FILE."
    ),
]


def export(
    out: Out = None,
    form: As = "stream",
    batches: Batches = None,
    purposes: Purposes = None,
    kinds: Kinds = None,
    made_by: Makers = None,
    split: Splits = None,
    surplus: Surplus = False,
    excluded: Excluded = False,
    adjudicated: Disputes = "replace",
    pseudonyms: Pseudonyms = False,
    project: ProjectName = None,
    database: DatabaseName = DEFAULT_DATABASE,
) -> None:
    """Write labels where programs read them; nothing is written over.

    To train on them at once: heedful label export | heedful train reward FILE.toml
    --set data.rankings=-
    """
    from heedful.data.pseudonyms import SALT_VARIABLE, read_key, require_key
    from heedful.labelling.exports import LABEL_KINDS, ExportOptions, Kind
    from heedful.store import audit
    from heedful.store.exports import LabelFilter

    if out is None and form in ("folder", "parquet"):
        raise ConfigError(f"--as {form} writes a folder", "Name a new one with --out.")
    key = read_key(SALT_VARIABLE)
    if pseudonyms:
        require_key(key, "--pseudonyms", SALT_VARIABLE)
    with opened(database) as found:
        with found.read() as session:
            where = project_named(session, project)
            ids = [batch_named(session, where.id, batch).id for batch in batches or ()]
            wanted = LabelFilter(
                batches=tuple(ids) if batches else None,
                purposes=None if purposes == ["all"] else known(purposes or ["training"], Purpose),
                made_by=known(made_by, MadeBy) if made_by else None,
                split=split,
                surplus=surplus,
                excluded=excluded,
                adjudicated="leave_out" if adjudicated == "leave-out" else adjudicated,
            )
            options = ExportOptions(
                wanted=wanted,
                kinds=known(kinds, Kind) if kinds else LABEL_KINDS,
                key=key if pseudonyms else None,
            )
            done = _write(session, where.id, out, form, options)
        with found.write() as session:
            audit.record_project(
                session,
                where.id,
                "project.export",
                by=None,
                detail={"form": form} | dict(done.counts),
            )
    typer.echo(f"{out or where.name}: {done.summary()}", err=True)


def known(values: list[str], choices: Any) -> Any:
    """`values` as a tuple, each one of the choices of a `Literal`.

    Raises:
        ConfigError: Names the first that is none.
    """
    for value in values:
        if value not in get_args(choices):
            raise ConfigError(
                f"there is no `{value}`", f"Use one of {', '.join(get_args(choices))}."
            )
    return tuple(dict.fromkeys(values))


def _write(
    session: "Session", project_id: str, out: Path | None, form: Form, options: "ExportOptions"
) -> "Exported":
    from heedful.labelling.exports import Exported, export_lines, write_folder, write_lines
    from heedful.store.exports import count_left_out

    if form == "folder" or form == "parquet":
        assert out is not None
        kind: FileFormat = "parquet" if form == "parquet" else "jsonl"
        return write_folder(session, project_id, out, options, file_format=kind)
    counts: Counter[str] = Counter()
    lines = export_lines(session, project_id, options, form, counts)
    if out is None:
        _print(lines)
    else:
        write_lines(out, lines)
    return Exported(counts, count_left_out(session, project_id, options.wanted))


def _print(lines: Iterable[bytes]) -> None:
    """To standard output; a reader that has had enough ends it quietly."""
    try:
        for line in lines:
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Python would complain once more when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
