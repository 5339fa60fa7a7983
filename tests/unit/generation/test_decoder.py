"""Our forward pass against transformers' own, for every architecture that it knows."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import PreTrainedModel

from fakes.tiny_models import build_model
from heedful.core.errors import ModelError
from heedful.generation.decoder import Decoder
from heedful.models.adapters import LoraLinear, add_lora
from heedful.models.precision import compute_in, native_bfloat16

VOCABULARY, CONTEXT = 256, 128
LENGTHS = (5, 30, 13, 1, 29, 30)
STEPS = 20
KNOWN: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 2},
    "llama-all-heads": {"num_key_value_heads": 4, "attention_bias": True, "mlp_bias": True},
    "llama-tied": {"tie_word_embeddings": True},
    "llama-llama3": {
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 100.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16,
        }
    },
    "llama-linear": {
        "rope_parameters": {"rope_type": "linear", "rope_theta": 100.0, "factor": 3.0}
    },
    "llama-yarn": {
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 100.0,
            "factor": 4.0,
            "original_max_position_embeddings": 32,
        }
    },
    "llama-dynamic": {
        "rope_parameters": {"rope_type": "dynamic", "rope_theta": 100.0, "factor": 4.0}
    },
    "mistral": {"sliding_window": 8},
    "qwen2": {},
    "qwen2-sliding": {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    "qwen3": {"head_dim": 16},
    "gemma": {"num_key_value_heads": 1},
    "gemma2": {"attn_logit_softcapping": 2.0, "query_pre_attn_scalar": 5},
    "gemma3": {"query_pre_attn_scalar": 5},
    "gpt_neox": {},
    "gpt_neox-half": {"rotary_pct": 0.5},
    "gpt_neox-in-turn": {"use_parallel_residual": False},
    "gpt2": {},
    "gpt2-by-layer": {"scale_attn_by_inverse_layer_idx": True, "tie_word_embeddings": True},
}


def build(name: str = "llama", dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    model = build_model(
        name.partition("-")[0],
        vocab_size=VOCABULARY,
        max_position_embeddings=CONTEXT,
        **KNOWN[name],
    )
    model.generation_config.eos_token_id = None
    torch.manual_seed(1)
    for parameter in model.parameters():  # biases and norms that do something
        if parameter.dim() == 1:
            parameter.data += 0.3 * torch.randn_like(parameter)
    if dtype != torch.float32:
        compute_in(model, dtype)
    return model


def decoder_of(model: PreTrainedModel) -> Decoder:
    decoder = Decoder.of(model)
    assert decoder is not None
    return decoder


def random_ids(*lengths: int, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(2, VOCABULARY, (n,), generator=generator).tolist() for n in lengths]


def read_all(
    decoder: Decoder, texts: Sequence[Sequence[int]], prompt_lengths: Sequence[int]
) -> list[Tensor]:
    """Logits `[1 + steps, V]` of each text: after its prompt, then token by token."""
    prompts = [text[:length] for text, length in zip(texts, prompt_lengths, strict=True)]
    cache = decoder.new_cache()
    cache.reserve(len(texts), 0)
    logits = [decoder.prefill(prompts, cache, torch.arange(len(texts)))]
    for step in range(min(len(t) - n for t, n in zip(texts, prompt_lengths, strict=True))):
        ids = [text[length + step] for text, length in zip(texts, prompt_lengths, strict=True)]
        logits.append(decoder.step(torch.tensor(ids), cache))
    return list(torch.stack(logits, dim=1))


def own_logits(model: PreTrainedModel, text: Sequence[int], prompt_length: int) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model(input_ids=torch.tensor([text]), use_cache=False).logits
    return logits[0, prompt_length - 1 :]


@pytest.mark.parametrize("name", KNOWN)
def test_greedy_equals_generate(name: str) -> None:
    model = build(name)
    decoder = decoder_of(model)
    prompts = random_ids(*LENGTHS)
    cache = decoder.new_cache()
    cache.reserve(len(prompts), 0)
    logits = [decoder.prefill(prompts, cache, torch.arange(len(prompts)))]
    for _ in range(STEPS):
        logits.append(decoder.step(logits[-1].argmax(-1), cache))
    ours = torch.stack(logits[:-1], dim=1)
    for row, prompt in enumerate(prompts):
        ids = torch.tensor([prompt])
        theirs = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=STEPS,
            output_logits=True,
            return_dict_in_generate=True,
        )
        assert ours[row].argmax(-1).tolist() == theirs.sequences[0, len(prompt) :].tolist()
        torch.testing.assert_close(ours[row], torch.cat(theirs.logits), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", KNOWN)
def test_bfloat16_is_as_near_to_float32_as_transformers_is(name: str) -> None:
    model = build(name, torch.bfloat16)
    exact = build(name)
    exact.load_state_dict(model.state_dict())
    decoder = decoder_of(model)
    decoder.refresh(len(LENGTHS))
    texts = random_ids(*(length + STEPS for length in LENGTHS))
    errors = torch.zeros(2)
    ours = read_all(decoder, texts, LENGTHS)
    for text, length, of_text in zip(texts, LENGTHS, ours, strict=True):
        reference = own_logits(exact, text, length).log_softmax(-1)
        for place, logits in enumerate((of_text, own_logits(model, text, length))):
            assert logits.dtype == torch.bfloat16
            errors[place] += (logits.float().log_softmax(-1) - reference).square().mean()
    our_error, their_error = errors.sqrt().tolist()
    # Where a processor has no bfloat16, PyTorch's batched products round more than its fused
    # attention does; float32 is computed in there.
    assert our_error <= (1.15 if native_bfloat16(torch.device("cpu")) else 1.5) * their_error


def test_rows_live_apart() -> None:
    """Copied, dropped, replaced and grown, each row is as if it were alone."""
    model = build("gemma2")
    decoder = decoder_of(model)
    texts = random_ids(5, 9, 2)
    cache = decoder.new_cache()
    cache.reserve(4, 8)
    decoder.prefill([texts[0], texts[1]], cache, torch.tensor([3, 1]))
    cache.copy_rows(torch.tensor([3, 3]), torch.tensor([0, 2]))
    rows = [list(texts[0]), list(texts[1]), list(texts[0]), list(texts[0])]

    def go(steps: int, seed: int) -> None:
        for ids in zip(*random_ids(*[steps] * len(rows), seed=seed), strict=True):
            logits = decoder.step(torch.tensor(ids), cache)
            for row, token in zip(rows, ids, strict=True):
                row.append(token)
        expected = torch.cat([own_logits(model, row, len(row)) for row in rows])
        torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-4)
        assert cache.lengths.tolist() == list(map(len, rows))

    go(3, seed=1)
    cache.keep(torch.tensor([2, 1, 0]))
    rows = [rows[2], rows[1], rows[0]]
    go(2, seed=2)
    decoder.prefill([texts[2]], cache, torch.tensor([1]))
    rows[1] = list(texts[2])
    go(70, seed=3)
    assert cache.capacity == 96


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("pieces", [512, 4])
def test_prompts_go_on_after_a_beginning_that_they_share(
    monkeypatch: pytest.MonkeyPatch, name: str, pieces: int
) -> None:
    monkeypatch.setattr("heedful.generation.decoder_attention._QUERIES", pieces)
    model = build(name)
    decoder = decoder_of(model)
    beginning, *ends = random_ids(11, *LENGTHS)
    cache = decoder.new_cache()
    cache.reserve(len(ends) + 1, 0)
    rows = torch.arange(len(ends)).flip(0)
    logits = [decoder.prefill(ends, cache, rows, decoder.read_prefix(beginning))]
    assert cache.lengths.tolist() == [*(11 + n for n in reversed(LENGTHS)), 0]
    steps = random_ids(*[2] * (len(ends) + 1), seed=1)
    logits += [decoder.step(torch.tensor(ids), cache)[rows] for ids in zip(*steps, strict=True)]
    for place, (row, end) in enumerate(zip(rows.tolist(), ends, strict=True)):
        ours = torch.stack([each[place] for each in logits])
        expected = own_logits(model, [*beginning, *end, *steps[row]], len(beginning) + len(end))
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-4)


def test_long_prompts_are_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    import heedful.generation.decoder as decoder_module
    import heedful.generation.decoder_attention as attention_module

    monkeypatch.setattr(decoder_module, "_PREFILL_TOKENS", 64)
    monkeypatch.setattr(attention_module, "_QUERIES", 16)
    monkeypatch.setattr(attention_module, "_SCORES", 4 * 16 * 90)
    model = build("gemma3")
    lengths = (40, 90, 3, 41, 39, 40)
    texts = random_ids(*(n + 2 for n in lengths))
    for text, n, ours in zip(
        texts, lengths, read_all(decoder_of(model), texts, lengths), strict=True
    ):
        torch.testing.assert_close(ours, own_logits(model, text, n), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2"])
def test_refresh_reads_the_weights_of_now(name: str, dtype: torch.dtype) -> None:
    model = build(name, dtype)
    decoder = decoder_of(model)
    for parameter in model.parameters():
        parameter.data = parameter.data * 0.7 + 0.05
    fresh = decoder_of(model)
    texts = random_ids(7, 11)
    for one in (decoder, fresh):
        one.refresh(2)
    for ours, expected in zip(
        *(read_all(which, texts, (5, 9)) for which in (decoder, fresh)), strict=True
    ):
        assert torch.equal(ours, expected)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt_neox"])
def test_the_model_is_left_as_it_was(name: str) -> None:
    model = build(name).train()
    add_lora(model, rank=2, alpha=4, seed=0)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    decoder = decoder_of(model)
    decoder.refresh(2)
    read_all(decoder, random_ids(7, 11), (5, 9))
    decoder.release()
    assert not any(matrix._weights for matrix in decoder._layout.blocks[0].matrices())
    assert model.training
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[key]), key


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt_neox", "qwen2"])
def test_adapters_are_merged(name: str) -> None:
    model = build(name)
    add_lora(model, rank=2, alpha=4, seed=0)
    decoder = decoder_of(model)
    texts = random_ids(7, 11)
    without = read_all(decoder, texts, (5, 9))
    layers = [module for module in model.modules() if isinstance(module, LoraLinear)]
    for module in layers:
        torch.nn.init.normal_(module.lora_B, std=0.5)
    decoder.refresh(2)
    for text, n, ours in zip(texts, (5, 9), read_all(decoder, texts, (5, 9)), strict=True):
        torch.testing.assert_close(ours, own_logits(model, text, n), rtol=1e-5, atol=1e-4)
    for module in layers:
        torch.nn.init.zeros_(module.lora_B)
    decoder.refresh(2)
    for ours, expected in zip(read_all(decoder, texts, (5, 9)), without, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def test_adapters_put_in_later_are_seen() -> None:
    model = build()
    decoder = decoder_of(model)
    add_lora(model, rank=2, alpha=4, seed=0)
    for module in model.modules():
        if isinstance(module, LoraLinear):
            torch.nn.init.normal_(module.lora_B, std=0.5)
    decoder.refresh(1)
    (text,) = random_ids(9)
    (ours,) = read_all(decoder, [text], [5])
    torch.testing.assert_close(ours, own_logits(model, text, 5), rtol=1e-5, atol=1e-4)


def test_other_layers_put_in_later_are_refused() -> None:
    model = build()
    decoder = decoder_of(model)
    model.model.layers[1].mlp.down_proj = torch.nn.Sequential(model.model.layers[1].mlp.down_proj)
    with pytest.raises(ModelError, match="LlamaForCausalLM were replaced"):
        decoder.refresh(1)


@pytest.mark.parametrize("name", ["cohere", "granite"])
def test_an_unknown_architecture_has_no_decoder(name: str) -> None:
    assert Decoder.of(build_model(name)) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_that_computes_otherwise_has_no_decoder(dtype: torch.dtype) -> None:
    model = build("llama", dtype)
    assert Decoder.of(model) is not None
    model.model.layers[0].mlp.register_forward_hook(lambda _, __, output: 1.5 * output)
    assert Decoder.of(model) is None


def test_weights_that_are_not_numbers_have_no_decoder() -> None:
    model = build()
    model.model.norm.weight.data[0] = torch.nan
    assert Decoder.of(model) is None


def test_a_step_asks_the_device_nothing() -> None:
    """A captured graph may not: fake tensors, which hold no numbers, refuse as well."""
    decoder = decoder_of(build("gemma3"))
    cache = decoder.new_cache()
    cache.reserve(2, 64)
    decoder.prefill(random_ids(3, 5), cache, torch.arange(2))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        cache.lengths = mode.from_tensor(cache.lengths)
        cache.keys = [mode.from_tensor(block) for block in cache.keys]
        cache.values = [mode.from_tensor(block) for block in cache.values]
        assert decoder.step(torch.zeros(2, dtype=torch.int64), cache).shape == (2, VOCABULARY)


def test_positions_past_the_last_do_not_raise() -> None:
    for name in ("llama", "gpt2"):
        decoder = decoder_of(build(name))
        cache = decoder.new_cache()
        cache.reserve(1, 0)
        decoder.prefill(random_ids(CONTEXT - 1), cache, torch.arange(1))
        for _ in range(3):
            assert decoder.step(torch.tensor([5]), cache).isfinite().all()
