from pathlib import Path

import pytest
from pydantic import BaseModel

from heedful.core.config import config_hash, load_config, walk_settings
from heedful.core.errors import ConfigError
from heedful.core.settings import Project

BASE = {"run": {"dir": "runs/a"}}


def load(*overrides, files=(), base=BASE):
    return load_config(Project, files, overrides, base=base)


def toml(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


class TestLayers:
    def test_defaults_hold_where_nothing_is_said(self):
        assert load().ppo.kl_coef == 0.02

    def test_a_later_file_wins(self, tmp_path):
        one = toml(tmp_path, "one.toml", "[ppo]\nkl_coef = 0.1\nptx_coef = 1.0")
        two = toml(tmp_path, "two.toml", "[ppo]\nkl_coef = 0.2")
        project = load(files=[one, two])
        assert (project.ppo.kl_coef, project.ppo.ptx_coef) == (0.2, 1.0)

    def test_an_override_wins_over_files(self, tmp_path):
        one = toml(tmp_path, "one.toml", "[ppo]\nkl_coef = 0.1")
        assert load("ppo.kl_coef=0.3", files=[one]).ppo.kl_coef == 0.3

    def test_a_file_wins_over_the_recipe(self, tmp_path):
        one = toml(tmp_path, "one.toml", "[run]\nseed = 3")
        base = {"run": {"dir": "runs/a", "seed": 2}, "sft": {"epochs": 2}}
        project = load(files=[one], base=base)
        assert (project.run.seed, project.sft.epochs) == (3, 2)

    def test_the_given_base_is_left_as_it_was(self):
        base = {"run": {"dir": "runs/a"}}
        load("run.seed=1", base=base)
        assert base == {"run": {"dir": "runs/a"}}

    def test_a_file_may_start_with_a_byte_order_mark(self, tmp_path):
        path = tmp_path / "one.toml"
        path.write_bytes(b"\xef\xbb\xbf[run]\nseed = 3")
        assert load(files=[path]).run.seed == 3


class TestOverrides:
    def test_a_bare_word_is_text(self):
        assert load("model.name=runs/sft").model.name == "runs/sft"

    def test_values_are_toml(self):
        project = load('model.name="a b"', "ppo.ema=true", "sft.learning_rate=1e-5")
        assert (project.model.name, project.ppo.ema, project.sft.learning_rate) == (
            "a b",
            True,
            1e-5,
        )

    def test_none_unsets_what_may_be_left_out(self):
        assert load("ppo.value_clip_range=none").ppo.value_clip_range is None

    def test_none_does_not_unset_what_is_needed(self):
        with pytest.raises(ConfigError, match=r"`ppo\.kl_coef`: Input should be a valid number"):
            load("ppo.kl_coef=none")

    @pytest.mark.parametrize("override", ["ppo.kl_coef", "=1", "ppo.=1", ".kl_coef=1"])
    def test_needs_a_name_and_a_value(self, override):
        with pytest.raises(ConfigError, match=r"expected section\.key=value"):
            load(override)

    def test_nothing_after_the_equals_sign_is_refused(self):
        with pytest.raises(ConfigError, match="no value"):
            load("model.name=")

    def test_broken_toml_is_not_taken_for_text(self):
        with pytest.raises(ConfigError, match="not valid TOML"):
            load("model.name=[1")


class TestUnknownSettings:
    @pytest.mark.parametrize(
        ("override", "meant"),
        [
            ("ppo.klcoef=1", "ppo.kl_coef"),
            ("ppo.kl_coeff=1", "ppo.kl_coef"),
            ("ppoo.kl_coef=1", "ppo"),
            ("klcoef=1", "ppo.kl_coef"),
            ("sft.kl_coef=1", "ppo.kl_coef"),
            ("model.nmae=x", "model.name"),
        ],
    )
    def test_the_nearest_is_named(self, override, meant):
        with pytest.raises(ConfigError) as error:
            load(override)
        assert f"(from --set {override})" in error.value.what
        assert error.value.hint == f"Did you mean `{meant}`?"

    def test_a_file_is_named(self, tmp_path):
        path = toml(tmp_path, "mine.toml", "[ppo]\nklcoef = 1.0")
        with pytest.raises(ConfigError, match=r"unknown setting `ppo\.klcoef` .*mine\.toml"):
            load(files=[path])

    def test_where_nothing_is_near_the_list_is_named(self):
        with pytest.raises(ConfigError) as error:
            load("zzz.yyy=1")
        assert error.value.hint is not None
        assert "lists every setting" in error.value.hint

    def test_several_mistakes_are_told_at_once(self):
        with pytest.raises(ConfigError, match=r"sft\.epoch`.*; .*klcoef`"):
            load("ppo.klcoef=1", "sft.epoch=1")


class TestWrongValues:
    @pytest.mark.parametrize(
        "override",
        [
            'ppo.kl_coef="0.1"',
            "ppo.kl_coef=0,1",
            "ppo.kl_coef=true",
            "ppo.kl_coef=nan",
            "run.seed=1.0",
            "run.seed=true",
            "ppo.ema=1",
            "ppo.ema=yes",
            "ppo.kl_coef=-1",
            "ppo=3",
            "ppo.kl_coef.x=1",
            "format.template=chatt",
        ],
    )
    def test_nothing_is_converted(self, override):
        name = override.partition("=")[0].removesuffix(".x")
        with pytest.raises(ConfigError) as error:
            load(override)
        assert f"`{name}`: Input should be" in error.value.what
        assert f"(from --set {override})" in error.value.what

    def test_an_integer_is_a_number(self):
        assert load("ppo.kl_coef=1").ppo.kl_coef == 1.0

    def test_a_missing_setting_is_named(self):
        with pytest.raises(ConfigError, match=r"setting `run\.dir` is needed"):
            load(base={"run": {}})

    def test_settings_that_do_not_go_together_name_every_layer(self, tmp_path):
        path = toml(tmp_path, "mine.toml", "[ppo]\nrollout_batch_size = 64")
        with pytest.raises(ConfigError, match="not a multiple") as error:
            load("ppo.minibatch_size=48", files=[path])
        assert f"(from {path}, --set ppo.minibatch_size=48)" in error.value.what


class TestFiles:
    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(ConfigError, match=r"gone\.toml: no such configuration file"):
            load(files=[tmp_path / "gone.toml"])

    def test_a_folder_is_named(self, tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            load(files=[tmp_path])

    def test_broken_toml_is_named_with_its_line(self, tmp_path):
        path = toml(tmp_path, "mine.toml", "[run]\nseed = 1\nseed == 2\n")
        with pytest.raises(ConfigError, match=r"mine\.toml: not valid TOML: .*line 3"):
            load(files=[path])

    def test_bytes_that_are_no_text_are_named(self, tmp_path):
        path = tmp_path / "mine.toml"
        path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ConfigError, match=r"mine\.toml: cannot be read"):
            load(files=[path])


class TestHash:
    def test_is_the_same_for_the_same_settings(self):
        assert config_hash(load("run.seed=1")) == config_hash(load("run.seed=1"))

    @pytest.mark.parametrize("override", ["run.seed=1", "ppo.kl_coef=0.1", "data.prompts=x"])
    def test_goes_with_what_decides_the_result(self, override):
        assert config_hash(load(override)) != config_hash(load())

    @pytest.mark.parametrize(
        "override", ["run.dir=elsewhere", "run.save_every=3", "run.tensorboard=true"]
    )
    def test_leaves_out_what_does_not(self, override):
        assert config_hash(load(override)) == config_hash(load())

    def test_takes_any_settings(self):
        class Own(BaseModel):
            run: str = "fast"

        assert config_hash(Own()) != config_hash(Own(run="slow"))


def test_walk_settings_names_every_leaf():
    names = [name for name, _ in walk_settings(Project)]
    assert "ppo.kl_coef" in names
    assert "ppo" not in names
    assert len(names) == len(set(names))


def test_walk_settings_enters_an_optional_section():
    class Inner(BaseModel):
        value: int = 1

    class Outer(BaseModel):
        inner: Inner | None = None

    assert [name for name, _ in walk_settings(Outer)] == ["inner.value"]


def test_a_setting_of_two_kinds_is_named_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load("model.microbatch_tokens='autoo'")
    told = str(caught.value)
    assert told.count("`model.microbatch_tokens`") == 1
    assert "integer" in told
    assert "'auto'" in told
    assert "constrained" not in told
