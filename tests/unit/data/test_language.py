"""The language of prompts: right where it answers, `unknown` where it cannot know."""

import sys

import pytest

from heedful.core.errors import ConfigError
from heedful.data.language import UNKNOWN, LanguageIdentifier

PROMPTS = {
    "en": "Write a polite e-mail that asks my landlord to repair the kitchen tap.",
    "de": "Schreibe mir bitte eine höfliche Nachricht an meine Vermieterin wegen der Heizung.",
    "fr": "Peux-tu m'expliquer simplement pourquoi le ciel devient rouge le soir ?",
    "es": "Escribe un cuento corto sobre una abuela que aprende a montar en bicicleta.",
    "it": "Riassumi in tre frasi il testo che segue e aggiungi un titolo adatto.",
    "pt": "Quais são as vantagens de plantar árvores nas ruas da minha cidade?",
    "nl": "Geef mij vijf ideeën voor een verjaardagsfeest van een kind van zeven jaar.",
    "sv": "Skriv en kort dikt om hösten som börjar med ordet löv.",
    "fi": "Kirjoita lyhyt kertomus pojasta, joka löytää metsästä vanhan kellon.",
    "pl": "Napisz krótkie przemówienie na rozpoczęcie roku szkolnego.",
    "cs": "Vysvětli mi prosím, jak se pěstují rajčata na balkoně.",
    "hu": "Írj egy rövid levelet a szomszédoknak a hangos zene miatt.",
    "tr": "Bana evde kolayca yapabileceğim üç akşam yemeği önerir misin?",
    "ru": "Объясни, пожалуйста, чем отличаются зимние шины от летних.",
    "uk": "Поясни, будь ласка, чому взимку дні коротші, ніж улітку.",
    "el": "Γράψε μου μια σύντομη ιστορία για έναν ψαρά και τη θάλασσα.",  # noqa: RUF001
    "ar": "اكتب رسالة قصيرة أشكر فيها المعلمة على صبرها مع الأطفال.",
    "he": "כתוב לי מכתב קצר לשכנים על הרעש בשעות הלילה.",
    "hi": "मुझे बताइए कि बारिश के मौसम में कौन से फूल लगाए जा सकते हैं।",
    "th": "ช่วยเขียนคำขอบคุณสั้นๆ ถึงคุณครูของลูกสาวฉันหน่อย",
    "ja": "引っ越しの挨拶に使える短い手紙を書いてください。",
    "ko": "이웃에게 보낼 짧은 감사 편지를 써 주세요.",
    "zh": "请用简单的话解释为什么海水是咸的。",
    "vi": "Hãy viết một bài thơ ngắn về mùa thu ở Hà Nội.",
}
UNKNOWABLE = {
    "empty": "",
    "too short": "hi there",
    "one word": "continue",
    "sum": "2 + 2 * (3 - 1) = ?",
    "code": "for i in range(10):\n    total += prices[i] * rates.get(i, 0.0)\nprint(total)",
    "fenced": "```python\nthis is all inside of a code block and is not looked at\n```",
    "links": "https://example.org/a-page-about-the-history-of-the-english-language",
    "placeholders": "<EMAIL_1> <PERSON_NAME_2> <PHONE_NUMBER_1> <PHONE_NUMBER_2>",
}


@pytest.fixture(scope="module")
def identify() -> LanguageIdentifier:
    return LanguageIdentifier()


def test_two_dozen_languages_are_told(identify: LanguageIdentifier) -> None:
    assert dict(zip(PROMPTS, identify(list(PROMPTS.values())), strict=True)) == {
        code: code for code in PROMPTS
    }


@pytest.mark.parametrize("name", UNKNOWABLE)
def test_what_is_no_prose_is_unknown(identify: LanguageIdentifier, name: str) -> None:
    assert identify([UNKNOWABLE[name]]) == [UNKNOWN]


def test_code_beside_prose_does_not_hide_it(identify: LanguageIdentifier) -> None:
    text = PROMPTS["de"] + "\n```\nfor (int i = 0; i < n; i++) { sum += a[i]; }\n```"
    assert identify([text]) == ["de"]


def test_a_prompt_that_is_far_too_long_is_still_told(identify: LanguageIdentifier) -> None:
    assert identify([PROMPTS["fr"] * 2000]) == ["fr"]


def test_nothing_is_asked_and_nothing_answered(identify: LanguageIdentifier) -> None:
    assert identify([]) == []


def test_a_higher_confidence_says_unknown_more_often() -> None:
    doubtful = "Who founded the town of Arles"
    assert LanguageIdentifier(min_confidence=0.0)([doubtful]) != [UNKNOWN]
    assert LanguageIdentifier(min_confidence=1.0)([doubtful]) == [UNKNOWN]


def test_low_memory_tells_longer_texts_as_well() -> None:
    text = " ".join([PROMPTS["en"]] * 3)
    assert LanguageIdentifier(low_memory=True)([text, "Who is Kim"]) == ["en", UNKNOWN]


def test_a_confidence_is_a_share() -> None:
    with pytest.raises(ConfigError, match="confidence of 20"):
        LanguageIdentifier(min_confidence=20)


def test_without_lingua_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lingua", None)
    with pytest.raises(ConfigError, match=r"heedful\[data\]"):
        LanguageIdentifier()
