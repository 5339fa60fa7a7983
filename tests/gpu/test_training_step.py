"""A training step on a GPU: what the CPU gets, with and without layers computed again."""

import copy

import pytest
import torch

from fakes.tiny_models import build_model
from heedful.core.settings import OptimSettings
from heedful.models.head import head_logprobs
from heedful.models.policy import hidden_states
from heedful.training.loop import Trainable

pytestmark = pytest.mark.gpu


def step(model: torch.nn.Module, device: str, *, again: bool = False) -> dict[str, torch.Tensor]:
    """The masters after two clipped steps on `device`; eps hides where a gradient is rounding."""
    part = Trainable(
        copy.deepcopy(model).to(device),
        torch.float32,
        OptimSettings(max_grad_norm=0.1, eps=1e-3),
        activation_checkpointing=again,
    )
    ids = torch.arange(3, 27, device=device).view(2, 12)
    for _ in range(2):
        states = hidden_states(part.module, ids)[:, :-1].flatten(0, 1)
        logprobs, _ = head_logprobs(part.module, states, ids[:, 1:].flatten())
        part.backward(-logprobs.mean())
        part.step(1e-3)
    return {name: tensor.cpu() for name, tensor in part.full_state_dict().items()}


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gemma2", "gemma3", "gpt2"])
def test_steps_are_those_of_the_cpu(architecture: str) -> None:
    model = build_model(architecture, initial_std=0.1)
    expected, found = step(model, "cpu"), step(model, "cuda")
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-4)


def test_layers_computed_again_train_alike() -> None:
    model = build_model()
    plain, again = step(model, "cuda"), step(model, "cuda", again=True)
    for name, tensor in plain.items():
        torch.testing.assert_close(again[name], tensor)
