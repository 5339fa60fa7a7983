import pytest

from heedful.data.pii_patterns import pattern_detector

STRIPE = "sk" + "_live_" + "0123456789abcdefABCD"
ETHER = "0x52908400098527886e0f7030069857d2e4169ee7"


def finds(text: str) -> set[tuple[str, str]]:
    return {(text[span.start : span.end], span.kind) for span in pattern_detector().find(text)}


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("ask ana@nordwind.noまで", "ana@nordwind.no", "EMAIL"),
        ("phone: 6175550143", "6175550143", "PHONE"),
        ("anywhere +44 7700 900149 is written", "+44 7700 900149", "PHONE"),
        ("Meu CPF: 482.913.756-00", "482.913.756-00", "NATIONAL_ID"),
        ("social security number 418237716", "418237716", "NATIONAL_ID"),
        ("My passport (LR0482917) is lost", "LR0482917", "PASSPORT"),
        ("Kennzeichen HH-KR 4821", "HH-KR 4821", "LICENCE_PLATE"),
        ("I was born on March 3, 1978 in Leeds", "March 3, 1978", "DATE_OF_BIRTH"),
        ("生年月日は1985年2月17日です", "1985年2月17日", "DATE_OF_BIRTH"),
        ("password: hunter2-and-more", "hunter2-and-more", "SECRET"),
        ('api_key = "q8Zt3Lm0Vx7Rk2"', "q8Zt3Lm0Vx7Rk2", "SECRET"),
        (f"use {STRIPE}", STRIPE, "SECRET"),
        (f"to {ETHER}", ETHER, "CRYPTO"),
        ("see https://github.com/annika-b", "https://github.com/annika-b", "URL"),
        ("git clone https://u:pw@git.example/a.git", "https://u:pw@git.example/a.git", "URL"),
        ("thanks @jonas_b and all", "@jonas_b", "USERNAME"),
        ("my username is dragon_87", "dragon_87", "USERNAME"),
        ("GPS 47.36921, 8.54127", "47.36921, 8.54127", "COORDINATES"),
    ],
)
def test_cues_and_forms_are_found(text, value, kind):
    assert (value, kind) in finds(text)


@pytest.mark.parametrize(
    "text",
    [
        "Albert Einstein was born on 14 March 1879 in Ulm.",
        "password = input('Enter password: ')",
        'api_key = os.environ["API_KEY"]',
        "@property\ndef name(self): ...",
        "@Override\npublic String toString() { return name; }",
        "https://github.com/pytorch/pytorch and https://twitter.com/search?q=weather",
        "Its nickname is the River City.",
        "[47.12345, 8.54321, 12.11111]",
        "My passport expired in 2019.",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text):
    assert finds(text) == set()
