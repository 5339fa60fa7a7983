import json
from functools import partial
from pathlib import Path

import pytest
import torch

from fakes.tiny_models import build_model, build_model_dir
from fakes.token_pairs import batch_of
from heedful.core.errors import CheckpointError, ModelError
from heedful.core.records import Checkpoint
from heedful.core.settings import FormatSettings
from heedful.models.adapters import add_lora, merged_state_dict
from heedful.models.checkpoint import (
    copy_tokenizer,
    load_scalar,
    load_state,
    read_checkpoint,
    read_format,
    require_kind,
    save_policy,
    save_scalar,
    save_state,
)
from heedful.models.folders import ModelFolder, find_model
from heedful.models.loading import load_causal_lm
from heedful.models.precision import MasterWeights
from heedful.models.scalar import ScalarModel

IDS = torch.arange(3, 12)[None]
LENGTHS = torch.tensor([9])
FORMAT = FormatSettings(template="plain", max_prompt_tokens=64)


def card(kind: str = "sft") -> Checkpoint:
    return Checkpoint(
        id=f"{kind}-1",
        kind=kind,  # type: ignore[arg-type]
        step=3,
        base_model="tiny",
        config_hash="c",
        tokenizer_hash="t",
        format_version="plain-1",
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model_dir(tmp_path_factory.mktemp("models") / "tiny")


def save(path: Path, base: Path, dtype: torch.dtype = torch.float32, **shape: object) -> Checkpoint:
    model = build_model(**shape)  # type: ignore[arg-type]
    weights = MasterWeights(model, dtype).full_state_dict()
    return save_policy(
        path,
        model,
        weights,
        card=card(),
        format_settings=FORMAT,
        save_tokenizer=partial(copy_tokenizer, base),
    )


@pytest.fixture
def saved(base: Path, tmp_path: Path) -> Path:
    save(tmp_path / "checkpoint", base)
    return tmp_path / "checkpoint"


class TestPolicy:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    @pytest.mark.parametrize("tied", [False, True])
    def test_comes_back_exactly(self, base: Path, tmp_path: Path, dtype: torch.dtype, tied: bool):
        path = tmp_path / "checkpoint"
        found = save(path, base, dtype, tie_word_embeddings=tied)
        loaded = load_causal_lm(ModelFolder("x", path), pad_id=0)
        original = build_model(tie_word_embeddings=tied)
        for name, tensor in original.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], tensor), name
        assert read_checkpoint(path) == found
        assert read_format(path) == FORMAT
        assert found.files.keys() >= {"model.safetensors", "config.json", "tokenizer.json"}
        assert json.loads((path / "config.json").read_text())["dtype"] == "float32"

    def test_with_adapters_is_a_plain_model(self, base: Path, tmp_path: Path):
        model = build_model()
        add_lora(model, rank=2, alpha=4.0, seed=0)
        weights = MasterWeights(model, torch.bfloat16)
        merged = merged_state_dict(model, weights.full_state_dict())
        path = tmp_path / "checkpoint"
        save_policy(
            path,
            model,
            merged,
            card=card(),
            format_settings=FORMAT,
            save_tokenizer=partial(copy_tokenizer, base),
        )
        loaded = load_causal_lm(ModelFolder("x", path), pad_id=0)
        assert loaded.state_dict().keys() == build_model().state_dict().keys()

    def test_replaces_an_older_one_whole(self, base: Path, saved: Path):
        (saved / "leftover.txt").write_text("old")
        save(saved, base)
        assert not (saved / "leftover.txt").exists()
        assert [path.name for path in saved.parent.iterdir()] == ["checkpoint"]

    def test_a_half_written_one_is_ignored_and_written_over(self, base: Path, tmp_path: Path):
        unfinished = tmp_path / "checkpoint.unfinished"
        unfinished.mkdir()
        (unfinished / "config.json").write_text("{")
        with pytest.raises(ModelError, match="holds no model"):
            find_model(str(tmp_path))
        save(tmp_path / "checkpoint", base)
        assert not unfinished.exists()
        assert find_model(str(tmp_path)).path == tmp_path / "checkpoint"


class TestDamage:
    def test_a_changed_file_is_named(self, saved: Path):
        file = saved / "model.safetensors"
        damaged = bytearray(file.read_bytes())
        damaged[-1] ^= 1
        file.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
            read_checkpoint(saved)
        assert read_checkpoint(saved, verify=False) is not None

    def test_a_missing_file_is_named(self, saved: Path):
        (saved / "tokenizer.json").unlink()
        with pytest.raises(CheckpointError, match=r"incomplete: tokenizer\.json is missing"):
            read_checkpoint(saved)

    @pytest.mark.parametrize("content", [b"{", b'{"id": 3}', b"\xff\xfe"])
    def test_an_unreadable_card(self, saved: Path, content: bytes):
        (saved / "checkpoint.json").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"checkpoint\.json: not a checkpoint card"):
            read_checkpoint(saved)

    def test_an_unreadable_format(self, saved: Path):
        (saved / "format.json").write_text('{"template": "nonsense"}')
        with pytest.raises(CheckpointError, match=r"format\.json: not a prompt format"):
            read_format(saved)

    def test_a_plain_folder_has_no_card(self, base: Path):
        assert read_checkpoint(base) is None
        assert read_format(base) is None


class TestKind:
    def test_the_wrong_one_is_refused(self, saved: Path, base: Path):
        assert require_kind(str(saved), ("sft", "policy"))[1].kind == "sft"
        with pytest.raises(CheckpointError, match=r"checkpoint of kind sft; this needs .* reward"):
            require_kind(str(saved), ("reward",))
        with pytest.raises(CheckpointError, match="is a plain transformers model"):
            require_kind(str(base), ("reward",))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_scalar_model_comes_back(
    base: Path, tmp_path: Path, dtype: torch.dtype, architecture: str
):
    def build() -> ScalarModel:
        generator = torch.Generator().manual_seed(0)
        trunk = build_model(architecture).base_model
        return ScalarModel(trunk, 32, generator=generator).eval()

    model = build()
    weights = MasterWeights(model, dtype, keep_fp32=("head.",))
    model.offset.fill_(0.25)
    state = weights.full_state_dict()
    save_scalar(
        tmp_path / "checkpoint",
        model,
        state,
        card=card("reward"),
        format_settings=FORMAT,
        save_tokenizer=partial(copy_tokenizer, base),
    )
    folder, _ = require_kind(str(tmp_path), ("reward",))
    loaded = load_scalar(folder)
    expected = build()
    expected.offset.fill_(0.25)
    assert torch.equal(
        loaded.scores(batch_of(IDS, LENGTHS)), expected.scores(batch_of(IDS, LENGTHS))
    )
    assert not loaded.training


class TestState:
    def test_comes_back_whole(self, tmp_path: Path):
        assert load_state(tmp_path) is None
        state = {"step": 3, "nested": {"w": torch.arange(3.0)}, "none": None, "x": 0.1}
        save_state(tmp_path, state)
        found = load_state(tmp_path)
        assert found is not None
        assert torch.equal(found["nested"]["w"], torch.arange(3.0))
        assert (found["step"], found["none"], found["x"]) == (3, None, 0.1)

    def test_only_the_last_is_kept(self, tmp_path: Path):
        for step in range(3):
            save_state(tmp_path, {"step": step})
        found = load_state(tmp_path)
        assert found is not None
        assert found["step"] == 2
        assert len(list(tmp_path.iterdir())) == 2

    def test_a_half_written_one_leaves_the_last(self, tmp_path: Path):
        save_state(tmp_path, {"step": 1})
        (tmp_path / "state.unfinished").write_bytes(b"half")
        (tmp_path / "state-0123456789abcdef.pt").write_bytes(b"renamed, but not pointed to")
        found = load_state(tmp_path)
        assert found is not None
        assert found["step"] == 1
        save_state(tmp_path, {"step": 2})
        assert len(list(tmp_path.iterdir())) == 2

    @pytest.mark.parametrize("damage", ["changed", "missing"])
    def test_damage_is_refused(self, tmp_path: Path, damage: str):
        save_state(tmp_path, {"step": 1})
        (file,) = tmp_path.glob("*.pt")
        if damage == "changed":
            file.write_bytes(file.read_bytes() + b"x")
        else:
            file.unlink()
        with pytest.raises(CheckpointError, match="missing or damaged"):
            load_state(tmp_path)
