import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.core.errors import ConfigError
from heedful.data.pii import PLACEHOLDER, Masker, PersonalDataReport, Span
from heedful.data.pii_rules import Rule, RuleDetector

TOY = RuleDetector(
    "toy",
    [
        Rule("EMAIL", re.compile(r"[\w.+-]+@[\w.-]+\w"), has_digit=False),
        Rule("PHONE", re.compile(r"\+?\d[\d ()-]{6,}\d")),
        Rule("PERSON", re.compile(r"name is (?P<value>[A-Z]\w+(?: [A-Z]\w+)*)"), has_digit=False),
        Rule("SECRET", re.compile(r"key=(?P<value>\w+)"), has_digit=False),
    ],
)
MASKER = Masker([TOY])


class Fixed:
    """Finds the same spans in every text."""

    def __init__(self, name: str, *spans: tuple[int, int, str]) -> None:
        self.name = name
        self.spans = spans

    def find(self, text: str) -> list[Span]:
        return [Span(*span) for span in self.spans if span[1] <= len(text)]


def mask(*texts: str) -> list[str]:
    return list(MASKER.mask(texts).texts)


def test_values_are_numbered_in_order_of_first_appearance_by_kind():
    masked = mask("b@x.org and a@x.org, key=77x", "a@x.org, c@x.org")
    assert masked == [
        "<EMAIL_1> and <EMAIL_2>, key=<SECRET_1>",
        "<EMAIL_2>, <EMAIL_3>",
    ]


def test_the_same_value_in_another_form_has_the_same_placeholder():
    assert mask("Ana@X.org", "ana@x.org") == ["<EMAIL_1>", "<EMAIL_1>"]
    assert mask("+44 20 7946 0958 or 020 7946 0958 or 020-7946-0959") == [
        "<PHONE_1> or <PHONE_1> or <PHONE_2>"
    ]


def test_secrets_keep_their_case_apart():
    assert mask("key=aB1 key=Ab1") == ["key=<SECRET_1> key=<SECRET_2>"]


def test_a_name_found_once_is_masked_everywhere_and_so_are_its_parts():
    masked = mask(
        "Maria called. My name is Maria Lopez.", "MARIA LOPEZ, Marian, LOPEZ; dear Maria's dog"
    )
    assert masked == [
        "<PERSON_1> called. My name is <PERSON_1>.",
        "<PERSON_1>, Marian, <PERSON_1>; dear <PERSON_1>'s dog",
    ]


def test_a_part_of_a_name_that_is_a_common_word_stays():
    assert mask("My name is Will Young. Will you?") == ["My name is <PERSON_1>. Will you?"]


def test_a_value_is_found_again_inside_a_script_without_spaces():
    rule = Rule("PERSON", re.compile("我叫(?P<value>王小明)"), has_digit=False)
    assert Masker([RuleDetector("toy", [rule])]).mask(["我叫王小明。", "王小明说"]).texts == (
        "我叫<PERSON_1>。",
        "<PERSON_1>说",
    )


def test_placeholders_in_the_text_stay_and_their_numbers_are_not_given_again():
    assert mask("<EMAIL_1> and <EMAIL_3>", "a@x.org b@x.org") == [
        "<EMAIL_1> and <EMAIL_3>",
        "<EMAIL_2> <EMAIL_4>",
    ]


def test_the_longest_find_wins_then_the_earlier_then_the_first_detector():
    short, long = Fixed("short", (0, 4, "SHORT")), Fixed("long", (2, 9, "LONG"))
    # What the longest leaves of another is looked at again.
    assert Masker([short, long]).find(["abcdefghij"]) == [[Span(0, 2, "SHORT"), Span(2, 9, "LONG")]]
    one, other = Fixed("one", (0, 4, "ONE")), Fixed("other", (0, 4, "OTHER"))
    assert Masker([other, one]).find(["abcd"]) == [[Span(0, 4, "OTHER")]]
    assert Masker([Fixed("both", (1, 4, "B"), (0, 3, "A"))]).find(["abcd"])[0][0].kind == "A"


def test_a_find_over_a_placeholder_masks_what_is_beside_it():
    masked = Masker([Fixed("all", (0, 14, "ALL"))]).mask(["ab <EMAIL_1> c"]).texts
    assert masked == ("<ALL_1><EMAIL_1><ALL_2>",)


def test_a_detector_that_finds_no_span_is_named():
    for span in [(3, 3, "X"), (-1, 2, "X"), (0, 2, "x y")]:
        with pytest.raises(ConfigError, match="'odd'"):
            Masker([Fixed("odd", span)]).find(["abcdef"])


def test_no_texts_and_empty_texts():
    assert mask() == []
    assert mask("", "") == ["", ""]


def test_reports_add_up():
    one = PersonalDataReport(num_records=3, num_with=1, counts={"EMAIL": 2})
    two = PersonalDataReport(num_records=1, num_with=1, counts={"EMAIL": 1, "PHONE": 1})
    assert PersonalDataReport.total([one, two]) == PersonalDataReport(
        num_records=4, num_with=2, counts={"EMAIL": 3, "PHONE": 1}
    )


PIECES = st.sampled_from(
    [
        *("a@x.org", "A@X.ORG", "+1(415)5550132", "4155550132", "12", "x@", "@y.z"),
        *("name is Maria Lopez", "Lopez", "Maria", "name is Will", "the", "\u738b"),
        *("key=Ab1", "ab1", "Ab1", "key=<EMAIL_2>", "<EMAIL_1>", "<PERSON_2>", "<PHONE_1"),
        *(", ", ". ", "\n", " ", "\u00e9", "\u0131", "\u0130", "\u00df", "SS"),
    ]
)
TEXTS = st.lists(st.lists(PIECES | st.text(max_size=3), max_size=9).map("".join), max_size=3)


@given(TEXTS)
def test_nothing_masked_survives_and_nothing_else_changes(texts):
    found = MASKER.find(texts)
    masked = MASKER.mask(texts).texts
    values = {text[a:b] for text, spans in zip(texts, found, strict=True) for a, b, _ in spans}
    for text, spans, after in zip(texts, found, masked, strict=True):
        outside = PLACEHOLDER.sub(" ", after)
        for value in values:
            if sum(map(str.isalnum, value)) >= 2:
                assert not re.search(rf"(?<!\w){re.escape(value)}(?!\w)", outside)
        pieces, place = [], 0
        for start, end, _ in spans:
            pieces.append(re.escape(text[place:start]))
            place = end
        pieces.append(re.escape(text[place:]))
        assert re.fullmatch("<[A-Z_]+_[0-9]+>".join(pieces), after)


@given(TEXTS)
def test_masking_twice_changes_nothing(texts):
    once = MASKER.mask(texts).texts
    assert MASKER.mask(once).texts == once


@given(TEXTS)
def test_each_value_has_one_placeholder_that_was_not_there_before(texts):
    masked = MASKER.mask(texts)
    before = {match[0] for text in texts for match in PLACEHOLDER.finditer(text)}
    after = [match[0] for text in masked.texts for match in PLACEHOLDER.finditer(text)]
    num_masked = sum(sum(counts.values()) for counts in masked.counts)
    assert len([name for name in after if name not in before]) == num_masked
