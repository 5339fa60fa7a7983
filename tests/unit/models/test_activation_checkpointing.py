import copy

import pytest
import torch
from torch import nn

from fakes.tiny_models import CONFIGS, build_model
from heedful.core.errors import ModelError
from heedful.models.activation_checkpointing import checkpoint_layers
from heedful.models.adapters import add_lora
from heedful.models.loading import set_dropout
from heedful.models.policy import hidden_states

Tensors = list[torch.Tensor | None]


def same(found: Tensors, expected: Tensors) -> bool:
    """Whether both have the very same numbers; weights of the head have none."""
    return all(
        one is other is None or torch.equal(one, other)
        for one, other in zip(found, expected, strict=True)
    )


def gradients(model: nn.Module) -> Tensors:
    torch.manual_seed(1)
    ids = torch.arange(3, 27).view(2, 12)
    model.zero_grad()
    hidden_states(model, ids).square().mean().backward()
    # What was drawn is a result too.
    return [torch.rand(3), *(parameter.grad for parameter in model.parameters())]


def kept_bytes(model: nn.Module, length: int) -> int:
    """Of what autograd keeps from forward to backward, each storage once, weights left out."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    found: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        states = hidden_states(model, torch.arange(length)[None] % 300)
    assert states.requires_grad
    return sum(storage.nbytes() for storage in found.values())


@pytest.mark.parametrize("architecture", CONFIGS)
@pytest.mark.parametrize("training", [False, True])
def test_gradients_are_the_very_same(architecture: str, training: bool):
    model = build_model(architecture).train(training)
    again = copy.deepcopy(model)
    checkpoint_layers(again)
    assert same(gradients(model), gradients(again))


def test_dropout_draws_again_what_it_drew():
    model = build_model("gpt2").train()
    set_dropout(model, 0.3)
    again = copy.deepcopy(model)
    checkpoint_layers(again)
    assert same(gradients(model), gradients(again))


def test_adapters_on_a_frozen_trunk():
    model = build_model()
    add_lora(model, rank=2, alpha=4.0, seed=0)
    again = copy.deepcopy(model)
    checkpoint_layers(again)
    found = gradients(model)
    assert sum(one is not None for one in found) > 10
    assert same(found, gradients(again))


def test_what_is_kept_is_a_fraction():
    model = build_model(num_hidden_layers=6)
    whole = kept_bytes(model, 64)
    checkpoint_layers(model)
    assert kept_bytes(model, 64) < whole / 5


def test_a_pass_without_gradients_and_a_cache_stay_as_they_are():
    model = build_model()
    ids = torch.arange(3, 9)[None]
    options = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0}
    before = model.generate(ids, **options)
    checkpoint_layers(model.train())
    assert torch.equal(model.generate(ids, **options), before)


def test_a_model_without_such_layers_is_refused():
    with pytest.raises(ModelError, match=r"activation_checkpointing: the layers of Linear"):
        checkpoint_layers(nn.Linear(2, 2))
