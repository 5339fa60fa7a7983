import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fakes.tiny_models import CONFIGS, SCALED, build_model
from heedful.models import head
from heedful.models.head import entropy, head_logprobs, token_logprobs
from heedful.models.policy import hidden_states

seeds = st.integers(0, 2**31 - 1)


def example(seed: int, vocabulary: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(3, 4, vocabulary, generator=generator, dtype=torch.float64)
    targets = torch.randint(vocabulary, (3, 4), generator=generator)
    return logits, targets


def logprob_twin(logits: list[float], target: int) -> float:
    return logits[target] - math.log(sum(math.exp(logit) for logit in logits))


def entropy_twin(logits: list[float]) -> float:
    total = sum(math.exp(logit) for logit in logits)
    probs = [math.exp(logit) / total for logit in logits]
    return -sum(prob * math.log(prob) for prob in probs)


def test_token_logprobs_closed_form():
    logits = torch.tensor([[0.0, math.log(3.0)], [5.0, 5.0]])
    logprobs = token_logprobs(logits, torch.tensor([1, 0]))
    torch.testing.assert_close(logprobs, torch.tensor([0.75, 0.5]).log())


def test_entropy_closed_form():
    uniform, certain = torch.zeros(8), torch.tensor([-math.inf] * 7 + [3.0])
    torch.testing.assert_close(
        entropy(torch.stack([uniform, certain])), torch.tensor([math.log(8), 0.0])
    )


@given(seeds)
def test_gradient_is_that_of_log_softmax(seed: int):
    logits, targets = example(seed)
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
def test_twins(seed: int):
    logits, targets = example(seed)
    logprobs, entropies = token_logprobs(logits, targets), entropy(logits)
    for row in range(3):
        for column in range(4):
            ours = logprobs[row, column].item(), entropies[row, column].item()
            numbers = logits[row, column].tolist()
            twin = logprob_twin(numbers, int(targets[row, column])), entropy_twin(numbers)
            assert ours == pytest.approx(twin)


def test_gradients():
    logits, targets = example(0)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(token_logprobs, (logits, targets))
    assert torch.autograd.gradcheck(entropy, (logits,))


def test_nothing_is_read_back_from_the_device():
    logits, targets = (tensor.to("meta") for tensor in example(0))
    token_logprobs(logits.requires_grad_(), targets).sum().backward()
    assert entropy(logits).is_meta


@pytest.mark.parametrize("architecture", [*CONFIGS, *SCALED])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_head_is_the_models_own(architecture: str, temperature: float):
    model = build_model(architecture)
    ids = torch.arange(3, 15)[None]
    states = hidden_states(model, ids)[0, :-1]
    ours, ours_entropy = head_logprobs(model, states, ids[0, 1:], temperature, with_entropy=True)
    logits = model(input_ids=ids).logits[0, :-1] / temperature
    reference = logits.log_softmax(-1)
    torch.testing.assert_close(ours, reference.gather(-1, ids[0, 1:, None])[:, 0])
    torch.testing.assert_close(ours_entropy, -(reference.exp() * reference).sum(-1))


@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
@pytest.mark.parametrize("kept_bytes", [0, 2**20])
def test_gradients_are_those_of_the_plain_computation(
    architecture: str, kept_bytes: int, monkeypatch
):
    monkeypatch.setattr(head, "HEAD_CHUNK", 4)
    monkeypatch.setattr(head, "KEPT_BYTES", kept_bytes)
    monkeypatch.setattr(head, "BLOCK_BYTES", 3000)  # two rows
    model = build_model(architecture, tie_word_embeddings=True)
    ids = torch.arange(3, 15)[None]
    gradients = []
    for chunked in (True, False):
        model.zero_grad()
        if chunked:
            states = hidden_states(model, ids)[0, :-1]
            logprobs, entropies = head_logprobs(model, states, ids[0, 1:], 0.7, with_entropy=True)
            assert entropies is not None
            assert not entropies.requires_grad
        else:
            logits = model(input_ids=ids).logits[0, :-1] / 0.7
            logprobs = logits.log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
        logprobs.square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kept_bytes", [0, 2**28])
def test_bfloat16_is_as_near_to_float32_as_plain_bfloat16(kept_bytes: int, monkeypatch):
    monkeypatch.setattr(head, "KEPT_BYTES", kept_bytes)
    model = build_model("llama", vocab_size=2048)
    states, weight = torch.randn(64, 32), model.lm_head.weight.detach().clone()
    targets, share = torch.randint(2048, (64,)), torch.rand(64)

    def gradients(ours: bool, dtype: torch.dtype) -> list[torch.Tensor]:
        model.lm_head.weight = torch.nn.Parameter(weight.bfloat16().to(dtype))
        inputs = states.bfloat16().to(dtype).requires_grad_()
        if ours:
            logprobs, _ = head_logprobs(model, inputs, targets)
        else:
            logprobs = token_logprobs(model.lm_head(inputs), targets)
        (logprobs * share).sum().backward()
        return [inputs.grad.float(), model.lm_head.weight.grad.float()]

    exact = gradients(False, torch.float32)
    ours, plain = (
        [(one - other).norm() for one, other in zip(found, exact, strict=True)]
        for found in (gradients(True, torch.bfloat16), gradients(False, torch.bfloat16))
    )
    # The inputs' gradient is rounded once more; the weights' sum evens such errors out.
    assert ours[0] <= 1.2 * plain[0]
    assert ours[1] <= 1.05 * plain[1]


def test_scoring_keeps_nothing_for_a_backward_pass():
    model = build_model()
    states, targets = torch.randn(6, 32, requires_grad=True), torch.arange(6)
    with torch.no_grad():
        scored, _ = head_logprobs(model, states, targets)
    trained, _ = head_logprobs(model, states, targets)
    assert torch.equal(scored, trained)
    assert not scored.requires_grad
    kept = [tensor.shape for tensor in trained.grad_fn.saved_tensors]
    assert kept[4:] == [(6, model.config.vocab_size)]


def test_no_position_gives_nothing():
    model = build_model()
    nothing = torch.zeros(0, dtype=torch.long)
    states = torch.zeros(0, 32)
    assert head_logprobs(model, states, nothing)[1] is None
    logprobs, entropies = head_logprobs(model, states, nothing, with_entropy=True)
    assert logprobs.shape == entropies.shape == (0,)
