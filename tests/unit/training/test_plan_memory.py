from pathlib import Path
from typing import Any

import pytest
import torch

from fakes.planned_stage import COSTS, case, work
from heedful.core.settings import OptimSettings
from heedful.models.adapters import add_lora
from heedful.models.folders import find_model
from heedful.models.loading import load_causal_lm
from heedful.training.loop import Trainable
from heedful.training.plan_memory import memory_parts


@pytest.fixture(scope="module")
def model(base: Path) -> Path:
    return base / "model"


def taken(tensors: Any) -> int:
    """Bytes of the storages, each counted once."""
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in tensors}
    return sum(storage.nbytes() for storage in storages.values())


@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_weights_gradients_and_optimiser_are_those_of_a_real_step(
    dtype: str, rank: int, model: Path
) -> None:
    found = memory_parts(case("sft", model, dtype=dtype, model={"lora_rank": rank}), COSTS)
    parts = found["training"]
    module = load_causal_lm(find_model(str(model)), pad_id=0)
    if rank:
        add_lora(module, rank=rank, alpha=8, seed=0)
    trainable = Trainable(module, getattr(torch, dtype), OptimSettings())
    masters = trainable.weights.masters
    for master in masters.values():
        master.grad = torch.ones_like(master)
    assert taken(master.grad for master in masters.values()) == parts["gradients"]
    trainable.step(0.0)
    states = [
        value
        for state in trainable.state_dict()["optimiser"]["state"].values()
        for value in state.values()
        if isinstance(value, torch.Tensor) and value.dim()
    ]
    assert taken(states) == parts["optimiser"]
    assert taken(module.parameters()) == parts["weights"]
    apart = 0 if dtype == "float32" else taken(masters.values())
    assert apart == parts.get("float32 masters", 0)


def parts_of(stage: str, folder: Path, /, **options: Any) -> dict[str, dict[str, float]]:
    return memory_parts(case(stage, folder, **options), COSTS)


def test_the_best_epoch_and_the_average_are_kept_beside(model: Path) -> None:
    best = parts_of("sft", model, sft={"choose_by": "validation_loss"})["training"]
    assert best["kept copy of the weights"] == best["float32 masters"]
    assert "kept copy of the weights" not in parts_of("sft", model)["training"]
    average = parts_of("ppo", model, ppo={"ema": True})["training"]
    policy_and_value = average["float32 masters"]
    assert average["kept copy of the weights"] == pytest.approx(policy_and_value / 2, rel=0.01)


def test_ppo_holds_four_models_and_fewer_on_one_trunk(model: Path) -> None:
    one = parts_of("sft", model)["training"]["weights"]
    apart = parts_of("ppo", model)["training"]["weights"]
    assert apart == pytest.approx(4 * one, rel=0.01)
    lora = {"model": {"lora_rank": 1}}
    assert parts_of("ppo", model, **lora)["training"]["weights"] < 2.3 * one
    shared = parts_of("ppo", model, **lora, ppo={"shared_trunk": True})["training"]["weights"]
    assert shared < 1.3 * one


def test_activations_go_with_the_microbatch_up_to_a_step(model: Path) -> None:
    def activations(budget: int) -> float:
        return parts_of("sft", model, budget=budget, dtype="float32")["training"]["activations"]

    assert activations(80) == 80 * 1050
    assert activations(100) == 100 * 1050
    # Four pairs of thirty tokens a step: no microbatch is larger.
    assert activations(1000) == 120 * 1050
    # The longest pair is never cut.
    assert activations(10) == 40 * 1050


def test_a_ranking_is_never_cut(model: Path) -> None:
    found = parts_of("reward", model, budget=64, workload=work(completions=9.0), dtype="float32")
    assert found["training"]["activations"] == (20 + 9 * 10) * 1050
    assert "vocabulary head" not in found["training"]


def test_the_head_holds_a_share_and_no_more_than_it_keeps(model: Path) -> None:
    head = parts_of("sft", model, budget=60)["training"]["vocabulary head"]
    assert head == pytest.approx(60 * (10 / 30) * 10 + 500)
    many = work(completion_tokens=4000.0, longest=5000)
    head = parts_of("sft", model, budget=10**6, workload=many)["training"]["vocabulary head"]
    assert head == 4000 + 500


def test_a_gpus_memory_holds_no_interpreter(model: Path) -> None:
    from dataclasses import replace

    found = memory_parts(replace(case("ppo", model), device="cuda"), COSTS)
    for parts in found.values():
        assert not {"interpreter and libraries", "examples", "freed memory that is kept"} & {*parts}


def test_a_kept_pass_lies_beside_the_value_models(model: Path) -> None:
    kept = parts_of("ppo", model, budget=480, ppo={"minibatch_size": 8})["value update"]
    assert kept["activations"] == 240 * 2050
    assert "vocabulary head" not in kept
    apart = parts_of("ppo", model, budget=479, ppo={"minibatch_size": 8})
    assert "value update" not in apart
    assert apart["training"]["activations"] == 240 * 1050
    assert "value update" not in parts_of("sft", model)


def test_drawing_holds_keys_and_values_of_all_rows(model: Path) -> None:
    drawing = parts_of("ppo", model, ppo={"rollout_batch_size": 8})["drawing"]
    layers, width, bytes_each = 2, 2 * 2 * 8, 2
    assert drawing["keys and values"] == 8 * (30 + 64) * layers * width * bytes_each
