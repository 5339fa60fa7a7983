"""A language model as everybody uses it: weights, tokenizer, prompt format and decoder.

Opened by name once, then asked for completions of prompts. Training changes the weights
in place; the decoder reads the same ones.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch

from heedful.core.errors import CheckpointError, ConfigError
from heedful.core.protocols import Generated, GenerationRequest
from heedful.core.records import (
    Checkpoint,
    CheckpointKind,
    Completion,
    MadeBy,
    Prompt,
    SamplingParameters,
    derived_id,
)
from heedful.core.settings import FormatSettings
from heedful.data.formatting import PromptFormatter
from heedful.data.tokenizer import TextTokenizer
from heedful.generation.inference import token_limits
from heedful.generation.native import NativeEngine
from heedful.models.checkpoint import copy_tokenizer, read_checkpoint, read_format
from heedful.models.folders import ModelFolder, find_model
from heedful.models.loading import load_causal_lm
from heedful.models.policy import require_known_head
from heedful.models.precision import compute_in


def open_format(
    folder: ModelFolder, wanted: FormatSettings | None
) -> tuple[TextTokenizer, PromptFormatter]:
    """The tokenizer of `folder` and its prompt format.

    A checkpoint keeps the template that it was trained with; token budgets come from
    `wanted` where it is given.

    Raises:
        ConfigError: `wanted` names another template than the checkpoint's.
    """
    tokenizer = TextTokenizer.from_dir(folder.path)
    stored = read_format(folder.path)
    if stored is not None and wanted is not None and stored.template != wanted.template:
        raise ConfigError(
            f"`format.template` is {wanted.template}, but {folder.name} was trained with "
            f"{stored.template}",
            "Leave [format] out to use the checkpoint's own.",
        )
    settings = wanted or stored or FormatSettings()
    return tokenizer, PromptFormatter(settings, tokenizer)


class LanguageModel:
    """A causal language model with its tokenizer and prompt format; see `open`."""

    def __init__(
        self,
        folder: ModelFolder,
        card: Checkpoint | None,
        model: Any,
        tokenizer: TextTokenizer,
        formatter: PromptFormatter,
    ) -> None:
        self.folder = folder
        self.card = card
        self.model = model
        self.tokenizer = tokenizer
        self.formatter = formatter

    @classmethod
    def open(
        cls,
        name: str,
        *,
        format_settings: FormatSettings | None = None,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
        dropout: float | None = None,
    ) -> Self:
        """Load the model called `name` (see `find_model`), verified and ready to use.

        Raises:
            ModelError: It cannot be found or loaded, or computes its logits in an unknown way.
            CheckpointError: It is damaged, or a reward model.
        """
        folder = find_model(name)
        card = read_checkpoint(folder.path)
        if card is not None and card.kind == "reward":
            raise CheckpointError(f"{name} is a reward model; a language model is needed here")
        tokenizer, formatter = open_format(folder, format_settings)
        model = load_causal_lm(folder, pad_id=tokenizer.pad_id, dropout=dropout)
        require_known_head(model)
        compute_in(model.to(device or torch.device("cpu")), dtype)
        return cls(folder, card, model, tokenizer, formatter)

    def save_tokenizer(self, into: Path) -> None:
        """Write the tokenizer into a checkpoint: its files, or what they were converted to."""
        if (self.folder.path / "tokenizer.json").is_file():
            copy_tokenizer(self.folder.path, into)
        else:
            self.tokenizer.save(into)

    @property
    def checkpoint_id(self) -> str:
        """The checkpoint's id, or the name of a model that was not trained here."""
        return self.card.id if self.card is not None else self.folder.name

    @property
    def base_model(self) -> str:
        """The name of the model that all training began from."""
        return self.card.base_model if self.card is not None else self.folder.name

    @property
    def parents(self) -> dict[str, str]:
        """The checkpoint itself as the parent of what is trained from it."""
        return {} if self.card is None else {"init": self.card.id}

    def child_card(
        self,
        kind: CheckpointKind,
        *,
        step: int,
        settings_hash: str,
        parents: Mapping[str, str],
        made_by: Iterable[MadeBy],
    ) -> Checkpoint:
        """The card of what training made of this model.

        Args:
            kind: What it is now.
            step: Steps that its weights have seen.
            settings_hash: See `heedful.core.config.config_hash`.
            parents: Role -> checkpoint id, see `RunCard`.
            made_by: Who made the labels of this step; the makers of earlier ones are added.
        """
        earlier = self.card.made_by if self.card is not None else ()
        return Checkpoint(
            id=derived_id(kind, settings_hash, *parents.values(), step),
            kind=kind,
            step=step,
            base_model=self.base_model,
            parents=tuple(parents.values()),
            config_hash=settings_hash,
            tokenizer_hash=self.tokenizer.hash,
            format_version=self.formatter.version,
            made_by=tuple(sorted({*earlier, *made_by})),
        )

    def require_room(self, num_tokens: int) -> None:
        """Refuse a text of `num_tokens`, prompt and completion, that the model cannot hold.

        Raises:
            ConfigError: The model's context is shorter.
        """
        _, context = token_limits(self.model)
        if context is not None and num_tokens > context:
            raise ConfigError(
                f"the longest text has {num_tokens} tokens, prompt and completion together, and "
                f"{self.folder.name} holds {context}",
                "Lower format.max_prompt_tokens or format.max_completion_tokens.",
            )

    def engine(self, max_batch_size: int = 64) -> NativeEngine:
        """A decoder on this model's weights as they are at each call."""
        return NativeEngine(
            self.model,
            eos_ids=self.tokenizer.eos_ids,
            decode=self.formatter.decode_completion,
            max_batch_size=max_batch_size,
        )

    @cached_property
    def _sampler(self) -> NativeEngine:
        # Made when first asked for: by then a trainer has put its adapters in.
        return self.engine()

    def sample(
        self,
        prompts: Sequence[Prompt],
        sampling: SamplingParameters,
        *,
        num_completions: int | Sequence[int] = 1,
        seed: int = 0,
        on_progress: Callable[[int], None] | None = None,
    ) -> list[list[Generated]]:
        """K raw completions per prompt, `num_completions` or the prompt's own of these.

        Noise depends on (seed, prompt id, k) alone; a prompt that occurs again in `prompts`
        gets other noise.

        Raises:
            DataError: A prompt does not fit the format's budget.
        """
        counts = num_completions
        if isinstance(counts, int):
            counts = [counts] * len(prompts)
        requests = [
            GenerationRequest(
                prompt_ids=self.formatter.prompt_ids(prompt),
                sampling=sampling,
                num_completions=count,
                seed=request_seed(seed, *key),
            )
            for prompt, key, count in zip(prompts, _keys(prompts), counts, strict=True)
        ]
        return self._sampler.generate(requests, on_progress)

    def complete(
        self,
        prompts: Sequence[Prompt],
        sampling: SamplingParameters,
        *,
        num_completions: int | Sequence[int] = 1,
        seed: int = 0,
        checkpoint_id: str | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> list[list[Completion]]:
        """`sample` as records; ids follow from what was asked, so a rerun repeats them."""
        name = checkpoint_id or self.checkpoint_id
        sampled = self.sample(
            prompts, sampling, num_completions=num_completions, seed=seed, on_progress=on_progress
        )
        return [
            [
                Completion(
                    id=completion_id(name, *key, seed=seed, place=k, sampling=sampling),
                    prompt_id=prompt.id,
                    text=generated.text,
                    checkpoint_id=name,
                    sampling=sampling,
                    seed=seed,
                    finish_reason=generated.finish_reason,
                    num_tokens=len(generated.token_ids),
                )
                for k, generated in enumerate(row)
            ]
            for prompt, key, row in zip(prompts, _keys(prompts), sampled, strict=True)
        ]


def completion_id(
    checkpoint_id: str, *key: str | int, seed: int, place: int, sampling: SamplingParameters
) -> str:
    """The id of completion `place` of a prompt, known before it is sampled.

    Args:
        checkpoint_id: As written into the completion.
        key: The prompt's id, and from its second occurrence on which one it is.
        seed: Of the noise.
        place: From 0 to K - 1.
        sampling: How it is drawn.
    """
    return derived_id("completion", checkpoint_id, *key, seed, place, sampling.model_dump_json())


def _keys(prompts: Sequence[Prompt]) -> list[tuple[str | int, ...]]:
    """Each prompt's id, and from its second occurrence on which one it is."""
    seen: Counter[str] = Counter()
    keys: list[tuple[str | int, ...]] = []
    for prompt in prompts:
        times = seen[prompt.id]
        keys.append((prompt.id, times) if times else (prompt.id,))
        seen[prompt.id] += 1
    return keys


def request_seed(*parts: str | int) -> int:
    """A 63-bit seed that depends on all of `parts`."""
    joined = "\x1f".join(str(part) for part in parts).encode()
    return int.from_bytes(hashlib.sha256(joined).digest()[:8], "big") >> 1
