import copy

import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)
from transformers.models.gemma2.modeling_gemma2 import Gemma2RMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm, apply_rotary_pos_emb

from heedful.models import fused
from heedful.models.attention import use_our_attention
from heedful.models.fused import rms_norm, rotate, use_fused_blocks

SHAPE = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
LLAMA_LIKE = [
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
    GraniteConfig,
    GemmaConfig,
    Gemma2Config,
    Gemma3TextConfig,
]


def pair(config: type[PretrainedConfig], **shape: object) -> tuple[nn.Module, nn.Module]:
    """A model with our blocks and the same one with its own."""
    torch.manual_seed(0)
    theirs = AutoModelForCausalLM.from_config(config(**SHAPE | shape)).eval()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.3)
    use_our_attention(theirs)
    ours = copy.deepcopy(theirs)
    assert use_fused_blocks(ours) >= 5
    return ours, theirs


def gradients(model: nn.Module, **inputs: torch.Tensor) -> list[torch.Tensor]:
    logits = model(**inputs, use_cache=False).logits
    logits.log_softmax(-1)[..., 5].mean().backward()
    return [logits.detach(), *(parameter.grad for parameter in model.parameters())]


def norm_pair(
    kind: type[nn.Module], shape: tuple[int, ...]
) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    module = kind(shape[-1], eps=1e-5)
    nn.init.normal_(module.weight)
    return module, 3 * torch.randn(shape), torch.randn(shape)


class TestWholeModels:
    @pytest.mark.parametrize("config", LLAMA_LIKE)
    def test_results_and_gradients_are_the_models_own(self, config: type[PretrainedConfig]):
        ours, theirs = pair(config)
        ids = torch.randint(97, (3, 11))
        found, expected = gradients(ours, input_ids=ids), gradients(theirs, input_ids=ids)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 * float(other.abs().max()))

    def test_several_sequences_in_one_row(self):
        ours, theirs = pair(LlamaConfig)
        inputs = {
            "input_ids": torch.randint(97, (1, 12)),
            "position_ids": torch.cat([torch.arange(5), torch.arange(7)])[None],
        }
        for one, other in zip(gradients(ours, **inputs), gradients(theirs, **inputs), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("config", [LlamaConfig, MistralConfig, Qwen3Config, Gemma3TextConfig])
    def test_decoding_with_a_cache(self, config: type[PretrainedConfig]):
        found = [
            model.generate(
                torch.arange(3, 9)[None], max_new_tokens=12, do_sample=False, pad_token_id=0
            )
            for model in pair(config, sliding_window=8)
        ]
        assert torch.equal(*found)

    def test_names_stay_and_a_copy_reads_its_own_weights(self):
        ours, theirs = pair(LlamaConfig)
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        ids = torch.arange(3, 9)[None]
        before, other = ours(input_ids=ids).logits, copy.deepcopy(ours)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.mul_(1.5)
        assert torch.equal(ours(input_ids=ids).logits, before)
        assert not torch.equal(other(input_ids=ids).logits, before)

    @pytest.mark.parametrize("config", [GPT2Config, GPTNeoXConfig])
    def test_other_architectures_stay(self, config: type[PretrainedConfig]):
        model = AutoModelForCausalLM.from_config(config(**{**SHAPE, "n_embd": 32, "n_head": 4}))
        assert use_fused_blocks(model) == 0

    def test_a_module_that_computes_something_else_stays(self, monkeypatch):
        own = LlamaRMSNorm.forward
        monkeypatch.setattr(LlamaRMSNorm, "forward", lambda module, x: own(module, x) + 0.01)
        model = AutoModelForCausalLM.from_config(LlamaConfig(**SHAPE))
        assert use_fused_blocks(model) == SHAPE["num_hidden_layers"]  # the attentions
        assert not any(
            "forward" in vars(one) for one in model.modules() if "Norm" in str(type(one))
        )


class TestNorm:
    def test_gradients(self):
        states, weight = (
            torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 3, 5), 5)
        )
        for weight_from in (0.0, 1.0):
            torch.autograd.gradcheck(
                lambda *given, start=weight_from: rms_norm(*given, 1e-3, weight_from=start),
                (states, weight),
            )

    @pytest.mark.parametrize("kind", [LlamaRMSNorm, Gemma2RMSNorm])
    @pytest.mark.parametrize("shape", [(64,), (7, 64), (2, 5, 3, 64), (0, 64)])
    def test_any_shape_in_blocks(self, kind: type[nn.Module], shape: tuple, monkeypatch):
        monkeypatch.setattr(fused, "BLOCK", 200)  # three rows
        module, states, grad = norm_pair(kind, shape)
        weight_from = float(kind is Gemma2RMSNorm)
        inputs = [states.clone().requires_grad_() for _ in range(2)]
        ours = rms_norm(inputs[0], module.weight, 1e-5, weight_from=weight_from)
        ours.backward(grad)
        weight_grad, module.weight.grad = module.weight.grad, None
        theirs = module(inputs[1])
        theirs.backward(grad)
        for one, other in (
            (ours, theirs),
            (inputs[0].grad, inputs[1].grad),
            (weight_grad, module.weight.grad),
        ):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=3e-6)

    @pytest.mark.parametrize("kind", [LlamaRMSNorm, Gemma2RMSNorm])
    def test_bfloat16_is_as_near_to_float32_as_the_original(self, kind: type[nn.Module]):
        module, states, grad = norm_pair(kind, (512, 64))
        module, states, grad = module.bfloat16(), states.bfloat16(), grad.bfloat16()
        exact = copy.deepcopy(module).float()
        weight_from = float(kind is Gemma2RMSNorm)

        def run(own: nn.Module, values: torch.Tensor, *, ours: bool) -> list[torch.Tensor]:
            inputs = values.clone().requires_grad_()
            own.weight.grad = None
            if ours:
                normed = rms_norm(inputs, own.weight, 1e-5, weight_from=weight_from)
            else:
                normed = own(inputs)
            normed.backward(grad.to(values.dtype))
            return [normed.detach().float(), inputs.grad.float(), own.weight.grad.float()]

        truth = run(exact, states.float(), ours=False)
        for ours, theirs, true in zip(
            run(module, states, ours=True), run(module, states, ours=False), truth, strict=True
        ):
            assert (ours - true).norm() <= 1.001 * (theirs - true).norm()

    def test_a_frozen_weight_gets_no_gradient(self):
        states, weight = torch.randn(3, 8, requires_grad=True), torch.ones(8)
        rms_norm(states, weight, 1e-5).sum().backward()
        assert states.grad is not None
        assert weight.grad is None


class TestRotate:
    def angles(self, rows: int, length: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        angles = torch.randn(rows, length, width // 2, dtype=torch.float64).repeat(1, 1, 2)
        return angles.cos(), angles.sin()

    @pytest.mark.parametrize("rows", [1, 2])
    def test_is_the_models_own(self, rows: int):
        cos, sin = self.angles(rows, 5, 8)
        states = torch.randn(2, 5, 3, 8, dtype=torch.float64, requires_grad=True)
        expected, _ = apply_rotary_pos_emb(*[states.transpose(1, 2)] * 2, cos, sin)
        found = rotate(states, cos, sin)
        assert found.is_contiguous()
        torch.testing.assert_close(found, expected)
        torch.autograd.gradcheck(rotate, (states, cos, sin))

    def test_bfloat16_is_as_near_to_float32_as_the_original(self):
        cos, sin = (values.bfloat16() for values in self.angles(1, 64, 64))
        states = torch.randn(4, 64, 3, 64).bfloat16()
        true, _ = apply_rotary_pos_emb(
            *[states.double().transpose(1, 2)] * 2, cos.double(), sin.double()
        )
        theirs, _ = apply_rotary_pos_emb(*[states.transpose(1, 2)] * 2, cos, sin)
        assert (rotate(states, cos, sin) - true).norm() <= (theirs - true).norm()
