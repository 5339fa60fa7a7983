from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, MambaConfig, PreTrainedModel

from fakes.warping import keep_top_dense
from heedful.core.errors import ModelError
from heedful.core.protocols import Engine, GenerationRequest
from heedful.core.records import SamplingParameters
from heedful.generation.hf import TransformersEngine
from heedful.generation.native import NativeEngine

Decode = Callable[[Sequence[int]], str]
EOS, PAD = 0, 1


def requests(*shapes: tuple[int, int], **sampling: Any) -> list[GenerationRequest]:
    generator = torch.Generator().manual_seed(0)
    return [
        GenerationRequest(
            prompt_ids=torch.randint(2, 256, (num_tokens,), generator=generator).tolist(),
            sampling=SamplingParameters(max_tokens=20, **sampling),
            num_completions=k,
            seed=number,
        )
        for number, (num_tokens, k) in enumerate(shapes)
    ]


def test_greedy_equals_the_native_engine(any_model: PreTrainedModel, decode: Decode) -> None:
    native = NativeEngine(any_model, eos_ids={EOS}, decode=decode)
    reference: Engine = TransformersEngine(any_model, eos_ids={EOS}, decode=decode)
    asked = requests((5, 1), (11, 2), (1, 1), temperature=0)
    expected = native.generate(asked)
    assert reference.generate(asked) == expected
    stop = expected[0][0].text[2:4]
    assert stop
    asked = requests((5, 1), (11, 2), (1, 1), temperature=0, stop=(stop,))
    assert reference.generate(asked) == native.generate(asked)


def test_sampled_logprobs_finish_reasons_and_progress(
    model: PreTrainedModel, decode: Decode
) -> None:
    steps: list[int] = []
    asked = requests(*[(6, 3)] * 8, temperature=4.0, top_k=30, top_p=0.9)
    rows = TransformersEngine(model, eos_ids={EOS}, decode=decode).generate(asked, steps.append)
    completions = [(r, generated) for r, row in zip(asked, rows, strict=True) for generated in row]
    assert sum(steps) == sum(len(generated.token_ids) for _, generated in completions)
    for request, generated in completions:
        ids = torch.tensor([[*request.prompt_ids, *generated.token_ids]])
        logits = model(ids).logits[0, len(request.prompt_ids) - 1 : -1] / 4.0
        warped = keep_top_dense(logits, [30] * len(logits), [0.9] * len(logits))
        drawn = torch.tensor(generated.token_ids)[:, None]
        expected = warped.log_softmax(dim=-1).gather(-1, drawn).squeeze(-1)
        assert generated.logprobs == pytest.approx(expected.tolist(), abs=1e-4)
        assert (generated.finish_reason == "stop") == (generated.token_ids[-1] == EOS)


def test_noise_depends_on_seed_and_completion_alone(model: PreTrainedModel, decode: Decode) -> None:
    reference = TransformersEngine(model, eos_ids={EOS}, decode=decode)
    asked = requests((5, 2), (9, 1))
    torch.manual_seed(7)
    state = torch.get_rng_state()
    together = reference.generate(asked)
    assert torch.equal(torch.get_rng_state(), state)
    assert [reference.generate([request])[0] for request in asked] == together
    assert together[0][0] != together[0][1]


def test_the_models_own_generation_config_is_not_consulted(
    model: PreTrainedModel, decode: Decode
) -> None:
    reference = TransformersEngine(model, eos_ids={EOS}, decode=decode)
    asked = requests((5, 1), temperature=0)
    plain = reference.generate(asked)
    model.generation_config.repetition_penalty = 1e9
    model.generation_config.max_length = 7
    assert reference.generate(asked) == plain
    assert model.generation_config.repetition_penalty == 1e9


def test_it_drives_what_the_native_engine_cannot(decode: Decode) -> None:
    config = MambaConfig(vocab_size=256, hidden_size=8, num_hidden_layers=1, state_size=4)
    model = AutoModelForCausalLM.from_config(config)
    rows = TransformersEngine(model, eos_ids={EOS}, decode=decode).generate(requests((4, 2)))
    assert [len(row) for row in rows] == [2]


def test_requests_are_checked(model: PreTrainedModel, decode: Decode) -> None:
    with pytest.raises(ModelError, match="context of 96"):
        TransformersEngine(model, eos_ids={EOS}, decode=decode).generate(requests((77, 1)))
