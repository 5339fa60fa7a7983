import math

import pytest
import torch

from fakes.tiny_models import CONFIGS, RELATED, SCALED, build_model
from fakes.token_pairs import Pair
from heedful.models.loading import trunk_of
from heedful.models.precision import compute_in
from heedful.models.scalar import ScalarModel
from heedful.models.token_batch import TokenBatch, padded_rows, side_by_side

CPU = torch.device("cpu")


def some(number: int, seed: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(10, 300, (number,), generator=generator).tolist()


# Two rankings, one of them with an empty completion, and a prompt of one token.
PAIRS = [
    *(Pair(some(9, 1), some(size, 10 + size)) for size in (5, 0, 11)),
    *(Pair(some(12, 2), some(size, 20 + size)) for size in (4, 6)),
    Pair(some(1, 3), some(3, 4)),
]


def scalar(architecture: str = "llama") -> ScalarModel:
    generator = torch.Generator().manual_seed(0)
    return ScalarModel(trunk_of(build_model(architecture)), 32, generator=generator)


def plain(model: ScalarModel, pair: Pair) -> torch.Tensor:
    """The number at every token of one pair by itself."""
    ids = torch.tensor([[*pair.prompt_ids, *pair.completion_ids]])
    return model.trunk(input_ids=ids).last_hidden_state[0] @ model.head.weight[0]


def batch(*, padded: bool) -> TokenBatch:
    return padded_rows(PAIRS, 7, CPU) if padded else side_by_side(PAIRS, CPU)


@pytest.mark.parametrize("architecture", sorted({*CONFIGS, *SCALED, *RELATED}))
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("what", ["scores", "values"])
def test_numbers_and_gradients_are_those_of_plain_passes(
    architecture: str, padded: bool, what: str
):
    """A score is read at the last token, a value before each completion token."""
    model, twin = scalar(architecture), scalar(architecture)
    found = getattr(model, what)(batch(padded=padded))
    alone = [(plain(twin, pair), len(pair.prompt_ids)) for pair in PAIRS]
    if what == "scores":
        expected = torch.stack([numbers[-1] for numbers, _ in alone])
    else:
        expected = torch.cat([numbers[prompt - 1 : -1] for numbers, prompt in alone])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    weights = torch.arange(len(found)).cos()
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    for (name, ours), theirs in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert ours.grad is not None
        assert (ours.grad - theirs.grad).norm() <= 1e-4 * theirs.grad.norm(), name


def test_what_the_rows_are_padded_with_changes_nothing():
    model = scalar()
    scores = [model.scores(padded_rows(PAIRS, pad, CPU)) for pad in (7, 8)]
    assert torch.equal(*scores)


def test_the_offset_is_subtracted_and_saved_with_the_state():
    model = scalar()
    before = model.scores(batch(padded=False))
    model.offset.fill_(1.5)
    torch.testing.assert_close(model.scores(batch(padded=False)), before - 1.5)
    assert model.state_dict()["offset"].item() == 1.5


def test_the_head_begins_small_and_as_the_generator_says():
    torch.manual_seed(3)
    trunk = build_model().model
    heads = [
        ScalarModel(trunk, 4000, generator=torch.Generator().manual_seed(seed)).head.weight
        for seed in (0, 0, 1)
    ]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert heads[0].std().item() == pytest.approx(1 / math.sqrt(4001), rel=0.05)


def test_the_head_computes_in_float32_behind_a_bfloat16_trunk():
    model = scalar()
    compute_in(model.trunk, torch.bfloat16)
    scores = model.scores(batch(padded=False))
    assert scores.dtype == model.head.weight.dtype == torch.float32
