"""PPO with its four models on one trunk, against four models with weights of their own."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fakes.token_pairs import batch_of
from fakes.training_data import make_project, make_prompt
from heedful.core.errors import CheckpointError
from heedful.core.metrics import read_metrics
from heedful.core.run import RunDirectory
from heedful.core.settings import Project
from heedful.models.checkpoint import load_state, read_checkpoint
from heedful.models.loading import trunk_of
from heedful.training import ppo, reward
from heedful.training.display import Display
from heedful.training.forecast import Planned
from heedful.training.loop import Trainable
from heedful.training.out_of_memory import TokenBudget
from heedful.training.ppo_models import Models
from heedful.training.ppo_rollout import collect
from heedful.training.scoring import RewardModel

IDS, LENGTHS = torch.arange(3, 12)[None], torch.tensor([9])
PROMPTS = [make_prompt(number) for number in range(6)]
RANKED = {"epochs": 8, "learning_rate": 3e-2}


@pytest.fixture(scope="module")
def adapted_reward(base: Path) -> Path:
    """A reward model trained with adapters on the model that PPO starts from."""
    data = {"rankings": base / "rankings", "demonstrations": base / "demonstrations"}
    config = make_project(
        base / "adapted", base / "model", data=data, reward=RANKED, model={"lora_rank": 2}
    )
    reward.train(config, Display(quiet=True))
    return config.run.dir


@pytest.fixture
def shared(project, adapted_reward: Path):
    """A project with a shared trunk."""

    def build(name: str = "run", *, model: dict | None = None, **settings: object) -> Project:
        own = {"reward": str(adapted_reward), "shared_trunk": True}
        return project(name, model={"lora_rank": 2} | (model or {}), ppo=own | settings)

    return build


def move_away(models: Models) -> None:
    """Policy and value model as training would leave them: apart from where they began."""
    torch.manual_seed(0)
    for trainable in (models.policy, models.value):
        with torch.no_grad():
            for master in trainable.weights.masters.values():
                master.add_(0.05 * torch.randn_like(master))
        trainable.weights.publish()


def set_apart(models: Models, config: Project) -> None:
    """Give each of the four weights of its own, with the same values."""
    dtype = next(models.ref_policy.parameters()).dtype
    models.language.model = copy.deepcopy(models.policy.module)
    models.policy = Trainable(models.language.model, dtype, config.ppo)
    value = copy.deepcopy(models.value.module)
    models.value = Trainable(value, dtype, config.ppo, keep_fp32=("head.",))
    models.ref_policy = copy.deepcopy(models.ref_policy)
    assert isinstance(models.scorer, RewardModel)
    models.scorer.model = copy.deepcopy(models.scorer.model)


def own_parameters(models: Models) -> list[set[int]]:
    assert isinstance(models.scorer, RewardModel)
    modules = (models.policy.module, models.ref_policy, models.value.module, models.scorer.model)
    return [set(map(id, module.parameters())) for module in modules]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
class TestModels:
    def test_there_is_one_trunk(self, shared, dtype: str):
        models = Models.open(shared(model={"compute_dtype": dtype}))
        policy, reference, value, scorer = own_parameters(models)
        trunk = set(map(id, trunk_of(models.ref_policy).parameters()))
        assert reference < policy
        assert value & scorer == value & policy == scorer & policy == trunk
        assert {p.dtype for p in models.ref_policy.parameters()} == {getattr(torch, dtype)}
        assert not any(p.requires_grad for p in models.ref_policy.parameters())
        assert all(".lora_" in name for name in models.policy.weights.masters)
        others = {name for name in models.value.weights.masters if ".lora_" not in name}
        assert others == {"head.weight"}

    def test_all_begin_where_they_should(self, shared, adapted_reward: Path, dtype: str):
        models = Models.open(shared(model={"compute_dtype": dtype}))
        ours, theirs = models.policy.module, models.ref_policy
        assert torch.equal(ours(input_ids=IDS).logits, theirs(input_ids=IDS).logits)
        assert isinstance(models.scorer, RewardModel)
        score = models.scorer.model.scores(batch_of(IDS, LENGTHS))
        assert torch.equal(models.value.module.scores(batch_of(IDS, LENGTHS)), score)
        merged = RewardModel.open(
            str(adapted_reward), torch.device("cpu"), getattr(torch, dtype)
        ).model.scores(batch_of(IDS, LENGTHS))
        tolerance = 1e-5 if dtype == "float32" else 0.1
        torch.testing.assert_close(score, merged, rtol=tolerance, atol=tolerance)

    def test_training_moves_neither_reference_nor_reward(self, shared, dtype: str):
        models = Models.open(shared(model={"compute_dtype": dtype}))
        assert isinstance(models.scorer, RewardModel)

        def frozen() -> tuple[torch.Tensor, torch.Tensor]:
            found = models.ref_policy(input_ids=IDS).logits
            return found.clone(), models.scorer.model.scores(batch_of(IDS, LENGTHS)).clone()

        before = frozen()
        move_away(models)
        assert all(map(torch.equal, before, frozen()))
        ours = models.policy.module(input_ids=IDS).logits
        assert not torch.equal(ours, before[0])
        assert not torch.equal(models.value.module.scores(batch_of(IDS, LENGTHS)), before[1])


def test_an_iteration_is_that_of_four_models_apart(shared):
    """Log-probabilities, values, scores, rewards; then every weight after the updates."""
    found = []
    for name in ("together", "apart"):
        settings = {"learning_rate": 1e-2, "inner_epochs": 2, "ema": True}
        config = shared(name, **settings, ptx_coef=0.5, ptx_tokens=16, ptx_ratio=0.5)
        run = RunDirectory.start(config.run.dir, kind="ppo", seed=0, config=config)
        with run:
            plan = Planned(config, TokenBudget(config.model.max_microbatch))
            training = ppo._PPO(plan, run, Display(quiet=True))
            models = training.models
            move_away(models)
            if name == "apart":
                set_apart(models, config)
                assert not set.intersection(*own_parameters(models))
            rollout = collect(models, training.batcher, PROMPTS, config, 0)
            read = training.updates._read_before(rollout, range(len(PROMPTS)))
            numbers = [
                rollout.scores,
                rollout.ref_logprobs,
                read.logprobs,
                read.values,
            ]
            metrics = training._iterate(0)
            assert all(p.grad is None for p in models.ref_policy.parameters())
        found.append(
            [rollout.pairs, *(number.tolist() for number in numbers)]
            + [{k: v for k, v in metrics.items() if not k.startswith(("time/", "progress/"))}]
            + [
                {k: v.tolist() for k, v in trained.weights.masters.items()}
                for trained in (models.policy, models.value)
            ]
            + [{k: v.tolist() for k, v in (models.ema or {}).items()}]
        )
    together, apart = found
    assert together == apart
    assert together[5]["objective/kl"] != 0
    assert together[5]["policy/grad_norm"] > 0


def test_the_state_for_resuming_holds_adapters_only(shared):
    config = shared(ema=True)
    ppo_models = Models.open(config)
    state = ppo_models.state_dict()
    names = {*state["policy"]["masters"], *state["value"]["masters"], *state["ema"]}
    assert all(".lora_" in name for name in names - {"head.weight"})
    assert load_state(config.run.dir / "state") is None


def test_the_saved_policy_is_a_plain_model(shared, base: Path, display: Display):
    config = shared(learning_rate=1e-2)
    ppo.train(config, display)
    before = load_file(base / "model" / "model.safetensors")
    after = load_file(config.run.dir / "checkpoint" / "model.safetensors")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("_proj.weight" in name for name in changed)
    card = read_checkpoint(config.run.dir / "checkpoint")
    assert card is not None
    assert card.kind == "policy"
    assert "adapter.safetensors" not in card.files
    assert len(read_metrics(config.run.dir / "metrics.jsonl")) == config.ppo.num_iterations


def test_a_function_may_reward(shared, adapted_reward: Path, display: Display):
    config = shared(reward="fakes.rewards:likes_e", value_init=str(adapted_reward))
    ppo.train(config, display)
    assert (config.run.dir / "checkpoint").is_dir()


def test_a_reward_model_of_another_kind_is_refused(shared, reward_run: Path, display: Display):
    with pytest.raises(CheckpointError, match=r"cannot share the trunk of .*trained all"):
        ppo.train(shared(reward=str(reward_run)), display)


def test_adapters_alone_share_what_they_can(project, reward_run: Path):
    """Without a common trunk: reference on the policy's weights, value model on the reward's."""
    models = Models.open(project(model={"lora_rank": 2}, ppo={"reward": str(reward_run)}))
    policy, reference, value, scorer = own_parameters(models)
    assert reference < policy
    assert isinstance(models.scorer, RewardModel)
    assert value & scorer == set(map(id, models.scorer.model.trunk.parameters()))
    assert not policy & value
