"""The engine on a GPU: captured steps are the eager ones, and tokens are the CPU's."""

from collections.abc import Sequence

import pytest
import torch

from fakes.tiny_models import build_model
from heedful.core.protocols import GenerationRequest
from heedful.core.records import SamplingParameters
from heedful.generation.decoder import Decoder
from heedful.generation.native import NativeEngine
from heedful.generation.static_cache import GPU_BLOCK
from heedful.generation.steps import Steps

pytestmark = pytest.mark.gpu
ARCHITECTURES = ["llama", "qwen2", "gpt2", "gpt_neox", "gemma3"]


def decode(ids: Sequence[int]) -> str:
    return str(list(ids))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_captured_steps_are_the_eager_ones(architecture: str) -> None:
    """Over a block's end, a row that is set back, and weights that change in between."""
    model = build_model(architecture).cuda()
    decoder = Decoder.of(model)
    assert decoder is not None
    device = torch.device("cuda")
    caches = [decoder.new_cache() for _ in range(2)]
    for cache in caches:
        cache.reserve(3, 4)
        decoder.prefill([[5, 6, 7], [8], [9, 10]], cache, torch.arange(3, device=device))
    captured = Steps(decoder, caches[0], longest=100)
    for number in range(GPU_BLOCK + 8):
        if number == 20:
            for cache in caches:
                cache.lengths[1] = 1
        if number == 40:
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.mul_(0.9)
            decoder.refresh(3)
        ids = torch.tensor([2 + number % 7, 3, 4 + number % 5], device=device)
        expected = decoder.step(ids, caches[1])
        torch.testing.assert_close(captured(ids), expected, atol=1e-4, rtol=1e-4)
        assert torch.equal(caches[0].lengths, caches[1].lengths)
        assert caches[0].width == caches[1].width


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("temperature", [0.0, 0.9])
@pytest.mark.parametrize("shared", [0, 30])
def test_tokens_are_the_cpus(architecture: str, temperature: float, shared: int) -> None:
    """Also where all prompts have a beginning that is read once."""
    generator = torch.Generator().manual_seed(0)
    beginning = list(range(2, 2 + shared))
    asked = [
        GenerationRequest(
            prompt_ids=beginning
            + torch.randint(2, 200, (4 + 3 * number,), generator=generator).tolist(),
            sampling=SamplingParameters(max_tokens=20 + number, temperature=temperature),
            num_completions=1 + number % 3,
            seed=number,
        )
        for number in range(12)
    ]
    found = []
    for device in ("cpu", "cuda"):
        model = build_model(architecture).to(device)
        engine = NativeEngine(model, eos_ids=(0,), decode=decode, max_batch_size=8)
        found.append([[g.token_ids for g in row] for row in engine.generate(asked)])
    assert found[0] == found[1]
