import math
from itertools import combinations, permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heedful.losses.ranking import ranking_loss

# Prompts of a microbatch: for each, the (score, rank) of its completions.
finite = st.floats(-20, 20)
completion = st.tuples(finite, st.integers(1, 4))
prompts = st.lists(st.lists(completion, min_size=1, max_size=5), min_size=1, max_size=4)


def tensors(batch: list[list[tuple[float, int]]], first_group: int = 0):
    rows = [
        (score, rank, first_group + group)
        for group, prompt in enumerate(batch)
        for score, rank in prompt
    ]
    scores, ranks, groups = zip(*rows, strict=True)
    return torch.tensor(scores, dtype=torch.float64), torch.tensor(ranks), torch.tensor(groups)


def pairwise(better: float, worse: float) -> float:
    return math.log1p(math.exp(-(better - worse)))


def strict_pairs(prompt: list[tuple[float, int]]) -> list[tuple[float, float]]:
    return [
        (score_w, score_l)
        for (score_w, rank_w), (score_l, rank_l) in permutations(prompt, 2)
        if rank_w < rank_l
    ]


def twin(batch: list[list[tuple[float, int]]]) -> dict[str, float]:
    losses, accuracies, margins, num_pairs = [], [], [], 0
    for prompt in batch:
        pairs = strict_pairs(prompt)
        if not pairs:
            continue
        num_pairs += len(pairs)
        losses.append(sum(pairwise(high, low) for high, low in pairs) / len(pairs))
        accuracies.append(
            sum((high > low) + 0.5 * (high == low) for high, low in pairs) / len(pairs)
        )
        margins.append(sum(high - low for high, low in pairs) / len(pairs))
    count = max(len(losses), 1)
    return {
        "reward/loss": sum(losses) / count,
        "reward/accuracy": sum(accuracies) / count,
        "reward/margin": sum(margins) / count,
        "reward/num_pairs": num_pairs,
    }


def numbers(metrics: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: metric.item() for name, metric in metrics.items()}


def test_closed_form():
    # Prompt 0: one pair with margin ln 3. Prompt 1: three pairs with equal scores.
    batch = [[(0.0, 2), (math.log(3), 1)], [(5.0, 1), (5.0, 2), (5.0, 3)]]
    loss, metrics = ranking_loss(*tensors(batch))
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    assert numbers(metrics) == pytest.approx(
        {
            "reward/loss": loss.item(),
            "reward/accuracy": 0.75,
            "reward/margin": math.log(3) / 2,
            "reward/num_pairs": 4,
        }
    )


@given(prompts)
def test_twin(batch):
    loss, metrics = ranking_loss(*tensors(batch))
    assert numbers(metrics) == pytest.approx(twin(batch))
    assert loss.item() == metrics["reward/loss"].item()


@given(st.lists(finite, min_size=2, max_size=9))
def test_without_ties_the_loss_is_the_mean_of_the_pairwise_losses(scores: list[float]):
    ranks = torch.arange(1, len(scores) + 1)
    loss, metrics = ranking_loss(
        torch.tensor(scores, dtype=torch.float64), ranks, torch.zeros_like(ranks)
    )
    pairs = [pairwise(better, worse) for better, worse in combinations(scores, 2)]
    assert loss.item() == pytest.approx(sum(pairs) / math.comb(len(scores), 2))
    assert metrics["reward/num_pairs"].item() == math.comb(len(scores), 2)


@given(prompts, st.lists(finite, min_size=4, max_size=4))
def test_shifting_the_scores_of_a_prompt_changes_nothing(batch, shifts):
    shifted = [
        [(score + shift, rank) for score, rank in prompt]
        for prompt, shift in zip(batch, shifts, strict=False)
    ]
    loss, shifted_loss = ranking_loss(*tensors(batch))[0], ranking_loss(*tensors(shifted))[0]
    torch.testing.assert_close(loss, shifted_loss)


@given(prompts, st.randoms(use_true_random=False))
def test_order_of_rows_changes_nothing(batch, random):
    scores, ranks, groups = tensors(batch)
    order = list(range(len(scores)))
    random.shuffle(order)
    ours = ranking_loss(scores, ranks, groups)[1]
    shuffled = ranking_loss(scores[order], ranks[order], groups[order])[1]
    assert numbers(shuffled) == pytest.approx(numbers(ours))


def test_ties_contribute_nothing():
    tied = [(1.0, 1), (-2.0, 2), (7.0, 2)]
    pairs = [pairwise(1.0, -2.0), pairwise(1.0, 7.0)]  # not the pair of rank 2
    loss, metrics = ranking_loss(*tensors([tied]))
    assert loss.item() == pytest.approx(sum(pairs) / 2)
    assert metrics["reward/num_pairs"].item() == 2


def test_prompts_with_ties_only_are_not_counted():
    ranked, tied = [(1.0, 1), (0.0, 2)], [(1.0, 3), (8.0, 3)]
    assert ranking_loss(*tensors([ranked, tied]))[0] == ranking_loss(*tensors([ranked]))[0]
    scores, ranks, groups = tensors([tied])
    scores.requires_grad_()
    loss, metrics = ranking_loss(scores, ranks, groups)
    loss.backward()
    assert set(numbers(metrics).values()) == {0}
    assert scores.grad is not None
    assert scores.grad.tolist() == [0, 0]


@pytest.mark.parametrize("junk", [7.0, math.nan, math.inf])
def test_padding_rows_change_nothing(junk: float):
    scores, ranks, groups = tensors([[(1.0, 1), (0.5, 2)], [(0.0, 2), (3.0, 1), (1.0, 1)]])
    _, metrics = ranking_loss(scores, ranks, groups)
    padded = torch.cat([scores, torch.tensor([junk, junk], dtype=scores.dtype)]).requires_grad_()
    # Each padding row is alone in its group.
    padded_loss, padded_metrics = ranking_loss(
        padded,
        torch.cat([ranks, torch.tensor([0, 0])]),
        torch.cat([groups, torch.tensor([-1, -2])]),
    )
    padded_loss.backward()
    assert numbers(padded_metrics) == numbers(metrics)
    assert padded.grad is not None
    assert padded.grad[-2:].tolist() == [0, 0]
    assert padded.grad.isfinite().all()


@given(prompts, prompts)
def test_microbatches_add_up_to_the_minibatch(batch_a, batch_b):
    count = sum(bool(strict_pairs(prompt)) for prompt in batch_a + batch_b)
    _, first = ranking_loss(*tensors(batch_a), num_prompts=count)
    _, second = ranking_loss(*tensors(batch_b), num_prompts=count)
    _, whole = ranking_loss(*tensors(batch_a + batch_b))
    added = {name: (first[name] + second[name]).item() for name in whole}
    assert added == pytest.approx(numbers(whole))


def test_large_margins_stay_finite():
    scores = torch.tensor([-1e4, 1e4], requires_grad=True)
    loss, _ = ranking_loss(scores, torch.tensor([1, 2]), torch.tensor([0, 0]))
    loss.backward()
    assert loss.item() == 2e4
    assert scores.grad is not None
    assert scores.grad.tolist() == [-1, 1]


def test_gradients():
    scores, ranks, groups = tensors([[(1.0, 1), (0.5, 2), (0.1, 2)], [(0.0, 2), (3.0, 1)]])
    scores.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: ranking_loss(s, ranks, groups)[0], (scores,))


def test_bfloat16_scores_are_compared_in_float32():
    scores = torch.tensor([1.0, 0.0], dtype=torch.bfloat16)
    loss, _ = ranking_loss(scores, torch.tensor([1, 2]), torch.tensor([0, 0]))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(pairwise(1.0, 0.0))


def test_metrics_carry_no_graph():
    scores = torch.zeros(2, requires_grad=True)
    _, metrics = ranking_loss(scores, torch.tensor([1, 2]), torch.tensor([0, 0]))
    assert not any(metric.requires_grad for metric in metrics.values())
    assert all(metric.shape == () for metric in metrics.values())


@pytest.mark.parametrize("num_prompts", [None, 1])
def test_nothing_is_read_back_from_the_device(num_prompts: int | None):
    scores, ranks, groups = (tensor.to("meta") for tensor in tensors([[(1.0, 1), (0.0, 2)]]))
    loss, metrics = ranking_loss(scores, ranks, groups, num_prompts=num_prompts)
    assert all(tensor.is_meta for tensor in (loss, *metrics.values()))
