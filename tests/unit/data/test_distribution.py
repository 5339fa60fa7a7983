"""Every table of the paper, from a handful of prompts that can be counted by hand."""

import random
import statistics
from collections.abc import Sequence

import pytest

from heedful.core.errors import DataError
from heedful.core.records import Demonstration, Prompt
from heedful.data.distribution import (
    UNLABELLED,
    DataSet,
    Distribution,
    DistributionReport,
    Numbers,
    describe,
)


def prompt(number: int, **fields: object) -> Prompt:
    plain: dict[str, object] = {
        "id": f"p{number}",
        "text_hash": "0",
        "instruction": "word " * (number + 1),
        "source": "labeller",
        "user_id": "u1",
        "consent": True,
    }
    return Prompt.model_validate(plain | fields)


def demonstration(number: int, text: str, made_by: str = "person") -> Demonstration:
    return Demonstration.model_validate(
        {
            "id": f"d{number}",
            "prompt_id": f"p{number}",
            "text": text,
            "labeller_id": "l1",
            "made_by": made_by,
        }
    )


def count_words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


PROMPTS = [
    prompt(0, split="train", use_case="generation", tags=("sensitive", "ambiguous")),
    prompt(1, split="train", use_case="generation", tags=("sensitive",)),
    prompt(2, split="train", use_case="chat", user_id="u2", organisation="acme", source="api"),
    prompt(3, split="test", user_id="u3", organisation="acme", source="api"),
    prompt(4, split="test", user_id="u3", organisation="acme", source="api"),
]
DEMONSTRATIONS = [demonstration(0, "a b c"), demonstration(2, "a b c d e", "simulated")]


@pytest.fixture(scope="module")
def tables() -> Distribution:
    data = DataSet(name="mine", prompts=PROMPTS, demonstrations=DEMONSTRATIONS)
    languages = {1: "en", 2: "en", 3: "de", 4: "unknown", 5: "unknown"}
    report = describe(
        data,
        count_tokens=count_words,
        detect_language=lambda texts: [languages[len(text.split())] for text in texts],
        unit="words",
    )
    assert report.divergences == ()
    return report.sets[0]


def group(numbers: Sequence[Numbers], by: str, name: str) -> Numbers:
    return next(each for each in numbers if (each.by, each.group) == (by, name))


def test_sizes_by_split_and_source(tables: Distribution) -> None:
    found = [(s.split, s.source, s.num_prompts, s.num_users) for s in tables.sizes]
    assert found == [("train", "api", 1, 1), ("train", "labeller", 2, 1), ("test", "api", 2, 1)]
    assert (tables.num_prompts, tables.num_demonstrations, tables.unit) == (5, 2, "words")


def test_use_cases_tags_and_languages_say_what_is_not_known_last(tables: Distribution) -> None:
    assert [(c.name, c.count, c.share) for c in tables.use_cases] == [
        ("generation", 2, 0.4),
        ("chat", 1, 0.2),
        (UNLABELLED, 2, 0.4),
    ]
    assert [(c.name, c.count) for c in tables.tags] == [
        ("sensitive", 2),
        ("ambiguous", 1),
        (UNLABELLED, 3),
    ]
    assert [(c.name, c.count) for c in tables.languages] == [("en", 2), ("de", 1), ("unknown", 2)]


def test_prompts_of_users_and_organisations_overall_and_by_split(tables: Distribution) -> None:
    overall = group(tables.prompts_per_user, "all", "all")
    assert (overall.count, overall.mean, overall.median, overall.highest) == (3, 5 / 3, 2, 2)
    assert [(b.low, b.high, b.count) for b in overall.bins] == [(1, 1, 1), (2, 3, 2)]
    assert group(tables.prompts_per_user, "split", "test").mean == 2
    organisations = group(tables.prompts_per_organisation, "all", "all")
    assert (organisations.count, organisations.highest, organisations.std) == (1, 3, 0)


def test_lengths_as_statistics_has_them(tables: Distribution) -> None:
    found = group(tables.prompt_lengths, "all", "all")
    lengths = [1, 2, 3, 4, 5]
    quartiles = statistics.quantiles(lengths, n=4, method="inclusive")
    assert [found.quartile_1, found.median, found.quartile_3] == quartiles
    assert found.std == pytest.approx(statistics.stdev(lengths))
    assert (found.mean, found.lowest, found.highest) == (3, 1, 5)
    assert sum(b.count for b in found.bins) == 5
    assert group(tables.prompt_lengths, "use_case", UNLABELLED).mean == 4.5
    assert group(tables.prompt_lengths, "source", "labeller").mean == 1.5


def test_demonstrations_are_grouped_by_their_prompt_and_called_simulated(
    tables: Distribution,
) -> None:
    assert group(tables.demonstration_lengths, "all", "all").mean == 4
    assert group(tables.demonstration_lengths, "source", "api").mean == 5
    assert tables.simulated


def test_a_length_of_nothing_has_a_bin_of_its_own() -> None:
    report = describe(DataSet(name="a", prompts=PROMPTS), count_tokens=lambda t: [0] * len(t))
    bins = group(report.sets[0].prompt_lengths, "all", "all").bins
    assert [(b.low, b.high, b.count) for b in bins] == [(0, 0, 5)]
    assert report.sets[0].languages == ()


def test_two_sets_side_by_side_compare_what_both_have() -> None:
    others = [prompt(n, user_id=f"v{n}", source="api", use_case="chat") for n in range(4)]
    report = describe(
        DataSet(name="mine", prompts=PROMPTS, demonstrations=DEMONSTRATIONS),
        DataSet(name="theirs", prompts=others),
        count_tokens=count_words,
    )
    found = {divergence.table: divergence for divergence in report.divergences}
    # theirs has no tags, no organisations, no demonstrations; nobody was asked for languages.
    assert set(found) == {"source", "use_case", "prompts_per_user", "prompt_length"}
    assert 0 < found["use_case"].observed < 1
    assert found["prompts_per_user"].observed > 0
    assert [part.name for part in report.sets] == ["mine", "theirs"]


def test_a_set_does_not_differ_from_itself() -> None:
    one, same = DataSet(name="a", prompts=PROMPTS), DataSet(name="b", prompts=PROMPTS[::-1])
    for divergence in describe(one, same, count_tokens=count_words).divergences:
        assert divergence.observed == pytest.approx(0, abs=1e-12)


def test_the_report_is_the_same_in_any_order_and_survives_json() -> None:
    shuffled = random.Random(0).sample(PROMPTS, len(PROMPTS))
    other = DataSet(name="o", prompts=PROMPTS[:3])
    report, again = (
        describe(DataSet(name="a", prompts=prompts), other, count_tokens=count_words)
        for prompts in (PROMPTS, shuffled)
    )
    assert report == again
    assert DistributionReport.model_validate_json(report.model_dump_json()) == report


def test_errors_name_the_set_and_the_record() -> None:
    with pytest.raises(DataError, match="the data set mine has no prompts"):
        describe(DataSet(name="mine", prompts=[]), count_tokens=count_words)
    stray = DataSet(name="mine", prompts=PROMPTS[:1], demonstrations=[demonstration(7, "x")])
    with pytest.raises(DataError, match="the demonstration d7 is of the prompt p7"):
        describe(stray, count_tokens=count_words)
