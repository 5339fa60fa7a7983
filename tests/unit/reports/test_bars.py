"""Bars and histograms carry their numbers as text, too."""

import pytest

from heedful.reports.bars import Histogram, bar_chart, flow_chart, histogram_chart
from heedful.reports.charts import Caption
from heedful.reports.palette import DROPPED, KEPT, SERIES

CAPTION = Caption(key="bars", title="Bars", text="What they are.", simulated=False)


def test_bars_of_two_groups_have_a_legend_and_a_column_each() -> None:
    groups = [(SERIES["sft"], [0.25, 0.75]), (SERIES["ppo"], [1.0, 0.0])]
    figure = bar_chart(CAPTION, ["chat", "extract"], groups)
    assert figure.table.columns == ("", "SFT", "PPO")
    assert [cell[:4] for cell in figure.table.rows[0]] == ["chat", "25.0", "100."]
    for text in (">chat<", ">SFT<", ">PPO<", "75.0"):
        assert text in figure.svg


def test_bars_of_one_group_need_no_legend() -> None:
    figure = bar_chart(CAPTION, ["chat"], [(SERIES["sft"], [1.0])])
    assert ">SFT</text>" not in figure.svg


def test_the_flow_says_what_came_in_and_went_out() -> None:
    steps = [("Reading", 12_000, 12_000), ("Caps", 12_000, 9_000)]
    figure = flow_chart(CAPTION, steps, KEPT, DROPPED)
    assert figure.table.rows[1] == ("Caps", "12,000", "9,000", "3,000")
    assert ">12.0 k</text>" in figure.svg
    assert "var(--series-other-2)" in figure.svg


@pytest.mark.parametrize(
    ("counts", "median", "ticks"),
    [
        ((0, 3, 2), 1.5, ("1", "2", "4")),
        ((4,), 0.0, ("0", "1")),
        ((0,) * 17 + (5,), 7e4, ("65.5 k",)),
    ],
)
def test_histograms_double_along_their_axis(
    counts: tuple[int, ...], median: float, ticks: tuple[str, ...]
) -> None:
    row = Histogram(series=SERIES["sft"], counts=counts, median=median, cells=("5", "1.5"))
    figure = histogram_chart(CAPTION, [row], axis="tokens", columns=("", "n", "median"))
    assert figure.table.rows == (("SFT", "5", "1.5"),)
    for tick in ticks:
        assert f">{tick}</text>" in figure.svg
    assert ">tokens</text>" in figure.svg


def test_a_name_too_long_for_a_figure_is_whole_in_its_table() -> None:
    name = "hub:somebody/a-data-set-with-a-long-name:train"
    figure = bar_chart(CAPTION, [name], [(SERIES["sft"], [1.0])])
    assert figure.table.rows[0][0] == name
    assert ">hub:somebody…ng-name:train</text>" in figure.svg
