from pathlib import Path
from typing import Any

import pytest
import torch

from fakes.tiny_models import CONFIGS, RELATED, SCALED, build_model
from heedful.core.run import Cost
from heedful.core.settings import OptimSettings
from heedful.models.loading import trunk_of
from heedful.training.batches import Batcher, TokenPair
from heedful.training.language import accumulate_language_loss, language_loss
from heedful.training.loop import Trainable

CPU = torch.device("cpu")
PAIRS = [
    TokenPair(prompt_ids=list(range(10, 10 + prompt)), completion_ids=list(range(50, 50 + size)))
    for prompt, size in ((3, 5), (1, 9), (7, 2), (2, 12))
]


def plain_loss(model: torch.nn.Module, pairs: list[TokenPair]) -> torch.Tensor:
    """One row at a time, all logits: the slow twin."""
    total, count = torch.zeros(()), 0
    for pair in pairs:
        ids = torch.tensor([[*pair.prompt_ids, *pair.completion_ids]])
        logprobs = model(input_ids=ids).logits[0].log_softmax(-1)
        for place in range(len(pair.prompt_ids), len(pair)):
            total = total - logprobs[place - 1, ids[0, place]]
            count += 1
    return total / count


def batcher(model: Any, max_tokens: int = 1000, *, padded: bool = False) -> Batcher:
    found = Batcher(trunk_of(model), pad_id=0, device=CPU, max_tokens=max_tokens)
    assert found.side_by_side
    found.side_by_side = not padded
    return found


@pytest.mark.parametrize("architecture", sorted({*CONFIGS, *SCALED, *RELATED}))
@pytest.mark.parametrize(
    ("padded", "max_tokens"), [(True, 1000), (True, 30), (False, 8), (False, 30), (False, 1000)]
)
def test_loss_and_gradients_are_those_of_the_plain_computation(
    architecture: str, padded: bool, max_tokens: int
):
    policy = Trainable(build_model(architecture), torch.float32, OptimSettings())
    loss = accumulate_language_loss(
        policy, PAIRS, batcher(policy.module, max_tokens, padded=padded), weight=0.3
    )
    twin = build_model(architecture)
    expected = plain_loss(twin, PAIRS)
    (0.3 * expected).backward()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    for (name, ours), theirs in zip(
        policy.module.named_parameters(), twin.parameters(), strict=True
    ):
        assert ours.grad is not None
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5, msg=name)


def test_without_gradients_the_loss_is_the_same_and_the_tokens_are_counted():
    model = build_model().train()
    cost = Cost()
    loss = language_loss(model, PAIRS, batcher(model, 30), cost=cost, num_parameters=5)
    assert loss == pytest.approx(plain_loss(model, PAIRS).item(), rel=1e-5)
    num_tokens = sum(map(len, PAIRS))
    assert (cost.scored_tokens, cost.flops) == (num_tokens, 2 * 5 * num_tokens)
    assert model.training


def test_prompt_tokens_are_no_targets():
    """The first prompt token is seen by the rest, but nothing is asked about it."""
    model = build_model()
    embedding = model.get_input_embeddings().weight
    one = TokenPair(prompt_ids=[10, 11], completion_ids=[12])
    accumulate_language_loss(
        Trainable(model, torch.float32, OptimSettings()),
        [one],
        batcher(model),
        weight=1.0,
    )
    head = model.lm_head.weight.grad
    assert head is not None
    # d loss / d head[v] is (p_v - [v is the target]) * state: negative along the state for 12 only.
    state = model.model(input_ids=torch.tensor([[10, 11]])).last_hidden_state[0, -1]
    along = head @ state
    assert along[12] < 0
    assert (along[torch.arange(len(along)) != 12] > 0).all()
    assert embedding.grad is not None
    assert not embedding.grad[12].any()


def test_nothing_is_lost_over_many_microbatches(tmp_path: Path):
    many = PAIRS * 5
    model = build_model()
    losses = [language_loss(model, many, batcher(model, size)) for size in (5, 64, 4000)]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)
