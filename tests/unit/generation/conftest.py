"""Tiny random models of several architectures whose tokens are bytes."""

from collections.abc import Callable, Sequence

import pytest
from transformers import PreTrainedModel

from fakes.tiny_models import CONFIGS, build_model

EOS, PAD, CONTEXT = 0, 1, 96


def _build(architecture: str) -> PreTrainedModel:
    return build_model(
        architecture,
        vocab_size=256,
        max_position_embeddings=CONTEXT,
        eos_token_id=EOS,
        pad_token_id=PAD,
    )


@pytest.fixture(params=sorted(CONFIGS))
def any_model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return _build(request.param)


@pytest.fixture
def model() -> PreTrainedModel:
    return _build("llama")


@pytest.fixture
def gpt2() -> PreTrainedModel:
    return _build("gpt2")


@pytest.fixture
def decode() -> Callable[[Sequence[int]], str]:
    """Token n is the byte n."""
    return lambda token_ids: bytes(token_ids).decode("utf-8", errors="replace")
