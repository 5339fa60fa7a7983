"""Names of people: by cautious cues, and by a model of named entities that the caller brings.

A cue says that the words beside it name somebody whom the writer knows: "my name is", a
signature, "my sister", a salutation. A name alone is not enough, since prompts ask about
famous people and invent others; a model finds more, at its own price in wrong finds.
"""

# ruff: noqa: RUF001, SIM905 - letters of other scripts are meant; words read well in a line

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from heedful.data.pii import Span
from heedful.data.pii_rules import Extent, Rule, RuleDetector

_MAX_WORDS = 5
_WORD = r"[^\W\d_](?:[^\s\d,.;:!?()\[\]{}<>\"“”«»|/\\@#=*\ufffc,。、!?…]|(?<=[A-Z])\.(?= ))*"
_WORDS = rf"(?P<value>{_WORD}(?:[ \t]{_WORD}){{0,5}})"
_PARTICLES = frozenset(
    "van der den de del della di da dos das do du la le el al bin bint ibn ben von zu zum y e"
    " af av ten ter op 't abu ould mac st".split()
)
_NO_NAMES = frozenset(
    "a all alexa an and any as assistant at best bot but by chatgpt christmas claude"
    " colleague colleagues committee customer customers dear diary doctor editor everybody"
    " everyone friend friends from god google gpt guest guys hello hi hiring how i if in is it"
    " lord madam manager me members miss mister mr mrs ms my no not of on or our parents"
    " professor recruiter regards santa sir siri sirs so students support team thanks that the"
    " there they this to user valued we what when why with world yes you your monday tuesday"
    " wednesday thursday friday saturday sunday january february march april may june july"
    " august september october november december english french german spanish catholic"
    " christian muslim jewish american british herr frau madame monsieur messieurs mesdames"
    " damen herren señor señora sra sr signor signora toutes tous todos alle zusammen service"
    " staff department office happy sorry sure glad department head sales ceo cto director dr"
    " prof sent iphone android ps".split()
)
# With one of these a sentence speaks of people whom its writer knows.
_FIRST_PERSON = re.compile(
    r"(?i)(?<![\w'])(?:I|I'm|I've|me|my|mine|we|us|our|please|regards)(?![\w'])"
)

_SENTENCE_END = re.compile(r"[.!?\n](?:\s|$)")
_PHRASE_END = re.compile(r"\s*$|[,.!;|\n<\"]| (?:and|from|a|the|at|i|im|with)\b| [|<(]")


def _capitalised(match: re.Match[str]) -> Extent | None:
    """The words of the value as far as they look like a name."""
    start, end = match.span("value")
    kept, words = end, 0
    place = start
    last = start
    for word in match["value"].split(" "):
        bare = word.strip("'’-")
        lowered = bare.lower().removesuffix("'s").removesuffix("’s")
        is_name = bare[:1].isupper() or (bare[:1].isalpha() and bare.upper() == bare.lower())
        if not bare or lowered in _NO_NAMES or not (is_name or lowered in _PARTICLES):
            break
        place += len(word)
        if is_name:
            last = place
            words += 1
        place += 1
    kept = last
    text = match.string[start:kept]
    for ending in ("'s", "’s", "-", "'", "’"):
        text = text.removesuffix(ending)
    if words == 0 or words > _MAX_WORDS or sum(map(str.isalpha, text)) < 2:
        return None
    return Extent(start, start + len(text))


def _given(match: re.Match[str]) -> Extent | None:
    """After "my name is", where people write their name in lower case too."""
    extent = _capitalised(match)
    if extent is not None:
        return extent
    word = match["value"].split(" ")[0]
    after = match.string[match.start("value") + len(word) :]
    alone = re.match(r"[,.!\n]|$| (?:and|from|i'?m|im|i)\b", after) is not None
    known = word.lower() in _NO_NAMES or not word.isalpha() or len(word) < 3
    return (
        None
        if known or not alone
        else Extent(match.start("value"), match.start("value") + len(word))
    )


def _full(match: re.Match[str]) -> Extent | None:
    """Two to four capitalised words and then the end of the phrase."""
    extent = _capitalised(match)
    if extent is None or not 2 <= len(match.string[extent.start : extent.end].split()) <= 4:
        return None
    return extent if _PHRASE_END.match(match.string, extent.end) else None


def _alone(match: re.Match[str]) -> Extent | None:
    """Nothing else in its line, but perhaps the end of a salutation."""
    extent = _capitalised(match)
    if extent is None or len(match.string[extent.start : extent.end].split()) > 4:
        return None
    return extent if re.match(r"[ \t]*(?:[,:!.]|\n|$)", match.string[extent.end :]) else None


def _personal(match: re.Match[str]) -> Extent | None:
    """An honorific's name, where the sentence speaks in the first person and quotes nobody."""
    text = match.string
    begin = max(text.rfind(mark, 0, match.start()) for mark in ".!?\n") + 1
    end = _SENTENCE_END.search(text, match.start("value"))
    sentence = text[begin : end.start() if end else len(text)]
    quotes = any(mark in sentence for mark in '"“”')
    return None if quotes or not _FIRST_PERSON.search(sentence) else _capitalised(match)


def _caseless(match: re.Match[str]) -> Extent | None:
    """In scripts without capitals: one word, or two where nothing else follows."""
    first, _, rest = match["value"].partition(" ")
    second = rest.split(" ")[0]
    after = match.string[match.start("value") + len(first) + 1 + len(second) :]
    whole = second and (second.startswith("ال") or re.match(r"\s*(?:[.,،।!\n]|$)", after))
    value = f"{first} {second}" if whole else first
    return Extent(match.start("value"), match.start("value") + len(value))


_INTRODUCTIONS = (
    r"my (?:full |first |last )?name(?: is|'s|’s|:)|mi nombre es|me llamo|je m['’]appelle|mon nom"
    r" est|(?:mein|der) name ist"
    r"|ich hei(?:ß|ss)e|mi chiamo|il mio nome [èe]|meu nome [ée]|me chamo|ik heet|mijn naam is"
    r"|nazywam si[ęe]|mam na imi[ęe]"
    r"|меня зовут|мене звати|мо[єе] (?:ім'я|имя)|benim ad[ıi]m|ad[ıi]m|jag heter|mitt namn är|jeg"
    r" heter|jeg hedder|mit navn er"
    r"|nimeni on|mano vardas|jmenuji se|vol[áa]m sa|a nevem|numele meu este|m[ăa] numesc|kazvam"
    r" se|με λένε|το όνομά μου είναι"
    r"|(?:nama|name) saya|tên tôi là|tôi tên là|jina langu ni|naitwa|orúkọ mi ni|ang pangalan ko"
    r" ay|ako si|igama lami ngu"
)
_KIN = (
    r"wife|husband|spouse|fianc[ée]e?|son|daughter|mother|mom|mum|father|dad|brother|sister|aunt"
    r"|uncle|cousin|niece|nephew"
    r"|grand(?:mother|father|son|daughter)|friend|girlfriend|boyfriend|partner|boss|manager"
    r"|colleague|coworker|co-worker"
    r"|neighbou?r|landlord|landlady|roommate|flatmate|teacher|tutor|student|client|patient"
    r"|therapist|supervisor|assistant"
)
_KIN_ELSEWHERE = (
    r"(?:mi|mon|ma|mein|meine|meu|minha|mio|mia) (?:hermana|hermano|esposa|esposo|marido|mujer"
    r"|madre|padre|hijo|hija|amigo|amiga"
    r"|jefe|jefa|femme|mari|fils|fille|m[èe]re|p[èe]re|fr[èe]re|s[oœ]e?ur|ami|amie|frau|mann|sohn"
    r"|tochter|mutter|vater|bruder"
    r"|schwester|freund|freundin|chef|chefin|irm[ãa]o?|m[ãa]e|pai|filho|filha|sorella|fratello"
    r"|moglie|marito|figlio|figlia)"
)
_SALUTATIONS = (
    r"dear|sehr geehrter?|hi|hello|hey|good (?:morning|evening)|cher|chère|bonjour|salut|liebe"
    r"|lieber|hallo|hola|querid[ao]|estimad[ao]"
    r"|ciao|car[ao]|gentile|ol[áa]|prezad[ao]|beste|hej|kära|drog[ia]|dzień dobry|здравствуйте"
    r"|привет|уважаем(?:ый|ая)|sayın|merhaba"
)
_CLOSINGS = (
    r"(?:(?:best|kind|warm|warmest|many)(?: \w+)? )?(?:regards|wishes)|best|(?:yours )?"
    r"(?:sincerely|truly|faithfully)|cheers|thanks"
    r"|thank you|many thanks|love|respectfully|warmly|cordialement|bien (?:à vous|cordialement)"
    r"|amicalement|mit freundlichen gr[üu](?:ß|ss)en"
    r"|(?:viele|liebe|beste|herzliche) gr[üu](?:ß|ss)e|saludos(?: cordiales)?|un saludo"
    r"|atentamente|un abrazo|cordiali saluti|distinti saluti"
    r"|atenciosamente|abraços|met vriendelijke groet(?:en)?|groetjes|pozdrawiam|z poważaniem|с"
    r" уважением|saygılarımla"
    r"|(?:med )?vänliga hälsningar|med venlig hilsen"
)
_LABELS = (
    r"(?:full |first |last |customer |client |patient |student |employee |applicant |candidate "
    r"|contact )?name|patient|customer|client"
    r"|candidate|applicant|employee|contact|attn\.?|attention|from|to|cc|sender|recipient|nombre"
    r"|nom|nome|naam|имя|фио"
)
_HONORIFICS = (
    r"(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Monsieur|Madame|Mme|Mlle|Herrn?|Frau|Sr|Sra|Srta"
    r"|Señora?|Signora?|Sig\.ra"
    r"|Dott|Dra|Pani|Dhr|Mevr|Mw|Fru|Shri|Smt|Господин|Госпожа|Г-н|Г-жа)"
)
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪"
    "范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)

_RULES = (
    Rule(
        "PERSON",
        re.compile(rf"(?i:(?<!\w)(?:{_INTRODUCTIONS})[ \t]+){_WORDS}"),
        has_digit=False,
        take=_given,
        fragments=(
            "name|nombre|llamo|appelle|nom est|ich hei|chiamo|nome|me chamo|ik heet|mijn naam"
            "|nazywam|mam na|зовут|звати|мо|adım|adim|heter|namn|hedder|navn|nimeni|vardas|jmenuji"
            "|volám|volam|nevem|numele|numesc|kazvam|λένε|όνομά|nama|tên|jina|naitwa|orúkọ|pangalan"
            "|ako si|igama"
        ),
    ),
    Rule(
        "PERSON",
        re.compile(rf"(?<!\w)(?:I am|I['’]m|i am|i['’]m|im) {_WORDS}"),
        "i am|i'm|i’m|im ",
        has_digit=False,
        take=_full,
    ),
    Rule(
        "PERSON",
        re.compile(rf"(?i:(?<!\w)this is ){_WORDS}(?=[ ,](?:calling|speaking|writing|from|here))"),
        "this is",
        has_digit=False,
        take=_capitalised,
    ),
    Rule(
        "PERSON",
        re.compile(
            rf"(?<!\w)(?i:my (?:\w+ ){{0,2}}?(?:{_KIN})|{_KIN_ELSEWHERE})(?i:,? (?:named|called"
            rf"|is called|is named) |,? ){_WORDS}"
        ),
        "my |mi |mon |ma |mein|meu|minha|mio |mia ",
        has_digit=False,
        take=_capitalised,
    ),
    Rule(
        "PERSON",
        re.compile(
            rf"(?im:^[ \t>\"'“]*(?:{_SALUTATIONS}) (?:(?:mr|mrs|ms|miss|mx|dr|prof|herrn?|frau"
            rf"|sra?|señora?|madame|monsieur|signora?)\.? )?){_WORDS}"
        ),
        has_digit=False,
        take=_alone,
        fragments=(
            "dear|geehrte|hi |hello|hey |good |ch|bonjour|salut|liebe|hallo|hola|querid|estimad"
            "|ciao|car|gentile|ol|prezad|beste|hej|kära|drog|dzień|здравст|привет|уваж|say|merhaba"
        ),
    ),
    Rule(
        "PERSON",
        re.compile(rf"(?im:(?:^|[.!?,] |\n)[ \t]*(?:{_CLOSINGS})[ \t]*[,.!]?[ \t]*\n\s*){_WORDS}"),
        "\n",
        has_digit=False,
        take=_alone,
    ),
    Rule(
        "PERSON",
        re.compile(rf"(?im:^[ \t*-]*(?:{_LABELS})\**[ \t]*[:：][ \t]*\**){_WORDS}"),
        ":|：",
        has_digit=False,
        take=_full,
    ),
    Rule(
        "PERSON",
        re.compile(rf"(?<!\w){_HONORIFICS}\.? {_WORDS}"),
        has_digit=False,
        take=_personal,
        fragments="m|dr|prof|herr|frau|sr|se|sig|dott|pani|dhr|fru|shri|smt|г",
    ),
    Rule(
        "PERSON",
        re.compile(rf"(?:اسمي|إسمي|שמי|קוראים לי) (?P<value>{_WORD}(?: {_WORD})?)"),
        "اسمي|إسمي|שמי|קוראים לי",
        has_digit=False,
        take=_caseless,
    ),
    Rule(
        "PERSON",
        re.compile(r"(?:मेरा नाम|mera naam) (?P<value>\S{2,20}(?: \S{2,20}){0,2}?) (?:है|hai)"),
        "मेरा नाम|mera naam",
        has_digit=False,
    ),
    Rule(
        "PERSON",
        re.compile(
            r"(?:我叫|名字(?:是|叫)|姓名[:：] ?)(?P<value>[\u4e00-\u9fff·]{2,4}?)"
            r"(?=[,,。.;;!!??\s\ufffc]|$|今年|来自|住在|在|是)"
        ),
        "我叫|名字|姓名",
        has_digit=False,
    ),
    Rule(
        "PERSON",
        re.compile(rf"(?P<value>[{_SURNAMES}][\u4e00-\u9fff]{{1,2}}?)(?:先生|女士|小姐)"),
        "先生|女士|小姐",
        has_digit=False,
    ),
    Rule(
        "PERSON",
        re.compile(r"名前は(?P<value>[\u3040-\u30ff\u4e00-\u9fff]{2,8}?)(?:です|と)"),
        "名前は",
        has_digit=False,
    ),
    Rule(
        "PERSON",
        re.compile(
            r"(?P<value>[\u4e00-\u9fff]{1,5}|[\u30a0-\u30ff]{2,10})(?:と申します|といいます"
            r"|と言います)"
        ),
        "申します|といいます|と言います",
        has_digit=False,
    ),
    Rule(
        "PERSON",
        re.compile(
            r"(?<![\u4e00-\u9fff\u30a0-\u30ff])(?!(?:皆|奥|客|母|父|兄|姉|弟|妹|子供|医者|患者"
            r"|息子|娘|店員|本屋|花屋|先生|お))(?P<value>[\u4e00-\u9fff]{2,4}"
            r"|[\u30a0-\u30ff]{2,8})さん"
        ),
        "さん",
        has_digit=False,
    ),
    Rule(
        "PERSON",
        re.compile(r"이름은 (?P<value>[가-힣]{2,4}?)(?:입니다|이에요|예요|이고|라고|이야|야)"),
        "이름은",
        has_digit=False,
    ),
    Rule(
        "PERSON", re.compile(r"저는 (?P<value>[가-힣]{2,4}?)(?:이?라고)"), "저는", has_digit=False
    ),
)


def name_detector() -> RuleDetector:
    """Names by cues, in some thirty languages."""
    return RuleDetector("names", _RULES)


class NerDetector:
    """The finds of a model of named entities that the caller brings.

    Args:
        tag: Text to entities, each a mapping with `start`, `end`, `entity_group` and perhaps
            `score`: what the token-classification pipeline of transformers returns with
            `aggregation_strategy="simple"`.
        kinds: The model's groups to ours; other groups are left alone.
        min_score: Entities below it are left alone.
    """

    name = "ner"

    def __init__(
        self,
        tag: Callable[[str], Iterable[Mapping[str, Any]]],
        *,
        kinds: Mapping[str, str] | None = None,
        min_score: float = 0.5,
    ) -> None:
        self._tag = tag
        self._kinds = {"PER": "PERSON", "PERSON": "PERSON"} if kinds is None else dict(kinds)
        self._min_score = min_score

    def find(self, text: str) -> Iterator[Span]:
        """What the model finds."""
        for entity in self._tag(text):
            kind = self._kinds.get(entity["entity_group"])
            if kind is not None and float(entity.get("score", 1.0)) >= self._min_score:
                yield Span(int(entity["start"]), int(entity["end"]), kind)
