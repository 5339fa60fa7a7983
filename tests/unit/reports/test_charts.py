"""Every chart carries its numbers as text: in its description and in its table."""

import re

from heedful.core.statistics import CalibrationBin
from heedful.reports.charts import (
    Caption,
    Estimate,
    Line,
    curve_chart,
    distribution_chart,
    interval_chart,
    reliability_chart,
)
from heedful.reports.palette import SERIES
from heedful.reports.view import NOTHING

CAPTION = Caption(key="chart", title="A chart", text="What it is.", simulated=True)


def test_interval_chart_has_points_intervals_and_labels() -> None:
    figure = interval_chart(
        CAPTION,
        [
            Estimate(series=SERIES["sft"], value=0.5, label="SFT (reference)"),
            Estimate(series=SERIES["ppo"], value=0.61, low=0.55, high=0.67),
        ],
        axis="win rate",
        reference=0.5,
        share=True,
    )
    assert [row[0] for row in figure.table.rows] == ["SFT (reference)", "PPO"]
    assert figure.table.rows[1][1].endswith("(55.0 to 67.0)")
    assert figure.simulated
    for text in ("SFT (reference)", "win rate", "A chart", "55.0 to 67.0"):
        assert text in figure.svg


def test_curve_chart_leaves_gaps_and_tells_held_out_lines_apart() -> None:
    figure = curve_chart(
        CAPTION,
        [
            Line(series=SERIES["ppo"], steps=[1, 2, 3], values=[0.5, None, 0.7]),
            Line(series=SERIES["ppo"], steps=[3], values=[0.6], held_out=True),
        ],
        axis="steps",
    )
    assert figure.table.columns == ("steps", "PPO", "PPO, held out")
    assert figure.table.rows[1] == ("2", NOTHING, NOTHING)
    assert figure.table.rows[2] == ("3", "0.700", "0.600")
    assert figure.svg.count(">held out</text>") == 1


def test_tables_of_long_curves_keep_both_ends_and_say_so() -> None:
    steps = list(range(1, 1001))
    line = Line(series=SERIES["sft"], steps=steps, values=[float(s) for s in steps])
    table = curve_chart(CAPTION, [line], axis="steps").table
    assert len(table.rows) == 40
    assert (table.rows[0][0], table.rows[-1][0]) == ("1", "1000")
    assert table.caption == "40 of 1000 steps"


def test_distribution_chart_summarises_each_group() -> None:
    figure = distribution_chart(
        CAPTION,
        [(SERIES["sft"], [0.0, 1.0, 2.0, 3.0, 4.0]), (SERIES["ppo"], [5.0, 5.0])],
        axis="score",
    )
    assert figure.table.rows[0] == ("SFT", "5", "2.00", "0", "1.00", "2.00", "3.00", "4.00")
    assert figure.table.rows[1][2] == "5.00"


def test_distribution_of_one_value_can_be_drawn() -> None:
    figure = distribution_chart(CAPTION, [(SERIES["sft"], [1.0])], axis="score")
    assert figure.table.rows[0][1:3] == ("1", "1.00")


def test_reliability_chart_gives_counts_and_intervals() -> None:
    inside = CalibrationBin(low=0.6, high=0.7, count=40, mean_probability=0.66, accuracy=0.5)
    figure = reliability_chart(CAPTION, [inside], SERIES["reward"])
    label, pairs, predicted, observed = figure.table.rows[0]
    assert (label, pairs, predicted[:4]) == ("60 to 70 %", "40", "66.0")
    assert observed.endswith("(35.2 to 64.8)")


def test_small_shares_have_ticks_that_differ() -> None:
    small = Estimate(series=SERIES["sft"], value=0.003, low=0.001, high=0.01)
    figure = interval_chart(CAPTION, [small], axis="share", share=True)
    ticks = re.findall(r">([\d.]+ %)</text>", figure.svg)
    assert len(ticks) >= 2
    assert len(set(ticks)) == len(ticks)
