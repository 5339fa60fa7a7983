import pytest
from pydantic import ValidationError

from heedful.core.config import walk_settings
from heedful.core.settings import ModelSettings, PPOSettings, Project, RunSettings, SFTSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rollout_batch_size": 64, "minibatch_size": 48}, "not a multiple of minibatch_size"),
        ({"episodes": 1000}, "not a multiple of rollout_batch_size"),
        ({"kl_horizon": 100}, "kl_horizon does nothing"),
        ({"ema_decay": 0.99}, "ema_decay does nothing"),
    ],
)
def test_ppo_settings_that_do_not_go_together(settings, message):
    with pytest.raises(ValidationError, match=message):
        PPOSettings(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"choose_by": "reward"}, r"needs sft\.reward_model"),
        ({"reward_model": "runs/rm"}, "reward_model does nothing"),
    ],
)
def test_sft_settings_that_do_not_go_together(settings, message):
    with pytest.raises(ValidationError, match=message):
        SFTSettings(**settings)


def test_a_shared_trunk_needs_adapters(tmp_path):
    settings = {"run": RunSettings(dir=tmp_path), "ppo": PPOSettings(shared_trunk=True)}
    with pytest.raises(ValidationError, match="needs adapters"):
        Project(**settings)
    assert Project(**settings, model=ModelSettings(lora_rank=4)).ppo.shared_trunk


def test_the_papers_ppo_schedule():
    """500 iterations of 8 minibatches (section 3.5 and appendix C.4)."""
    defaults = PPOSettings()
    assert defaults.num_iterations == 500
    assert defaults.num_optimiser_steps == 4000
    assert defaults.warmup_share * defaults.num_iterations == 10


def test_inner_epochs_multiply_the_steps():
    assert PPOSettings(inner_epochs=4).num_optimiser_steps == 16_000


def test_the_project_default_is_valid_but_for_the_run_directory():
    with pytest.raises(ValidationError) as error:
        Project.model_validate({})
    assert [detail["loc"] for detail in error.value.errors()] == [("run",)]


@pytest.mark.parametrize("name", [name for name, _ in walk_settings(Project)])
def test_every_setting_is_described(name):
    field = dict(walk_settings(Project))[name]
    assert field.description
    assert field.description.endswith(".")


def test_pretraining_text_takes_its_places_in_the_batch():
    settings = SFTSettings(batch_size=16, pretraining_share=0.1)
    assert (settings.num_pretraining, settings.num_demonstrations) == (2, 14)
    assert SFTSettings(batch_size=16).num_demonstrations == 16
    with pytest.raises(ValidationError, match="leaves no room for demonstrations"):
        SFTSettings(batch_size=1, pretraining_share=0.1)
