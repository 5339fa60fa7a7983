import pytest
import torch
from torch import Tensor, nn
from transformers.models.gemma2.modeling_gemma2 import Gemma2RMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.pytorch_utils import Conv1D

from heedful.generation.decoder_weights import Matrix, Norm, can_pack, is_plain
from heedful.models.adapters import LoraLinear
from heedful.models.precision import native_bfloat16

CPU = torch.device("cpu")


def linear(outputs: int, *, bias: bool = False) -> nn.Linear:
    return nn.Linear(6, outputs, bias=bias).requires_grad_(False)


def adapted(layer: nn.Module, outputs: int) -> LoraLinear:
    down, up = torch.randn(2, 6), torch.randn(outputs, 2)
    return LoraLinear(layer, down, up, 0.5).requires_grad_(False)


def conv(outputs: int) -> Conv1D:
    layer = Conv1D(outputs, 6).requires_grad_(False)
    nn.init.normal_(layer.bias)
    return layer


LAYERS = {
    "one": lambda: [linear(4)],
    "three": lambda: [linear(4), linear(2), linear(3)],
    "biases": lambda: [linear(4, bias=True), linear(2), linear(3, bias=True)],
    "conv": lambda: [conv(5)],
    "adapted": lambda: [adapted(linear(4, bias=True), 4), linear(3), adapted(conv(5), 5)],
}


@pytest.fixture
def states() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(5, 6)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_side_by_side(name: str, states: Tensor) -> None:
    layers = LAYERS[name]()
    assert all(map(is_plain, layers))
    expected = torch.cat([layer(states) for layer in layers], dim=-1)
    torch.testing.assert_close(Matrix(*layers)(states), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_packed_layers_side_by_side(name: str, dtype: torch.dtype, states: Tensor) -> None:
    if not can_pack(dtype, CPU):
        pytest.skip(f"this processor has no packed {dtype} products")
    layers = [layer.to(dtype) for layer in LAYERS[name]()]
    states = states.to(dtype)
    matrix = Matrix(*layers)
    plain = matrix(states)
    matrix.refresh(len(states))
    rounding = 8 * torch.finfo(dtype).eps
    torch.testing.assert_close(matrix(states), plain, rtol=rounding, atol=rounding)
    matrix.refresh()
    assert torch.equal(matrix(states), plain)


def test_only_what_a_cpu_multiplies_natively_is_packed() -> None:
    assert can_pack(torch.float32, CPU) == torch.backends.mkldnn.is_available()
    assert can_pack(torch.bfloat16, CPU) <= native_bfloat16(CPU)
    assert not can_pack(torch.float16, CPU)
    assert not can_pack(torch.float32, torch.device("meta"))


@pytest.mark.parametrize("name", LAYERS)
def test_weights_are_read_again(name: str, states: Tensor) -> None:
    layers = LAYERS[name]()
    matrix = Matrix(*layers)
    for layer in layers:
        for parameter in layer.parameters():
            parameter.data = parameter.data + 1.0
    matrix.refresh()
    expected = torch.cat([layer(states) for layer in layers], dim=-1)
    torch.testing.assert_close(matrix(states), expected)


def test_copies_of_ours_stay_where_they_are_and_others_are_not_touched() -> None:
    layer = adapted(linear(4, bias=True), 4)
    own = [parameter.clone() for parameter in layer.parameters()]
    matrix = Matrix(layer)
    where = [weight.data_ptr() for weight in (*matrix._weights, matrix._bias)]
    assert layer.base_layer.weight.data_ptr() not in where
    layer.lora_B.mul_(2.0)
    matrix.refresh()
    assert [weight.data_ptr() for weight in (*matrix._weights, matrix._bias)] == where
    layer.lora_B.div_(2.0)
    assert all(map(torch.equal, own, layer.parameters()))


def test_a_subclass_of_a_linear_layer_is_not_taken_for_one() -> None:
    class Doubled(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002
            return 2 * super().forward(input)

    assert not is_plain(Doubled(6, 4))
    assert not is_plain(None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norms(states: Tensor, dtype: torch.dtype) -> None:
    for module in (LlamaRMSNorm(6), Gemma2RMSNorm(6), nn.LayerNorm(6)):
        for parameter in module.parameters():
            parameter.data = torch.randn(6, dtype=dtype)
        before = module.weight.clone()
        norm = Norm(module, plus_one=isinstance(module, Gemma2RMSNorm))
        for scale in (1.0, 3.0):
            module.weight.data.mul_(scale)
            norm.refresh()
            ours, theirs = norm(states.to(dtype)), module(states.to(dtype))
            assert ours.dtype == dtype
            torch.testing.assert_close(ours, theirs, rtol=2**-7, atol=1e-5)
        assert torch.equal(module.weight, 3 * before)
