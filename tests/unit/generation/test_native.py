import copy
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    MambaConfig,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from fakes.tiny_models import build_model
from fakes.warping import keep_top_dense
from heedful.core.errors import ConfigError, DataError, ModelError
from heedful.core.protocols import Engine, GenerationRequest
from heedful.core.records import SamplingParameters
from heedful.generation.hf import TransformersEngine
from heedful.generation.native import NativeEngine
from heedful.models.precision import compute_in

Decode = Callable[[Sequence[int]], str]
EOS, PAD, CONTEXT = 0, 1, 96


def engine(model: PreTrainedModel, decode: Decode, **options: Any) -> NativeEngine:
    return NativeEngine(model, eos_ids={EOS}, decode=decode, **options)


def requests(*shapes: tuple[int, int], seed: int = 0, **sampling: Any) -> list[GenerationRequest]:
    """One request for each (prompt tokens, completions)."""
    generator = torch.Generator().manual_seed(seed)
    sampling.setdefault("max_tokens", 24)
    return [
        GenerationRequest(
            prompt_ids=torch.randint(2, 256, (num_tokens,), generator=generator).tolist(),
            sampling=SamplingParameters(**sampling),
            num_completions=k,
            seed=number,
        )
        for number, (num_tokens, k) in enumerate(shapes)
    ]


RAGGED = ((5, 1), (30, 2), (13, 3), (1, 1), (30, 1))


def test_it_is_an_engine(model: PreTrainedModel, decode: Decode) -> None:
    as_protocol: Engine = engine(model, decode)
    assert as_protocol.generate([]) == []


def test_greedy_equals_generate(any_model: PreTrainedModel, decode: Decode) -> None:
    asked = requests(*RAGGED, temperature=0)
    for request, row in zip(asked, engine(any_model, decode).generate(asked), strict=True):
        ids = torch.tensor([request.prompt_ids])
        expected = any_model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=24,
            pad_token_id=PAD,
        )[0, len(request.prompt_ids) :].tolist()
        assert len(row) == request.num_completions
        for generated in row:
            assert list(generated.token_ids) == expected
            assert generated.logprobs == (0.0,) * len(expected)
            assert generated.finish_reason == ("stop" if expected[-1] == EOS else "length")


def test_a_sample_does_not_depend_on_its_neighbours(
    any_model: PreTrainedModel, decode: Decode
) -> None:
    asked = requests(*RAGGED, temperature=0.8)
    together = engine(any_model, decode).generate(asked)
    for small in ({"max_batch_size": 1}, {"max_batch_size": 2}, {"max_batch_tokens": 120}):
        again = engine(any_model, decode, **small).generate(asked)
        assert ids_of(again) == ids_of(together)
    backwards = engine(any_model, decode).generate(asked[::-1])[::-1]
    assert ids_of(backwards) == ids_of(together)
    alone = [engine(any_model, decode).generate([request])[0] for request in asked]
    assert ids_of(alone) == ids_of(together)
    for ours, theirs in zip(itertools.chain(*alone), itertools.chain(*together), strict=True):
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)


def ids_of(rows: Sequence[Sequence[Any]]) -> list[list[tuple[int, ...]]]:
    return [[generated.token_ids for generated in row] for row in rows]


def test_completions_of_a_prompt_differ_and_extend(model: PreTrainedModel, decode: Decode) -> None:
    few, many = (
        engine(model, decode).generate(requests((7, k), max_tokens=max_tokens))[0]
        for k, max_tokens in ((2, 6), (5, 12))
    )
    assert len({generated.token_ids for generated in many}) == 5
    for short, long in zip(few, many, strict=False):
        assert short.token_ids == long.token_ids[: len(short.token_ids)]


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(1.0, 0, 1.0), (3.0, 0, 1.0), (5.0, 8, 1.0), (4.0, 20, 0.8)]
)
def test_logprobs_are_those_of_the_distribution_drawn_from(
    model: PreTrainedModel, decode: Decode, temperature: float, top_k: int, top_p: float
) -> None:
    asked = requests(*RAGGED, temperature=temperature, top_k=top_k, top_p=top_p)
    for request, row in zip(asked, engine(model, decode).generate(asked), strict=True):
        for generated in row:
            ids = torch.tensor([[*request.prompt_ids, *generated.token_ids]])
            logits = model(ids).logits[0, len(request.prompt_ids) - 1 : -1] / temperature
            steps = len(logits)
            warped = keep_top_dense(logits, [top_k] * steps, [top_p] * steps)
            drawn = torch.tensor(generated.token_ids)[:, None]
            expected = warped.log_softmax(dim=-1).gather(-1, drawn).squeeze(-1)
            assert generated.logprobs == pytest.approx(expected.tolist(), abs=1e-4)


def test_logprobs_in_bfloat16_are_as_good_as_the_models_own(
    any_model: PreTrainedModel, decode: Decode
) -> None:
    """Both against the same rounded weights in float32."""
    compute_in(any_model, torch.bfloat16)
    exact = copy.deepcopy(any_model)
    compute_in(exact, torch.float32)
    asked = requests((30, 3), (7, 3), (18, 2), temperature=1.0)
    gaps: list[list[float]] = [[], []]
    for request, row in zip(asked, engine(any_model, decode).generate(asked), strict=True):
        for generated in row:
            ids = torch.tensor([[*request.prompt_ids, *generated.token_ids]])
            drawn = torch.tensor(generated.token_ids)[:, None]
            own, truth = (
                model(ids).logits[0, len(request.prompt_ids) - 1 : -1].float().log_softmax(-1)
                for model in (any_model, exact)
            )
            truth = truth.gather(-1, drawn)
            gaps[0] += (torch.tensor(generated.logprobs)[:, None] - truth).abs().flatten().tolist()
            gaps[1] += (own.gather(-1, drawn) - truth).abs().flatten().tolist()
    ours, theirs = (sum(gap) / len(gap) for gap in gaps)
    assert ours < 1.25 * theirs
    assert ours < 0.1


def test_sampling_parameters_may_differ_within_a_call(
    model: PreTrainedModel, decode: Decode
) -> None:
    mixed = [
        *requests((5, 2), temperature=0, max_tokens=4),
        *requests((9, 2), temperature=2, top_k=5),
        *requests((9, 1), temperature=2, top_p=0.7, max_tokens=40),
    ]
    together = engine(model, decode).generate(mixed)
    assert ids_of(together) == [ids_of(engine(model, decode).generate([r]))[0] for r in mixed]
    assert [len(row) for row in together] == [2, 2, 1]


def test_what_the_decoder_does_not_know_is_decoded_plainly_and_said_once(
    model: PreTrainedModel, decode: Decode, caplog: pytest.LogCaptureFixture
) -> None:
    granite = build_model("granite", vocab_size=256, eos_token_id=EOS, pad_token_id=PAD)
    native = engine(granite, decode)
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert "GraniteForCausalLM is not among the architectures" in record.getMessage()
    asked = requests(*RAGGED, temperature=0)
    reference = TransformersEngine(granite, eos_ids={EOS}, decode=decode)
    assert native.generate(asked) == reference.generate(asked)
    engine(model, decode).generate(asked)
    assert len(caplog.records) == 1


def test_a_bound_on_the_cache_changes_no_token(model: PreTrainedModel, decode: Decode) -> None:
    asked = requests((40, 1), *[(3, 2)] * 6, max_tokens=9)
    widths: list[int] = []
    native = NativeEngine(model, eos_ids=(), decode=decode, max_batch_tokens=48)
    model.model.embed_tokens.register_forward_hook(lambda _m, _a, out: widths.append(len(out)))
    bounded = native.generate(asked)
    # One row of 49 columns, then four of 12: one long request does not slow the others.
    assert widths[:10] == [40, *[1] * 8, 6]
    assert widths[10:18] == [4] * 8
    free = NativeEngine(model, eos_ids=(), decode=decode)
    assert ids_of(bounded) == ids_of(free.generate(asked))


def test_text_ends_before_the_end_token_and_stop_strings(
    model: PreTrainedModel, decode: Decode
) -> None:
    plain = [row[0] for row in engine(model, decode).generate(requests(*[(6, 1)] * 40))]
    assert {generated.finish_reason for generated in plain} == {"stop", "length"}
    for number, generated in enumerate(plain):
        ended = generated.finish_reason == "stop"
        assert (generated.token_ids[-1] == EOS) == ended
        assert EOS not in generated.token_ids[:-1]
        if len(generated.text) < 8:
            continue
        stop = generated.text[4:7]
        asked = requests(*[(6, 1)] * 40, stop=(stop,))[number]
        stopped = engine(model, decode).generate([asked])[0][0]
        assert stopped.text == generated.text[: generated.text.index(stop)]
        assert stopped.finish_reason == "stop"
        assert stopped.token_ids == generated.token_ids[: len(stopped.token_ids)]
        assert stop in decode(stopped.token_ids)
        assert stop not in decode(stopped.token_ids[:-1])


def test_progress_adds_up_to_the_tokens_drawn(model: PreTrainedModel, decode: Decode) -> None:
    steps: list[int] = []
    rows = engine(model, decode, max_batch_size=3).generate(requests(*RAGGED), steps.append)
    assert sum(steps) == sum(len(g.token_ids) for g in itertools.chain(*rows))
    assert min(steps) > 0


def test_an_interrupt_passes_and_leaves_the_model_as_it_was(
    model: PreTrainedModel, decode: Decode
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    model.train()
    with pytest.raises(KeyboardInterrupt):
        engine(model, decode).generate(requests((3, 1)), interrupt)
    assert all(module.training for module in model.modules())
    ids = torch.tensor([[3, 4]])
    model(ids, labels=ids).loss.backward()


def test_it_follows_the_weights_as_they_change(model: PreTrainedModel, decode: Decode) -> None:
    native = engine(model, decode)
    asked = requests((5, 1), temperature=0)
    before = native.generate(asked)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator()) * 0.4)
    assert ids_of(native.generate(asked)) == ids_of(engine(model, decode).generate(asked))
    assert ids_of(native.generate(asked)) != ids_of(before)


def test_a_finished_row_never_runs_past_the_last_position(
    gpt2: PreTrainedModel, decode: Decode
) -> None:
    asked = [
        *requests((CONTEXT - 2, 1), max_tokens=2),
        *requests((2, 4), max_tokens=60, temperature=2),
    ]
    together = engine(gpt2, decode).generate(asked)
    assert ids_of(together) == [ids_of(engine(gpt2, decode).generate([r]))[0] for r in asked]


def test_requests_are_checked(model: PreTrainedModel, decode: Decode) -> None:
    with pytest.raises(DataError, match="request 0 has an empty prompt"):
        engine(model, decode).generate(requests((0, 1)))
    with pytest.raises(ModelError, match=r"request 1: a prompt of 73 tokens.*24.*context of 96"):
        engine(model, decode).generate(requests((72, 1), (73, 1)))


def test_what_it_cannot_do_is_refused(model: PreTrainedModel, decode: Decode) -> None:
    tiny = {"vocab_size": 256, "hidden_size": 8, "num_hidden_layers": 1, "state_size": 4}
    with pytest.raises(ModelError, match="Mamba"):
        engine(AutoModelForCausalLM.from_config(MambaConfig(**tiny)), decode)
    t5 = T5Config(vocab_size=256, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    with pytest.raises(ModelError, match="T5"):
        engine(T5ForConditionalGeneration(t5), decode)
    with pytest.raises(ConfigError, match="max_batch_size"):
        engine(model, decode, max_batch_size=0)


def test_diverged_weights_are_an_error(model: PreTrainedModel, decode: Decode) -> None:
    torch.nn.init.constant_(model.lm_head.weight, torch.nan)
    for temperature in (0, 1):
        with pytest.raises(ModelError, match="not finite"):
            engine(model, decode).generate(requests((3, 1), temperature=temperature))


@pytest.mark.data
def test_a_trained_model_greedy_equals_generate(real_data: Path, decode: Decode) -> None:
    folder = real_data / "models" / "stories260K"
    if not folder.is_dir():
        pytest.skip(f"no model in {folder}")
    model = AutoModelForCausalLM.from_pretrained(folder)
    native = NativeEngine(model, eos_ids={2}, decode=lambda ids: str(list(ids)))
    asked = requests((5, 1), (12, 2), (1, 1), temperature=0, max_tokens=40)
    for request, row in zip(asked, native.generate(asked), strict=True):
        ids = torch.tensor([request.prompt_ids])
        expected = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=40,
            pad_token_id=0,
        )[0, len(request.prompt_ids) :].tolist()
        assert all(list(generated.token_ids) == expected for generated in row)
