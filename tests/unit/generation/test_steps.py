import torch
from transformers import PreTrainedModel

from heedful.generation.decoder import Decoder
from heedful.generation.static_cache import BLOCK
from heedful.generation.steps import Steps


def test_steps_are_the_decoders_own_and_make_room(model: PreTrainedModel) -> None:
    decoder = Decoder.of(model)
    assert decoder is not None
    caches = [decoder.new_cache() for _ in range(2)]
    for cache in caches:
        cache.reserve(2, 4)
        decoder.prefill([[5, 6, 7], [8]], cache, torch.arange(2))
    steps = Steps(decoder, caches[0], longest=80)
    generator = torch.Generator().manual_seed(0)
    for _ in range(BLOCK):  # past the first block
        ids = torch.randint(2, 256, (2,), generator=generator)
        assert torch.equal(steps(ids), decoder.step(ids, caches[1]))
    assert caches[0].lengths.tolist() == [3 + BLOCK, 1 + BLOCK]
    assert caches[0].capacity == 2 * BLOCK
