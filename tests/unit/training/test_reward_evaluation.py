import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from heedful.training.examples import RankedExample, read_rankings
from heedful.training.reward_evaluation import JudgedPair, evaluate_reward_model, judge_pairs
from heedful.training.scoring import RewardModel


@pytest.fixture(scope="module")
def model(reward_run: Path) -> RewardModel:
    return RewardModel.open(str(reward_run), torch.device("cpu"), torch.float32)


@pytest.fixture
def examples(model: RewardModel, project) -> list[RankedExample]:
    return read_rankings(project().data, model.formatter, 0, lambda _: None).validation


def pair(probability: float, *, first_wins: bool) -> JudgedPair:
    return JudgedPair(
        prompt_id="p", probability=probability, first_wins=first_wins, longer_wins=0.5
    )


def judged_by(model, examples):
    return judge_pairs(examples, model.score_pairs([p for one in examples for p in one.pairs]))


def test_right_wrong_and_undecided():
    assert pair(0.9, first_wins=True).correct == 1
    assert pair(0.9, first_wins=False).correct == 0
    assert pair(0.5, first_wins=False).correct == 0.5
    assert pair(0.9, first_wins=True).log_loss == pytest.approx(-math.log(0.9))
    assert pair(0.9, first_wins=False).log_loss == pytest.approx(-math.log(0.1))
    assert math.isfinite(pair(0.0, first_wins=True).log_loss)


def test_pairs_are_judged_by_the_difference_of_scores(model, examples):
    judged = judged_by(model, examples)
    assert len(judged) == 3 * len(examples)
    first = examples[0]
    scores = model.score_pairs(first.pairs)
    ranks = first.ranking.ranks
    assert judged[0].probability == pytest.approx(
        1 / (1 + math.exp(scores[1] - scores[0])), rel=1e-4
    )
    assert judged[0].first_wins == (ranks[0] < ranks[1])


def test_ties_are_left_out(model, examples):
    tied = [
        replace(one, ranking=one.ranking.model_copy(update={"ranks": (1, 1, 2)}))
        for one in examples
    ]
    assert len(judged_by(model, tied)) == 2 * len(examples)


def test_the_longer_one_as_a_baseline(model, examples):
    lengths = [len(pair.completion_ids) for pair in examples[0].pairs]
    by_length = sorted(range(3), key=lambda n: -lengths[n])
    ranks = tuple(by_length.index(n) + 1 for n in range(3))
    example = replace(examples[0], ranking=examples[0].ranking.model_copy(update={"ranks": ranks}))
    for judged in judged_by(model, [example]):
        assert judged.longer_wins in (0.5, 1.0)


def test_the_sentence_has_the_numbers_and_their_intervals(model, examples):
    evaluation = evaluate_reward_model(model, examples, seed=3)
    numbers = {result.metric: result for result in evaluation.results}
    assert f"{numbers['accuracy'].value:.1%} (" in evaluation.summary()
    assert f"{numbers['length_accuracy'].value:.1%} (" in evaluation.summary()
    assert "chance 0.693" in evaluation.summary()
    assert [found.source for found in evaluation.scores] == [
        source for one in examples for source in one.sources
    ]
    assert {result.seed for result in evaluation.results} == {3}
    assert {result.checkpoint_id for result in evaluation.results} == {model.card.id}
    bins = evaluation.calibration["bins"]
    assert sum(found["count"] for found in bins) == evaluation.calibration["num_pairs"]
    assert evaluation.calibration["num_prompts"] == len(examples)
