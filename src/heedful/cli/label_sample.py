"""`heedful label sample`: completions to rank, from models or from a file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from heedful.cli.label_options import (
    DEFAULT_DATABASE,
    DatabaseName,
    OfSource,
    OfSplit,
    ProjectName,
    Tagged,
    opened,
    project_named,
)
from heedful.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from heedful.core.records import Prompt
    from heedful.store.database import Database

Models = Annotated[
    list[str] | None,
    typer.Option("--model", help="Run directory, folder or name; may be repeated."),
]
Number = Annotated[
    int, typer.Option("--completions", "-k", min=1, help="Of each model for each prompt.")
]
File = Annotated[
    Path | None,
    typer.Option(
        help="Completions made elsewhere, as JSONL: prompt_id or prompt, completion, model."
    ),
]
Temperature = Annotated[float, typer.Option(min=0.0, help="0 takes the likeliest token.")]
TopP = Annotated[float, typer.Option(min=0.01, max=1.0, help="1 keeps all tokens.")]
MaxTokens = Annotated[int, typer.Option(min=1, help="Longest completion, in tokens.")]
Seed = Annotated[int, typer.Option(help="Noise of the completions.")]
Template = Annotated[
    Literal["plain", "chat"] | None,
    typer.Option(help="Prompt format; a checkpoint's own if left out, else `chat`."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda:0.")]
Most = Annotated[int | None, typer.Option("--prompts", min=1, help="Prompts at most.")]


def sample(
    models: Models = None,
    num_completions: Number = 1,
    file: File = None,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    max_tokens: MaxTokens = 256,
    seed: Seed = 0,
    template: Template = None,
    device: Device = "auto",
    tag: Tagged = None,
    source: OfSource = None,
    split: OfSplit = None,
    most: Most = None,
    project: ProjectName = None,
    database: DatabaseName = DEFAULT_DATABASE,
) -> None:
    """Give the prompts of a project completions to rank, from models or from a file.

    What is there already is not sampled again; Ctrl-C keeps what is done.
    """
    if not models and file is None:
        raise ConfigError("there is nothing to sample from", "Name a --model, or a --file.")
    if models and file is not None:
        raise ConfigError("--model and --file do not go together", "Call the command twice.")
    with opened(database) as found:
        with found.read() as session:
            where = project_named(session, project).id
        prompts = _prompts(found, where, tag, source, split, most)
        if file is not None:
            typer.echo(_add_file(found, where, file, prompts))
            return
        from heedful.core.records import SamplingParameters
        from heedful.core.settings import FormatSettings
        from heedful.pipeline.label_sampling import SamplingPlan
        from heedful.pipeline.label_sampling import sample as run
        from heedful.training.display import Display

        plan = SamplingPlan(
            models=tuple(models or ()),
            num_completions=num_completions,
            sampling=SamplingParameters(
                temperature=temperature, top_p=top_p, max_tokens=max_tokens
            ),
            seed=seed,
            format=None if template is None else FormatSettings(template=template),
            device=device,
        )
        typer.echo(run(found, where, prompts, plan, Display()).summary())


def _prompts(
    database: "Database",
    project_id: str,
    tag: str | None,
    source: str | None,
    split: str | None,
    most: int | None,
) -> "list[Prompt]":
    """The prompts that are meant, oldest first.

    Raises:
        DataError: There is none.
    """
    from heedful.core.records import Prompt
    from heedful.store.prompt_search import PromptFilter, find_prompts

    wanted = PromptFilter(tag=tag, source=source, split=split)
    with database.read() as session:
        found = find_prompts(session, project_id, wanted, limit=most or sys.maxsize, order="oldest")
    if not found:
        raise DataError("the project has no such prompts", "`heedful label import` adds some.")
    return [Prompt.model_validate(one.row.record) for one in found]


def _add_file(database: "Database", project_id: str, file: Path, prompts: "list[Prompt]") -> str:
    from heedful.labelling.item_files import read_completions
    from heedful.store.contents import add_completions

    completions = read_completions(file, prompts)
    with database.write() as session:
        added = add_completions(session, project_id, completions)
    return f"{added.new:,} completions added, {added.known:,} were there."
