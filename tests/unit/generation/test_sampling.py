import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from heedful.core.records import SamplingParameters
from heedful.generation.sampling import RowSampling, keep_top, row_uniforms, sample_inverse_cdf

BELOW_ONE = 1 - 2.0**-53


def uniforms(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_row_uniforms_depend_on_seed_and_completion_alone() -> None:
    assert row_uniforms(3, 1, 8).tolist() == row_uniforms(3, 1, 8).tolist()
    assert row_uniforms(3, 1, 8).tolist() == row_uniforms(3, 1, 20)[:8].tolist()
    assert row_uniforms(3, 1, 8).tolist() != row_uniforms(3, 2, 8).tolist()
    assert row_uniforms(3, 1, 8).tolist() != row_uniforms(31, 1, 8).tolist()
    # Any integer is a seed.
    assert row_uniforms(-1, 0, 8).tolist() != row_uniforms(1, 0, 8).tolist()
    assert row_uniforms(2**100, 0, 8).tolist() != row_uniforms(0, 0, 8).tolist()


def test_row_uniforms_are_uniform_within_and_across_rows() -> None:
    noise = np.stack([row_uniforms(seed, 0, 100) for seed in range(1000)])
    assert noise.min() >= 0
    assert noise.max() < 1
    for values in (noise, noise[:, 0]):
        assert values.mean() == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / values.size))
    assert abs(np.corrcoef(noise[:-1, 0], noise[1:, 0])[0, 1]) < 4 / math.sqrt(1000)


def test_inverse_cdf_closed_form() -> None:
    probs = torch.tensor([0.1, 0.2, 0.3, 0.4])
    points = uniforms(0.0, 0.09, 0.11, 0.29, 0.31, 0.59, 0.61, BELOW_ONE)
    ids, logprobs = sample_inverse_cdf(probs.log().expand(8, 4), points)
    assert ids.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    torch.testing.assert_close(logprobs, probs[ids].log())


@pytest.mark.parametrize("vocab", [2, 255, 256, 257, 1000, 49152])
def test_inverse_cdf_is_the_inverse_of_the_softmax_cdf(vocab: int) -> None:
    generator = torch.Generator().manual_seed(vocab)
    logits = torch.randn(40, vocab, generator=generator) * 3
    noise = torch.rand(40, generator=generator, dtype=torch.float64)
    ids, logprobs = sample_inverse_cdf(logits, noise)
    exact = logits.double().softmax(dim=-1)
    upper = exact.cumsum(dim=-1).gather(-1, ids[:, None]).squeeze(-1)
    chosen = exact.gather(-1, ids[:, None]).squeeze(-1)
    assert bool((noise < upper + 1e-6).all())
    assert bool((noise > upper - chosen - 1e-6).all())
    torch.testing.assert_close(logprobs.double(), chosen.log(), atol=2e-6, rtol=0)


def test_inverse_cdf_keeps_half_precision_logits_exact() -> None:
    logits = (torch.randn(8, 5000, generator=torch.Generator().manual_seed(0)) * 3).bfloat16()
    noise = torch.linspace(0, BELOW_ONE, 8, dtype=torch.float64)
    ids, logprobs = sample_inverse_cdf(logits, noise)
    same_ids, same_logprobs = sample_inverse_cdf(logits.float(), noise)
    assert ids.tolist() == same_ids.tolist()
    assert logprobs.tolist() == same_logprobs.tolist()


def test_inverse_cdf_leaves_its_input_alone() -> None:
    logits = torch.randn(2, 10, generator=torch.Generator().manual_seed(0))
    before = logits.clone()
    sample_inverse_cdf(logits, uniforms(0.2, 0.9))
    assert torch.equal(logits, before)


@pytest.mark.parametrize("vocab", [20, 700])
def test_frequencies_pass_a_chi_square_test(vocab: int) -> None:
    logits = torch.randn(vocab, generator=torch.Generator().manual_seed(1))
    draws = 100_000
    noise = torch.from_numpy(row_uniforms(0, 0, draws))
    ids = torch.cat(
        [sample_inverse_cdf(logits.expand(1000, -1), part)[0] for part in noise.split(1000)]
    )
    expected = logits.double().softmax(dim=-1) * draws
    observed = ids.bincount(minlength=vocab)
    statistic = float(((observed - expected) ** 2 / expected).sum())
    degrees = vocab - 1
    assert abs(statistic - degrees) < 4 * math.sqrt(2 * degrees)


@given(
    st.lists(st.booleans(), min_size=1, max_size=600).filter(any),
    st.floats(0, BELOW_ONE),
    st.integers(0, 2**32),
)
def test_a_token_of_probability_zero_is_never_drawn(
    possible: list[bool], point: float, seed: int
) -> None:
    keep = torch.tensor(possible)
    logits = torch.randn(len(keep), generator=torch.Generator().manual_seed(seed)) * 20
    logits = logits.masked_fill(~keep, -torch.inf)[None].expand(3, -1)
    ids, logprobs = sample_inverse_cdf(logits, uniforms(0.0, point, BELOW_ONE))
    assert bool(keep[ids].all())
    assert bool(logprobs.isfinite().all())


def test_logits_that_are_not_numbers_give_a_logprob_that_is_not_one() -> None:
    for bad in (torch.nan, torch.inf):
        logits = torch.tensor([[0.0, bad, 1.0], [0.0, 1.0, 2.0]])
        _, logprobs = sample_inverse_cdf(logits, uniforms(0.5, 0.5))
        assert logprobs.isfinite().tolist() == [False, True]


def kept(logits: Tensor, top_k: int, top_p: float) -> list[int]:
    out = keep_top(logits[None], torch.tensor([top_k]), torch.tensor([top_p]))[0]
    survivors = out.isfinite().nonzero().flatten()
    assert torch.equal(out[survivors], logits[survivors].float())
    return survivors.tolist()


def test_keep_top_closed_forms() -> None:
    logits = torch.tensor([0.1, 0.4, 0.2, 0.3]).log()
    assert kept(logits, 0, 1.0) == [0, 1, 2, 3]
    assert kept(logits, 2, 1.0) == [1, 3]
    assert kept(logits, 9, 1.0) == [0, 1, 2, 3]
    assert kept(logits, 0, 0.39) == [1]
    assert kept(logits, 0, 0.41) == [1, 3]
    assert kept(logits, 0, 0.69) == [1, 3]
    assert kept(logits, 0, 0.71) == [1, 2, 3]
    assert kept(logits, 0, 1e-9) == [1]
    # After top-k the two survivors have 4/7 and 3/7.
    assert kept(logits, 2, 0.57) == [1]
    assert kept(logits, 2, 0.58) == [1, 3]


def test_keep_top_breaks_ties_by_token_id() -> None:
    assert kept(torch.zeros(6), 2, 1.0) == [0, 1]
    assert kept(torch.zeros(6).bfloat16(), 0, 0.45) == [0, 1, 2]


@pytest.mark.parametrize("scale", [0.5, 4.0])
def test_keep_top_of_a_large_vocabulary_is_what_sorting_gives(scale: float) -> None:
    """Flat and peaked logits with ties: nuclei beyond and within the first thousand."""
    settings = [(0, 0.9), (50, 1.0), (1500, 0.5), (1500, 1.0), (0, 1.0), (9000, 0.99), (1, 0.1)]
    generator = torch.Generator().manual_seed(0)
    logits = (torch.randn(len(settings), 5000, generator=generator) * scale).bfloat16()
    top_k, top_p = (torch.tensor(column) for column in zip(*settings, strict=True))
    together = keep_top(logits, top_k, top_p).isfinite()
    for row, (k, p) in enumerate(settings):
        ranked, ids = logits[row].double().sort(descending=True, stable=True)
        ranked = ranked[: k or None]
        before = ranked.softmax(-1).cumsum(-1) - ranked.softmax(-1)
        expected = ids[: len(ranked)][before < p] if p < 1 else ids[: len(ranked)]
        assert together[row].nonzero().flatten().tolist() == expected.sort().values.tolist()
        alone = keep_top(logits[[row]], top_k[[row]], top_p[[row]])[0].isfinite()
        assert torch.equal(alone, together[row])


def test_rows_with_different_parameters_are_drawn_as_if_alone() -> None:
    parameters = [
        SamplingParameters(temperature=temperature, top_k=top_k, top_p=top_p, max_tokens=5)
        for temperature, top_k, top_p in [
            (0.0, 3, 0.5), (1.0, 0, 1.0), (0.7, 0, 1.0), (1.5, 5, 1.0), (1.0, 0, 0.6), (2.0, 9, 0.8)
        ]
    ]  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(len(parameters), 300, generator=generator)
    noise = torch.rand(len(parameters), 5, generator=generator, dtype=torch.float64)
    together = RowSampling(parameters, noise)
    ids, logprobs = together.draw(logits, 3)
    for row, alone in enumerate(parameters):
        one = RowSampling([alone], noise[[row]]).draw(logits[[row]], 3)
        assert (ids[row], logprobs[row]) == one
        assert (ids[row], logprobs[row]) == together.select([row]).draw(logits[[row]], 3)
        if alone.temperature == 0:
            assert ids[row] == logits[row].argmax()
            assert logprobs[row] == 0
            continue
        warped = logits[[row]] / alone.temperature
        warped = keep_top(warped, torch.tensor([alone.top_k]), torch.tensor([alone.top_p]))
        torch.testing.assert_close(logprobs[row], warped[0].log_softmax(dim=-1)[ids[row]])


def test_greedy_rows_report_logits_that_are_not_numbers() -> None:
    greedy = SamplingParameters(temperature=0, max_tokens=1)
    noise = torch.zeros(2, 1, dtype=torch.float64)
    logits = torch.tensor([[1.0, 2.0], [torch.nan, 2.0]])
    _, logprobs = RowSampling([greedy, greedy], noise).draw(logits, 0)
    assert logprobs.isfinite().tolist() == [True, False]
