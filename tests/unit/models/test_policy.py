import pytest
import torch
from torch import nn

from fakes.tiny_models import CONFIGS, SCALED, build_model
from heedful.core.errors import ModelError
from heedful.models.policy import (
    completion_logprobs,
    completion_positions,
    hidden_states,
    keeps_packed_apart,
    require_known_head,
)

EVERY = sorted(CONFIGS)


def rows(*lengths: tuple[int, int], pad: int = 7) -> tuple[torch.Tensor, ...]:
    """Random rows of these (prompt, completion) lengths, padded on the right."""
    generator = torch.Generator().manual_seed(1)
    width = max(map(sum, lengths))
    ids = torch.full((len(lengths), width), pad)
    for row, (prompt, completion) in enumerate(lengths):
        size = prompt + completion
        ids[row, :size] = torch.randint(10, 300, (size,), generator=generator)
    prompts, completions = torch.tensor(lengths).T
    return ids, prompts, completions


def test_positions_of_completion_tokens():
    positions, mask = completion_positions(torch.tensor([2, 5]), torch.tensor([3, 1]), 3)
    assert positions.tolist() == [[2, 3, 4], [5, 1, 1]]
    assert mask.tolist() == [[True, True, True], [True, False, False]]


@pytest.mark.parametrize("architecture", EVERY)
def test_logprobs_are_those_of_a_plain_log_softmax(architecture: str):
    model = build_model(architecture)
    ids, prompts, completions = rows((3, 6), (5, 4))
    found = completion_logprobs(model, ids, prompts, completions, with_entropy=True)
    reference = model(input_ids=ids).logits.log_softmax(-1)
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        for column in range(int(completion)):
            place = int(prompt) + column
            expected = reference[row, place - 1, ids[row, place]]
            torch.testing.assert_close(found.logprobs[row, column], expected)
    assert found.mask.sum() == completions.sum()
    assert found.entropy is not None
    assert (found.logprobs[~found.mask] == 0).all()
    assert (found.entropy[~found.mask] == 0).all()


@pytest.mark.parametrize("architecture", EVERY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_right_padding_changes_nothing(architecture: str, dtype: torch.dtype):
    model = build_model(architecture).to(dtype)
    ids, prompts, completions = rows((4, 12), (3, 5), (1, 2))
    together = completion_logprobs(model, ids, prompts, completions).logprobs
    tolerance = 1e-5 if dtype == torch.float32 else 0.2
    for row in range(len(ids)):
        size = int(prompts[row] + completions[row])
        one = slice(row, row + 1)
        alone = completion_logprobs(model, ids[one, :size], prompts[one], completions[one])
        count = int(completions[row])
        torch.testing.assert_close(
            together[row, :count], alone.logprobs[0], rtol=tolerance, atol=tolerance
        )
    other_pad, _, _ = rows((4, 12), (3, 5), (1, 2), pad=8)
    again = completion_logprobs(model, other_pad, prompts, completions).logprobs
    assert torch.equal(together, again)


@pytest.mark.parametrize("architecture", EVERY)
def test_packed_sequences_do_not_see_each_other(architecture: str):
    model = build_model(architecture)
    assert keeps_packed_apart(model)
    ids, _, _ = rows((1, 11), (1, 4), (1, 7))
    pieces = [ids[0, :12], ids[1, :5], ids[2, :8]]
    positions = torch.cat([torch.arange(len(piece)) for piece in pieces])[None]
    packed = hidden_states(model, torch.cat(pieces)[None], positions)[0]
    alone = torch.cat([hidden_states(model, piece[None])[0] for piece in pieces])
    torch.testing.assert_close(packed, alone, rtol=1e-4, atol=1e-5)


def test_a_fixed_number_of_columns():
    model = build_model()
    ids, prompts, completions = rows((3, 6), (5, 4))
    wide = completion_logprobs(model, ids, prompts, completions, num_columns=9)
    assert wide.logprobs.shape == (2, 9)
    narrow = completion_logprobs(model, ids, prompts, completions)
    assert torch.equal(wide.logprobs[:, :6], narrow.logprobs)


def test_temperature_belongs_to_the_distribution():
    model = build_model()
    ids, prompts, completions = rows((3, 6))
    found = completion_logprobs(model, ids, prompts, completions, temperature=0.5)
    reference = (model(input_ids=ids).logits[0, 2:8] / 0.5).log_softmax(-1)
    expected = reference.gather(-1, ids[0, 3:9, None])[:, 0]
    torch.testing.assert_close(found.logprobs[0], expected)


@pytest.mark.parametrize("architecture", [*EVERY, *SCALED])
def test_known_heads_pass(architecture: str):
    require_known_head(build_model(architecture))


def test_an_unknown_scaling_of_the_logits_is_refused():
    model = build_model()

    class Doubled(type(model)):  # type: ignore[misc]
        def forward(self, *args, **kwargs):
            output = super().forward(*args, **kwargs)
            output.logits = output.logits * 2
            return output

    model.__class__ = Doubled
    with pytest.raises(ModelError, match="Doubled scales its logits"):
        require_known_head(model)


def test_a_model_without_packing_is_told():
    class Running(nn.Module):
        """Each state is the sum of all before it, whatever the positions say."""

        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(20, 4)
            self.base_model = lambda input_ids, **_: type(
                "Output", (), {"last_hidden_state": self.embedding(input_ids).cumsum(1)}
            )
            self.config = type("Config", (), {"vocab_size": 20})

        def get_input_embeddings(self) -> nn.Module:
            return self.embedding

    assert not keeps_packed_apart(Running())
