import shutil
from functools import partial
from pathlib import Path

import pytest
import torch

from fakes.tiny_models import build_model, build_model_dir
from fakes.training_data import make_prompt
from heedful.core.errors import CheckpointError, ConfigError
from heedful.core.records import Checkpoint, SamplingParameters
from heedful.core.settings import FormatSettings
from heedful.data.tokenizer import TextTokenizer
from heedful.generation.language_model import LanguageModel, request_seed
from heedful.models.checkpoint import copy_tokenizer, save_policy, save_scalar
from heedful.models.scalar import ScalarModel

PLAIN = FormatSettings(template="plain", max_prompt_tokens=64, max_completion_tokens=8)
PROMPTS = [make_prompt(number) for number in range(3)]
SAMPLING = SamplingParameters(max_tokens=6)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model_dir(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def language(base: Path) -> LanguageModel:
    return LanguageModel.open(str(base), format_settings=PLAIN)


def card(kind: str) -> Checkpoint:
    return Checkpoint.model_validate(
        {
            "id": f"{kind}-1",
            "kind": kind,
            "step": 1,
            "base_model": "tiny",
            "config_hash": "c",
            "tokenizer_hash": "t",
            "format_version": "plain-1",
            "made_by": ["person"],
        }
    )


def saved(path: Path, base: Path, kind: str) -> Path:
    write = partial(copy_tokenizer, base)
    options = {"card": card(kind), "format_settings": PLAIN, "save_tokenizer": write}
    if kind == "reward":
        model = ScalarModel(build_model().model, 32)
        save_scalar(path, model, model.state_dict(), **options)
    else:
        policy = build_model()
        save_policy(path, policy, policy.state_dict(), **options)
    return path


class TestOpen:
    def test_a_plain_model_goes_by_its_name(self, language, base):
        assert language.checkpoint_id == language.base_model == str(base)
        assert language.parents == {}

    def test_a_checkpoint_brings_its_format(self, base, tmp_path):
        found = LanguageModel.open(str(saved(tmp_path / "sft", base, "sft")))
        assert found.formatter.settings == PLAIN
        assert found.checkpoint_id == "sft-1"
        assert found.base_model == "tiny"
        assert found.parents == {"init": "sft-1"}

    def test_budgets_may_change_but_not_the_template(self, base, tmp_path):
        name = str(saved(tmp_path / "sft", base, "sft"))
        wider = PLAIN.model_copy(update={"max_prompt_tokens": 99})
        assert LanguageModel.open(name, format_settings=wider).formatter.settings == wider
        with pytest.raises(ConfigError, match=r"`format\.template` is chat, but .* with plain"):
            LanguageModel.open(name, format_settings=FormatSettings(template="chat"))

    def test_a_reward_model_is_none(self, base, tmp_path):
        with pytest.raises(CheckpointError, match="is a reward model"):
            LanguageModel.open(str(saved(tmp_path / "reward", base, "reward")))

    def test_bfloat16_rounds_the_weights_and_not_the_positions(self, base, language):
        narrow = LanguageModel.open(str(base), format_settings=PLAIN, dtype=torch.bfloat16)
        assert narrow.model.lm_head.weight.dtype == torch.bfloat16
        assert torch.equal(
            narrow.model.model.rotary_emb.inv_freq, language.model.model.rotary_emb.inv_freq
        )


class TestSample:
    def test_does_not_depend_on_the_other_prompts(self, language):
        together = language.sample(PROMPTS, SAMPLING, seed=3, num_completions=2)
        alone = [language.sample([p], SAMPLING, seed=3, num_completions=2)[0] for p in PROMPTS]
        for ours, theirs in zip(together, alone, strict=True):
            assert [g.token_ids for g in ours] == [g.token_ids for g in theirs]
        assert len({g.token_ids for row in together for g in row}) == 6

    def test_the_seed_decides(self, language):
        one, two = (language.sample(PROMPTS, SAMPLING, seed=seed) for seed in (1, 2))
        assert [row[0].token_ids for row in one] != [row[0].token_ids for row in two]

    def test_a_prompt_asked_again_gets_other_noise(self, language):
        rows = language.sample([PROMPTS[0], PROMPTS[0]], SAMPLING, seed=3)
        assert rows[0][0].token_ids != rows[1][0].token_ids
        alone = language.sample(PROMPTS[:1], SAMPLING, seed=3)
        assert rows[0][0].token_ids == alone[0][0].token_ids

    def test_each_prompt_may_have_its_own_number(self, language):
        rows = language.sample(PROMPTS, SAMPLING, num_completions=[3, 1, 2], seed=3)
        for prompt, row, number in zip(PROMPTS, rows, (3, 1, 2), strict=True):
            alone = language.sample([prompt], SAMPLING, num_completions=number, seed=3)
            assert [found.token_ids for found in row] == [found.token_ids for found in alone[0]]

    def test_training_changes_the_very_weights_that_are_sampled(self, base):
        language = LanguageModel.open(str(base), format_settings=PLAIN)
        before = language.sample(PROMPTS, SAMPLING, seed=3)
        with torch.no_grad():
            language.model.lm_head.weight.neg_()
        assert language.sample(PROMPTS, SAMPLING, seed=3) != before


class TestComplete:
    def test_records_say_where_they_come_from(self, language):
        rows = language.complete(PROMPTS, SAMPLING, num_completions=2, seed=3, checkpoint_id="x")
        for prompt, row in zip(PROMPTS, rows, strict=True):
            for found in row:
                assert (found.prompt_id, found.checkpoint_id, found.seed) == (prompt.id, "x", 3)
                assert found.sampling == SAMPLING
                assert found.num_tokens is not None
                assert 1 <= found.num_tokens <= 6

    def test_ids_repeat_in_a_rerun_and_nowhere_else(self, language):
        asked = [*PROMPTS, PROMPTS[0]]
        one, two = (language.complete(asked, SAMPLING, num_completions=2) for _ in range(2))
        assert one == two
        assert len({found.id for row in one for found in row}) == 8
        other = language.complete(asked, SAMPLING, num_completions=2, seed=1)
        assert not {f.id for row in one for f in row} & {f.id for row in other for f in row}


class TestChildCard:
    def test_makers_and_parents_add_up(self, base, tmp_path):
        language = LanguageModel.open(str(saved(tmp_path / "sft", base, "sft")))
        child = language.child_card(
            "reward",
            step=7,
            settings_hash="h",
            parents=language.parents,
            made_by=("simulated",),
        )
        assert child.made_by == ("person", "simulated")
        assert (child.parents, child.base_model, child.step) == (("sft-1",), "tiny", 7)
        assert child.tokenizer_hash == language.tokenizer.hash
        assert child.format_version == language.formatter.version

    def test_ids_follow_from_what_was_done(self, language):
        def identity(step: int, settings: str) -> str:
            return language.child_card(
                "sft", step=step, settings_hash=settings, parents={}, made_by=()
            ).id

        assert identity(1, "a") == identity(1, "a")
        assert len({identity(1, "a"), identity(2, "a"), identity(1, "b")}) == 3


@pytest.mark.parametrize("name", ["tokenizer.json", "tok.json"])
def test_a_checkpoint_gets_a_tokenizer_whatever_its_file_is_called(base, tmp_path, name):
    folder = shutil.copytree(base, tmp_path / "model")
    (folder / "tokenizer.json").rename(folder / name)
    language = LanguageModel.open(str(folder), format_settings=PLAIN)
    language.save_tokenizer(tmp_path)
    again = TextTokenizer.from_dir(tmp_path)
    assert again.hash == language.tokenizer.hash
    assert again.eos_id == language.tokenizer.eos_id


def test_room_is_that_of_the_context(language):
    language.require_room(256)
    with pytest.raises(ConfigError, match=r"has 257 tokens, .* holds 256"):
        language.require_room(257)


def test_request_seeds_are_told_apart():
    seeds = {request_seed(*parts) for parts in ((1, "a"), (1, "b"), (2, "a"), ("1a",), (1, "a", 1))}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)
