import math

import pytest

from heedful.core.jsonl import RowError
from heedful.core.metrics import METRICS, MetricLogger, read_metrics


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "metrics.jsonl"


def log(path, *steps, resume_step=0):
    logger = MetricLogger(path, resume_step=resume_step)
    for step in steps:
        logger.log(step, {"policy/loss": float(step)})
    logger.close()


def steps(path):
    return [row["step"] for row in read_metrics(path)]


def test_rows_come_back(path):
    log(path, 1, 2)
    rows = read_metrics(path)
    assert [(row["step"], row["policy/loss"]) for row in rows] == [(1, 1.0), (2, 2.0)]


def test_an_unknown_name_is_refused_with_the_nearest(path):
    logger = MetricLogger(path)
    with pytest.raises(KeyError, match=r"policy/clip_frac.*nearest: policy/clipfrac"):
        logger.log(1, {"policy/clip_frac": 0.1})
    logger.close()
    assert read_metrics(path) == []


def test_resuming_cuts_what_came_after_the_saved_step(path):
    log(path, 1, 2, 3, 4)
    log(path, 3, resume_step=2)
    assert steps(path) == [1, 2, 3]


def test_a_fresh_start_leaves_nothing_of_an_earlier_run(path):
    log(path, 1, 2)
    log(path, 1)
    assert steps(path) == [1]


def test_a_half_written_last_line_is_left_out(path):
    log(path, 1, 2)
    with path.open("a") as file:
        file.write('{"step": 3, "policy/lo')
    assert steps(path) == [1, 2]
    log(path, 3, resume_step=2)
    assert steps(path) == [1, 2, 3]


def test_a_broken_line_in_the_middle_is_named(path):
    log(path, 1)
    with path.open("a") as file:
        file.write('{"step": 2, \n{"step": 3}\n')
    with pytest.raises(RowError, match=r"metrics\.jsonl, line 2: not valid JSON"):
        read_metrics(path)


def test_a_file_that_is_not_there_has_no_rows(path):
    assert read_metrics(path) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_undefined_number_is_null(path, value):
    logger = MetricLogger(path)
    logger.log(1, {"value/explained_variance": value})
    logger.close()
    assert read_metrics(path)[0]["value/explained_variance"] is None


def test_every_row_is_mirrored(path):
    seen = []
    logger = MetricLogger(path, mirror=lambda step, values: seen.append((step, dict(values))))
    logger.log(1, {"policy/loss": 0.5})
    logger.close()
    assert seen == [(1, {"policy/loss": 0.5})]


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_a_group_and_a_meaning(name):
    group, _, leaf = name.partition("/")
    assert group
    assert leaf
    assert METRICS[name].meaning
