"""Attention by matrix products: the fused one's numbers, and only where it says so."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from fakes.tiny_models import CONFIGS, SCALED, build_model
from heedful.models import attention
from heedful.models.attention import LONGEST, NAME, attend
from heedful.models.policy import keeps_packed_apart

MODULE = SimpleNamespace(num_key_value_groups=3, is_causal=True)


def states(
    length: int, *, dtype: torch.dtype = torch.float32, batch: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(length)
    shapes = ((batch, 6, length, 8), (batch, 2, length, 8), (batch, 2, length, 8))
    query, key, value = (torch.randn(shape).to(dtype).requires_grad_() for shape in shapes)
    return query, key, value


def left_padded(length: int) -> Tensor:
    """Row 0 sees everything before it; row 1 has no first three tokens."""
    seen = torch.ones(2, 1, length, length, dtype=torch.bool).tril()
    seen[1, :, :, :3] = False
    return seen


def gradients(function: Any, inputs: tuple[Tensor, ...], mask: Tensor | None) -> list[Tensor]:
    """The output, then the gradients of a weighted sum of what is not padding."""
    for tensor in inputs:
        tensor.grad = None
    mixed, _ = function(MODULE, *inputs, mask, scaling=0.5)
    real = torch.ones(mixed.shape[:2], dtype=torch.bool)
    if mask is not None:
        real = mask[:, 0].diagonal(dim1=1, dim2=2)
    weights = torch.arange(mixed[real].numel()).sin().view_as(mixed[real])
    (mixed[real] * weights).sum().backward()
    return [
        mixed[real].detach(),
        *(tensor.grad.clone() for tensor in inputs if tensor.grad is not None),
    ]


@pytest.mark.parametrize("length", [2, 7, 64])
@pytest.mark.parametrize("masked", [False, True])
def test_gives_the_fused_numbers_and_gradients(length: int, masked: bool) -> None:
    mask = left_padded(length) if masked and length > 3 else None
    inputs = states(length)
    ours, theirs = (gradients(f, inputs, mask) for f in (attend, sdpa_attention_forward))
    assert len(ours) == 4
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_one_query_token_sees_all_cached_ones(masked: bool) -> None:
    query, key, value = states(9)
    mask = left_padded(9)[:, :, -1:] if masked else None
    arguments = (MODULE, query[:, :, -1:], key, value, mask)
    torch.testing.assert_close(
        attend(*arguments, scaling=0.5)[0], sdpa_attention_forward(*arguments, scaling=0.5)[0]
    )


def test_stays_close_in_bfloat16() -> None:
    exact = gradients(sdpa_attention_forward, states(64), None)
    rough = gradients(attend, states(64, dtype=torch.bfloat16), None)
    for one, other in zip(rough, exact, strict=True):
        assert (one.float() - other).norm() < 0.02 * other.norm()


@pytest.mark.parametrize("case", ["long", "dropout", "float mask", "cached", "not causal"])
def test_leaves_the_rest_to_the_fused_one(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bool] = []

    def fused(_module: Any, query: Tensor, *_: object, **__: object) -> tuple[Tensor, None]:
        taken.append(True)
        return query, None

    monkeypatch.setattr(attention, "sdpa_attention_forward", fused)
    query, key, value = states(LONGEST + 1 if case == "long" else 8, batch=1)
    mask, options = None, {}
    if case == "cached":
        query = query[:, :, -4:]
    if case == "dropout":
        options["dropout"] = 0.1
    if case == "float mask":
        mask = torch.zeros(1, 1, 8, 8)
    if case == "not causal":
        options["is_causal"] = False
    attend(MODULE, query, key, value, mask, **options)
    assert taken == [True]


@pytest.mark.parametrize("architecture", sorted({*CONFIGS, *SCALED} - {"gemma2"}))
def test_models_say_the_same_with_either(architecture: str) -> None:
    model: Any = build_model(architecture)
    ids = torch.arange(2, 26).view(2, 12)
    found = {}
    for name in ("sdpa", NAME):
        model.set_attn_implementation(name)
        found[name] = model(input_ids=ids, use_cache=False).logits
    torch.testing.assert_close(found["sdpa"], found[NAME], rtol=1e-4, atol=1e-4)


def test_packed_sequences_stay_apart() -> None:
    model: Any = build_model("llama")
    model.set_attn_implementation(NAME)
    assert keeps_packed_apart(model)


def test_a_model_with_attention_of_its_own_keeps_it() -> None:
    model: Any = build_model("gemma2")
    assert model.config._attn_implementation == "eager"
    assert build_model("llama").config._attn_implementation == NAME
