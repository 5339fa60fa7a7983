from typing import Any

import pytest
import torch

from fakes.tiny_models import build_model
from heedful.models.fused import use_fused_blocks
from heedful.models.kv_cache import KEYWORDS, cache_keyword, given_cache


def test_a_function_is_asked_for_the_name_it_uses() -> None:
    def new(cache: Any = None, past_key_values: Any = None) -> None: ...

    def old(past_key_values: Any = None) -> None: ...

    def stateless(states: Any) -> None: ...

    assert [cache_keyword(one) for one in (new, old, stateless)] == [*KEYWORDS, None]


@pytest.mark.parametrize("name", KEYWORDS)
def test_a_cache_is_found_under_either_name(name: str) -> None:
    others = dict.fromkeys(KEYWORDS)
    assert given_cache(others) is None
    assert given_cache({"use_cache": True}) is None
    assert given_cache({**others, name: "keys"}) == "keys"


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3", "gemma", "gemma3"])
def test_fused_attention_reads_and_writes_the_models_cache(family: str) -> None:
    model: Any = build_model(family).eval()
    use_fused_blocks(model)
    name = cache_keyword(model.forward)
    assert name is not None
    ids = torch.arange(2, 26).view(2, 12)
    with torch.no_grad():
        whole = model(input_ids=ids, use_cache=False).logits[:, -1]
        cache = model(input_ids=ids[:, :-1], use_cache=True)[name]
        assert cache.get_seq_length() == 11
        step = model(input_ids=ids[:, -1:], use_cache=True, **{name: cache}).logits[:, -1]
    torch.testing.assert_close(step, whole, rtol=1e-4, atol=1e-4)
