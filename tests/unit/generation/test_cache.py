import torch
from transformers import Gemma3TextConfig, LlamaConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from heedful.generation.cache import RoomyLayer, new_cache


def test_roomy_layer_holds_what_the_dynamic_layer_holds() -> None:
    roomy, plain = RoomyLayer(), DynamicLayer()
    generator = torch.Generator().manual_seed(0)
    rows = torch.arange(3)
    selections = {0: [0, 0, 1, 2], 63: [3, 1, 2], 64: [2, 1], 100: [1, 0]}
    for step in range(160):  # past the room twice
        size = (len(rows), 2, 5 if step == 0 else 1, 4)
        keys, values = (torch.randn(size, generator=generator) for _ in range(2))
        assert roomy.get_mask_sizes(size[2]) == plain.get_mask_sizes(size[2])
        for ours, theirs in zip(
            roomy.update(keys, values), plain.update(keys, values), strict=True
        ):
            assert torch.equal(ours, theirs)
        if step in selections:
            rows = torch.tensor(selections[step])
            roomy.batch_select_indices(rows)
            plain.batch_select_indices(rows)
        assert roomy.get_seq_length() == plain.get_seq_length()


def test_sliding_layers_stay_transformers_own() -> None:
    layer_types = ["sliding_attention", "full_attention"]
    config = Gemma3TextConfig(num_hidden_layers=2, sliding_window=8, layer_types=layer_types)
    assert [type(layer) for layer in new_cache(config).layers] == [
        DynamicSlidingWindowLayer,
        RoomyLayer,
    ]
    config = LlamaConfig(num_hidden_layers=2)
    assert [type(layer) for layer in new_cache(config).layers] == [RoomyLayer] * 2
