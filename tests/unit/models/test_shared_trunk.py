import gc
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fakes.tiny_models import build_model, build_model_dir
from fakes.token_pairs import batch_of
from heedful.core.errors import CheckpointError
from heedful.core.records import Checkpoint
from heedful.core.settings import FormatSettings
from heedful.models.adapters import adapter_of, add_lora, merged_state_dict, weights_hash
from heedful.models.checkpoint import copy_tokenizer, load_scalar, read_adapter, save_scalar
from heedful.models.folders import ModelFolder
from heedful.models.loading import trunk_of
from heedful.models.precision import MasterWeights, compute_in
from heedful.models.scalar import ScalarModel
from heedful.models.shared_trunk import SharedTrunk, share_weights

IDS, LENGTHS = torch.arange(3, 12)[None], torch.tensor([9])
CPU = torch.device("cpu")
ARCHITECTURES = ["llama", "qwen2", "gpt2", "gpt_neox", "gemma3"]


def logits(model: torch.nn.Module) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(input_ids=IDS).logits
    return found


def shake(model: torch.nn.Module, seed: int = 5) -> None:
    """Give every trainable weight another value."""
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=noise))


class TestShareWeights:
    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    @pytest.mark.parametrize("tied", [False, True])
    def test_every_weight_is_the_same_tensor_and_every_module_another(
        self, architecture: str, tied: bool
    ):
        model = build_model(architecture, tie_word_embeddings=tied).requires_grad_(False)
        other = share_weights(model)
        assert type(other) is type(model)
        assert [name for name, _ in other.named_parameters()] == [
            name for name, _ in model.named_parameters()
        ]
        assert all(
            ours is theirs
            for ours, theirs in zip(other.parameters(), model.parameters(), strict=True)
        )
        assert not set(map(id, model.modules())) & set(map(id, other.modules()))
        assert torch.equal(logits(other), logits(model))

    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_adapters_of_one_are_not_in_the_other(self, architecture: str):
        model = build_model(architecture).requires_grad_(False)
        before = logits(model)
        one, two = share_weights(model), share_weights(model)
        add_lora(one, rank=2, alpha=4.0, seed=0)
        add_lora(two, rank=3, alpha=9.0, seed=1)
        shake(one)
        assert torch.equal(logits(model), before)
        assert torch.equal(logits(two), before)
        assert not torch.equal(logits(one), before)
        alone = build_model(architecture)
        add_lora(alone, rank=2, alpha=4.0, seed=0)
        shake(alone)
        assert torch.equal(logits(one), logits(alone))

    def test_backward_and_what_it_computes_again_use_the_model_that_was_called(self):
        """Passes of two models before either's backward, layers computed again in it."""
        gradients = []
        for shared in (True, False):
            model = build_model().requires_grad_(False)
            one, two = (share_weights(model) if shared else build_model() for _ in range(2))
            for seed, each in enumerate((one, two)):
                add_lora(each, rank=2, alpha=4.0, seed=seed)
                shake(each, seed)
                each.train()
                each.activation_checkpointing_enable()
            losses = [each(input_ids=IDS).logits.square().mean() for each in (one, two)]
            sum(losses).backward()
            found = [p.grad for each in (one, two) for p in each.parameters() if p.requires_grad]
            assert all(p.grad is None for p in model.parameters())
            gradients.append(found)
        assert all(map(torch.equal, *gradients))

    def test_training_one_leaves_no_master_of_the_trunk(self):
        model = share_weights(build_model().requires_grad_(False).bfloat16())
        add_lora(model, rank=2, alpha=4.0, seed=0)
        weights = MasterWeights(model, torch.bfloat16)
        assert all(".lora_" in name for name in weights.masters)
        assert all(master.dtype == torch.float32 for master in weights.masters.values())
        assert {p.dtype for p in model.parameters()} == {torch.bfloat16}

    def test_the_trunk_goes_when_the_last_that_stands_on_it_goes(self):
        model = build_model().requires_grad_(False)
        other = share_weights(model)
        expected = logits(model)
        del model
        gc.collect()
        assert torch.equal(logits(other), expected)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model_dir(tmp_path_factory.mktemp("models") / "tiny")


def save_reward(folder: Path, base: Path, *, seed: int = 0, lora: bool = True) -> ModelFolder:
    """A reward model with an adapter on the model of `seed`; its weights are noise."""
    trunk = trunk_of(build_model(seed=seed))
    trunk_hash = weights_hash(trunk)
    if lora:
        add_lora(trunk, rank=2, alpha=4.0, seed=0)
    model = ScalarModel(trunk, 32, generator=torch.Generator().manual_seed(0)).eval()
    model.offset.fill_(0.25)
    weights = MasterWeights(model, torch.float32)
    if lora:
        shake(model)
    save_scalar(
        folder,
        model,
        merged_state_dict(model, weights.full_state_dict()),
        card=Checkpoint(
            id="reward-1",
            kind="reward",
            step=3,
            base_model="tiny",
            config_hash="c",
            tokenizer_hash="t",
            format_version="plain-1",
        ),
        format_settings=FormatSettings(template="plain"),
        save_tokenizer=partial(copy_tokenizer, base),
        adapter=adapter_of(model, weights.state_dict(), trunk_hash) if lora else None,
    )
    return ModelFolder(folder.name, folder)


class TestScalarModel:
    def test_scores_are_those_of_the_merged_checkpoint(self, base: Path, tmp_path: Path):
        folder = save_reward(tmp_path / "reward", base)
        trunk = SharedTrunk(build_model(), "tiny", CPU, torch.float32)
        found, apart = trunk.scalar_model(folder), load_scalar(folder)
        torch.testing.assert_close(
            found.scores(batch_of(IDS, LENGTHS)),
            apart.scores(batch_of(IDS, LENGTHS)),
            rtol=1e-5,
            atol=1e-5,
        )
        trained = {name for name, p in found.named_parameters() if p.requires_grad}
        assert all(".lora_" in name for name in trained - {"head.weight"})

    def test_two_of_them_share_all_but_adapters_and_heads(self, base: Path, tmp_path: Path):
        folder = save_reward(tmp_path / "reward", base)
        trunk = SharedTrunk(build_model(), "tiny", CPU, torch.bfloat16)
        one, two = trunk.scalar_model(folder), trunk.scalar_model(folder)
        for model in (one, two):
            compute_in(model.trunk, torch.bfloat16)
        shared = set(map(id, one.parameters())) & set(map(id, two.parameters()))
        assert shared == set(map(id, trunk_of(trunk.model).parameters()))
        assert torch.equal(one.scores(batch_of(IDS, LENGTHS)), two.scores(batch_of(IDS, LENGTHS)))

    def test_the_same_adapter_is_saved_as_the_same_bytes(self, base: Path, tmp_path: Path):
        files = [save_reward(tmp_path / str(n), base).path / "adapter.safetensors" for n in "abcd"]
        assert len({file.read_bytes() for file in files}) == 1

    def test_another_trunk_is_refused_with_the_way_out(self, base: Path, tmp_path: Path):
        folder = save_reward(tmp_path / "reward", base, seed=1)
        trunk = SharedTrunk(build_model(), "runs/sft", CPU, torch.float32)
        with pytest.raises(CheckpointError, match="runs/sft: it trained adapters on another") as e:
            trunk.scalar_model(folder)
        assert "model.name = runs/sft" in str(e.value.hint)

    def test_a_reward_model_without_adapter_is_refused(self, base: Path, tmp_path: Path):
        folder = save_reward(tmp_path / "reward", base, lora=False)
        assert read_adapter(folder.path) is None
        trunk = SharedTrunk(build_model(), "runs/sft", CPU, torch.float32)
        with pytest.raises(CheckpointError, match="it trained all its weights"):
            trunk.scalar_model(folder)
