import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heedful.losses.language import entropy, language_model_loss, token_logprobs

seeds = st.integers(0, 2**31 - 1)


def example(seed: int, vocabulary: int = 7) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(3, 4, vocabulary, generator=generator, dtype=torch.float64)
    targets = torch.randint(vocabulary, (3, 4), generator=generator)
    return logits, targets, torch.rand(3, 4, generator=generator) < 0.6


def logprob_twin(logits: list[float], target: int) -> float:
    return logits[target] - math.log(sum(math.exp(logit) for logit in logits))


def entropy_twin(logits: list[float]) -> float:
    total = sum(math.exp(logit) for logit in logits)
    probs = [math.exp(logit) / total for logit in logits]
    return -sum(prob * math.log(prob) for prob in probs)


def loss_twin(logprobs: list[list[float]], mask: list[list[bool]]) -> float:
    kept = [
        logprobs[row][column]
        for row in range(len(mask))
        for column in range(len(mask[0]))
        if mask[row][column]
    ]
    return -sum(kept) / len(kept) if kept else 0.0


def test_token_logprobs_closed_form():
    logits = torch.tensor([[0.0, math.log(3.0)], [5.0, 5.0]])
    logprobs = token_logprobs(logits, torch.tensor([1, 0]))
    torch.testing.assert_close(logprobs, torch.tensor([0.75, 0.5]).log())


def test_entropy_closed_form():
    uniform, certain = torch.zeros(8), torch.tensor([-math.inf] * 7 + [3.0])
    torch.testing.assert_close(
        entropy(torch.stack([uniform, certain])), torch.tensor([math.log(8), 0.0])
    )


def test_loss_closed_form():
    logprobs = torch.tensor([[-1.0, -2.0, -99.0], [-3.0, -99.0, -99.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    loss, metrics = language_model_loss(logprobs, mask)
    assert loss.item() == 2
    assert metrics["language/loss"].item() == 2
    assert metrics["language/num_tokens"].item() == 3
    assert language_model_loss(logprobs, mask, denominator=12)[0].item() == 0.5


def test_uniform_logits_cost_the_logarithm_of_the_vocabulary():
    logprobs = token_logprobs(torch.zeros(5, 64), torch.arange(5))
    loss, _ = language_model_loss(logprobs, torch.ones(5, dtype=torch.bool))
    assert loss.item() == pytest.approx(math.log(64))


@given(seeds)
def test_twins(seed: int):
    logits, targets, mask = example(seed)
    logprobs, entropies = token_logprobs(logits, targets), entropy(logits)
    for row in range(3):
        for column in range(4):
            ours = logprobs[row, column].item(), entropies[row, column].item()
            numbers = logits[row, column].tolist()
            twin = logprob_twin(numbers, int(targets[row, column])), entropy_twin(numbers)
            assert ours == pytest.approx(twin)
    loss, _ = language_model_loss(logprobs, mask)
    assert loss.item() == pytest.approx(loss_twin(logprobs.tolist(), mask.tolist()))


def test_gradients():
    logits, targets, mask = example(0)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(token_logprobs, (logits, targets))
    assert torch.autograd.gradcheck(entropy, (logits,))
    assert torch.autograd.gradcheck(
        lambda logits: language_model_loss(token_logprobs(logits, targets), mask)[0], (logits,)
    )


@given(seeds)
def test_gradient_is_that_of_log_softmax(seed: int):
    logits, targets, _ = example(seed)
    weights = torch.randn(3, 4, dtype=torch.float64)
    ours, reference = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    (weights * token_logprobs(ours, targets)).sum().backward()
    chosen = reference.log_softmax(-1).gather(-1, targets[..., None]).squeeze(-1)
    (weights * chosen).sum().backward()
    torch.testing.assert_close(ours.grad, reference.grad)


def test_bfloat16_logits_give_float32_logprobs_and_bfloat16_gradients():
    logits = torch.randn(4, 1000).bfloat16().requires_grad_()
    targets = torch.arange(4)
    logprobs = token_logprobs(logits, targets)
    assert logprobs.dtype == entropy(logits).dtype == torch.float32
    torch.testing.assert_close(logprobs, token_logprobs(logits.float(), targets))
    logprobs.sum().backward()
    assert logits.grad is not None
    assert logits.grad.dtype == torch.bfloat16


def test_large_and_forbidden_logits():
    logits = torch.tensor([[1e4, 0.0, -math.inf]], requires_grad=True)
    logprobs = torch.cat([token_logprobs(logits, torch.tensor([target])) for target in range(2)])
    assert logprobs.tolist() == [0, -1e4]
    (logprobs.sum() + entropy(logits).sum()).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@given(seeds)
def test_padding_changes_nothing(seed: int):
    logits, targets, mask = example(seed)
    logprobs = token_logprobs(logits, targets)
    padded = torch.full((4, 9), -math.inf, dtype=torch.float64)
    padded[:3, :4] = logprobs
    padded_mask = torch.zeros(4, 9, dtype=torch.bool)
    padded_mask[:3, :4] = mask
    ours, theirs = language_model_loss(logprobs, mask), language_model_loss(padded, padded_mask)
    torch.testing.assert_close(ours, theirs)


@given(seeds)
def test_microbatches_add_up_to_the_minibatch(seed: int):
    logits, targets, mask = example(seed)
    logprobs = token_logprobs(logits, targets)
    parts = [
        language_model_loss(logprobs[rows], mask[rows], denominator=mask.sum())
        for rows in ([0], [1, 2])
    ]
    loss, metrics = language_model_loss(logprobs, mask)
    torch.testing.assert_close(parts[0][0] + parts[1][0], loss)
    for name in metrics:
        torch.testing.assert_close(parts[0][1][name] + parts[1][1][name], metrics[name])


def test_metrics_carry_no_graph():
    logprobs = torch.zeros(3, requires_grad=True)
    _, metrics = language_model_loss(logprobs, torch.ones(3, dtype=torch.bool))
    assert not any(metric.requires_grad for metric in metrics.values())
    assert all(metric.shape == () for metric in metrics.values())


def test_nothing_is_read_back_from_the_device():
    logits, targets, mask = (tensor.to("meta") for tensor in example(0))
    logprobs = token_logprobs(logits.requires_grad_(), targets)
    loss, metrics = language_model_loss(logprobs, mask, denominator=mask.sum())
    loss.backward()
    assert all(tensor.is_meta for tensor in (loss, *metrics.values()))
    assert entropy(logits).is_meta
