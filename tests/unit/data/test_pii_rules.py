import re

from heedful.data.pii import Span
from heedful.data.pii_rules import Extent, Rule, RuleDetector, cued


def find(rule: Rule, text: str) -> list[Span]:
    return list(RuleDetector("one", [rule]).find(text))


def test_the_value_is_the_group_or_the_whole_match():
    assert find(Rule("X", re.compile(r"a(?P<value>\d)")), "a1") == [Span(1, 2, "X")]
    assert find(Rule("X", re.compile(r"a\d")), "a1") == [Span(0, 2, "X")]


def test_a_rule_runs_only_where_a_fragment_and_a_digit_are():
    def fail(match: re.Match[str]) -> Extent | None:
        raise AssertionError(match)

    rule = Rule("X", re.compile(r"\w+"), "tel|mobil", take=fail)
    assert find(rule, "mobile phone") == []
    assert find(rule, "number 1") == []


def test_fragments_are_looked_for_without_case():
    assert find(Rule("X", re.compile(r"TEL \d"), "tel"), "TEL 1") == [Span(0, 5, "X")]


def test_a_match_may_turn_out_to_be_nothing():
    assert find(Rule("X", re.compile(r"\d"), take=lambda _: None), "1") == []


def test_a_cue_may_stand_before_punctuation_and_linking_words():
    pattern = cued("passport", r"\d+")
    for text in ("passport 12", "Passport no.: 12", "passport number is 12", "passport (12"):
        match = pattern.search(text)
        assert match is not None
        assert match["value"] == "12"
    assert pattern.search("passports 12") is None
    assert pattern.search("mypassport 12") is None
