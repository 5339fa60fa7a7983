"""What a decoder has to know of a transformer block, for all architectures it knows.

One description covers them: norms before and, in Gemma 2 and 3, after each branch; queries,
keys and values as one product; a gated or a plain feed-forward; branches one after the other
or side by side. Architectures that are not listed in `FAMILIES` are not guessed at.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from heedful.generation.decoder_weights import Matrix, Norm, is_plain
from heedful.models.loading import trunk_of

FAMILIES = (
    *("llama", "mistral", "qwen2", "qwen3"),
    *("gemma", "gemma2", "gemma3_text", "gpt_neox", "gpt2"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One layer."""

    attention_norm: Norm
    qkv: Matrix
    interleaved: bool  # of each head its query, key and value side by side (GPT-NeoX)
    query_norm: Norm | None
    key_norm: Norm | None
    out: Matrix
    after_attention: Norm | None
    feedforward_norm: Norm
    up: Matrix  # gate and up where gated
    gated: bool
    activation: Callable[[Tensor], Tensor]
    down: Matrix
    after_feedforward: Norm | None
    parallel: bool  # the feed-forward reads the block's input too
    scaling: float
    softcap: float | None
    window: int | None  # tokens seen, itself counted
    rotary: str | None  # which kind of layer, where the rotary module knows several

    def matrices(self) -> Iterator[Matrix]:
        """All products."""
        yield from (self.qkv, self.out, self.up, self.down)

    def norms(self) -> Iterator[Norm]:
        """All norms that there are."""
        for norm in (
            *(self.attention_norm, self.query_norm, self.key_norm, self.after_attention),
            *(self.feedforward_norm, self.after_feedforward),
        ):
            if norm is not None:
                yield norm


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A trunk: its blocks and what stands around them."""

    blocks: list[Block]
    final_norm: Norm
    heads: int
    groups: int  # heads of keys and values
    head_dim: int
    embedding: nn.Module  # with the scaling that the architecture puts on it
    positions: nn.Embedding | None  # learned (GPT-2)
    rotary: nn.Module | None
    context: int  # positions that the model knows


def read_layout(model: Any) -> Layout | None:
    """The layout of a causal language model; None where it is not known."""
    config = model.config
    if config.model_type not in FAMILIES or not _is_known(config):
        return None
    if torch.is_autocast_enabled(model.device.type):  # types change on the way
        return None
    trunk = trunk_of(model)
    layers = trunk.h if config.model_type == "gpt2" else trunk.layers
    layers = list(layers)[: config.num_hidden_layers]
    products = [
        module
        for layer in layers
        for name, module in layer.named_modules()
        if name.rpartition(".")[2] in _MATRICES
    ]
    if not all(map(is_plain, (*products, model.get_output_embeddings()))):
        return None
    if len({own.dtype for name, own in model.named_parameters() if ".lora_" not in name}) > 1:
        return None
    heads = config.num_attention_heads
    final = {"gpt2": "ln_f", "gpt_neox": "final_layer_norm"}.get(config.model_type, "norm")
    return Layout(
        blocks=[_read_block(layer, config) for layer in layers],
        final_norm=Norm(getattr(trunk, final), plus_one=_plus_one(config)),
        heads=heads,
        groups=getattr(config, "num_key_value_heads", None) or heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // heads,
        embedding=model.get_input_embeddings(),
        positions=getattr(trunk, "wpe", None),
        rotary=getattr(trunk, "rotary_emb", None),
        context=config.max_position_embeddings,
    )


_MATRICES = (
    *("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    *("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h", "c_attn", "c_proj", "c_fc"),
)


def _is_known(config: Any) -> bool:
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [rope, *(kind for kind in rope.values() if isinstance(kind, dict))]
    return (
        not getattr(config, "use_bidirectional_attention", None)
        and not getattr(config, "add_cross_attention", False)
        # Which frequencies it takes depends on the longest row of the batch.
        and all(kind.get("rope_type") != "longrope" for kind in kinds)
    )


def _plus_one(config: Any) -> bool:
    return bool(config.model_type.startswith("gemma"))


def _read_block(layer: Any, config: Any) -> Block:
    if config.model_type == "gpt2":
        return _read_gpt2(layer)
    if config.model_type == "gpt_neox":
        return _read_neox(layer)
    attention, feedforward = layer.self_attn, layer.mlp

    def norm(module: Any) -> Norm | None:
        return None if module is None else Norm(module, plus_one=_plus_one(config))

    twice = hasattr(layer, "pre_feedforward_layernorm")
    if config.model_type == "mistral":
        window = config.sliding_window
    else:
        window = getattr(attention, "sliding_window", None)
    rotary = getattr(attention, "layer_type", None) if config.model_type == "gemma3_text" else None
    before = layer.pre_feedforward_layernorm if twice else layer.post_attention_layernorm
    return Block(
        attention_norm=Norm(layer.input_layernorm, plus_one=_plus_one(config)),
        qkv=Matrix(attention.q_proj, attention.k_proj, attention.v_proj),
        interleaved=False,
        query_norm=norm(getattr(attention, "q_norm", None)),
        key_norm=norm(getattr(attention, "k_norm", None)),
        out=Matrix(attention.o_proj),
        after_attention=norm(layer.post_attention_layernorm) if twice else None,
        feedforward_norm=Norm(before, plus_one=_plus_one(config)),
        up=Matrix(feedforward.gate_proj, feedforward.up_proj),
        gated=True,
        activation=feedforward.act_fn,
        down=Matrix(feedforward.down_proj),
        after_feedforward=norm(layer.post_feedforward_layernorm) if twice else None,
        parallel=False,
        scaling=attention.scaling,
        softcap=attention.attn_logit_softcapping if config.model_type == "gemma2" else None,
        window=window,
        rotary=rotary,
    )


def _read_neox(layer: Any) -> Block:
    attention, feedforward = layer.attention, layer.mlp
    return _plain_block(
        attention_norm=Norm(layer.input_layernorm, plus_one=False),
        qkv=Matrix(attention.query_key_value),
        interleaved=True,
        out=Matrix(attention.dense),
        feedforward_norm=Norm(layer.post_attention_layernorm, plus_one=False),
        up=Matrix(feedforward.dense_h_to_4h),
        activation=feedforward.act,
        down=Matrix(feedforward.dense_4h_to_h),
        parallel=layer.use_parallel_residual,
        scaling=attention.scaling,
    )


def _read_gpt2(layer: Any) -> Block:
    attention, feedforward = layer.attn, layer.mlp
    return _plain_block(
        attention_norm=Norm(layer.ln_1, plus_one=False),
        qkv=Matrix(attention.c_attn),
        interleaved=False,
        out=Matrix(attention.c_proj),
        feedforward_norm=Norm(layer.ln_2, plus_one=False),
        up=Matrix(feedforward.c_fc),
        activation=feedforward.act,
        down=Matrix(feedforward.c_proj),
        parallel=False,
        scaling=attention.scaling,
    )


def _plain_block(**parts: Any) -> Block:
    """A block without what came after GPT-2: gates, further norms, windows, caps."""
    return Block(
        query_norm=None,
        key_norm=None,
        after_attention=None,
        gated=False,
        after_feedforward=None,
        softcap=None,
        window=None,
        rotary=None,
        **parts,
    )
