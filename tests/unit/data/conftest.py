"""A small byte-level tokenizer from files on disk, and prompts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.tokenizer_folder import build_tokenizer_dir
from heedful.core.records import Prompt, text_hash
from heedful.data.tokenizer import TextTokenizer


@pytest.fixture(scope="session")
def tokenizer_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tokenizer_dir(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def tokenizer(tokenizer_dir: Path) -> TextTokenizer:
    return TextTokenizer.from_dir(tokenizer_dir)


@pytest.fixture(scope="session")
def make_tokenizer_dir() -> Callable[..., Path]:
    return build_tokenizer_dir


@pytest.fixture(scope="session")
def make_prompt() -> Callable[..., Prompt]:
    def make(instruction: str, **fields: object) -> Prompt:
        texts = {key: fields[key] for key in ("context", "examples", "turns") if key in fields}
        defaults: dict[str, object] = {
            "id": "prompt-1",
            "text_hash": text_hash(instruction, **texts),  # type: ignore[arg-type]
            "source": "test",
            "user_id": "user-1",
            "consent": True,
        }
        return Prompt.model_validate({"instruction": instruction, **defaults, **fields})

    return make
