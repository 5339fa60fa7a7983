"""Sequences side by side on a GPU against one after the other on the CPU, in float32."""

import pytest
import torch

from fakes.tiny_models import CONFIGS, RELATED, SCALED, build_model
from fakes.token_pairs import Pair
from heedful.models.loading import trunk_of
from heedful.models.policy import completion_logprobs
from heedful.models.token_batch import padded_rows, side_by_side, takes_side_by_side

pytestmark = pytest.mark.gpu

PROMPT = [*range(10, 22)]
PAIRS = [
    Pair(PROMPT, [*range(30, 45)]),
    Pair([5, 6, 7], [*range(50, 90)]),
    Pair(PROMPT, [60, 61, 62]),
    Pair([8], [9]),
]


@pytest.mark.parametrize("architecture", sorted({*CONFIGS, *SCALED, *RELATED}))
def test_logprobs_and_gradients_are_those_of_plain_passes(architecture: str) -> None:
    model, twin = build_model(architecture).cuda(), build_model(architecture)
    device = torch.device("cuda")
    assert takes_side_by_side(trunk_of(model))
    found = completion_logprobs(model, side_by_side(PAIRS, device)).logprobs
    alone = [padded_rows([pair], 0, torch.device("cpu")) for pair in PAIRS]
    expected = torch.cat([completion_logprobs(twin, one).logprobs for one in alone])
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-3, atol=1e-3)
    weights = torch.arange(len(expected)).cos()
    (found * weights.to(device)).sum().backward()
    (expected * weights).sum().backward()
    for (name, ours), theirs in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert (ours.grad.cpu() - theirs.grad).norm() <= 2e-3 * theirs.grad.norm(), name
