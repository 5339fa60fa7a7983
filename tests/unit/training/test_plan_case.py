from pathlib import Path

import pytest

from fakes.planned_stage import case, work
from fakes.training_data import make_project
from heedful.training.plan_case import Copy, copies


@pytest.fixture(scope="module")
def model(base: Path) -> Path:
    return base / "model"


def roles(stage: str, **sections: dict[str, object]) -> list[Copy]:
    return copies(stage, make_project(Path("run"), Path("model"), **sections))


def test_one_model_is_trained_by_sft_and_reward() -> None:
    assert roles("sft") == [Copy("model", "model", "all")]
    assert roles("reward", model={"lora_rank": 2}) == [Copy("model", "model", "adapters")]


def test_sft_chosen_by_reward_holds_the_judge_too() -> None:
    chosen = {"choose_by": "reward", "reward_model": "rm"}
    assert roles("sft", sft=chosen)[1] == Copy("reward model", "rm", "nothing")


def test_ppo_holds_a_value_model_begun_from_the_reward_model() -> None:
    found = roles("ppo", ppo={"init": "start", "reward": "rm"})
    assert [(copy.role, copy.name, copy.trained, copy.borrowed) for copy in found] == [
        ("policy", "start", "all", False),
        ("reference", "start", "nothing", False),
        ("reward model", "rm", "nothing", False),
        ("value model", "rm", "all", False),
    ]


def test_adapters_stand_on_weights_that_others_hold() -> None:
    def own(**ppo: object) -> list[str]:
        found = roles("ppo", model={"lora_rank": 2}, ppo={"reward": "rm"} | ppo)
        return [copy.role for copy in found if not copy.borrowed]

    assert own() == ["policy", "reward model"]
    assert own(value_init="other") == ["policy", "reward model", "value model"]
    assert own(shared_trunk=True) == ["policy"]


def test_a_function_is_no_model() -> None:
    found = roles("ppo", ppo={"reward": "json:dumps", "value_init": "rm"})
    assert [copy.role for copy in found] == ["policy", "reference", "value model"]


def test_the_scene_is_a_microbatch_of_a_step(model: Path) -> None:
    scene = case("sft", model, budget=100).scene()
    assert (scene.prompt_tokens, scene.completion_tokens, scene.prompts) == (20, 10, 3)
    assert scene.decode_rows == 0
    assert case("sft", model, budget=10_000).scene().prompts == 4
    assert case("sft", model, budget=10).scene().prompts == 1
    ranked = case("reward", model, budget=120, workload=work(completions=3.2)).scene()
    assert (ranked.prompts, ranked.completions) == (2, 3)
    assert case("ppo", model).scene().decode_rows == 8


def test_a_value_model_has_a_head_of_its_own(model: Path) -> None:
    ppo = case("ppo", model)
    by_role = {copy.role: ppo.num_trained(copy, shape) for copy, shape in ppo.models}
    assert by_role["value model"] == by_role["policy"] + ppo.shape.hidden
    assert by_role["reference"] == by_role["reward model"] == 0
    assert ppo.all_trained == sum(by_role.values())


def test_pretraining_text_counts_where_it_is_asked_for(model: Path) -> None:
    assert case("ppo", model).pretraining_tokens == 0
    ptx = {"ptx_coef": 1.0, "ptx_ratio": 2.0, "ptx_tokens": 16}
    ppo = case("ppo", model, ppo=ptx)
    assert ppo.pretraining_tokens == ppo.num_steps * 8 * 16
    assert ppo.microbatch == 128
