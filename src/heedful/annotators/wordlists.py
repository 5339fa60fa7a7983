"""The short word lists behind the rubric: languages, care, insults, opinion, debris.

They are plain and incomplete on purpose: a reader can see in a minute what the simulated
labellers can and cannot notice. This is no toxicity or language classifier.
"""

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS: dict[str, frozenset[str]] = {
    "en": _words(
        "a an the and or but if of to in on at by for with from as is are was were be been am "
        "it its this that these those i you he she we they me him her us them my your his our "
        "their not no do does did have has had will would can could should may might must so "
        "than then there here what which who when where why how all any some very just into "
        "about out up down over after before more most also only because while"
    ),
    "fr": _words(
        "le la les un une des du de et ou mais est sont dans sur pour avec par ce cette ces je "
        "tu il elle nous vous ils elles mon ma ton ta son sa pas ne que qui plus très au aux "
        "bien à où c'est d'un d'une j'ai merci oui bonjour votre notre"
    ),
    "es": _words(
        "el la los las un una unos unas de del y o pero es son está en por para con sin este "
        "esta yo tú él ella nosotros ellos mi mis tu su sus no que se muy al lo más como qué "
        "gracias hola feliz te me le"
    ),
    "de": _words(
        "der die das den dem des ein eine einen einem einer und oder aber ist sind war im in "
        "am auf für mit von zu zum zur ich du er sie es wir ihr mein meine meiner dein deine "
        "sein nicht kein keine dass wie was sich auch sehr nach bei danke hallo"
    ),
}

CARE = _words(
    "doctor pharmacist therapist therapy lawyer police crisis emergency professional adult help "
    "sorry safe safely safety careful trust legal illegal law permission consent risk danger "
    "dangerous harm hurt please kind kindly respect rights honest instead rather can't cannot "
    "won't don't never support advice depends talk equal"
)

REFUSAL = re.compile(
    r"\b(i can't|i cannot|i won't|i will not|i'd rather not|i'm not able|i am not able)\b",
    re.IGNORECASE,
)

INSULTS = _words(
    "stupid idiot idiots idiotic moron morons dumb fool fools loser losers pathetic worthless "
    "disgusting ugly useless trash scum jerk crap shit fuck fucking bitch bastard asshole"
)
SEXUAL = _words("sex sexual naked nude porn erotic orgasm penis vagina breasts")
VIOLENT = _words(
    "kill kills killed killing murder murdered stab stabbed shoot shot bloody torture "
    "strangle corpse beaten"
)
PROTECTED = _words(
    "women men muslims christians jews hindus black white asian gay lesbian disabled old "
    "immigrants foreigners fat race religion"
)

OPINION = re.compile(
    r"\b(i think|i believe|i feel that|in my (view|opinion)|i prefer|i like|i love|i hate|"
    r"je pense|creo que|ich finde|ich denke)\b",
    re.IGNORECASE,
)
MORAL = re.compile(
    r"\b(wrong|immoral|moral|ethical|unethical|sinful|unfair|evil|belongs to someone|"
    r"the right thing|honesty)\b",
    re.IGNORECASE,
)

DEBRIS = re.compile(
    r"###|<\|.*?\|>|</?s>|```|\b(instruction|response|answer|context|question|user|assistant|"
    r"human|output|input|prompt)s?\s*:|\[[^\]\n]{2,40}\]|\{[^}\n]{1,40}\}|https?://",
    re.IGNORECASE,
)
PREAMBLE = re.compile(
    r"^\W*(sure|certainly|of course,? here|here(?:'s| is| are)|as an ai|as a language model|"
    r"the following|below is|this (?:sentence|story|poem|text|message|slogan|title|note)\b|"
    r"i (?:would|will|can) (?:write|describe|create|provide)|i'm (?:sorry|afraid),? but)",
    re.IGNORECASE,
)
