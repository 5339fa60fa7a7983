from pathlib import Path

import pytest
import torch

from fakes.training_data import make_prompt
from heedful.core.errors import CheckpointError, ConfigError, ModelError
from heedful.core.records import Completion
from heedful.training.batches import TokenPair
from heedful.training.scoring import FunctionScorer, RewardModel, names_function, open_scorer

CPU = torch.device("cpu")
PROMPTS = [make_prompt(number) for number in range(5)]
TEXTS = ["good red", "bad", "", "plain and rather longer than the others", "good"]


@pytest.fixture(scope="module")
def model(reward_run: Path) -> RewardModel:
    return RewardModel.open(str(reward_run), CPU, torch.float32)


def test_a_score_does_not_depend_on_its_neighbours(model: RewardModel):
    together = model.score(PROMPTS, TEXTS)
    alone = [model.score([p], [text])[0] for p, text in zip(PROMPTS, TEXTS, strict=True)]
    assert together == pytest.approx(alone, rel=1e-4, abs=1e-5)


def test_the_score_is_read_at_the_end_token(model: RewardModel):
    prompt, text = PROMPTS[0], "good red"
    ids = model.formatter.completion_ids(text)
    pair = TokenPair(prompt_ids=model.formatter.prompt_ids(prompt), completion_ids=ids)
    assert model.score([prompt], [text]) == pytest.approx(model.score_pairs([pair]))
    assert ids[-1] == model.formatter.end_id


def test_a_completion_that_was_cut_has_no_end_token(model: RewardModel):
    prompt = PROMPTS[0]

    def completion(finish_reason: str) -> Completion:
        return Completion.model_validate(
            {
                "id": "c",
                "prompt_id": prompt.id,
                "text": "good red",
                "checkpoint_id": "x",
                "finish_reason": finish_reason,
            }
        )

    ended, cut = model.score_completions([prompt] * 2, [completion("stop"), completion("length")])
    assert ended == pytest.approx(model.score([prompt], ["good red"])[0], rel=1e-4, abs=1e-5)
    assert ended != pytest.approx(cut, rel=1e-4, abs=1e-5)


def test_small_microbatches_give_the_same(reward_run: Path, model: RewardModel):
    small = RewardModel.open(str(reward_run), CPU, torch.float32, microbatch_tokens=16)
    assert small.score(PROMPTS, TEXTS) == pytest.approx(
        model.score(PROMPTS, TEXTS), rel=1e-4, abs=1e-5
    )


def test_nothing_of_it_trains(model: RewardModel):
    assert not any(p.requires_grad for p in model.model.parameters())
    assert not model.model.training


def test_bfloat16_is_near(reward_run: Path, model: RewardModel):
    narrow = RewardModel.open(str(reward_run), CPU, torch.bfloat16)
    assert narrow.score(PROMPTS, TEXTS) == pytest.approx(model.score(PROMPTS, TEXTS), abs=0.3)


class TestOpen:
    def test_a_function(self):
        scorer = open_scorer("fakes.rewards:likes_e", CPU, torch.float32)
        assert isinstance(scorer, FunctionScorer)
        assert scorer.score(PROMPTS[:2], ["eel", "dog"]) == [2.0, 0.0]

    def test_a_checkpoint(self, reward_run: Path):
        assert isinstance(open_scorer(str(reward_run), CPU, torch.float32), RewardModel)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("no_such_module:f", "No module named 'no_such_module'"),
            ("fakes.rewards:nothing", "has no attribute 'nothing'"),
            (":f", "Empty module name"),
            ("fakes.rewards:NOT_A_FUNCTION", "is not a function"),
        ],
    )
    def test_what_is_no_function(self, name: str, message: str):
        with pytest.raises(ConfigError, match=message):
            open_scorer(name, CPU, torch.float32)

    def test_what_is_no_reward_model(self, base: Path):
        with pytest.raises(CheckpointError, match="is a plain transformers model"):
            open_scorer(str(base / "model"), CPU, torch.float32)
        with pytest.raises(ModelError, match="no model called"):
            open_scorer("nowhere", CPU, torch.float32)

    def test_a_path_with_a_colon_is_a_path(self, tmp_path: Path):
        folder = tmp_path / "C:runs"
        assert names_function(str(folder))
        folder.mkdir()
        assert not names_function(str(folder))


class TestFunctionAnswers:
    def test_too_few(self):
        scorer = open_scorer("fakes.rewards:one_short", CPU, torch.float32)
        with pytest.raises(ConfigError, match="one_short returned 4 scores for 5 texts"):
            scorer.score(PROMPTS, TEXTS)

    def test_no_number(self):
        scorer = open_scorer("fakes.rewards:undefined", CPU, torch.float32)
        with pytest.raises(ConfigError, match="undefined returned nan for the text 'good red'"):
            scorer.score(PROMPTS, TEXTS)
