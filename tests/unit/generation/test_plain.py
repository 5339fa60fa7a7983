from collections.abc import Callable, Sequence

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    MambaConfig,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from heedful.core.errors import ModelError
from heedful.core.protocols import GenerationRequest
from heedful.core.records import SamplingParameters
from heedful.generation.inference import inference
from heedful.generation.native import NativeEngine
from heedful.generation.plain import PlainDecoding

Decode = Callable[[Sequence[int]], str]
EOS, CONTEXT = 0, 96


def plain(model: PreTrainedModel, decode: Decode, rows: int = 64) -> PlainDecoding:
    return PlainDecoding(
        model, eos_ids={EOS}, decode=decode, max_batch_size=rows, max_batch_tokens=None
    )


def requests(*shapes: tuple[int, int], **sampling: float) -> list[GenerationRequest]:
    generator = torch.Generator().manual_seed(0)
    return [
        GenerationRequest(
            prompt_ids=torch.randint(2, 256, (num_tokens,), generator=generator).tolist(),
            sampling=SamplingParameters(**{"max_tokens": 20} | sampling),
            num_completions=k,
            seed=number,
        )
        for number, (num_tokens, k) in enumerate(shapes)
    ]


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_it_draws_what_the_decoder_draws(
    any_model: PreTrainedModel, decode: Decode, temperature: float
) -> None:
    asked = requests((5, 1), (30, 2), (13, 3), (1, 1), temperature=temperature)
    fast = NativeEngine(any_model, eos_ids={EOS}, decode=decode).generate(asked)
    for rows in (1, 64):
        with inference(any_model):
            found = plain(any_model, decode, rows).run(asked, lambda _: None)
        for number, row in enumerate(fast):
            for k, generated in enumerate(row):
                assert found[number, k].token_ids == generated.token_ids
                assert found[number, k].logprobs == pytest.approx(generated.logprobs, abs=1e-4)


def test_finished_rows_leave_the_batch(model: PreTrainedModel, decode: Decode) -> None:
    sizes: list[tuple[int, ...]] = []
    drawing = plain(model, decode)
    model.model.embed_tokens.register_forward_hook(
        lambda _m, _a, out: sizes.append(tuple(out.shape[:2]))
    )
    asked = [requests((4, 1), max_tokens=length)[0] for length in (2, 2, 8, 8)]
    progress: list[int] = []
    with inference(model):
        found = drawing.run(asked, progress.append)
    assert sizes[:2] == [(4, 4), (4, 1)]
    assert sizes[-1] == (2, 1)
    assert sum(progress) == sum(len(generated.token_ids) for generated in found.values())


def test_a_finished_row_never_runs_past_the_last_position(
    gpt2: PreTrainedModel, decode: Decode
) -> None:
    asked = [
        *requests((CONTEXT - 2, 1), max_tokens=2),
        *requests((2, 4), max_tokens=60, temperature=2),
    ]
    with inference(gpt2):
        together = plain(gpt2, decode).run(asked, lambda _: None)
        for number, each in enumerate(asked):
            for (_, k), alone in plain(gpt2, decode).run([each], lambda _: None).items():
                assert together[number, k].token_ids == alone.token_ids


def test_what_it_cannot_drive_is_refused(decode: Decode) -> None:
    tiny = {"vocab_size": 256, "hidden_size": 8, "num_hidden_layers": 1, "state_size": 4}
    with pytest.raises(ModelError, match="Mamba"):
        plain(AutoModelForCausalLM.from_config(MambaConfig(**tiny)), decode)
    t5 = T5Config(vocab_size=256, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    with pytest.raises(ModelError, match="T5"):
        plain(T5ForConditionalGeneration(t5), decode)
