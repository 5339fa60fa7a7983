"""Personal data that is told by a cue or a form which presidio's recognisers do not know.

A cue is a label or a phrase beside the value ("SSN:", "my passport is"), in the languages of
`benchmarks/pii`. Names and postal addresses have modules of their own.
"""

# ruff: noqa: RUF001, SIM905 - letters of other scripts are meant; words read well in a line

import re

from heedful.data.pii_rules import Extent, Rule, RuleDetector, cued, value_of

_PHONE_CUES = (
    r"phone(?: number)?|telephone|tel\.?|mobile(?: number)?|cell(?:phone)?|whats\s?app|call me"
    r"(?: at| on)?"
    r"|(?:reach|ring|text|call|contact|sms)(?: \w+){0,3} (?:at|on|me)|fax|sms|(?:my|his|her"
    r"|their) number"
    r"|(?:phone|contact|work) (?:line|number)|telefon(?:nummer)?|handy(?:nummer)?|mobil"
    r"(?:nummer)?|ruf mich(?: unter)?"
    r"|t[ée]l(?:[ée]phone)?\.?|portable|appelle-moi au|mon num[ée]ro(?: de portable)?|tel[ée]fono"
    r"|ll[áa]mame al|m[óo]vil|celular"
    r"|telefone|celular|cellulare|chiamami al|m[óo]j numer|telefonu|телефон|звоните|тел\.?"
    r"|номер телефона|numaram"
    r"|cep telefonum|telefonum|電話番号|電話|携帯|手机号?码?|电话|전화번호|연락처|휴대폰|هاتفي?"
    r"|رقم هاتفي|اتصل بي على|الجوال"
    r"|הטלפון שלי|טלפון|להתקשר ל|फ़ोन नंबर|फोन नंबर|मोबाइल|số điện thoại(?: của tôi)?|gọi cho tôi"
    r"|ring mig på"
    r"|bel me op|telefoonnummer|mobiel|puhelin(?:numero)?|simu|nomor (?:telepon|hp)|τηλέφωνο"
)
_PHONE_FRAGMENTS = (
    "phone|tel|mobil|cell|whats|call|ring|text|contact|sms|fax|number|reach|line|handy|ruf|tél"
    "|portable|numéro|llám|móvil|celular|chiam|numer|тел|звон|numaram|cep|電話|携帯|手机|电话"
    "|전화|연락처|휴대폰|هاتف|اتصل|الجوال|טלפון|להתקשר|फ|मोबाइल|điện thoại|gọi|bel me|puhelin"
    "|simu|nomor|τηλ"
)
_PHONE_VALUE = r"\+?\(?\d(?:[ ().\-]{0,3}\d){6,14}(?!\d)"
_ID_CUES = (
    r"ssn|social security|social insurance|s\.s\.n\.|national insurance|ni number|nino|nhs|sin"
    r"|aadhaar|aadhar|uid(?:ai)?"
    r"|pan(?: card)?|nric|fin|national id(?:entity)?(?: card)?|identity card|id card|tax ?id"
    r"|taxpayer id|tin|itin|medicare"
    r"|driver'?s?'? licen[cs]e|driving licen[cs]e|personal id|dni|nie|nif|curp|rfc|rut|cpf|rg|nss"
    r"|steuer-?id(?:entifikationsnummer)?|steuernummer"
    r"|personalausweis|sozialversicherungsnummer|num[ée]ro de s[ée]curit[ée] sociale"
    r"|n[°º] de s[ée]curit[ée] sociale|codice fiscale"
    r"|pesel|bsn|burgerservicenummer|henkil[öo]tunnus|hetuni|hetu|(?:mitt )?personnummer|cpr"
    r"|f[øo]dselsnummer|tc kimlik|kimlik"
    r"|снилс|инн|身份证号?码?|マイナンバー|주민등록번호|เลขบัตรประชาชน|רשום זהות|תעודת זהות"
    r"|رقم الهوية|आधार|nin|bvn|cccd|cmnd"
)
_ID_FRAGMENTS = (
    "ssn|social|s.s.n|insurance|ni number|nin|nhs|sin|aadha|uid|pan|nric|fin|id|tax|tin|medicare"
    "|licen|dni|nie|nif|curp|rfc|rut|cpf|rg|nss|steuer|sozial|sécurité|securite|fiscale|pesel|bsn"
    "|burger|hetu|henkil|personnummer|cpr|dselsnummer|kimlik|снилс|инн|身份证|マイナンバー|주민"
    "|เลขบัตร|זהות|الهوية|आधार|bvn|cccd|cmnd"
)
_ID_VALUE = r"(?=(?:[^\d\n]{0,6}\d){5})[A-Z0-9][A-Z0-9]*(?:[ .\-/]{1,3}[A-Z0-9]{1,12})*"
_DATE = (
    r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}"
    r"|\d{4}\s?[年년]\s?\d{1,2}\s?[月월]\s?\d{1,2}\s?[日일]"
    r"|\d{1,2}(?:st|nd|rd|th|er|\.|º)? (?:of |de |den )?[^\W\d_]{3,12}\.?,? (?:de )?\d{2,4}"
    r"|[^\W\d_]{3,9}\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4}"
)
_BIRTH_CUES = (
    r"date of birth|my birth ?date|d\.?o\.?b\.?|i was born(?: on)?|my birthday|born:|geboren am"
    r"|geburtsdatum|ich bin am|date de naissance"
    r"|n[ée]e? le|fecha de nacimiento|nac[íi] el|data di nascita|nat[oa] il|data de nascimento"
    r"|nascid[oa] em|data urodzenia"
    r"|urodzi[łl](?:em|am) si[ęe]|дата рождения|родил(?:ся|ась)|出生日期|生年月日|생년월일"
    r"|do[ğg]um tarihi|f[öo]delsedatum|geboortedatum"
    r"|syntym[äa]aika|تاريخ الميلاد|תאריך לידה|जन्म तिथि|ngày sinh"
)
_BIRTH_FRAGMENTS = (
    "birth|dob|d.o.b|born|gebor|geburt|ich bin am|naissance|né|nac|nasc|nat|urodz|рожд|родил|出生"
    "|生年月日|생년월일|tarihi|födelse|geboorte|syntym|الميلاد|לידה|जन्म|ngày sinh"
)
_PASSPORT_CUES = (
    r"passport|pasaporte|passeport|reisepass|passaporto|passaporte|paspoort|paszport|паспорт|护照"
    r"|護照|パスポート|여권|pasaport|جواز السفر"
)
_PLATE_CUES = (
    r"licen[cs]e plate|number plate|plate number|registration(?: plate| number)?|kennzeichen"
    r"|plaque d'immatriculation|immatriculation"
    r"|matr[íi]cula|targa|plaka|tablica rejestracyjna|kenteken|госномер|номер машины|车牌号?"
    r"|ナンバープレート|placa"
)
_SECRET_CUES = (
    r"pass(?:word|wd|code|phrase)|pwd|api[_ -]?key|secret(?:[_ -]?key)?|client[_ -]?secret"
    r"|access[_ -]?token|auth[_ -]?token|token"
    r"|private[_ -]?key|contrase[ñn]a|clave|mot de passe|passwor[td]|kennwort|senha|parola"
    r"|has[łl]o|пароль|密码|パスワード|비밀번호|şifre"
)
_SECRET_FRAGMENTS = (
    "pass|pwd|key|secret|token|contrase|clave|mot de|kennwort|senha|parola|hasł|haslo|пароль|密码"
    "|パスワード|비밀번호|şifre"
)
_PROFILE_HOSTS = (
    r"(?:twitter|x|instagram|facebook|fb|github|gitlab|vk|threads|ok|pinterest|soundcloud|behance"
    r"|dribbble|flickr)\.(?:com|net|ru)"
    r"|t\.me|telegram\.me|bsky\.app/profile|linkedin\.com/in|reddit\.com/u(?:ser)?|(?:tiktok"
    r"|medium|youtube|threads)\.(?:com|net)/(?=@)"
)
# First parts of a path on those hosts that are pages, not people.
_PAGES = (
    "search|home|explore|p|reel|reels|tv|stories|i|intent|share|sharer|hashtag|groups|events"
    "|pages|watch|marketplace|login"
    "|signup|about|features|pricing|topics|trending|settings|help|privacy|terms|policies|docs"
    "|notifications|messages|joinchat"
    "|sponsors|orgs|marketplace|apps|collections|business|ads|legal|security|blog|careers"
    "|developers?|status|photo|story"
)
# Words after an at sign that code uses.
_NO_HANDLES = frozenset(
    "property override staticmethod classmethod param params return returns author since"
    " deprecated test before after media import keyframes font-face supports charset include"
    " mixin extend if else each for component injectable input output autowired bean service"
    " controller restcontroller repository entity id table column getmapping postmapping"
    " requestmapping requestbody pathvariable nullable notnull nonnull suppresswarnings"
    " functionalinterface dataclass app pytest mock patch cached_property lru_cache"
    " abstractmethod wraps version todo see throws type types angular vue babel interface end"
    " implementation synthesize selector objc escaping published state binding main here home"
    " work gmail hotmail yahoo outlook".split()
)
_TYPES = frozenset("str string text none null true false the required optional".split())
_LINE = 200
_CODE = re.compile(
    r"[{};]|\)\s*$|->|=>|\b(?:npm|yarn|pip|def|class|import|public|private|SELECT)\b"
)


def _handle(match: re.Match[str]) -> Extent | None:
    """A handle in prose; what stands in a line of code is none."""
    text, word = match.string, match["word"]
    before = text[max(0, match.start() - _LINE) : match.start()].rpartition("\n")[2]
    line = before + match[0] + text[match.end() : match.end() + _LINE].partition("\n")[0]
    alone = line.strip() == match["value"]
    if word.lower() in _NO_HANDLES or alone or _CODE.search(line):
        return None
    return value_of(match)


def _user_name(match: re.Match[str]) -> Extent | None:
    """No common word: one with a digit, a sign or a capital inside, or one after a colon."""
    odd = re.search(r"[\d_.\-@]|[a-z][A-Z]", match["value"])
    labelled = match["link"].strip() in ":=" and match["value"].lower() not in _TYPES
    return value_of(match) if odd or labelled else None


def _secret(match: re.Match[str]) -> Extent | None:
    """What looks made up by a person or a machine: letters and digits or signs, no code."""
    value = match["value"]
    marked = re.search(r"[^\W\d_]", value) and re.search(r"\d|[!#$%&*+?@^~].", value)
    if (
        not marked
        or re.match(r"[A-Za-z_.]+[(\[]", value)
        or value.startswith(("http", "<", "$", "{"))
    ):
        return None
    return value_of(match)


def _latitude(match: re.Match[str]) -> Extent | None:
    if abs(float(match["lat"])) > 90 or abs(float(match["lon"])) > 180:
        return None
    return value_of(match)


_RULES = (
    # Beside letters of a script without spaces presidio finds no end of the domain.
    Rule(
        "EMAIL",
        re.compile(
            r"(?<![\w.%+-])(?a:[\w.%+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,})"
            r"(?=[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af])|"
            r"(?<=[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af])(?a:[\w.%+-]+@[\w-]+"
            r"(?:\.[\w-]+)*\.[A-Za-z]{2,})"
        ),
        "@",
        has_digit=False,
    ),
    # A country's code says that it is a phone number, valid or not.
    Rule("PHONE", re.compile(r"(?<![\w+])\+[1-9](?:[ ().\-]{0,3}\d){7,14}(?!\d)"), "+"),
    Rule("PHONE", cued(_PHONE_CUES, _PHONE_VALUE), _PHONE_FRAGMENTS),
    Rule("NATIONAL_ID", cued(_ID_CUES, _ID_VALUE), _ID_FRAGMENTS),
    Rule("NATIONAL_ID", re.compile(r"(?<![\d.])\d{3}\.\d{3}\.\d{3}-\d\d(?!\d)")),  # Brazil
    Rule(
        "NATIONAL_ID",
        re.compile(
            r"(?<!\w)[1-6]\d{5}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dX](?!\w)"
        ),
    ),  # China
    Rule(
        "PASSPORT",
        cued(_PASSPORT_CUES, r"(?=[A-Z]*(?: ?\d[A-Z]*){5})[A-Z0-9]{1,4}(?: ?[A-Z0-9]{2,10}){1,2}"),
        "passp|pasaport|reisepass|passeport|paspoort|paszport|паспорт|护照|護照|パスポート|여권"
        "|جواز",
    ),
    Rule(
        "LICENCE_PLATE",
        cued(
            _PLATE_CUES,
            r"(?=[A-Z -]*\d)(?=[\d -]*[A-Z])[A-Z0-9]{1,4}[ \-]?[A-Z0-9]{1,5}"
            r"(?:[ \-][A-Z0-9]{1,4})?(?!\w)",
        ),
        "plate|registration|kennzeichen|immatric|matr|targa|plaka|tablica|kenteken|номер|车牌"
        "|ナンバー|placa",
    ),
    Rule("DATE_OF_BIRTH", cued(_BIRTH_CUES, _DATE), _BIRTH_FRAGMENTS),
    Rule(
        "SECRET",
        re.compile(
            rf"(?i:(?:{_SECRET_CUES})\w*[\"']?(?:\s*[:=：]\s*|\s+(?:is|es|ist|lautet|est|è|é)\s+"
            rf"|是|は|\s+(?=[\"'`])))[\"'`]?(?P<value>[^\s\"'`,;\ufffc]{{6,200}}(?<![.?!]))"
        ),
        _SECRET_FRAGMENTS,
        take=_secret,
        has_digit=False,
    ),
    Rule(
        "SECRET",
        cued(r"pin(?: of my card)?|pin code|passcode|cvv|cvc", r"\d{3,8}(?!\d)"),
        "pin|passcode|cv",
    ),
    Rule(
        "SECRET",
        re.compile(
            r"(?<!\w)(?:AKIA[0-9A-Z]{16}|gh[pousr]_\w{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}"
            r"|hf_[A-Za-z0-9]{30,}|npm_\w{30,}|sk-[\w-]{20,}|[sr]k_(?:live|test)_\w{16,}"
            r"|xox[abprs]-[\w-]{10,}|AIza[\w-]{35}|eyJ[\w-]{5,}\.eyJ[\w-]{5,}\.[\w-]*)"
        ),
        "akia|gh|glpat-|hf_|npm_|sk-|k_|xox|aiza|eyj",
        has_digit=False,
    ),
    Rule(
        "SECRET",
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^\ufffc]*?-----END [A-Z ]*PRIVATE KEY-----"
        ),
        "private key-----",
        has_digit=False,
    ),
    Rule("CRYPTO", re.compile(r"(?<!\w)0x[0-9a-fA-F]{40}(?!\w)"), "0x"),
    Rule(
        "URL",
        re.compile(
            r"(?<!\w)[a-z][a-z0-9+.\-]{1,12}://[^\s/@:\"'<>\ufffc]+:[^\s/@\"'<>\ufffc]+@[^\s\"'<>)\ufffc]+",
            re.IGNORECASE,
        ),
        "://",
        has_digit=False,
    ),
    Rule(
        "URL",
        re.compile(
            r"https?://[^\s\"'<>)\ufffc]+[?&](?:token|access_token|auth|api_?key|key|password"
            r"|email|session(?:id)?|sig(?:nature)?)=[^\s\"'<>)\ufffc]+",
            re.IGNORECASE,
        ),
        "://",
        has_digit=False,
    ),
    Rule(
        "URL",
        re.compile(
            rf"(?<![\w.@])(?:https?://)?(?:(?!pic)[a-z]{{2,3}}\.|m\.)?(?:{_PROFILE_HOSTS})/?(?!"
            rf"(?:{_PAGES})(?![\w.-]))@?[\w.\-%]{{2,60}}(?<![.,])/?(?![\w/])"
            rf"(?:\?[^\s\"'<>)\ufffc]*)?",
            re.IGNORECASE,
        ),
        ".com/|.net/|.ru/|.me/|.app/",
        has_digit=False,
    ),
    Rule(
        "USERNAME",
        re.compile(r"(?<![\w@./+\-])(?P<value>@(?P<word>[A-Za-z][\w]*(?:\.\w+)*))(?![\w@/(]|\.\w)"),
        "@",
        has_digit=False,
        take=_handle,
    ),
    Rule(
        "USERNAME",
        re.compile(r"(?<![\w/])/?(?P<value>u/[\w-]{3,20})(?![\w/])"),
        "u/",
        has_digit=False,
    ),
    Rule("USERNAME", re.compile(r"(?<![\w#])[A-Za-z][\w.]{1,31}#\d{4}(?!\w)"), "#"),
    Rule(
        "USERNAME",
        re.compile(
            r"(?i:(?<!\w)(?:my )?(?:user ?name|login name|gamertag|screen name|handle|snapchat"
            r"|instagram|insta|telegram|skype(?: id)?|discord|psn|usuario|benutzername"
            r"|nom d'utilisateur)(?P<link> is | es | ist |\s?[:=]\s?))(?P<value>@?"
            r"(?:live:)?[A-Za-z][\w.\-]{2,31}(?<!\.)(?!\w))"
        ),
        "user|login|gamertag|name|handle|snapchat|insta|telegram|skype|discord|psn|usuario",
        has_digit=False,
        take=_user_name,
    ),
    Rule(
        "COORDINATES",
        re.compile(
            r"(?i:gps|coord\w*|lat(?:itude)?|location|position|stuck at|i am at|my house"
            r"|geo)\W{0,3}(?:\w+\W{1,3}){0,2}?(?P<value>(?P<lat>-?\d{1,2}\.\d{4,}),? ?"
            r"(?P<lon>-?\d{1,3}\.\d{4,}))(?![\d.])"
        ),
        "gps|coord|lat|location|position|stuck|i am at|house|geo",
        take=_latitude,
    ),
    Rule(
        "COORDINATES",
        re.compile(
            r"\d{1,2}°\s?\d{1,2}['′’]\s?(?:\d{1,2}"
            r"(?:\.\d+)?[\"″”])?\s?[NS][ ,]{0,2}\d{1,3}°\s?\d{1,2}['′’]\s?(?:\d{1,2}"
            r"(?:\.\d+)?[\"″”])?\s?[EWO]"
        ),
        "°",
    ),
)


def pattern_detector() -> RuleDetector:
    """Phones, ids, passports, plates, birth dates, secrets, coins, URLs, handles, places."""
    return RuleDetector("patterns", _RULES)
