import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from fakes.tiny_models import build_model, build_model_dir
from heedful.core.errors import ModelError
from heedful.models.folders import ModelFolder
from heedful.models.loading import (
    load_causal_lm,
    num_matrix_parameters,
    set_dropout,
    trunk_of,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return ModelFolder("tiny", build_model_dir(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture
def broken(folder: ModelFolder, tmp_path: Path) -> ModelFolder:
    return ModelFolder("broken", Path(shutil.copytree(folder.path, tmp_path / "broken")))


class TestLoad:
    def test_is_float32_and_evaluates(self, folder: ModelFolder):
        model = load_causal_lm(folder, pad_id=0)
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        assert not model.training

    def test_the_end_token_learns_though_the_model_pads_with_it(self, folder: ModelFolder):
        config = json.loads((folder.path / "config.json").read_text())
        assert config["pad_token_id"] == config["eos_token_id"]
        model = load_causal_lm(folder, pad_id=0)
        ids = torch.tensor([[5, config["eos_token_id"], 6]])
        model(input_ids=ids).logits[0, -1].sum().backward()
        grad = model.get_input_embeddings().weight.grad
        assert grad[config["eos_token_id"]].abs().sum() > 0
        assert model.config.pad_token_id == 0

    def test_a_missing_weight_is_no_noise(self, broken: ModelFolder):
        file = broken.path / "model.safetensors"
        weights = load_file(file)
        del weights["lm_head.weight"]
        save_file(weights, file, metadata={"format": "pt"})
        with pytest.raises(ModelError, match=r"1 of the model's weights .* lm_head\.weight"):
            load_causal_lm(broken, pad_id=0)

    def test_a_weight_of_another_shape(self, broken: ModelFolder):
        file = broken.path / "model.safetensors"
        weights = load_file(file)
        weights["lm_head.weight"] = weights["lm_head.weight"][:7].contiguous()
        save_file(weights, file, metadata={"format": "pt"})
        with pytest.raises(ModelError, match="broken: cannot be loaded"):
            load_causal_lm(broken, pad_id=0)

    @pytest.mark.parametrize("damage", ["truncated", "absent", "unknown"])
    def test_what_cannot_be_read(self, broken: ModelFolder, damage: str):
        file = broken.path / "model.safetensors"
        if damage == "truncated":
            file.write_bytes(file.read_bytes()[:100])
        elif damage == "absent":
            file.unlink()
        else:
            (broken.path / "config.json").write_text('{"model_type": "nonsense"}')
        with pytest.raises(ModelError, match="broken: cannot be loaded"):
            load_causal_lm(broken, pad_id=0)

    def test_odd_generation_settings_do_not_stop_a_later_save(
        self, broken: ModelFolder, tmp_path: Path
    ):
        # Many published models carry these; transformers refuses to save them once changed.
        settings = {"do_sample": False, "temperature": 0.6, "pad_token_id": 2}
        (broken.path / "generation_config.json").write_text(json.dumps(settings))
        load_causal_lm(broken, pad_id=0).save_pretrained(tmp_path / "saved")


def dropout_layers(model: nn.Module) -> dict[str, float]:
    return {
        name: module.p for name, module in model.named_modules() if isinstance(module, nn.Dropout)
    }


class TestDropout:
    def test_gpt2_drops_embeddings_and_residuals_but_no_attention(self):
        model = build_model("gpt2")
        set_dropout(model, 0.2)
        layers = dropout_layers(model)
        assert {name for name, p in layers.items() if p == 0.2} == {
            "transformer.drop",
            *(f"transformer.h.{n}.attn.resid_dropout" for n in range(2)),
            *(f"transformer.h.{n}.mlp.dropout" for n in range(2)),
        }
        assert {p for name, p in layers.items() if "attn_dropout" in name} == {0.0}
        ids = torch.arange(3, 9)[None]
        model.train()
        assert not torch.equal(model(input_ids=ids).logits, model(input_ids=ids).logits)

    def test_none_is_none(self, tmp_path: Path):
        own = {"attention_dropout": 0.5, "hidden_dropout": 0.5}
        folder = ModelFolder("neox", build_model_dir(tmp_path, "gpt_neox", **own))
        model = load_causal_lm(folder, pad_id=0).train()
        ids = torch.arange(3, 9)[None]
        assert torch.equal(model(input_ids=ids).logits, model(input_ids=ids).logits)

    def test_gpt_neox_drops_residuals_only(self):
        model = build_model("gpt_neox", attention_dropout=0.5)
        set_dropout(model, 0.1)
        assert set(dropout_layers(model).values()) == {0.1}
        assert model.gpt_neox.layers[0].attention.attention_dropout == 0.0

    def test_an_architecture_without_is_refused(self):
        model = build_model("llama")
        with pytest.raises(ModelError, match=r"sft.dropout = 0.2: LlamaForCausalLM has no"):
            set_dropout(model, 0.2)
        set_dropout(model, 0.0)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox", "gemma3"])
def test_the_trunk_is_what_the_head_reads(architecture: str):
    model = build_model(architecture)
    ids = torch.arange(3, 9)[None]
    states = trunk_of(model)(input_ids=ids).last_hidden_state
    torch.testing.assert_close(model.get_output_embeddings()(states), model(input_ids=ids).logits)


@pytest.mark.parametrize("tied", [False, True])
def test_matrix_parameters_leave_lookups_out(tied: bool):
    model = build_model(tie_word_embeddings=tied)
    vocabulary = 320 * 32
    matrices = 2 * (32 * 32 + 2 * 32 * 16 + 32 * 32 + 3 * 32 * 64)
    assert num_matrix_parameters(model) == matrices + vocabulary
    assert num_matrix_parameters(trunk_of(model)) == matrices
