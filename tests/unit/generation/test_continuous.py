from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from heedful.core.protocols import Generated, GenerationRequest
from heedful.core.records import SamplingParameters
from heedful.generation.continuous import ContinuousBatch
from heedful.generation.decoder import Decoder
from heedful.generation.inference import inference

Decode = Callable[[Sequence[int]], str]
EOS = 0


def request(number: int, *, prompt: int = 5, k: int = 1, **sampling: float) -> GenerationRequest:
    generator = torch.Generator().manual_seed(number)
    return GenerationRequest(
        prompt_ids=torch.randint(2, 256, (prompt,), generator=generator).tolist(),
        sampling=SamplingParameters(**{"max_tokens": 8} | sampling),
        num_completions=k,
        seed=number,
    )


@pytest.fixture
def sizes(model: PreTrainedModel) -> list[int]:
    """Grows by the number of tokens at each pass through the model."""
    found: list[int] = []
    model.model.embed_tokens.register_forward_hook(lambda _m, _a, out: found.append(len(out)))
    return found


@pytest.fixture
def decoder(model: PreTrainedModel, sizes: list[int]) -> Decoder:
    decoder = Decoder.of(model)
    assert decoder is not None
    sizes.clear()
    return decoder


def begin(
    decoder: Decoder,
    requests: Sequence[GenerationRequest],
    rows: int,
    eos_ids: Sequence[int] = (),
    progress: Callable[[int], None] = lambda _: None,
) -> ContinuousBatch:
    return ContinuousBatch(
        decoder,
        requests,
        range(len(requests)),
        rows=rows,
        eos_ids=eos_ids,
        decode=lambda ids: str(list(ids)),
        on_progress=progress,
    )


def run(
    model: PreTrainedModel, decoder: Decoder, *arguments: Any, **options: Any
) -> dict[tuple[int, int], Generated]:
    with inference(model):
        return begin(decoder, *arguments, **options).run()


def tokens(found: dict[tuple[int, int], Generated]) -> dict[tuple[int, int], tuple[int, ...]]:
    return {slot: generated.token_ids for slot, generated in found.items()}


def test_a_prompt_is_read_once_for_all_its_completions(
    model: PreTrainedModel, decoder: Decoder, sizes: list[int]
) -> None:
    run(model, decoder, [request(1, prompt=9, k=4), request(2, prompt=5, k=2)], 64)
    assert sizes == [14, *[6] * 7]


def test_a_beginning_that_all_prompts_have_is_read_once(
    monkeypatch: pytest.MonkeyPatch, model: PreTrainedModel, decoder: Decoder, sizes: list[int]
) -> None:
    """Of 11 prompts that share 40 tokens, 8 wait until rows are free."""
    beginning = request(0, prompt=40).prompt_ids
    asked = [
        replace(one, prompt_ids=[*beginning, *one.prompt_ids], num_completions=1 + number % 2)
        for number, one in enumerate(request(n, prompt=1 + n) for n in range(1, 12))
    ]
    found = run(model, decoder, asked, 4)
    assert sizes[:2] == [40, 2 + 3 + 4]
    assert max(sizes[2:]) < 40
    sizes.clear()
    monkeypatch.setattr("heedful.generation.continuous._SHARED_TOKENS", 401)
    assert tokens(run(model, decoder, asked, 4)) == tokens(found)
    assert sizes[0] == 3 * 40 + 2 + 3 + 4


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_completions_that_wait_copy_their_prompt_from_a_row_that_held_it(
    model: PreTrainedModel, decoder: Decoder, sizes: list[int], rows: int
) -> None:
    asked = [request(1, prompt=30, k=7), request(2, prompt=20, k=4)]
    found = run(model, decoder, asked, rows)
    assert sum(size >= 20 for size in sizes) == 2
    assert tokens(found) == tokens(run(model, decoder, asked, 64))


def test_finished_rows_are_taken_over(
    model: PreTrainedModel, decoder: Decoder, sizes: list[int]
) -> None:
    asked = [request(n, max_tokens=length) for n, length in enumerate([2, 8, 8, 6, 4])]
    progress: list[int] = []
    found = run(model, decoder, asked, 3, progress=progress.append)
    assert sizes == [15, 3, 5, *[3] * 5, 5, 3, 1, 1]
    assert sum(progress) == 28
    assert [len(found[n, 0].token_ids) for n in range(5)] == [2, 8, 8, 6, 4]
    for number, each in enumerate(asked):
        alone = run(model, decoder, [each], 1)
        assert alone[0, 0].token_ids == found[number, 0].token_ids


def test_rows_are_dropped_when_nothing_waits(
    model: PreTrainedModel, decoder: Decoder, sizes: list[int]
) -> None:
    run(model, decoder, [request(n, prompt=4, max_tokens=m) for n, m in enumerate([2, 2, 8, 8])], 4)
    assert sizes == [16, 4, *[2] * 6]


def test_a_free_row_waits_at_its_prompt(model: PreTrainedModel, decoder: Decoder) -> None:
    """One of nine rows ends at once and idles for longer than its cache would last."""
    lengths = [1, *[90] * 8]
    asked = [request(n, prompt=5, max_tokens=length) for n, length in enumerate(lengths)]
    found = run(model, decoder, asked, 9)
    assert [len(found[n, 0].token_ids) for n in range(9)] == lengths
    alone = run(model, decoder, asked[8:], 1)
    assert alone[0, 0].token_ids == found[8, 0].token_ids


def test_the_cache_shrinks_when_the_long_ones_have_gone(
    model: PreTrainedModel, decoder: Decoder
) -> None:
    batch = begin(decoder, [request(1, prompt=80, max_tokens=3), *map(request, range(2, 5))], 1)
    capacities: list[int] = []
    model.model.embed_tokens.register_forward_hook(
        lambda _m, _a, _o: capacities.append(batch._cache.capacity)
    )
    with inference(model):
        batch.run()
    assert capacities[:3] == [96, 96, 96]
    # The next prompt is read before the cache is trimmed.
    assert capacities[3:5] == [96, 32]
    assert set(capacities[5:]) == {32}


@pytest.mark.parametrize("seed", range(2))
def test_neither_rows_nor_order_nor_neighbours_change_a_token(
    model: PreTrainedModel, decoder: Decoder, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)

    def pick(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    asked = [
        request(
            number,
            prompt=pick(1, 60),
            k=pick(1, 5),
            max_tokens=pick(1, 30),
            temperature=(0.0, 1.0, 2.0)[pick(0, 3)],
            top_k=(0, 0, 9)[pick(0, 3)],
        )
        for number in range(12)
    ]
    expected = run(model, decoder, asked, 256, [EOS])
    for rows in (1, 5, 16):
        assert tokens(run(model, decoder, asked, rows, [EOS])) == tokens(expected)
    separate = {
        (number, k): run(model, decoder, [each], 8, [EOS])[0, k].token_ids
        for number, each in enumerate(asked)
        for k in range(each.num_completions)
    }
    assert separate == tokens(expected)
