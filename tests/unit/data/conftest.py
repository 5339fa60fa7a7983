"""A small byte-level tokenizer with control tokens and a chat template, as files on disk."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from heedful.core.records import Prompt, text_hash
from heedful.data.tokenizer import TextTokenizer

CONTROLS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# The shape of SmolLM2's: a default system message, roles on their own line.
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CORPUS = ["the user asks the assistant a question", "Instruction: say\nText: more\nAnswer: yes"]


def build_tokenizer_dir(path: Path, **config: object) -> Path:
    """Write a trained byte-level BPE tokenizer to `path`; `config` overrides its settings."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=[AddedToken(name, special=True) for name in CONTROLS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS * 4, trainer)
    path.mkdir(parents=True, exist_ok=True)
    backend.save(str(path / "tokenizer.json"))
    settings: dict[str, object] = {
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|im_end|>",
        "unk_token": "<|endoftext|>",
        "chat_template": TEMPLATE,
    }
    settings |= config
    kept = {key: value for key, value in settings.items() if value is not None}
    (path / "tokenizer_config.json").write_text(json.dumps(kept))
    return path


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
