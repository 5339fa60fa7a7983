"""The template policy: its rule in plain Python, and prompts as people write them."""

import re
from collections import defaultdict
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.brute_dedup import corpus_of, texts_of
from heedful.core.errors import ConfigError
from heedful.data.corpus import normalised
from heedful.data.dedup_template import Template, masked
from heedful.data.linking import same


def twin_keys(texts: list[str], size: int, min_texts: int, min_words: int) -> list[object]:
    """The key of each text; digits are the only slots there are."""
    rows = [re.sub(r"\d+", "#", text).split() for text in texts]
    said_by = defaultdict(set)
    for row in rows:
        for place in range(len(row) - size + 1):
            said_by[tuple(row[place : place + size])].add(tuple(row))
    keys: list[object] = []
    for row in rows:
        fixed = [False] * len(row)
        for place in range(len(row) - size + 1):
            if len(said_by[tuple(row[place : place + size])]) >= min_texts:
                fixed[place : place + size] = [True] * size
        words = [word for word in row if word != "#"]
        count = sum(is_fixed and word != "#" for word, is_fixed in zip(row, fixed, strict=True))
        if not words:
            keys.append(None)
        elif count and count >= min(min_words, len(words) / 2):
            runs = groupby(zip(row, fixed, strict=True), key=lambda pair: pair[1])
            said = [tuple(word for word, _ in run) for is_fixed, run in runs if is_fixed]
            keys.append(("runs", tuple(dict.fromkeys(said))))
        else:
            keys.append(("whole", tuple(row)))
    return keys


@given(texts_of("ab7", max_words=7), st.integers(1, 3), st.sampled_from([2, 3]), st.integers(1, 3))
def test_agrees_with_the_rule_in_plain_python(
    texts: list[str], size: int, min_texts: int, min_words: int
) -> None:
    policy = Template(words_per_run=size, min_texts=min_texts, min_words=min_words)
    keys = twin_keys(texts, size, min_texts, min_words)
    assert policy.find(corpus_of(texts)) == same(keys)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Add 12 and 3.5", "Add 7 and 1,000"),
        ("Translate 'good night' into French", "Translate 'thank you' into French"),
        ("What does `x = 1` do?", "What does `print(y)` do?"),
        ("Sum up https://a.example/x", "Sum up http://b.example"),
        ("Write to ann@a.example now", "Write to bob.b@b.example now"),
        ("Define “mercy” briefly", "Define „Gnade“ briefly"),
    ],
)
def test_slots_that_are_known_by_their_form(text: str, other: str) -> None:
    assert masked(normalised(text)).split() == masked(normalised(other)).split()
    assert Template().find(corpus_of([normalised(text), normalised(other)])) != []


def test_slots_that_are_known_by_what_recurs() -> None:
    topics = ["the sea", "an old oak tree", "rain"]
    asked = [f"write a short poem about {topic} in the style of a sailor" for topic in topics]
    others = ["why do cats purr when they sleep", "list five uses of a brick in the garden"]
    links = Template().find(corpus_of([*others, *asked]))
    assert [tuple(link) for link in links] == [(3, 2), (4, 2)]


def test_other_and_more_examples_of_one_few_shot_prompt() -> None:
    line = "here is what they wrote: {} and the label for it is: {}."
    written = [
        ["dull", "a joy from start to end"],
        ["too long for me", "fine", "lovely music"],
        ["I left early", "my children laughed a lot", "no", "best of the year"],
    ]
    texts = [
        " ".join(
            ["say whether each review of the film is positive or negative."]
            + [line.format(review, label) for review in reviews]
        )
        for label, reviews in zip(["good", "bad", "mixed"], written, strict=True)
    ]
    links = Template().find(corpus_of(texts))
    assert {link.place for link in links} == {1, 2}


def test_copies_of_one_text_fix_nothing() -> None:
    texts = ["write a poem about the sea"] * 3 + ["write a poem about the moon"]
    assert [link.place for link in Template().find(corpus_of(texts))] == [1, 2]


@pytest.mark.parametrize("settings", [{"words_per_run": 0}, {"min_texts": 1}, {"min_words": 0}])
def test_settings_are_checked(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="template"):
        Template(**settings)
