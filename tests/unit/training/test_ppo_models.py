from pathlib import Path

import pytest
import torch

from fakes.tiny_models import build_model_dir
from fakes.token_pairs import batch_of
from fakes.tokenizer_folder import build_tokenizer_dir
from fakes.training_data import make_prompt
from heedful.core.errors import CheckpointError
from heedful.core.run import Cost
from heedful.models.checkpoint import read_checkpoint
from heedful.training import reward
from heedful.training.ppo_models import Models

IDS, LENGTHS = torch.arange(3, 12)[None], torch.tensor([9])


@pytest.fixture
def open_models(project, reward_run: Path):
    def build(name: str = "run", *, model: dict | None = None, **settings: object) -> Models:
        ppo = {"reward": str(reward_run)} | settings
        return Models.open(project(name, model=model or {}, ppo=ppo))

    return build


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_reference_is_the_policy_before_training(open_models, dtype: str):
    models = open_models(model={"compute_dtype": dtype})
    ours, theirs = models.policy.module, models.ref_policy
    assert torch.equal(ours(input_ids=IDS).logits, theirs(input_ids=IDS).logits)
    assert not any(p.requires_grad for p in theirs.parameters())
    assert all(p.requires_grad for p in ours.parameters())
    with torch.no_grad():
        for master in models.policy.weights.masters.values():
            master.add_(0.1)
    models.policy.weights.publish()
    assert not torch.equal(ours(input_ids=IDS).logits, theirs(input_ids=IDS).logits)


def test_the_value_model_begins_as_the_reward_model_and_is_another(open_models):
    models = open_models()
    scores = models.scorer.model.scores(batch_of(IDS, LENGTHS))
    assert torch.equal(models.value.module.scores(batch_of(IDS, LENGTHS)), scores)
    with torch.no_grad():
        models.value.module.head.weight.add_(1.0)
    assert torch.equal(models.scorer.model.scores(batch_of(IDS, LENGTHS)), scores)


def test_the_value_head_may_begin_at_zero(open_models):
    assert not open_models(value_head="zero").value.module.scores(batch_of(IDS, LENGTHS)).any()


def test_the_value_head_stays_in_float32(open_models):
    models = open_models(model={"compute_dtype": "bfloat16"})
    assert models.value.module.head.weight.dtype == torch.float32
    assert next(models.value.module.trunk.parameters()).dtype == torch.bfloat16


def test_parents_and_makers(open_models, reward_run: Path):
    card = read_checkpoint(reward_run / "checkpoint")
    assert card is not None
    models = open_models()
    assert models.parents == {"value": card.id, "reward": card.id}
    assert models.made_by == ("simulated",)


def test_adapters_are_all_that_trains(open_models):
    models = open_models(model={"lora_rank": 2})
    assert all(".lora_" in name for name in models.policy.weights.masters)
    others = {name for name in models.value.weights.masters if ".lora_" not in name}
    assert others == {"head.weight"}


class TestAverage:
    def test_none_unless_asked_for(self, open_models):
        models = open_models()
        assert models.ema is None
        models.update_ema()
        models.load_ema()

    def test_decay_is_that_of_the_paper_over_its_run(self, open_models):
        run = {"episodes": 256_000, "rollout_batch_size": 512, "minibatch_size": 64}
        assert open_models(ema=True, **run).ema_decay == pytest.approx(0.992)
        short = {"episodes": 2560, "rollout_batch_size": 8, "minibatch_size": 4}
        assert open_models("short", ema=True, **short).ema_decay == pytest.approx(1 - 32 / 640)
        assert open_models("own", ema=True, ema_decay=0.7).ema_decay == 0.7

    def test_moves_towards_the_policy_and_takes_its_place(self, open_models):
        models = open_models(ema=True, ema_decay=0.75)
        name = "lm_head.weight"
        start = models.policy.weights.masters[name].detach().clone()
        with torch.no_grad():
            models.policy.weights.masters[name].add_(1.0)
        models.update_ema()
        assert models.ema is not None
        torch.testing.assert_close(models.ema[name], start + 0.25)
        models.update_ema()
        torch.testing.assert_close(models.ema[name], start + 0.4375)
        models.load_ema()
        torch.testing.assert_close(models.policy.full_state_dict()[name], start + 0.4375)

    def test_comes_back_with_the_state(self, open_models, tmp_path: Path):
        models, other = open_models(ema=True), open_models("other", ema=True)
        with torch.no_grad():
            models.policy.weights.masters["lm_head.weight"].add_(1.0)
        models.update_ema()
        torch.save(models.state_dict(), tmp_path / "state.pt")
        other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        assert other.ema is not None
        assert models.ema is not None
        for name, average in models.ema.items():
            assert torch.equal(other.ema[name], average)


def test_costs_of_sampling(open_models):
    models = open_models()
    pairs, generated = models.sample([make_prompt(0), make_prompt(1)], temperature=1.0, seed=0)
    assert [len(p.completion_ids) for p in pairs] == [len(g.token_ids) for g in generated]
    cost = Cost()
    models.count_sampled(cost, pairs)
    assert cost.generated_tokens == sum(len(pair.completion_ids) for pair in pairs)
    assert cost.scored_tokens == 3 * sum(map(len, pairs))  # policy, reference, reward model


class TestMatching:
    def test_another_tokenizer(self, open_models, tmp_path):
        other = build_model_dir(tmp_path / "other", initial_std=0.1)
        build_tokenizer_dir(other, chat_template=None)
        with pytest.raises(CheckpointError, match="different tokenizers"):
            open_models(init=str(other))

    def test_another_format(self, open_models, project, display, reward_run):
        chat = project("chat", format={"template": "chat", "max_prompt_tokens": 128})
        reward.train(chat, display)
        with pytest.raises(CheckpointError, match="the value model reads prompts as chat-1"):
            open_models(value_init=str(chat.run.dir))
        with pytest.raises(CheckpointError, match="the reward model reads prompts as chat-1"):
            open_models(reward=str(chat.run.dir), value_init=str(reward_run))
