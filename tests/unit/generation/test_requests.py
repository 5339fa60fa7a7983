from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heedful.core.errors import DataError, HeedfulError, ModelError
from heedful.core.protocols import Generated, GenerationRequest
from heedful.core.records import SamplingParameters
from heedful.generation.requests import Transcripts, check_requests, common_prefix, plan_batches

Decode = Callable[[Sequence[int]], str]


def request(
    num_tokens: int = 3, *, max_tokens: int = 8, stop: tuple[str, ...] = (), k: int = 1
) -> GenerationRequest:
    return GenerationRequest(
        prompt_ids=[5] * num_tokens,
        sampling=SamplingParameters(max_tokens=max_tokens, stop=stop),
        num_completions=k,
    )


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        (request(0), DataError, "empty prompt"),
        (request(k=0), DataError, "0 completions"),
        (request(stop=("a", "")), DataError, "empty stop string"),
        (request(13), ModelError, "13 tokens and a completion of up to 8 exceed .* context of 20"),
        (
            GenerationRequest(prompt_ids=[1, 10], sampling=SamplingParameters(max_tokens=1)),
            DataError,
            "vocabulary of 10",
        ),
    ],
)
def test_a_request_that_cannot_be_answered_is_named(
    bad: GenerationRequest, error: type[HeedfulError], words: str
) -> None:
    with pytest.raises(error, match=f"generation request 1.*{words}") as raised:
        check_requests([request(12), bad], vocab_size=10, context=20)
    assert raised.value.hint
    if error is ModelError:
        check_requests([bad], vocab_size=10, context=None)


@given(
    st.lists(
        st.builds(request, st.integers(1, 9), max_tokens=st.integers(1, 9), k=st.integers(1, 6)),
        max_size=12,
    ),
    st.integers(1, 8),
    st.none() | st.integers(1, 100),
)
def test_batches_hold_every_completion_once_within_the_limits(
    requests: list[GenerationRequest], max_batch_size: int, max_batch_tokens: int | None
) -> None:
    batches = list(plan_batches(requests, max_batch_size, max_batch_tokens))
    assert sorted(slot for batch in batches for slot in batch) == [
        (number, k) for number, r in enumerate(requests) for k in range(r.num_completions)
    ]
    for batch in batches:
        assert 0 < len(batch) <= max_batch_size
        members = [requests[number] for number, _ in batch]
        width = max(len(r.prompt_ids) for r in members)
        width += max(r.sampling.max_tokens for r in members)
        assert max_batch_tokens is None or len(batch) * width <= max_batch_tokens or len(batch) == 1
    lengths = [len(requests[number].prompt_ids) for batch in batches for number, _ in batch]
    assert lengths == sorted(lengths, reverse=True)


def test_the_completions_of_a_request_stay_together_where_they_can() -> None:
    requests = [request(k=3), request(k=3), request(k=5)]
    batches = [[number for number, _ in batch] for batch in plan_batches(requests, 4, None)]
    assert batches == [[0, 0, 0], [1, 1, 1], [2, 2, 2, 2], [2]]


def feed(
    asked: GenerationRequest, eos_ids: set[int], decode: Decode, token_ids: Sequence[int]
) -> Generated | None:
    """What `token_ids`, drawn with log-probabilities 0, -1, -2 and so on, are finished to."""
    transcripts = Transcripts(1, asked.sampling.max_tokens, eos_ids, decode)
    transcripts.open([0], [asked])
    for place, token_id in enumerate(token_ids):
        for _, generated in transcripts.append(np.array([token_id]), np.array([-float(place)])):
            assert transcripts.open_rows == []
            return generated
    assert transcripts.open_rows == [0]
    return None


def test_rows_grow_each_on_its_own(decode: Decode) -> None:
    """Two rows, one of which ends and is opened again while the other grows."""
    transcripts = Transcripts(3, 4, {0}, decode)
    transcripts.open([2, 0], [request(max_tokens=4), request(max_tokens=4)])
    zeros = np.zeros(3)
    assert transcripts.append(np.array([*b"axb"]), zeros) == []
    [(row, generated)] = transcripts.append(np.array([0, 0, 99]), zeros)
    assert (row, generated.text, generated.finish_reason) == (0, "a", "stop")
    assert transcripts.open_rows == [2]
    transcripts.open([0], [request(max_tokens=2)])
    assert transcripts.append(np.array([*b"d"]), np.array([-1.0]), [0]) == []
    # A closed row may hold anything.
    finished = transcripts.append(np.array([*b"exf"]), np.array([-2.0, np.nan, 0.0]))
    assert [(row, found.text, found.logprobs) for row, found in finished] == [
        (0, "de", (-1.0, -2.0))
    ]
    transcripts.keep([2])
    [(row, generated)] = transcripts.append(np.array([*b"g"]), np.zeros(1))
    assert (row, generated.text, generated.finish_reason) == (0, "bcfg", "length")


def test_the_end_token_ends_a_completion_and_counts(decode: Decode) -> None:
    generated = feed(request(), {0}, decode, b"ab\0c")
    assert generated == Generated(
        token_ids=tuple(b"ab\0"), logprobs=(0.0, -1.0, -2.0), finish_reason="stop", text="ab"
    )
    generated = feed(request(max_tokens=3), {0}, decode, b"ab\0c")
    assert generated is not None
    assert generated.finish_reason == "stop"


def test_max_tokens_ends_a_completion(decode: Decode) -> None:
    generated = feed(request(max_tokens=3), {0}, decode, b"abc")
    assert generated is not None
    assert (generated.text, generated.finish_reason) == ("abc", "length")


def test_a_completion_cut_inside_a_character_loses_the_half(decode: Decode) -> None:
    token_ids = "a🙂".encode()[:4]
    generated = feed(request(max_tokens=4), {0}, decode, token_ids)
    assert generated is not None
    assert generated.text == "a"
    assert generated.token_ids == tuple(token_ids)


def test_a_stop_string_across_tokens_and_characters(decode: Decode) -> None:
    asked = request(max_tokens=99, stop=("é🙂",))
    generated = feed(asked, {0}, decode, "né éé🙂 more".encode())
    assert generated is not None
    assert (generated.text, generated.finish_reason) == ("né é", "stop")
    assert bytes(generated.token_ids).decode() == "né éé🙂"


def test_the_first_of_several_stop_strings_wins(decode: Decode) -> None:
    generated = feed(request(stop=("cd", "bcd")), {0}, decode, b"abcdef")
    assert generated is not None
    assert generated.text == "a"


def test_logits_that_are_not_numbers_are_an_error(decode: Decode) -> None:
    transcripts = Transcripts(1, 8, {0}, decode)
    transcripts.open([0], [request()])
    with pytest.raises(ModelError, match="not finite"):
        transcripts.append(np.array([3]), np.array([np.nan]))


PIECES = [b"", b"a", b"b", b"ab", b"\n", b"\n\n", "é".encode(), "🙂".encode(), b"\xf0\x9f", b"\x99",
          b"\x82", b"\xc3", b" a", b"bab"]  # fmt: skip


@given(
    st.lists(st.integers(0, len(PIECES) - 1), min_size=1, max_size=40),
    st.lists(st.text("ab\né🙂 ", min_size=1, max_size=5), min_size=1, max_size=3),
)
@example([1, *[0] * 9, 2], ["ab"])
def test_stop_strings_are_found_as_soon_as_the_whole_text_has_one(
    token_ids: list[int], stop: list[str]
) -> None:
    """Against the definition: decode everything after each token and look."""

    def decode(ids: Sequence[int]) -> str:
        return b"".join(PIECES[token_id] for token_id in ids).decode(errors="replace")

    asked = request(max_tokens=1000, stop=tuple(stop))
    generated = feed(asked, set(), decode, token_ids)
    for end in range(1, len(token_ids) + 1):
        text = decode(token_ids[:end])
        if any(s in text for s in stop):
            assert generated is not None
            assert generated.token_ids == tuple(token_ids[:end])
            assert generated.text == text[: min(text.find(s) for s in stop if s in text)]
            return
    assert generated is None


@given(st.sets(st.lists(st.integers(0, 1), min_size=1, max_size=6).map(tuple), min_size=1))
def test_the_common_prefix_is_the_longest_that_leaves_each_prompt_a_token(
    prompts: set[tuple[int, ...]],
) -> None:
    found = common_prefix(prompts)
    assert all(prompt[: len(found)] == found and len(prompt) > len(found) for prompt in prompts)
    longer = {prompt[: len(found) + 1] for prompt in prompts}
    assert len(longer) > 1 or longer & prompts
