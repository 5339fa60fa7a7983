"""Saved models and saved training states: written whole or not at all, checked on load.

A checkpoint is a transformers folder (so that any tool reads it) with three things
beside the weights: `checkpoint.json` (the record, with a hash of every file),
`format.json` (how prompts are formatted) and, for reward models, `scalar.safetensors`
(head and offset). A reward model that was trained with LoRA also keeps its adapter, in
`adapter.safetensors`, since PPO may put it on a trunk that others use too. A training state
is everything that resuming needs, in one file.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModel

from heedful.core.errors import CheckpointError
from heedful.core.file_hashes import known_sha256, sha256_file
from heedful.core.jsonl import write_json_atomic
from heedful.core.records import Checkpoint, CheckpointKind
from heedful.core.settings import FormatSettings
from heedful.models.adapters import Adapter
from heedful.models.folders import ModelFolder, find_model
from heedful.models.loading import load_whole, quiet_transformers
from heedful.models.scalar import ScalarModel

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)


SaveTokenizer = Callable[[Path], None]


def copy_tokenizer(source: Path, into: Path) -> None:
    """Copy the tokenizer's files of the folder `source` as they are."""
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, into / name)


def save_policy(
    path: Path,
    model: Any,
    weights: Mapping[str, Tensor],
    *,
    card: Checkpoint,
    format_settings: FormatSettings,
    save_tokenizer: SaveTokenizer,
) -> Checkpoint:
    """Save a causal language model; returns the card with the files' hashes.

    Args:
        path: The new checkpoint folder; an older one there is replaced at the end.
        model: The model whose configuration is saved.
        weights: Its full state in float32, see `MasterWeights.full_state_dict`.
        card: The record to complete.
        format_settings: How its prompts are formatted.
        save_tokenizer: Writes the tokenizer's files into a folder, such as `copy_tokenizer` of one.
    """

    def write(folder: Path) -> None:
        _save_pretrained(model, weights, folder)

    return _save(path, write, card, format_settings, save_tokenizer)


def save_scalar(
    path: Path,
    model: ScalarModel,
    weights: Mapping[str, Tensor],
    *,
    card: Checkpoint,
    format_settings: FormatSettings,
    save_tokenizer: SaveTokenizer,
    adapter: Adapter | None = None,
) -> Checkpoint:
    """Save a reward model: its trunk, head and offset, and its adapter; see `save_policy`."""

    def write(folder: Path) -> None:
        prefix = "trunk."
        trunk = {
            name.removeprefix(prefix): tensor
            for name, tensor in weights.items()
            if name.startswith(prefix)
        }
        _save_pretrained(model.trunk, trunk, folder)
        save_file(
            {
                "head.weight": weights["head.weight"].contiguous().cpu(),
                "offset": model.offset.cpu(),
            },
            folder / "scalar.safetensors",
        )
        if adapter is not None:
            _save_adapter(adapter, folder)

    return _save(path, write, card, format_settings, save_tokenizer)


def _save_adapter(adapter: Adapter, folder: Path) -> None:
    about = {"scaling": adapter.scaling, "trunk_hash": adapter.trunk_hash}
    # One entry: safetensors writes several in any order, and equal runs must give equal bytes.
    save_file(
        {
            name.removeprefix("trunk."): tensor.detach().contiguous().cpu()
            for name, tensor in adapter.weights.items()
        },
        folder / "adapter.safetensors",
        {"adapter": json.dumps(about)},
    )


def _save_pretrained(model: Any, weights: Mapping[str, Tensor], folder: Path) -> None:
    quiet_transformers()
    state = {name: tensor.detach() for name, tensor in weights.items()}
    model.save_pretrained(folder, state_dict=state)
    # The configuration names the type that the model computed in; these are the masters.
    model.config.dtype = torch.float32
    model.config.save_pretrained(folder)


def _save(
    path: Path,
    write: Callable[[Path], None],
    card: Checkpoint,
    format_settings: FormatSettings,
    save_tokenizer: SaveTokenizer,
) -> Checkpoint:
    unfinished = path.with_name(f"{path.name}.unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(parents=True)
    write(unfinished)
    save_tokenizer(unfinished)
    write_json_atomic(unfinished / "format.json", format_settings.model_dump(mode="json"))
    hashes = {file.name: known_sha256(file) for file in sorted(unfinished.iterdir())}
    card = card.model_copy(update={"files": hashes})
    write_json_atomic(unfinished / "checkpoint.json", card.model_dump(mode="json"))
    _replace_folder(unfinished, path)
    return card


def _replace_folder(new: Path, path: Path) -> None:
    """Put `new` at `path`; a crash in between leaves `path` absent, never mixed."""
    for file in new.iterdir():
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    old = path.with_name(f"{path.name}.replaced")
    if old.exists():
        shutil.rmtree(old)
    if path.exists():
        path.rename(old)
    new.rename(path)
    if old.exists():
        shutil.rmtree(old)


def read_checkpoint(folder: Path, *, verify: bool = True) -> Checkpoint | None:
    """The card of a checkpoint folder, or None where it is a plain transformers folder.

    Raises:
        CheckpointError: The card is unreadable, or (`verify`) a file is missing or differs
            from its hash.
    """
    file = folder / "checkpoint.json"
    if not file.exists():
        return None
    try:
        card = Checkpoint.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise CheckpointError(f"{file}: not a checkpoint card: {error}") from None
    for name, digest in card.files.items() if verify else ():
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder}: the checkpoint is incomplete: {name} is missing")
        if known_sha256(folder / name) != digest:
            raise CheckpointError(
                f"{folder / name} is damaged: its SHA-256 is not the one it was saved with",
                "Restore the folder from a copy, or train it again.",
            )
    return card


def read_format(folder: Path) -> FormatSettings | None:
    """The prompt format stored with a checkpoint, or None where there is none."""
    file = folder / "format.json"
    if not file.exists():
        return None
    try:
        return FormatSettings.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except (ValidationError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{file}: not a prompt format: {error}") from None


def require_kind(name: str, kinds: tuple[CheckpointKind, ...]) -> tuple[ModelFolder, Checkpoint]:
    """The checkpoint called `name`, verified, which must be of one of `kinds`."""
    folder = find_model(name)
    card = read_checkpoint(folder.path)
    if card is None or card.kind not in kinds:
        found = (
            "a plain transformers model" if card is None else f"a checkpoint of kind {card.kind}"
        )
        raise CheckpointError(f"{name} is {found}; this needs one of kind {' or '.join(kinds)}")
    return folder, card


def read_adapter(folder: Path) -> Adapter | None:
    """The adapter kept with a reward model, or None where all its weights were trained."""
    file = folder / "adapter.safetensors"
    if not file.exists():
        return None
    with safe_open(file, framework="pt") as found:
        about = json.loads(found.metadata()["adapter"])
    return Adapter(weights=load_file(file), **about)


def load_scalar(folder: ModelFolder, trunk: Any = None) -> ScalarModel:
    """The reward model saved in `folder`, in float32, in evaluation mode.

    Args:
        folder: Its checkpoint.
        trunk: Takes the place of the saved one where given, in whatever type it is.
    """
    if trunk is None:
        trunk = load_whole(AutoModel, folder)
    saved = load_file(folder.path / "scalar.safetensors")
    model = ScalarModel(trunk, saved["head.weight"].shape[-1])
    with torch.no_grad():
        model.head.weight.copy_(saved["head.weight"])
        model.offset.copy_(saved["offset"])
    return model.eval()


def save_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write a training state, replacing the last one only when it is complete on disk."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / "state.unfinished"
    with unfinished.open("wb") as handle:
        torch.save(dict(state), handle)
        handle.flush()
        os.fsync(handle.fileno())
    digest = sha256_file(unfinished)
    target = folder / f"state-{digest[:16]}.pt"
    unfinished.rename(target)
    write_json_atomic(folder / "state.json", {"file": target.name, "sha256": digest})
    for file in folder.glob("state-*.pt"):
        if file.name != target.name:
            file.unlink()


def load_state(folder: Path) -> dict[str, Any] | None:
    """The last complete training state in `folder`, or None.

    Raises:
        CheckpointError: The state's file is missing or damaged.
    """
    pointer = folder / "state.json"
    if not pointer.exists():
        return None
    named = json.loads(pointer.read_text(encoding="utf-8"))
    file = folder / str(named["file"])
    if not file.is_file() or sha256_file(file) != named["sha256"]:
        raise CheckpointError(
            f"{file}: the saved training state is missing or damaged",
            f"Remove {folder} to start this run from the beginning.",
        )
    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return state
