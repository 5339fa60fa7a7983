import math

import pytest
import torch

from fakes.tiny_models import CONFIGS, build_model
from heedful.models.loading import trunk_of
from heedful.models.precision import compute_in
from heedful.models.scalar import ScalarModel


def scalar(architecture: str = "llama") -> ScalarModel:
    generator = torch.Generator().manual_seed(0)
    return ScalarModel(trunk_of(build_model(architecture)), 32, generator=generator)


def batch(pad: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(10, 300, (3, 9), generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([9, 4, 2])
    return torch.where(torch.arange(9) < lengths[:, None], ids, pad), lengths


@pytest.mark.parametrize("architecture", sorted(CONFIGS))
def test_the_score_is_read_at_the_last_token(architecture: str):
    model = scalar(architecture)
    ids, lengths = batch()
    scores = model.scores(ids, lengths)
    states = model.trunk(input_ids=ids).last_hidden_state
    for row, length in enumerate(lengths.tolist()):
        assert scores[row].item() == pytest.approx(
            (states[row, length - 1] @ model.head.weight[0]).item(), rel=1e-4, abs=1e-5
        )
        alone = model.scores(ids[row : row + 1, :length], lengths[row : row + 1])
        torch.testing.assert_close(scores[row], alone[0], rtol=1e-4, atol=1e-5)
    assert torch.equal(model.scores(batch(pad=8)[0], lengths), scores)


def test_values_are_read_before_each_completion_token():
    model = scalar()
    ids, lengths = batch()
    prompts = torch.tensor([5, 1, 1])
    values = model.values(ids, prompts, lengths - prompts)
    states = model.trunk(input_ids=ids).last_hidden_state @ model.head.weight[0]
    torch.testing.assert_close(values[0], states[0, 4:8])
    torch.testing.assert_close(values[1], torch.cat([states[1, :3], torch.zeros(1)]))
    torch.testing.assert_close(values[2], torch.cat([states[2, :1], torch.zeros(3)]))
    wide = model.values(ids, prompts, lengths - prompts, 6)
    assert torch.equal(wide[:, :4], values)
    assert not wide[:, 4:].any()


def test_the_offset_is_subtracted_and_saved_with_the_state():
    model = scalar()
    ids, lengths = batch()
    before = model.scores(ids, lengths)
    model.offset.fill_(1.5)
    torch.testing.assert_close(model.scores(ids, lengths), before - 1.5)
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
    ids, lengths = batch()
    scores = model.scores(ids, lengths)
    assert scores.dtype == model.head.weight.dtype == torch.float32
