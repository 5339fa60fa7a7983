"""How large a model is, from its folder: nothing is loaded, torch is not needed.

Parameters come from the headers of the weight files, sizes from `config.json`. What a pass
through them costs is not known here (`heedful.training.rehearsal` measures it).
"""

import json
import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heedful.core.errors import ModelError
from heedful.models.folders import find_local_model

_BLOCK = re.compile(r"(?:^|\.)(?:layers|layer|h|blocks)\.(\d+)\.")
_LOOKUP = re.compile(r"(?:^|\.)(?:embed_tokens|embed_in|wte|wpe|embeddings?)\.weight$")
# The vocabulary head, or the scalar one of a reward model.
_HEAD = re.compile(r"(?:^|\.)(?:lm_head|embed_out|head)\.weight$")
# Tensors that old checkpoints keep and that are no parameters.
_BUFFER = re.compile(r"\.(?:attn\.bias|attention\.bias|masked_bias|rotary_emb\.inv_freq)$")
# The same size under the names that architectures give it; the first one found counts.
_SIZES = {
    "hidden": ("hidden_size", "n_embd", "d_model"),
    "layers": ("num_hidden_layers", "n_layer"),
    "heads": ("num_attention_heads", "n_head"),
    "vocabulary": ("vocab_size",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """Sizes of a causal language model, or of a reward model's trunk.

    Attributes:
        parameters: All of them; tied weights are saved, and counted, once.
        matrix_parameters: Those in matrix products per token: all but lookups, a tied
            head once.
        block_parameters: Of all layers together.
        linear_sizes: The two sizes, added, of every matrix of the layers, added up: LoRA of
            rank r trains r times as many.
        key_value_width: Numbers that a layer keeps of a past token, keys and values.
    """

    name: str
    path: Path
    parameters: int
    matrix_parameters: int
    block_parameters: int
    linear_sizes: int
    layers: int
    hidden: int
    vocabulary: int
    key_value_width: int


def read_shape(name: str) -> ModelShape | None:
    """The sizes of the model called `name`; None where it is not here to be read.

    Raises:
        ModelError: Its configuration lacks a size.
    """
    try:
        found = find_local_model(name)
    except ModelError:
        return None
    files = sorted(found.path.glob("*.safetensors")) if found is not None else []
    if found is None or not files:
        return None
    shapes = {
        tensor: shape
        for file in files
        for tensor, shape in _shapes(file).items()
        if not _BUFFER.search(tensor)
    }
    config = json.loads((found.path / "config.json").read_text(encoding="utf-8"))
    config = config.get("text_config", config)
    sizes = {size: _size(config, names, found.path) for size, names in _SIZES.items()}
    groups = config.get("num_key_value_heads") or sizes["heads"]
    width = config.get("head_dim") or sizes["hidden"] // sizes["heads"]
    return ModelShape(
        name=name,
        path=found.path,
        parameters=_count(shapes),
        matrix_parameters=_count(
            {tensor: shape for tensor, shape in shapes.items() if _multiplies(tensor, shapes)}
        ),
        block_parameters=_count({t: shape for t, shape in shapes.items() if _BLOCK.search(t)}),
        linear_sizes=sum(
            sum(shape) for t, shape in shapes.items() if _BLOCK.search(t) and len(shape) == 2
        ),
        layers=sizes["layers"],
        hidden=sizes["hidden"],
        vocabulary=sizes["vocabulary"],
        key_value_width=2 * groups * width,
    )


def _size(config: dict[str, Any], names: tuple[str, ...], folder: Path) -> int:
    for name in names:
        if isinstance(config.get(name), int):
            return int(config[name])
    raise ModelError(
        f"{folder / 'config.json'} has no {names[0]}",
        "Name a causal language model in the format of transformers.",
    )


def _multiplies(tensor: str, shapes: dict[str, list[int]]) -> bool:
    """Whether every token is multiplied with it: a lookup is not, unless it is the head too."""
    if len(shapes[tensor]) < 2:
        return False
    if not _LOOKUP.search(tensor):
        return True
    tied = not any(_HEAD.search(other) for other in shapes)
    return tied and not tensor.endswith("wpe.weight")


def _count(shapes: dict[str, list[int]]) -> int:
    return sum(math.prod(shape) for shape in shapes.values())


def _shapes(file: Path) -> dict[str, list[int]]:
    """The shape of every tensor in a safetensors file: its JSON header, after 8 bytes of size."""
    with file.open("rb") as handle:
        (size,) = struct.unpack("<Q", handle.read(8))
        header = json.loads(handle.read(size))
    return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
