"""One update of PPO against plain passes, one completion at a time."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fakes.training_data import make_prompt
from heedful.core.run import RunDirectory
from heedful.core.settings import Project
from heedful.losses.masked import masked_whiten
from heedful.losses.ppo import generalised_advantages, policy_loss, value_loss
from heedful.training.batches import Batcher
from heedful.training.loop import StepMetrics
from heedful.training.ppo_models import Models
from heedful.training.ppo_rollout import Rollout, collect, rewards_of
from heedful.training.ppo_update import Updates

# Two prompts occur twice: their tokens are shared.
PROMPTS = [make_prompt(number) for number in (0, 1, 2, 0, 3, 1)]
Gradients = dict[str, dict[str, torch.Tensor]]


@pytest.fixture
def updates(project, reward_run: Path) -> Updates:
    """Of a run whose rollouts make one minibatch each; policy and reference apart."""
    config: Project = project(
        ppo={
            "reward": str(reward_run),
            "episodes": 6,
            "rollout_batch_size": 6,
            "minibatch_size": 6,
            "kl_coef": 0.3,
            "value_clip_range": 0.01,
        }
    )
    models = Models.open(config)
    torch.manual_seed(0)
    with torch.no_grad():
        for master in models.policy.weights.masters.values():
            master.add_(0.02 * torch.randn_like(master))
    batcher = Batcher(
        models.value.module.trunk, pad_id=models.pad_id, device=models.device, max_tokens=4096
    )
    run = RunDirectory.start(config.run.dir, kind="ppo", seed=0, config=config)
    return Updates(models=models, batcher=batcher, config=config, directory=run)


@pytest.fixture
def rollout(updates: Updates, monkeypatch: pytest.MonkeyPatch) -> Rollout:
    """Completions of different lengths: the tiny model rarely ends by itself."""
    sample = updates.models.sample

    def cut(*args: object, **options: object) -> object:
        pairs, generated = sample(*args, **options)
        sizes = [1 + 2 * row for row in range(len(pairs))]
        return (
            [
                replace(pair, completion_ids=pair.completion_ids[:size])
                for pair, size in zip(pairs, sizes, strict=True)
            ],
            [
                replace(found, token_ids=found.token_ids[:size], logprobs=found.logprobs[:size])
                for found, size in zip(generated, sizes, strict=True)
            ],
        )

    monkeypatch.setattr(Models, "sample", lambda _, *args, **options: cut(*args, **options))
    return collect(updates.models, updates.batcher, PROMPTS, updates.config, 0)


def gradients_of(updates: Updates, monkeypatch: pytest.MonkeyPatch) -> Gradients:
    """Filled with what each step finds; the weights stay as they are."""
    found: Gradients = {}
    for name in ("policy", "value"):
        trainable = getattr(updates.models, name)

        def step(_: float, name: str = name, trainable=trainable) -> float:
            masters = trainable.weights.masters
            found[name] = {key: master.grad.clone() for key, master in masters.items()}
            for master in masters.values():
                master.grad = None
            return 1.0

        monkeypatch.setattr(trainable, "step", step)
    return found


def plain_update(
    models: Models, rollout: Rollout, config: Project
) -> tuple[Gradients, StepMetrics]:
    """The same losses from plain passes, one completion after the other."""
    logprobs, values, entropy = rollout.empty(), rollout.empty(), rollout.empty()
    for row, pair in enumerate(rollout.pairs):
        ids = torch.tensor([[*pair.prompt_ids, *pair.completion_ids]])
        places = torch.arange(len(pair.prompt_ids) - 1, len(pair) - 1)
        every = models.policy.module(input_ids=ids).logits[0, places].log_softmax(-1)
        columns = torch.arange(len(places))
        logprobs[row, columns] = every.gather(1, ids[0, places + 1, None])[:, 0]
        entropy[row, columns] = -(every.exp() * every).sum(-1).detach()
        value = models.value.module
        states = value.trunk(input_ids=ids).last_hidden_state[0, places]
        values[row, columns] = (states @ value.head.weight[0]) - value.offset
    old, mask, settings = logprobs.detach(), rollout.mask, config.ppo
    rewards, metrics = rewards_of(rollout, old, entropy, settings, settings.kl_coef)
    advantages, returns = generalised_advantages(rewards, values.detach(), mask)
    advantages = masked_whiten(advantages, mask)
    loss, of_policy = policy_loss(logprobs, old, advantages, mask)
    loss.backward()
    loss, of_value = value_loss(values, values.detach(), returns, mask, clip_range=0.01)
    loss.backward()
    found: Gradients = {}
    for name in ("policy", "value"):
        masters = getattr(models, name).weights.masters
        found[name] = {key: master.grad.clone() for key, master in masters.items()}
        for master in masters.values():
            master.grad = None
    numbers = {name: float(value) for name, value in (of_policy | of_value).items()}
    return found, metrics | numbers


@pytest.mark.parametrize("way", ["one batch", "several batches", "padded"])
def test_losses_and_gradients_are_those_of_plain_passes(
    way: str, updates: Updates, rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, numbers = plain_update(updates.models, rollout, updates.config)
    found = gradients_of(updates, monkeypatch)
    if way == "several batches":
        updates.batcher.max_tokens = 40
        assert len(updates.batcher.groups(rollout.pairs)) > 2
    if way == "padded":
        updates.batcher.side_by_side = False
    metrics = updates.learn(rollout, 0, updates.config.ppo.kl_coef)
    for name, value in numbers.items():
        if not name.startswith("time/"):
            assert metrics[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    for part, gradients in expected.items():
        for name, gradient in gradients.items():
            torch.testing.assert_close(
                found[part][name], gradient, rtol=1e-3, atol=1e-5, msg=f"{part} {name}"
            )
    assert metrics["policy/ratio"] == 1
    assert metrics["policy/approx_kl"] == metrics["policy/clipfrac"] == 0


def passes(updates: Updates) -> dict[str, int]:
    """How often each network has read something, counted from now on."""
    found = {"policy": 0, "value": 0}
    for name in found:

        def hook(*_: object, name: str = name) -> None:
            found[name] += 1

        module = getattr(updates.models, name).module
        (module.model if name == "policy" else module.trunk).register_forward_pre_hook(hook)
    return found


def learn_in_minibatches(
    updates: Updates, rollout: Rollout, *, max_tokens: int, minibatch: int, inner_epochs: int = 1
) -> tuple[dict[str, int], int]:
    """How often each network reads something, and how many tokens are counted as scored."""
    sizes = {"minibatch_size": minibatch, "inner_epochs": inner_epochs}
    ppo = updates.config.ppo.model_copy(update=sizes)
    updates.config = updates.config.model_copy(update={"ppo": ppo})
    updates.batcher.max_tokens = max_tokens
    number, scored = passes(updates), updates.cost.scored_tokens
    updates.learn(rollout, 0, 0.3)
    return number, updates.cost.scored_tokens - scored


def test_a_rollout_in_one_batch_is_read_once(updates: Updates, rollout: Rollout) -> None:
    number, scored = learn_in_minibatches(updates, rollout, max_tokens=4096, minibatch=6)
    assert number == {"policy": 1, "value": 1}
    assert scored == 2 * sum(map(len, rollout.pairs))  # reference and reward model


def test_a_graph_is_kept_if_both_passes_are_no_more_than_a_microbatch(
    updates: Updates, rollout: Rollout
) -> None:
    tokens = sum(batch.input_ids.numel() for _, batch in updates.batcher.batches(rollout.pairs))
    number, _ = learn_in_minibatches(updates, rollout, max_tokens=2 * tokens - 1, minibatch=6)
    assert number == {"policy": 2, "value": 1}


def test_in_several_batches_the_value_model_still_reads_once(
    updates: Updates, rollout: Rollout
) -> None:
    number, scored = learn_in_minibatches(updates, rollout, max_tokens=40, minibatch=6)
    batches = len(updates.batcher.groups(rollout.pairs))
    assert number == {"policy": 2 * batches, "value": batches}
    assert scored == 3 * sum(map(len, rollout.pairs))


@pytest.mark.parametrize("inner_epochs", [1, 2])
def test_of_several_minibatches_the_first_is_read_once(
    inner_epochs: int, updates: Updates, rollout: Rollout
) -> None:
    number, scored = learn_in_minibatches(
        updates, rollout, max_tokens=4096, minibatch=2, inner_epochs=inner_epochs
    )
    # The other two minibatches together, and then each for its step.
    assert number == {"policy": 1 + 3 * inner_epochs, "value": 1 + 3 * inner_epochs}
    first, *later = updates._minibatches(6, 0)
    assert sorted(row for rows in later[:2] for row in (*rows, *first)) == sorted(
        [*range(6), *first]
    )
    others = sum(len(pair) for row, pair in enumerate(rollout.pairs) if row not in first)
    assert scored == 2 * sum(map(len, rollout.pairs)) + 2 * others


def test_a_kept_graph_changes_rounding_only(updates: Updates, rollout: Rollout) -> None:
    """Two steps of each network, the first with its graph kept, or read again."""
    models, found = updates.models, []
    start = copy.deepcopy(models.state_dict())
    for max_tokens in (4096, 40):
        models.load_state_dict(copy.deepcopy(start))
        learn_in_minibatches(updates, rollout, max_tokens=max_tokens, minibatch=3)
        found.append({name: models.state_dict()[name] for name in ("policy", "value")})
        found[-1] = copy.deepcopy(found[-1])
    kept, again = found
    torch.testing.assert_close(kept, again, rtol=1e-3, atol=1e-5)


def test_no_gradient_of_one_network_is_left_when_the_other_takes_its_step(
    updates: Updates, rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = updates.models
    step = models.policy.step

    def last(rate: float) -> float:
        assert all(master.grad is None for master in models.value.weights.masters.values())
        return step(rate)

    monkeypatch.setattr(models.policy, "step", last)
    updates.learn(rollout, 0, 0.3)
    assert all(master.grad is None for master in models.policy.weights.masters.values())
