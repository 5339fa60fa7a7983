import pytest

from heedful.data.pii_addresses import address_detector


def finds(text: str) -> set[str]:
    return {text[span.start : span.end] for span in address_detector().find(text)}


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("to 48 Larkspur Lane, Dunmore, PA 18512 by noon", "48 Larkspur Lane, Dunmore, PA 18512"),
        ("in der Lindenstraße 27, 04179 Leipzig.", "Lindenstraße 27, 04179 Leipzig"),
        ("au 14 bis, rue des Tilleuls, 69003 Lyon.", "14 bis, rue des Tilleuls, 69003 Lyon"),
        ("en la Calle del Olmo 23", "Calle del Olmo 23"),
        ("in Via dei Glicini 14, 40137 Bologna.", "Via dei Glicini 14, 40137 Bologna"),
        ("przy ul. Klonowej 14/3, 30-059 Kraków.", "ul. Klonowej 14/3, 30-059 Kraków"),
        ("ул. Садовая, д. 14, кв. 52, Казань", "ул. Садовая, д. 14, кв. 52, Казань"),
        ("住所は東京都世田谷区桜丘3-14-8です。", "東京都世田谷区桜丘3-14-8"),
        ("我住在上海市徐汇区桂林路148号。", "上海市徐汇区桂林路148号"),
        ("서울특별시 마포구 월드컵로 148", "서울특별시 마포구 월드컵로 148"),
        ("I live at the old mill, 3 Brook End.", "the old mill, 3 Brook End"),
    ],
)
def test_streets_with_numbers_are_found(text, address):
    assert address in finds(text)


@pytest.mark.parametrize(
    "text",
    [
        "Abbey Road is an album by the Beatles.",
        "Wall Street fell by 300 points.",
        "During 1920 he edited the magazine.",
        "On May 18, 1980, Mount St. Helens erupted.",
        "List 10 Easy Ways to save money.",
        "My address changed.",
    ],
)
def test_a_street_or_a_number_alone_is_no_address(text):
    assert finds(text) == set()
