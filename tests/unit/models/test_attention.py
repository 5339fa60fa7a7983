"""Attention by matrix products: the fused one's numbers, and only where it says so."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from fakes.tiny_models import CONFIGS, SCALED, build_model
from heedful.core.errors import ModelError
from heedful.models import attention
from heedful.models.attention import LONGEST, NAME, attend, use_our_attention
from heedful.models.kv_cache import cache_keyword
from heedful.models.ragged import Layout, Segment

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


@pytest.mark.parametrize("architecture", sorted({*CONFIGS, *SCALED}))
def test_models_say_the_same_with_either(architecture: str) -> None:
    model: Any = build_model(architecture)
    ids = torch.arange(2, 26).view(2, 12)
    found = {}
    theirs = "eager" if architecture == "gemma2" else "sdpa"
    for name in (theirs, NAME):
        model.set_attn_implementation(name)
        found[name] = model(input_ids=ids, use_cache=False).logits
    torch.testing.assert_close(found[theirs], found[NAME], rtol=1e-4, atol=1e-4)


def test_a_model_with_attention_of_its_own_keeps_it() -> None:
    model: Any = build_model("llama")
    assert model.config._attn_implementation == NAME
    model.set_attn_implementation("eager")
    use_our_attention(model)
    assert model.config._attn_implementation == "eager"


def test_capped_scores_are_computed_with_any_cache() -> None:
    """Gemma 2's; the fused attention cannot cap."""
    model: Any = build_model("gemma2", attn_logit_softcapping=1.0)
    assert model.config._attn_implementation == NAME
    name_of_cache = cache_keyword(model.forward)
    assert name_of_cache is not None
    ids = torch.arange(2, 26).view(2, 12)
    found = {}
    for name in ("eager", NAME):
        model.set_attn_implementation(name)
        whole = model(input_ids=ids, use_cache=False).logits[:, -1]
        past = {name_of_cache: model(input_ids=ids[:, :-1], use_cache=True)[name_of_cache]}
        step = model(input_ids=ids[:, -1:], use_cache=True, **past).logits[:, -1]
        torch.testing.assert_close(step, whole, rtol=1e-4, atol=1e-4)
        found[name] = whole
    torch.testing.assert_close(found["eager"], found[NAME], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", ["dropout", "sinks", "not causal"])
def test_a_layout_with_what_is_not_known_is_refused(case: str) -> None:
    layout = Layout.of([Segment(0, 8)], torch.device("cpu"))
    arguments: dict[str, Any] = {
        "dropout": {"dropout": 0.1},
        "sinks": {"s_aux": torch.zeros(6)},
        "not causal": {"is_causal": False},
    }[case]
    with pytest.raises(ModelError, match="attends in a way"):
        attend(MODULE, *states(8, batch=1), None, layout=layout, **arguments)


def side(function: Any, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    for tensor in inputs:
        tensor.grad = None
    mixed = function(*inputs)
    (mixed * torch.arange(mixed.numel()).sin().view_as(mixed)).sum().backward()
    return [mixed.detach(), *(tensor.grad.clone() for tensor in inputs if tensor.grad is not None)]


# A plain one, a prompt, three that see it and one that sees the plain one's first four tokens.
SEGMENTS = [
    Segment(0, 9),
    Segment(9, 8),
    Segment(17, 6, 9, 8),
    Segment(23, 5, 9, 8),
    Segment(28, 2, 9, 8),
    Segment(30, 3, 0, 4),
]


def plain(query: Tensor, key: Tensor, value: Tensor, window: int | None, cap: float | None) -> Any:
    """Each segment by itself, all scores in plain sight."""
    parts = []
    for start, length, prefix, size in SEGMENTS:
        seen = [*range(prefix, prefix + size), *range(start, start + length)]
        keys, values = (states[0, :, seen].repeat_interleave(3, 0) for states in (key, value))
        scores = query[0, :, start : start + length] @ keys.transpose(-1, -2) * 0.5
        if cap is not None:
            scores = torch.tanh(scores / cap) * cap
        place = size + torch.arange(length)[:, None]
        column = torch.arange(len(seen))[None]
        hidden = column > place
        if window is not None:
            hidden = hidden | (column <= place - window)
        parts.append(scores.masked_fill(hidden, -torch.inf).softmax(-1) @ values)
    return torch.cat(parts, dim=1).transpose(0, 1)[None]


@pytest.mark.parametrize("window", [None, 4])
@pytest.mark.parametrize("case", ["products", "fused", "both", "capped"])
def test_side_by_side_is_each_by_itself(
    case: str, window: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "LONGEST", {"fused": 0, "both": 8}.get(case, LONGEST))
    layout = Layout.of(SEGMENTS, torch.device("cpu"))
    cap = 1.0 if case == "capped" else None
    inputs = states(33, batch=1)

    def ours(*given: Tensor) -> Tensor:
        options = {"sliding_window": window, "softcap": cap}
        return attend(MODULE, *given, None, scaling=0.5, layout=layout, **options)[0]

    expected = side(lambda *given: plain(*given, window, cap), inputs)
    found = side(ours, inputs)
    assert len(found) == 4
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
