import subprocess
import sys

import pytest

from heedful.data.pii_presidio import PresidioDetector

WITHOUT_NETWORK = """
import sys
from heedful.data.pii import Masker
from heedful.data.pii_records import default_detectors

assert "presidio_analyzer" not in sys.modules, "presidio was imported before it was needed"

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise SystemExit(f"{event} {arguments}")

sys.addaudithook(refuse)
texts = ["ana@nordwind.example.org or ana@nordwind.no, 203.0.113.9"]
print(*Masker(default_detectors()).mask(texts).texts)
"""


def kinds(text: str) -> dict[str, str]:
    return {text[span.start : span.end]: span.kind for span in PresidioDetector().find(text)}


def test_nothing_goes_to_the_network_and_presidio_is_imported_late():
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_NETWORK], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "<EMAIL_1> or <EMAIL_2>, <IP_1>"


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("write to a.b+c@nordwind.no!", "a.b+c@nordwind.no", "EMAIL"),
        ("from=ana@nordwind.no", "ana@nordwind.no", "EMAIL"),
        ("请发到ana@nordwind.no", "ana@nordwind.no", "EMAIL"),
        ("(415) 555-0132 today", "(415) 555-0132", "PHONE"),
        ("+33 1 70 18 45 27", "+33 1 70 18 45 27", "PHONE"),
        ("BE71 0961 2345 6769 from my bank", "BE71 0961 2345 6769", "IBAN"),
        ("4539 1488 0343 6467", "4539 1488 0343 6467", "CREDIT_CARD"),
        ("seen at 203.0.113.77", "203.0.113.77", "IP"),
        ("from 2001:db8::8a2e:370:7334", "2001:db8::8a2e:370:7334", "IP"),
        ("3C:52:82:4F:0B:9A", "3C:52:82:4F:0B:9A", "MAC"),
        ("536-22-8145", "536-22-8145", "NATIONAL_ID"),
    ],
)
def test_what_has_a_shape_is_found(text, value, kind):
    assert kinds(text) == {value: kind}


@pytest.mark.parametrize(
    "text",
    [
        "order no. 415-555-0132",
        "2125550187",
        "version 2.4.11.3",
        "127.0.0.1, 192.168.1.1, 255.255.255.0 and 8.8.8.8",
        "0.4539148803436467",
        "4111 1111 1111 1112",
        "GB00 0000 0000 0000 0000 00",
        "message 0149093f-cd3b-4a12-9ba6-b81f80209d36",
        "user@host",
        " ".join(str(number) for number in range(200)),
    ],
)
def test_what_only_looks_like_it_is_left_alone(text):
    assert kinds(text) == {}
