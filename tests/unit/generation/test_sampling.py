import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fakes.warping import keep_top_dense
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


@pytest.mark.parametrize("temperature", [0.3, 1.7])
def test_temperature_divides_the_logits(temperature: float) -> None:
    logits = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0)).bfloat16()
    noise = torch.linspace(0, BELOW_ONE, 4, dtype=torch.float64)
    ids, logprobs = sample_inverse_cdf(logits, noise, torch.full((4,), temperature))
    same_ids, same_logprobs = sample_inverse_cdf(logits.float() / temperature, noise)
    assert ids.tolist() == same_ids.tolist()
    assert logprobs.tolist() == same_logprobs.tolist()


@given(
    st.lists(st.floats(-15, 15), min_size=1, max_size=40),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.integers(0, 6),
    st.sampled_from([0.3, 0.9, 1.0]),
    st.integers(0, 2**32),
)
def test_draws_and_their_logprobs_are_those_of_the_exact_probabilities(
    values: list[float], temperature: float, top_k: int, top_p: float, seed: int
) -> None:
    """A chi-square test over the tokens that are expected often enough."""
    draws = 2000
    parameters = SamplingParameters(temperature=temperature, top_k=top_k, top_p=top_p, max_tokens=1)
    logits = torch.tensor(values).repeat(draws, 1)
    noise = torch.from_numpy(row_uniforms(seed, 0, draws))[:, None]
    ids, logprobs = RowSampling([parameters] * draws, noise).draw(logits)
    exact = keep_top_dense(logits[:1].double() / temperature, [top_k], [top_p]).log_softmax(-1)[0]
    torch.testing.assert_close(logprobs.double(), exact[ids], atol=2e-6, rtol=0)
    expected, observed = exact.exp() * draws, ids.bincount(minlength=len(values))
    often = expected >= 5
    rest = (draws - expected[often].sum()).clamp_min(1)
    missed = (draws - observed[often].sum() - (draws - expected[often].sum())) ** 2 / rest
    statistic = float(((observed - expected) ** 2 / expected)[often].sum() + missed)
    degrees = int(often.sum())
    assert statistic < degrees + 6 * math.sqrt(2 * degrees) + 6


def test_logits_that_are_not_numbers_give_a_logprob_that_is_not_one() -> None:
    for bad in (torch.nan, torch.inf):
        logits = torch.tensor([[0.0, bad, 1.0], [0.0, 1.0, 2.0]])
        _, logprobs = sample_inverse_cdf(logits, uniforms(0.5, 0.5))
        assert logprobs.isfinite().tolist() == [False, True]


def kept(logits: Tensor, top_k: int, top_p: float) -> list[int]:
    values, ids, _ = keep_top(
        logits[None],
        torch.ones(1),
        torch.tensor([top_k]),
        torch.tensor([top_p]),
        len(logits),
    )
    survivors = ids[0, values[0].isfinite()]
    assert torch.equal(logits[survivors].float(), values[values.isfinite()])
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
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_keep_top_of_a_large_vocabulary_is_what_sorting_gives(
    scale: float, dtype: torch.dtype
) -> None:
    """Flat and peaked logits with ties: nuclei within the first hundred, thousand, beyond."""
    settings = [(0, 0.9), (50, 1.0), (1500, 0.5), (1500, 1.0), (0, 1.0), (9000, 0.99), (1, 0.1)]
    generator = torch.Generator().manual_seed(0)
    logits = (torch.randn(len(settings), 5000, generator=generator) * scale).to(dtype)
    temperature = torch.tensor([1.0, 0.5, 1.0, 2.0, 1.0, 1.0, 0.7])
    top_k, top_p = (list(column) for column in zip(*settings, strict=True))
    exact = keep_top_dense(logits / temperature[:, None], top_k, top_p)
    found: set[int] = set()
    for num_ranked in (60, 1600, 4000, 5000):
        values, ids, whole = keep_top(
            logits, temperature, torch.tensor(top_k), torch.tensor(top_p), num_ranked
        )
        assert bool((ids.diff(dim=-1) > 0).all())
        dense = torch.full((len(settings), 5000), -torch.inf).scatter(1, ids, values)
        assert torch.equal(dense[whole], exact[whole])
        assert found <= set(whole.nonzero().flatten().tolist())
        found |= set(whole.nonzero().flatten().tolist())
        assert num_ranked != 60 or {1, 6} <= found
        assert num_ranked != 4000 or {1, 2, 3, 6} <= found
    assert found == set(range(len(settings)))


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
    together.draw(logits)
    ids, logprobs = together.select(range(len(parameters))).draw(logits)
    for row, alone in enumerate(parameters):
        one = RowSampling([alone], noise[[row], 1:]).draw(logits[[row]])
        assert (ids[row], logprobs[row]) == one
        assert (ids[row], logprobs[row]) == together.select([row]).draw(logits[[row]])
        if alone.temperature == 0:
            assert ids[row] == logits[row].argmax()
            assert logprobs[row] == 0
            continue
        warped = keep_top_dense(logits[[row]] / alone.temperature, [alone.top_k], [alone.top_p])
        torch.testing.assert_close(logprobs[row], warped[0].log_softmax(dim=-1)[ids[row]])


def test_a_replaced_row_starts_with_its_own_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 300, generator=generator)
    noise = torch.rand(4, 6, generator=generator, dtype=torch.float64)
    parameters = [SamplingParameters(temperature=t, max_tokens=6) for t in (1.0, 0.0, 0.5, 2.0)]
    rows = RowSampling(parameters[:3], noise[:3])
    rows.draw(logits)
    rows.replace([1], RowSampling(parameters[3:], noise[3:]))
    ids, logprobs = rows.draw(logits)
    for row, (number, step) in enumerate([(0, 1), (3, 0), (2, 1)]):
        alone = RowSampling([parameters[number]], noise[[number], step:])
        assert (ids[row], logprobs[row]) == alone.draw(logits[[row]])


def test_greedy_rows_report_logits_that_are_not_numbers() -> None:
    greedy = SamplingParameters(temperature=0, max_tokens=1)
    noise = torch.zeros(2, 1, dtype=torch.float64)
    logits = torch.tensor([[1.0, 2.0], [torch.nan, 2.0]])
    _, logprobs = RowSampling([greedy, greedy], noise).draw(logits)
    assert logprobs.isfinite().tolist() == [True, False]
