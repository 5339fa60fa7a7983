"""Postal addresses: a street and a house number, with what follows of unit, town and code.

A street without a number, a town or a postcode alone is no address of a person.
"""

# ruff: noqa: RUF001 - letters of other scripts are meant

import re

from heedful.data.pii_rules import Extent, Rule, RuleDetector, value_of

_NAME = r"[^\W\d_a-zß-öø-ÿ](?:[\w'’\-]*\w)?(?:(?<=\bCol)\.|(?<=\bSt)\.|(?<=\bMt)\.|(?<=\b[A-Z])\.)?"
# After the street: ", Apt 4B", ", 69003 Lyon", ", Boulder, CO 80302", ", Leeds LS6 2JT".
_TAIL = (
    r"(?:,? (?:Apt|Apartment|Suite|Unit|Flat|Fl|Floor|#)\.? ?[\w-]{1,5})?"
    r"(?:,? ?\d{0,2}[ºª°][ .]?[A-Z]?)?"
    rf"(?:,? (?:кв\.? ?\d+|д\.? ?\d+))*"
    rf"(?:(?:, ?| (?=\d{{4}}|[A-Z]{{1,2}}\d|[A-Z]{{2}}\b))(?:{_NAME}|\d{{2,6}}(?:[ -]\d{{2,4}})?"
    rf"(?: ?[A-Z]{{2}}\b)?|[A-Z]{{1,2}}\d[A-Z\d]?(?: \d[A-Z]{{2}})?|[A-Z]\d[A-Z] ?\d[A-Z]\d)"
    rf"(?: (?:{_NAME}|[dl]e[l]?|do|da|\d{{4,6}}|\d[A-Z]{{2}}|\d[A-Z]\d))*){{0,4}}"
)
_ENGLISH = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Court|Ct|Boulevard|Blvd|Way|Place|Pl"
    r"|Terrace|Close|Crescent|Square|Sq|Parkway"
    r"|Pkwy|Highway|Hwy|Gardens|Grove|Mews|Row|Walk|Hill|Cross|Circle|Cir|Trail|Alley|Nagar|Marg)"
)
_FIRST = r"(?:(?:Flat|Apt|Unit|Suite|House No|Plot|Block)\.? ?[\w-]{1,5}, )?"
_GERMANIC = (
    r"(?:stra[sß]s?e|straße|str\.|weg|platz|allee|gasse|(?<!Du)(?<!Sp)(?<!St)ring|damm|ufer|markt"
    r"|steig|straat|laan|plein|gracht|kade|dijk|singel"
    r"|gatan|vägen|gata|veien|vegen|(?<!ri)gade|vej|katu|ntie|kuja)"
)
_FRENCH = (
    r"(?:rue|avenue|av\.|boulevard|bd|place|chemin|allée|allées|impasse|quai|cours|square|route"
    r"|passage)"
)
_SPANISH = (
    r"(?:Calle|C/|Avenida|Avda\.?|Av\.|Plaza|Paseo|Carrera|Cra\.|Camino|Rúa|Carrer|Jirón|Calzada)"
)
_ITALIAN = r"(?:Via|Viale|Piazza|Piazzale|Corso|Vicolo|Largo|Strada)"
_PORTUGUESE = r"(?:Rua|R\.|Avenida|Av\.|Travessa|Praça|Alameda|Estrada|Largo)"
_LINK = r"(?:d[eio]l?|dos|das|della?|dei|degli|du|des|d'|la|las|los|le|les|l'|y|e|von|van|der|den)"
_CUES = (
    r"my (?:home |postal |mailing |shipping |work )?address|i live at|(?:home|postal|mailing"
    r"|shipping|billing|delivery) address"
    r"|(?:deliver|ship|send|mail) (?:it |this |mail )?to|our office"
)


def _line(match: re.Match[str]) -> Extent | None:
    """What a cue announces, up to the end of the sentence; it must hold a number and a name."""
    value = match["value"].rstrip(" .,;")
    if not re.search(r"\d", value) or not re.search(r"[^\W\d_]{3}", value) or "@" in value:
        return None
    return Extent(match.start("value"), match.start("value") + len(value))


def _trimmed(match: re.Match[str]) -> Extent | None:
    """Without what ends a sentence."""
    start, end = value_of(match)
    return Extent(start, start + len(match.string[start:end].rstrip(" .,;")))


def _rule(pattern: str, fragments: str) -> Rule:
    return Rule("ADDRESS", re.compile(pattern), fragments, take=_trimmed)


_RULES = (
    _rule(
        rf"{_FIRST}(?<![\w.,$€£#-])\d{{1,5}}[A-Za-z]?(?:[-/]\d{{1,4}})? (?:[NSEW]\.? |\d{{1,3}}"
        rf"(?:st|nd|rd|th) |{_NAME} ){{1,4}}?{_ENGLISH}\b\.?{_TAIL}",
        " st| ave| road| rd| lane| ln| dr| co| ct| b| way| pl| ter| cl| cr| sq| p| h| gar| gro|"
        " mews| row| walk| ci| tra| all| nag| marg",
    ),
    _rule(
        rf"(?:House|Plot|Door|Flat) No\.? ?\d{{1,5}}[\w/-]*{_TAIL}(?:, [\w .]{{3,30}}){{0,4}}"
        rf"(?: ?\d{{6}})?",
        " no",
    ),
    _rule(rf"(?i:P\.? ?O\.? ?Box) \d{{1,6}}{_TAIL}", "box"),
    _rule(
        rf"(?<!\w)(?:(?:Am|An der|Im|Zum|Zur|Auf der|Alte[rn]?|Neue[rn]?|Große"
        rf"|Kleine) )?[^\W\d_a-zß-öø-ÿ][\w\-]*{_GERMANIC} \d{{1,3}} ?[a-zA-Z]?\b(?:,? {_NAME}"
        rf"| ?[/-] ?\d+)?{_TAIL}",
        "str|weg|platz|allee|gasse|ring|damm|ufer|markt|steig|laan|plein|gracht|kade|dijk|singel"
        "|gat|väg|vei|veg|gade|vej|katu|tie|kuja",
    ),
    _rule(
        rf"(?<!\w)(?:Am|An der|Im|Zum|Zur|Auf der) "
        rf"(?:{_NAME} )?{_NAME} \d{{1,3}}[a-z]?, \d{{4,5}} {_NAME}",
        "am|an der|im|zu|auf",
    ),
    _rule(
        rf"(?<![\w.])\d{{1,4}}(?: ?(?:bis|ter|quater)\b)?,? {_FRENCH} (?:{_LINK} ?)*{_NAME}(?: "
        rf"(?:{_LINK} ?)*{_NAME}){{0,3}}{_TAIL}",
        "rue|av|boulevard|bd|place|chemin|all|impasse|quai|cours|square|route|passage",
    ),
    _rule(
        rf"(?<!\w){_SPANISH} (?:{_LINK} )*(?:{_NAME}|\d{{1,3}}[A-Z]?)(?: "
        rf"(?:{_LINK} )*{_NAME}){{0,3}},? ?(?:#|n[.º°]*)? ?\d{{1,5}}(?:-\d{{1,4}})?\b{_TAIL}",
        "calle|c/|av|plaza|paseo|carre|cra|camino|rúa|jir|calzada",
    ),
    _rule(
        rf"(?<!\w)(?:{_ITALIAN}|{_PORTUGUESE}) (?:{_LINK} )*{_NAME}(?: "
        rf"(?:{_LINK} )*{_NAME}){{0,3}},? (?:n[.º°]* ?)?\d{{1,4}}[a-zA-Z]?\b(?!\.\d){_TAIL}",
        "via|piazza|corso|vicolo|largo|strada|rua|r.|av|travessa|praça|alameda|estrada",
    ),
    _rule(
        rf"(?<!\w)(?:ul\.|al\.|pl\.|os\.) ?{_NAME}(?: {_NAME}){{0,2}} \d{{1,4}}[a-zA-Z]?"
        rf"(?:[/ ]\d{{1,4}})?{_TAIL}",
        "ul.|al.|pl.|os.",
    ),
    _rule(
        rf"(?<!\w)(?:ул\.|улица|проспект|пр\.|пр-т|переулок|пер\.|бульвар|шоссе|вул\.) ?{_NAME}"
        rf"(?: {_NAME}){{0,2}},? (?:д\.? ?|дом )?\d{{1,4}}\w?{_TAIL}",
        "ул|пр|пер|бульвар|шоссе",
    ),
    _rule(
        rf"(?<!\w)(?!Adres)(?:{_NAME} ){{1,3}}(?:Caddesi|Cad\.|Sokak|Sokağı|Sok\.|Bulvarı"
        rf"|Mahallesi|Mah\.),? ?(?:No ?[:.]? ?)\d{{1,4}}{_TAIL}",
        "cad|sok|bulvar|mah",
    ),
    _rule(
        r"(?:〒?\d{3}-\d{4} ?)?(?:東京都|北海道|(?:京都|大阪)府"
        r"|[一-龥]{2,3}県)[一-龥ぁ-んァ-ヶー々]{1,20}\d{1,4}"
        r"(?:[-−ー丁目番地号]{1,2}\d{1,4}){0,3}号?",
        "都|道|府|県",
    ),
    _rule(
        r"(?:[一-龥]{0,4}?(?:住在|位于|寄到|送到|在))?(?P<value>(?:[一-龥]{2,8}?[省市])"
        r"(?:[一-龥]{1,6}?[市区县]){0,2}[一-龥]{1,10}(?:路|街|道|巷|弄|大道)\d{1,5}[号號弄]"
        r"(?:[\d一-龥]{1,8}[室楼])?)",
        "省|市",
    ),
    _rule(
        r"[가-힣]{2,7}(?:시|도) (?:[가-힣]{1,6}[시군구] ){1,2}[가-힣\d]{1,12}(?:로|길"
        r"|동) ?\d{1,5}(?:-\d{1,4})?",
        "로|길|동",
    ),
    Rule(
        "ADDRESS",
        re.compile(
            rf"(?i:{_CUES})(?i: is)?[: ]{{1,3}}(?P<value>[^\n\ufffc?!;]{{5,100}}?)(?=\. "
            rf"|[.\n?!;\ufffc]|$| (?:by|before|instead|after|and|please|on) )"
        ),
        "address|live at| to|office",
        take=_line,
    ),
)


def address_detector() -> RuleDetector:
    """Postal addresses of many countries."""
    return RuleDetector("addresses", _RULES)
