"""Finds the sentence encoder that a data room names; torch is imported when it is loaded."""

from importlib.util import find_spec
from pathlib import Path

from heedful.core.data_settings import EmbeddingSettings
from heedful.core.errors import ConfigError
from heedful.data.embedding import Embed


def encoder_folder(settings: EmbeddingSettings) -> Path:
    """The folder that is named, or that the installed package of that name carries.

    Raises:
        ConfigError: There is neither.
    """
    folder = Path(settings.model)
    if folder.is_dir():
        return folder
    package = settings.model.replace("-", "_")
    spec = find_spec(package) if package.isidentifier() else None
    if spec is not None and spec.origin is not None:
        carried = Path(spec.origin).parent / "model"
        if carried.is_dir():
            return carried
    raise ConfigError(
        f"embeddings.model: {settings.model} is no folder and no installed package with a model",
        "Name the folder of a sentence encoder, or: pip install 'heedful[embeddings]'.",
    )


def load_embed(settings: EmbeddingSettings | None) -> Embed | None:
    """The encoder as a function of texts; None where no encoder is named."""
    if settings is None:
        return None
    from heedful.models.embedding import load_embedding

    return load_embedding(encoder_folder(settings), device=settings.device)
