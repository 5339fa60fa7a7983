"""Sentence embeddings from the folder of an encoder, as a plain function of texts.

Reads what sentence-transformers writes: a transformers encoder, whose last states are
averaged over tokens (or taken at the first one), and length-normalised. Other pooling and
further layers are refused. Comparing embeddings is the data room's.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from torch import Tensor
from torch.nn.functional import normalize
from transformers import AutoModel, AutoTokenizer

from heedful.core.errors import ModelError
from heedful.models.loading import quiet_transformers

Embedding = Callable[[Sequence[str]], Float[np.ndarray, "texts dim"]]

_TOKENS_PER_BATCH = 8192
_POOLING_MODES = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
_KNOWN_MODULES = {"Transformer", "Pooling", "Normalize"}


def load_embedding(folder: Path, *, device: str = "cpu") -> Embedding:
    """The embedding of a sentence-transformers folder, or of a bare encoder (mean pooling).

    The function gives one row of length 1 for each text; texts longer than the model
    reads are cut. Rows do not depend on the other texts, but for rounding.

    Raises:
        ModelError: The folder holds no encoder, or one that is used in another way.
    """
    quiet_transformers()
    pooling, max_tokens = _pooling(folder), _settings(folder / "sentence_bert_config.json")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model, found = AutoModel.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"{folder}: cannot be loaded as a sentence encoder: {error}",
            "Name the folder that sentence-transformers saved.",
        ) from None
    # The pooler is an extra head that sentence embeddings do not use.
    missing = sorted(key for key in found["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise ModelError(
            f"{folder}: {len(missing)} of the encoder's weights are not in its files, "
            f"{missing[0]} first",
            "Fetch the folder again.",
        )
    limit = max_tokens.get("max_seq_length") or model.config.max_position_embeddings
    encoder = _Encoder(model.to(device).eval(), tokenizer, pooling, int(limit))
    return encoder.embed


@dataclass(frozen=True, slots=True)
class _Encoder:
    model: Any
    tokenizer: Any
    pooling: str
    max_tokens: int

    def embed(self, texts: Sequence[str]) -> Float[np.ndarray, "texts dim"]:
        """One row of length 1 for each text."""
        rows = np.empty((len(texts), self.model.config.hidden_size), dtype=np.float32)
        if not texts:
            return rows
        ids = self.tokenizer(list(texts), truncation=True, max_length=self.max_tokens)["input_ids"]
        # Texts of like length share a batch, so that little is padding.
        order = sorted(range(len(texts)), key=lambda place: len(ids[place]))
        while order:
            longest = max(len(ids[order[-1]]), 1)
            size = max(_TOKENS_PER_BATCH // longest, 1)
            batch, order = order[-size:], order[:-size]
            padded = self.tokenizer.pad(
                {"input_ids": [ids[place] for place in batch]}, return_tensors="pt"
            ).to(self.model.device)
            rows[batch] = self._rows(padded["input_ids"], padded["attention_mask"]).cpu().numpy()
        return rows

    @torch.inference_mode()
    def _rows(
        self, input_ids: Int[Tensor, "batch time"], mask: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch dim"]:
        states = self.model(input_ids=input_ids, attention_mask=mask).last_hidden_state
        if self.pooling == "cls":
            return normalize(states[:, 0], dim=-1)
        weights = mask.unsqueeze(-1).to(states.dtype)
        # (The length is normalised after, so a sum does for the mean.)
        return normalize((states * weights).sum(dim=1), dim=-1)


def _pooling(folder: Path) -> str:
    """How the folder's `modules.json` pools; `mean` where it has none."""
    modules = _read(folder / "modules.json")
    for module in modules if isinstance(modules, list) else []:
        kind = str(module.get("type", "")).rpartition(".")[2]
        if kind not in _KNOWN_MODULES:
            raise ModelError(
                f"{folder}: its embedding needs a layer of kind {kind}, which is not supported",
                "Use a model of an encoder, mean or first-token pooling and normalisation only.",
            )
    settings = _settings(folder / "1_Pooling" / "config.json")
    if not settings:
        return "mean"
    modes = [name for name, value in settings.items() if name.startswith("pooling_mode_") and value]
    if len(modes) != 1 or modes[0] not in _POOLING_MODES:
        raise ModelError(
            f"{folder}: pools by {', '.join(modes) or 'nothing'}, which is not supported",
            f"Use a model with one of {', '.join(_POOLING_MODES)}.",
        )
    return _POOLING_MODES[modes[0]]


def _settings(path: Path) -> dict[str, Any]:
    """The settings of a JSON file; none where there is no file."""
    value = _read(path)
    return value if isinstance(value, dict) else {}


def _read(path: Path) -> object:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise ModelError(f"{path}: not JSON: {error}", "Fetch the folder again.") from error
