"""The same reads from padded rows and from sequences side by side."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fakes.tiny_models import CONFIGS, RELATED, SCALED, build_model
from fakes.token_pairs import Pair
from heedful.models.loading import trunk_of
from heedful.models.ragged import SHARED_FROM
from heedful.models.token_batch import (
    TokenBatch,
    padded_rows,
    side_by_side,
    takes_side_by_side,
    token_states,
)

CPU = torch.device("cpu")


PROMPTS = st.sampled_from([[1], [1, 2, 3], [*range(SHARED_FROM)], [*range(20)]])
pairs_of_tokens = st.lists(
    st.builds(Pair, PROMPTS, st.lists(st.integers(30, 60), max_size=6)), min_size=1, max_size=9
)


def reads(batch: TokenBatch) -> list[list[tuple[int, int]]]:
    """For each pair: the token before each completion token, and that token; then the last."""
    tokens = batch.input_ids.flatten()
    before = batch.unflatten(tokens[batch.before].double())
    targets = batch.unflatten(batch.targets.double())
    return [
        [
            *zip(before[row][mask].tolist(), targets[row][mask].tolist(), strict=True),
            (tokens[batch.last[row]].item(), -1),
        ]
        for row, mask in enumerate(batch.mask)
    ]


@given(pairs_of_tokens)
def test_every_completion_token_is_read_after_its_predecessor(pairs: list[Pair]) -> None:
    expected = []
    for pair in pairs:
        ids = [*pair.prompt_ids, *pair.completion_ids]
        size = len(pair.prompt_ids)
        found = [(ids[place - 1], ids[place]) for place in range(size, len(ids))]
        expected.append([*found, (ids[-1], -1)])
    assert reads(padded_rows(pairs, 99, CPU)) == expected
    assert reads(side_by_side(pairs, CPU)) == expected


@given(pairs_of_tokens)
def test_a_shared_prompt_stands_there_once(pairs: list[Pair]) -> None:
    batch = side_by_side(pairs, CPU)
    prompts = [tuple(pair.prompt_ids) for pair in pairs]
    short = sum(len(prompt) for prompt in prompts if len(prompt) < SHARED_FROM)
    long = sum(len(prompt) for prompt in set(prompts) if len(prompt) >= SHARED_FROM)
    completions = sum(len(pair.completion_ids) for pair in pairs)
    assert batch.input_ids.shape == (1, short + long + completions)
    assert batch.options["position_ids"].shape == batch.input_ids.shape


def test_positions_go_on_after_a_shared_prompt() -> None:
    prompt = [*range(SHARED_FROM)]
    batch = side_by_side([Pair(prompt, [30, 31]), Pair(prompt, [32])], CPU)
    found = sorted(
        zip(batch.input_ids[0].tolist(), batch.options["position_ids"][0].tolist(), strict=True)
    )
    assert found == [*zip(prompt, prompt, strict=True), (30, 8), (31, 9), (32, 8)]


@pytest.mark.parametrize("architecture", sorted({*CONFIGS, *SCALED, *RELATED}))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_known_architectures_take_tokens_side_by_side(
    architecture: str, dtype: torch.dtype
) -> None:
    assert takes_side_by_side(trunk_of(build_model(architecture)).to(dtype))


def test_a_window_over_every_layer_is_kept() -> None:
    """Mistral's first models; pairs longer than the window."""
    trunk = trunk_of(build_model("mistral", sliding_window=8))
    prompt = [*range(2, 14)]
    pairs = [Pair(prompt, [*range(30, 50)]), Pair(prompt, [60, 61]), Pair([5], [*range(70, 90)])]
    together = side_by_side(pairs, CPU)
    alone = [padded_rows([pair], 3, CPU) for pair in pairs]
    expected = torch.cat([token_states(trunk, one)[one.before] for one in alone])
    found = token_states(trunk, together)[together.before]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    whole = build_model("mistral", sliding_window=None)
    unlike = token_states(trunk_of(whole), together)[together.before]
    assert not torch.allclose(unlike, expected, atol=1e-2)


def strange(case: str) -> Any:
    trunk: Any = trunk_of(build_model())
    if case == "its own attention":
        trunk.set_attn_implementation("eager")
    if case == "chunks":
        trunk.config.attention_chunk_size = 64
    if case == "layers":
        trunk.config.layer_types = ["full_attention", "linear_attention"]
    if case in ("no keywords", "no positions"):
        whole = trunk.forward

        def forward(input_ids: Any, use_cache: bool, **options: Any) -> Any:
            if options and case == "no keywords":
                raise TypeError("unexpected keyword")
            options.pop("position_ids", None)
            return whole(input_ids=input_ids, use_cache=use_cache, **options)

        trunk.forward = forward
    return trunk


@pytest.mark.parametrize(
    "case", ["its own attention", "chunks", "layers", "no keywords", "no positions"]
)
def test_others_do_not(case: str) -> None:
    assert not takes_side_by_side(strange(case))


def test_a_padded_row_needs_no_mask() -> None:
    trunk = trunk_of(build_model())
    pairs = [Pair([5, 6], [7, 8, 9]), Pair([10], [11])]
    together = padded_rows(pairs, 3, CPU)
    alone = [padded_rows([pair], 3, CPU) for pair in pairs]
    assert not together.options
    torch.testing.assert_close(
        token_states(trunk, together)[together.last],
        torch.cat([token_states(trunk, one)[one.last] for one in alone]),
        rtol=1e-4,
        atol=1e-5,
    )
