import json
from pathlib import Path

import pytest

from fakes.tiny_models import CONFIGS, SCALED, build_model_dir
from heedful.core.errors import ModelError
from heedful.models.adapters import add_lora
from heedful.models.folders import find_model
from heedful.models.loading import load_causal_lm, num_matrix_parameters
from heedful.models.shape import read_shape

ARCHITECTURES = sorted(CONFIGS | SCALED)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_sizes_are_those_of_the_loaded_model(architecture: str, tied: bool, tmp_path: Path) -> None:
    folder = build_model_dir(tmp_path / "model", architecture, tie_word_embeddings=tied)
    shape = read_shape(str(folder))
    assert shape is not None
    model = load_causal_lm(find_model(str(folder)), pad_id=0)
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    assert shape.matrix_parameters == num_matrix_parameters(model)
    layers = [part for name, part in model.named_parameters() if ".1." in name]
    assert shape.block_parameters == 2 * sum(part.numel() for part in layers)
    assert (shape.layers, shape.hidden) == (2, 32)
    assert shape.vocabulary == model.config.vocab_size


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_adapters_train_what_the_sizes_say(architecture: str, tmp_path: Path) -> None:
    folder = build_model_dir(tmp_path / "model", architecture)
    shape = read_shape(str(folder))
    assert shape is not None
    model = load_causal_lm(find_model(str(folder)), pad_id=0)
    add_lora(model, rank=3, alpha=6, seed=0)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained == 3 * shape.linear_sizes


def test_keys_and_values_of_heads_that_share(tmp_path: Path) -> None:
    shape = read_shape(str(build_model_dir(tmp_path / "model")))
    assert shape is not None
    assert shape.key_value_width == 2 * 2 * 8


def test_the_embedding_of_a_reward_model_is_only_looked_up(reward_folder: Path) -> None:
    shape = read_shape(str(reward_folder))
    assert shape is not None
    lookups = shape.vocabulary * shape.hidden
    assert shape.matrix_parameters < shape.parameters - lookups + 1


@pytest.fixture
def reward_folder(tmp_path: Path) -> Path:
    """A folder whose weights are a tied model's trunk beside a scalar head."""
    folder = build_model_dir(tmp_path / "model", tie_word_embeddings=True)
    header = json.dumps(
        {
            "head.weight": {"dtype": "F32", "shape": [1, 32], "data_offsets": [0, 128]},
            "offset": {"dtype": "F32", "shape": [], "data_offsets": [128, 132]},
        }
    ).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(132)
    (folder / "scalar.safetensors").write_bytes(content)
    return folder


@pytest.mark.parametrize("name", ["owner/model", "no-such-model", "smollm2-135m-instruct"])
def test_a_model_that_is_not_here_has_no_shape(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEEDFUL_CACHE", str(tmp_path))
    assert read_shape(name) is None


def test_a_configuration_without_a_size_is_named(tmp_path: Path) -> None:
    folder = build_model_dir(tmp_path / "model")
    (folder / "config.json").write_text('{"hidden_size": 32}')
    with pytest.raises(ModelError, match="num_hidden_layers"):
        read_shape(str(folder))
