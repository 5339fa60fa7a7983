from typing import Any

import pytest
import torch

from fakes.tiny_models import CONFIGS, RELATED, SCALED, build_model
from fakes.token_pairs import Pair
from heedful.core.errors import ModelError
from heedful.models.policy import completion_logprobs, require_known_head
from heedful.models.token_batch import padded_rows, side_by_side

EVERY = sorted({*CONFIGS, *SCALED, *RELATED})
CPU = torch.device("cpu")


def some_pairs() -> list[Pair]:
    """Of several lengths, two of them with one prompt."""
    generator = torch.Generator().manual_seed(1)

    def some(number: int) -> list[int]:
        return torch.randint(10, 300, (number,), generator=generator).tolist()

    shared = some(9)
    return [
        Pair(some(3), some(6)),
        Pair(shared, some(4)),
        Pair(some(5), some(12)),
        Pair(shared, some(7)),
        Pair(some(1), some(1)),
    ]


def plain(model: Any, pair: Pair, temperature: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities and entropies of one pair, all logits in sight."""
    ids = torch.tensor([[*pair.prompt_ids, *pair.completion_ids]])
    logprobs = (model(input_ids=ids).logits[0] / temperature).log_softmax(-1)
    places = torch.arange(len(pair.prompt_ids), ids.shape[1])
    chosen = logprobs[places - 1, ids[0, places]]
    return chosen, -(logprobs.exp() * logprobs).sum(-1)[places - 1]


@pytest.mark.parametrize("architecture", EVERY)
@pytest.mark.parametrize("padded", [True, False])
def test_logprobs_and_gradients_are_those_of_plain_passes(architecture: str, padded: bool):
    pairs = some_pairs()
    model = build_model(architecture)
    batch = padded_rows(pairs, 7, CPU) if padded else side_by_side(pairs, CPU)
    found = completion_logprobs(model, batch, temperature=0.8, with_entropy=True)
    assert found.entropy is not None
    weights = torch.arange(len(found.logprobs)).cos()
    (found.logprobs * weights).sum().backward()
    twin = build_model(architecture)
    expected = [plain(twin, pair, 0.8) for pair in pairs]
    logprobs = torch.cat([logprobs for logprobs, _ in expected])
    torch.testing.assert_close(found.logprobs, logprobs, rtol=1e-4, atol=1e-4)
    entropy = torch.cat([entropy for _, entropy in expected])
    torch.testing.assert_close(found.entropy, entropy, rtol=1e-4, atol=1e-4)
    (logprobs * weights).sum().backward()
    for (name, ours), theirs in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert ours.grad is not None
        assert (ours.grad - theirs.grad).norm() <= 1e-4 * theirs.grad.norm(), name


@pytest.mark.parametrize("architecture", EVERY)
@pytest.mark.parametrize("padded", [True, False])
def test_neighbours_change_rounding_only(architecture: str, padded: bool):
    pairs = some_pairs()
    model = build_model(architecture).to(torch.bfloat16)
    batch = padded_rows(pairs, 7, CPU) if padded else side_by_side(pairs, CPU)
    rows = batch.unflatten(completion_logprobs(model, batch).logprobs)
    for row, pair in enumerate(pairs):
        alone = completion_logprobs(model, side_by_side([pair], CPU)).logprobs
        torch.testing.assert_close(rows[row, : len(alone)], alone, rtol=0.2, atol=0.2)
        assert not rows[row, len(alone) :].any()


@pytest.mark.parametrize("architecture", EVERY)
def test_known_heads_pass(architecture: str):
    require_known_head(build_model(architecture))


def test_an_unknown_scaling_of_the_logits_is_refused():
    model = build_model()

    class Doubled(type(model)):  # type: ignore[misc]
        def forward(self, *args, **kwargs):
            output = super().forward(*args, **kwargs)
            output.logits = output.logits * 2
            return output

    model.__class__ = Doubled
    with pytest.raises(ModelError, match="Doubled scales its logits"):
        require_known_head(model)
