"""Personal data that has a shape or a check digit, found by presidio-analyzer's recognisers.

The recognisers are called one by one: without presidio's analysis engine, a spaCy model or
the network. (`tldextract`, which presidio asks whether an e-mail's domain exists, would fetch
its list of suffixes; here it uses the copy that it carries.) What presidio finds only with the
help of a model's context words is left to `heedful.data.pii_patterns`.

presidio is imported when the first text is searched; that takes seconds, and it imports
torch where torch is installed.
"""

import ipaddress
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from heedful.core.errors import ConfigError
from heedful.data.pii import Span

if TYPE_CHECKING:
    from presidio_analyzer import PatternRecognizer
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

Keep = Callable[[str, int, int], tuple[int, int] | None]

# National formats are matched for these regions only: a bare number is valid somewhere.
_REGIONS = ("US", "GB", "FR")
# Below this score presidio wants a context word.
_MIN_SCORE = 0.4
_NUMBERED = re.compile(
    r"(?i)(?:(?:order|invoice|isbn|issn|tracking|serial|part|item|model|ticket|version|section|sku"
    r"|patent|passport|паспорт|bestellung|rechnung|commande|pedido|id|uuid|doi)\W{0,3}(?:no|nr|number|#)?"
    r"|(?<!\w)(?:no|nr|#))\W{0,3}$"
)
# Joined to an address it is no part of it: `from=`, `{`, or letters of a script without spaces.
_OWNER = re.compile(r"[=/{|?&*!]|[\u3040-\u30ff\u4e00-\u9fff](?=[\x21-\x7e])")
# A longer run of digits is a table.
_DIGITS = re.compile(r"(?<!\d)\d(?:[ ().\-/]{0,3}\d){6,31}(?![ ().\-/]{0,3}\d)")
_MAX_EMAIL = 254  # RFC 5321
_PRICES = frozenset("-/.,$€£")
_JOINTS = frozenset("-./_")
_VERSION = re.compile(r"(?i)(?:\bv|version|release|firmware|section|chapter|§|kapitel)\W{0,3}$")
# Resolvers that everybody knows are nobody's data.
_PUBLIC_HOSTS = frozenset(("8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9"))
_PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fe80::/10", "fc00::/7")
)


class _Use(NamedTuple):
    """One recogniser: what it finds, and what of a find to keep."""

    recogniser: "PatternRecognizer | PhoneRecognizer"
    kind: str
    keep: Keep


class _Uses(NamedTuple):
    """Recognisers that can find something only in a text that has a certain pattern.

    With a `margin` they are shown only as many characters on both sides of the pattern.
    """

    needs: re.Pattern[str]
    uses: Sequence[_Use]
    margin: int | None = None


class PresidioDetector:
    """E-mail addresses, phones, IBANs, cards, IP and MAC addresses, coins, national ids."""

    name = "presidio"

    def find(self, text: str) -> Iterator[Span]:
        """What the recognisers are sure of; spans may overlap.

        Raises:
            ConfigError: presidio-analyzer is not installed.
        """
        for needs, uses, margin in _uses():
            for start, part in _parts(text, needs, margin):
                for recogniser, kind, keep in uses:
                    for result in recogniser.analyze(part, recogniser.supported_entities):
                        if result.score >= _MIN_SCORE:
                            kept = keep(text, start + result.start, start + result.end)
                            if kept is not None:
                                yield Span(*kept, kind)


def _parts(text: str, needs: re.Pattern[str], margin: int | None) -> Iterator[tuple[int, str]]:
    """Where parts of the text start that recognisers should see, and the parts."""
    if margin is None:
        if needs.search(text) is not None:
            yield 0, text
        return
    for match in needs.finditer(text):
        start = max(0, match.start() - margin)
        yield start, text[start : match.end() + margin]


def _whole(text: str, start: int, end: int) -> tuple[int, int] | None:  # noqa: ARG001
    return start, end


def _email(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Without what is joined to the address, as in `from=` and `mailto/`."""
    local = text[start:end].partition("@")[0]
    joins = [match.end() for match in _OWNER.finditer(local)]
    return start + (joins[-1] if joins and joins[-1] < len(local) else 0), end


def _phone(text: str, start: int, end: int) -> tuple[int, int] | None:
    """A number with a country's code, or one grouped as a phone number; no order number."""
    number = text[start:end]
    before = text[max(0, start - 24) : start]
    if _NUMBERED.search(before) or before[-1:] in _PRICES:
        return None
    if number.startswith(("+", "00")):
        return start, end
    grouped = len(re.findall(r"\d+", number)) >= 2
    return (start, end) if grouped and text[end : end + 1] not in _JOINTS - {"."} else None


def _ip(text: str, start: int, end: int) -> tuple[int, int] | None:
    """An address that points at somebody: no version number, no private network."""
    if _VERSION.search(text[max(0, start - 16) : start]):
        return None
    try:
        address = ipaddress.ip_address(text[start:end].partition("/")[0])
    except ValueError:
        return None
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        return None
    private = any(
        address in network for network in _PRIVATE_NETWORKS if network.version == address.version
    )
    mask = str(address).startswith("255.")
    return None if private or mask or str(address) in _PUBLIC_HOSTS else (start, end)


def _number(text: str, start: int, end: int) -> tuple[int, int] | None:
    """A number that is no part of a decimal, of a UUID or of another word."""
    joined = text[start - 1 : start] in _JOINTS or text[end : end + 1] in _JOINTS - {"."}
    return None if joined or text[start:end] != text[start:end].upper() else (start, end)


def _hyphenated(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Ten digits in a row are too common to be a person's number without a cue."""
    return _number(text, start, end) if re.search(r"[-+]", text[start:end]) else None


@cache
def _uses() -> tuple[_Uses, ...]:
    try:
        from presidio_analyzer import predefined_recognizers as known
        from tldextract import TLDExtract
    except ImportError as error:
        raise ConfigError(
            f"personal data needs presidio-analyzer: {error}",
            "Install it with `pip install 'heedful[data]'`.",
        ) from error

    # An error that presidio logs quotes the text.
    logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL)
    extract = TLDExtract(suffix_list_urls=(), cache_dir=None)

    class OfflineEmail(known.EmailRecognizer):
        def validate_result(self, pattern_text: str) -> bool:
            return extract(pattern_text).fqdn != ""

    iban = known.IbanRecognizer()
    iban.global_regex_flags = 0  # otherwise "... 7034 from" is read as the IBAN's last group
    ids = (
        *(known.UsSsnRecognizer(), known.UsItinRecognizer(), known.UkNinoRecognizer()),
        *(known.UkDrivingLicenceRecognizer(), known.EsNifRecognizer(), known.EsNieRecognizer()),
        *(known.ItFiscalCodeRecognizer(), known.FiPersonalIdentityCodeRecognizer()),
    )
    dashed_ids = (known.KrRrnRecognizer(), known.SePersonnummerRecognizer())
    phone = known.PhoneRecognizer(supported_regions=_REGIONS)

    def one(needs: str, recogniser: "PatternRecognizer", kind: str, keep: Keep) -> _Uses:
        return _Uses(re.compile(needs), (_Use(recogniser, kind, keep),))

    return (
        # Its pattern is quadratic in the length of a run of letters and dots.
        _Uses(re.compile("@"), (_Use(OfflineEmail(), "EMAIL", _email),), margin=_MAX_EMAIL),
        _Uses(_DIGITS, (_Use(phone, "PHONE", _phone),), margin=30),
        one(r"[A-Z]{2}\d\d[ -]?[A-Z0-9]{4}", iban, "IBAN", _whole),
        one(r"\d(?:[ -]?\d){11}", known.CreditCardRecognizer(), "CREDIT_CARD", _number),
        one(r"\d\.\d{1,3}\.\d|::|[\da-fA-F]:[\da-fA-F]{1,4}:", known.IpRecognizer(), "IP", _ip),
        one(r"(?:[\da-fA-F]{2}[:.-]?){2}[:.-]", known.MacAddressRecognizer(), "MAC", _whole),
        one(r"(?:bc1|[13])[a-zA-HJ-NP-Z0-9]{25}", known.CryptoRecognizer(), "CRYPTO", _whole),
        _Uses(
            re.compile(r"\d{6}|\d[ .-]\d{2}[ .-]\d|[A-Za-z]{2} ?\d\d ?\d\d ?\d\d"),
            [_Use(recogniser, "NATIONAL_ID", _number) for recogniser in ids]
            + [_Use(recogniser, "NATIONAL_ID", _hyphenated) for recogniser in dashed_ids],
        ),
    )
