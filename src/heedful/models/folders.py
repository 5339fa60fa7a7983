"""Finding the folder of a model by one kind of name; nothing is loaded, torch is not needed.

A name is a run directory, a local folder, a name of the catalogue (`heedful model
list`), or a hub name, in that order.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from heedful.core.errors import ModelError

WEIGHT_FILES = ("*.safetensors", "*.json", "*.jinja", "tokenizer.model")


def cache_dir() -> Path:
    """Where fetched models are kept: `HEEDFUL_CACHE`, else the user's cache folder."""
    explicit = os.environ.get("HEEDFUL_CACHE")
    if explicit:
        return Path(explicit)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "heedful"


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A folder that holds a model, and the name it was found under."""

    name: str
    path: Path


def find_model(name: str) -> ModelFolder:
    """The folder of the model called `name`; a hub model is downloaded.

    Raises:
        ModelError: Nothing is found under that name.
    """
    return find_local_model(name) or ModelFolder(name, _download(name))


def find_local_model(name: str) -> ModelFolder | None:
    """As `find_model`, but None for a hub model: nothing is downloaded."""
    folder = Path(name)
    with contextlib.suppress(RuntimeError):  # a user who is not there
        folder = folder.expanduser()
    for candidate in (folder / "checkpoint", folder):
        if (candidate / "config.json").is_file() and not (candidate / "run.json").exists():
            return ModelFolder(name, candidate)
    if folder.is_dir():
        raise ModelError(
            f"{name}: this folder holds no model (no config.json, no checkpoint/)",
            "Name a run directory that has finished, or a transformers model folder.",
        )
    cached = cache_dir() / "models" / name
    if (cached / "config.json").is_file():
        return ModelFolder(name, cached)
    from heedful.models.catalogue import CATALOGUE

    if name in CATALOGUE:
        raise ModelError(f"the model {name} is not here yet", f"Run `heedful model get {name}`.")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise ModelError(
            f"no model called {name}: no such folder, and not a name of the catalogue",
            "`heedful model list` shows the catalogue; hub names look like owner/model.",
        )
    return None


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(WEIGHT_FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(f"the hub model {name} could not be fetched: {error}") from None
