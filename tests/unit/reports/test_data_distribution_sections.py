"""Figures and tables of one data set, and of two."""

from fakes.data_room_folder import made_up_prompts
from heedful.data.distribution import DataSet, describe
from heedful.reports.data_distribution_sections import distribution
from heedful.reports.data_run import DataRun


def test_two_sets_stand_side_by_side_with_their_divergence(data_run: DataRun) -> None:
    section = distribution(data_run.distribution)
    assert section is not None
    titles = [figure.title for figure in section.figures]
    assert titles == [
        "How far this data and embedded lie apart",
        "Use cases",
        "Tags",
        "Languages",
        "Prompts of a user",
        "Prompts of an organisation",
        "Words of a prompt",
        "Words of a demonstration",
    ]
    assert section.figures[1].table.columns == ("", "this data", "embedded")
    assert [figure.title for figure in section.figures if figure.simulated] == titles[-1:]
    captions = [table.caption for table in section.tables]
    assert captions == [
        "Divergence, in bits",
        "Prompts by split and source",
        "Words of prompts, this data",
        "Words of prompts, embedded",
        "Words of demonstrations, this data",
    ]
    assert [row[0] for row in section.tables[2].rows][:4] == [
        "all",
        "split: train",
        "split: validation",
        "split: test",
    ]


def test_one_set_shows_its_splits_and_nothing_that_it_has_not() -> None:
    prompts = [p.model_copy(update={"organisation": None}) for p in made_up_prompts(60)]
    report = describe(DataSet(name="mine", prompts=prompts), count_tokens=lambda t: [3] * len(t))
    section = distribution(report)
    assert section is not None
    figures = {figure.title: figure for figure in section.figures}
    assert set(figures) == {"Use cases", "Tags", "Prompts of a user", "Tokens of a prompt"}
    names = [row[0] for row in figures["Tokens of a prompt"].table.rows]
    assert names[0] == "mine"
    assert names[1:] == ["train", "validation", "test"]
    assert section.lead == ("mine: 60 prompts, 0 demonstrations.",)


def test_many_kinds_are_cut_and_it_is_said() -> None:
    prompts = made_up_prompts(40)
    report = describe(
        DataSet(name="mine", prompts=prompts),
        count_tokens=lambda t: [1] * len(t),
        detect_language=lambda t: [f"l{n % 20}" for n in range(len(t))],
    )
    section = distribution(report)
    assert section is not None
    figure = next(figure for figure in section.figures if figure.title == "Languages")
    assert len(figure.table.rows) == 20
    assert figure.table.rows[0][1].startswith("2 (5.0")
    assert figure.svg.count(">l") == 12
    assert figure.caption.endswith("8 rarer ones stand in the table only.")


def test_what_nobody_labelled_is_said_not_drawn() -> None:
    bare = {"use_case": None, "tags": ()}
    prompts = [prompt.model_copy(update=bare) for prompt in made_up_prompts(20)]
    report = describe(DataSet(name="mine", prompts=prompts), count_tokens=lambda t: [3] * len(t))
    section = distribution(report)
    assert section is not None
    assert not {"Use cases", "Tags"} & {figure.title for figure in section.figures}
    assert [text.split(" from")[0] for text in section.missing] == [
        "No prompt here has a use case",
        "No prompt here has a tag",
    ]


def test_without_a_distribution_there_is_no_section() -> None:
    assert distribution(None) is None
