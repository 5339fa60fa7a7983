import pytest
import torch
from transformers import PreTrainedModel

from heedful.generation.inference import inference, token_limits


def test_every_module_gets_its_own_mode_back(model: PreTrainedModel) -> None:
    model.train()
    frozen = model.model.layers[0]
    frozen.eval()
    before = [module.training for module in model.modules()]
    with inference(model):
        assert not any(module.training for module in model.modules())
        assert not torch.is_grad_enabled()
    assert [module.training for module in model.modules()] == before
    with pytest.raises(KeyboardInterrupt), inference(model):
        raise KeyboardInterrupt
    assert [module.training for module in model.modules()] == before


def test_autocast_trains_after_inference(model: PreTrainedModel) -> None:
    ids = torch.tensor([[5, 6, 7]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with inference(model):
            model(ids)
        model(ids, labels=ids).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name


def test_token_limits(any_model: PreTrainedModel) -> None:
    assert token_limits(any_model) == (256, 96)
