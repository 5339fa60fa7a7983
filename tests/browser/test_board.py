"""The ranking board in a real Chromium: keyboard, mouse, touch, and everything that goes wrong."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from fakes.board_site import Boards, boards_of
from fakes.labelling_site import Site, living_site
from fakes.page_audit import axe_faults, axe_script, layout_faults, small_targets
from heedful.labelling.preferences import with_shortcuts

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LETTERS = "ABCDEFGHI"
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with living_site(tmp_path_factory.mktemp("board")) as running:
        yield running


@pytest.fixture
def boards(site: Site, browser: Any) -> Iterator[Boards]:
    with boards_of(site, browser) as made:
        yield made


def press(page: Any, keys: str) -> int:
    """Press keys one after the other; return how many."""
    for key in keys.split():
        page.keyboard.press({"Space": " "}.get(key, key))
    return len(keys.split())


def rate_all(page: Any, size: int = 9) -> int:
    """Rate every output by keyboard, best first; ends in the ranking."""
    return press(page, " j ".join(str(max(1, 7 - n)) for n in range(size)) + " j")


def ranks(page: Any) -> dict[str, str]:
    """Where the cards lie, by letter."""
    found: dict[str, str] = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('#stage [data-card]')]"
        ".map(card => [card.dataset.card, card.closest('[data-rank]').dataset.rank]))"
    )
    return found


def said(page: Any) -> str:
    text: str = page.inner_text("#said")
    return text


def wait_sent(page: Any, boards: Boards, item: str) -> dict[str, Any]:
    page.wait_for_url(lambda url: item not in url, timeout=20_000)
    found = boards.sent(item)
    assert found is not None
    return found


def test_nine_outputs_by_keyboard_alone(boards: Boards) -> None:
    item = boards.new_item()
    page = boards.open(item)
    rating = press(page, "f 5 x x h j") + press(page, "6 j 3 j 7 j 1 j 2 j 2 j 4 j 4 j")
    ranking = press(page, "a 3 b 2 c 5 d 1 e 9 f 7 g 7 h 4 i 4")
    assert ranking == 18
    assert rating <= 23
    assert "The tray is empty." in said(page)
    page.keyboard.press("Control+Enter")
    found = wait_sent(page, boards, item)
    assert found["ranks"] == dict(zip(LETTERS, (3, 2, 5, 1, 9, 7, 7, 4, 4), strict=True))
    assert found["quality"] == dict(zip(LETTERS, (5, 6, 3, 7, 1, 2, 2, 4, 4), strict=True))
    assert found["flags"]["A"].fails_instruction is True
    assert found["flags"]["A"].hallucination is True
    assert found["flags"]["A"].sexual_content is False
    assert found["flags"]["B"].hallucination is None
    assert not found["all_bad"]


def test_nothing_is_ranked_before_and_nothing_sent_before_the_tray_is_empty(boards: Boards) -> None:
    item = boards.new_item(4)
    page = boards.open(item)
    rate_all(page, 4)
    assert ranks(page) == dict.fromkeys("ABCD", "tray")
    press(page, "a 1 b 1 c 1")
    page.keyboard.press("Control+Enter")
    assert said(page) == "Not sent: D is still in the tray."
    page.click("button.send")
    assert boards.sent(item) is None
    press(page, "d 4 Control+Enter")
    assert wait_sent(page, boards, item)["ranks"] == {"A": 1, "B": 1, "C": 1, "D": 4}


def test_what_is_not_rated_is_asked_for(boards: Boards) -> None:
    item = boards.new_item(3)
    page = boards.open(item)
    press(page, "7 r a 1 b 2 c 3 Control+Enter")
    assert said(page) == "Not sent: B and C have no rating yet."
    assert page.inner_text("#panel h2") == "Rate B"
    press(page, "5 j 6 Control+Enter")
    assert wait_sent(page, boards, item)["quality"] == {"A": 7, "B": 5, "C": 6}


def test_ties_undo_redo_tray_and_the_whole_tray(boards: Boards) -> None:
    page = boards.open(boards.new_item(4))
    press(page, "r a 2 b 2")
    assert said(page) == "B at rank 2, tied with A. 2 left in the tray."
    assert page.get_attribute("[data-rank='2']", "aria-label") == "Rank 2: A, B"
    press(page, "w 4")
    assert ranks(page) == {"A": "2", "B": "2", "C": "4", "D": "4"}
    press(page, "u u u u u")
    assert ranks(page) == dict.fromkeys("ABCD", "tray")
    assert said(page) == "There is nothing to undo."
    press(page, "y y")
    assert ranks(page) == {"A": "2", "B": "2", "C": "tray", "D": "tray"}
    press(page, "b Backspace")
    assert ranks(page)["B"] == "tray"
    press(page, "b 9")
    assert ranks(page)["B"] == "tray"  # there are four ranks


def test_all_are_bad_and_the_soft_warning(boards: Boards) -> None:
    item = boards.new_item(2)
    page = boards.open(item)
    press(page, "2 j 5 j a 1 b 2 n")
    assert "A (rated 2) stands above B (rated 5)" in page.inner_text(".disagree")
    assert page.get_attribute("[data-key=all_bad]", "aria-pressed") == "true"
    page.keyboard.press("Control+Enter")
    assert wait_sent(page, boards, item)["all_bad"]


def test_dragging_by_the_handle(boards: Boards) -> None:
    page = boards.open(boards.new_item(3))
    page.keyboard.press("r")

    def drag(letter: str, target: str) -> None:
        start = page.locator(f"[data-handle={letter}]").bounding_box()
        end = page.locator(f"[data-rank='{target}']").bounding_box()
        page.mouse.move(start["x"] + 5, start["y"] + 20)
        page.mouse.down()
        page.mouse.move(start["x"] + 40, start["y"] + 60)
        page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2, steps=4)
        page.mouse.up()

    drag("A", "2")
    drag("B", "2")
    drag("C", "1")
    assert ranks(page) == {"A": "2", "B": "2", "C": "1"}
    drag("C", "tray")
    assert ranks(page)["C"] == "tray"
    assert page.locator(".ghost").count() == 0
    # A press without moving is no drag, and dragging the card's face moves nothing.
    page.locator("[data-handle=A]").click()
    face = page.locator("[data-key=card-A]").bounding_box()
    page.mouse.move(face["x"] + 30, face["y"] + 10)
    page.mouse.down()
    page.mouse.move(face["x"] + 300, face["y"] + 10, steps=3)
    page.mouse.up()
    assert ranks(page)["A"] == "2"


def test_by_touch_with_the_rank_picker(boards: Boards) -> None:
    item = boards.new_item()
    page = boards.open(item, **PHONE)
    for place in range(9):
        page.tap(f"label[for=quality-{7 - place % 7}]")
        page.tap("[data-key=next]")
    for place, letter in enumerate(LETTERS):
        page.tap(f"[data-key=card-{letter}]")
        page.tap(f"[data-key=pick-{place // 2 + 1}]")
    assert small_targets(page) == []
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.handle')).touchAction") == "none"
    )
    page.tap("button.send")
    assert wait_sent(page, boards, item)["ranks"]["I"] == 5


@pytest.mark.parametrize("height", [844, 664])
def test_the_rank_picker_covers_nothing_that_was_chosen(boards: Boards, height: int) -> None:
    """844 is a phone's whole screen, 664 what its browser leaves of that."""
    page = boards.open(boards.new_item(), **{**PHONE, "viewport": {"width": 390, "height": height}})
    rate_all(page)

    def bottom(what: str) -> float:
        box = page.locator(what).bounding_box()
        return float(box["y"] + box["height"])

    def panel() -> float:
        return float(page.locator("#panel").bounding_box()["y"])

    if height == 844:
        assert bottom("[data-rank='9']") <= panel()
    for place, letter in enumerate(reversed(LETTERS)):
        page.tap(f"[data-key=card-{letter}]")
        assert bottom(f"[data-key=card-{letter}]") <= panel(), letter
        page.tap(f"[data-key=pick-{9 - place}]")
        assert bottom(f"[data-key=card-{letter}]") <= panel(), letter


def test_scrolling_by_touch_moves_no_card(boards: Boards) -> None:
    page = boards.open(boards.new_item(), **PHONE)
    page.tap("[data-key=step-rank]")
    face = page.locator("[data-key=card-E]").bounding_box()
    x, y = face["x"] + 20, face["y"] + 20
    touch = page.context.new_cdp_session(page)
    before = page.evaluate("scrollY")
    touch.send(
        "Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]}
    )
    for step in range(1, 8):
        point = {"x": x, "y": y - 20 * step}
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function(f"scrollY !== {before}")
    assert set(ranks(page).values()) == {"tray"}


def test_reading_at_full_size_and_comparing(boards: Boards) -> None:
    page = boards.open(boards.new_item())
    press(page, "r a Space j 2")
    assert page.inner_text("#reader-title") == "Output B"
    assert ranks(page)["B"] == "2"
    press(page, "Space a Shift+D")
    assert page.locator("dialog.compare select").nth(0).input_value() == "A"
    assert page.locator("dialog.compare select").nth(1).input_value() == "D"
    press(page, "e")
    assert page.locator("dialog.compare select").nth(1).input_value() == "E"
    page.check("#mark-differences")
    assert page.locator("dialog.compare mark").count() > 0
    texts = page.locator("dialog.compare .output-text").all_inner_texts()
    assert len(texts) == 2
    press(page, "v")
    assert page.locator("dialog").count() == 0
    press(page, "?")
    assert "Shift + A \u2013 I" in page.inner_text("dialog.all-keys")
    press(page, "Escape v Escape")
    assert page.locator("dialog").count() == 0


def test_keys_can_be_other_ones_or_none(boards: Boards) -> None:
    boards.set_preferences(with_shortcuts({}, on=True, keys={"next": "l", "undo": "z"}))
    page = boards.open(boards.new_item(3))
    press(page, "j")
    assert page.inner_text("#reading-title") == "Output A"
    press(page, "l")
    assert page.inner_text("#reading-title") == "Output B"
    press(page, "4 z")
    assert page.locator("#panel input:checked[name=quality]").count() == 0
    boards.set_preferences(with_shortcuts({}, on=False, keys={}))
    page = boards.open(boards.new_item(3))
    press(page, "5 j f ?")
    assert page.inner_text("#reading-title") == "Output A"
    assert page.locator("#panel input:checked[name=quality]").count() == 0
    assert page.locator("#panel kbd").count() == 0
    assert page.locator("dialog").count() == 0


def test_typing_a_question_is_no_command(boards: Boards) -> None:
    page = boards.open(boards.new_item(3))
    press(page, "q")
    page.keyboard.type("5 jars of f?")
    assert page.input_value("#question-text") == "5 jars of f?"
    assert page.inner_text("#reading-title") == "Output A"
    page.click("text=Send the question")
    page.get_by_text("Your question was sent").wait_for()
    assert page.locator("#panel input:checked[name=quality]").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("shape", ["desktop", "phone"])
def test_axe_finds_nothing_in_any_state(boards: Boards, scheme: str, shape: str) -> None:
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    script = axe_script()
    options = {**(PHONE if shape == "phone" else {}), "color_scheme": scheme}
    page = boards.open(boards.new_item(), **options)
    found = {"start": axe_faults(page, script) + layout_faults(page)}
    for state, keys in {
        "rated": "3 f h j 6",
        "ranking": "r a 1 b 1 c 2",
        "reading": "Space",
        "comparing": "Escape a Shift+B",
        "help": "Escape ?",
        "question": "Escape q",
    }.items():
        press(page, keys)
        found[state] = axe_faults(page, script) + layout_faults(page)
    assert {state: faults for state, faults in found.items() if faults} == {}


def test_outputs_are_inert_and_keep_their_lines(boards: Boards) -> None:
    page = boards.open(boards.new_item())
    data = page.evaluate("JSON.parse(document.getElementById('board-data').textContent)")
    shown = page.text_content("#reading .output-text")
    assert shown == data["cards"][0]["text"]
    assert "\n\n" in "".join(card["text"] for card in data["cards"])
    assert re.match(
        "pre-wrap",
        page.evaluate("getComputedStyle(document.querySelector('.output-text')).whiteSpace"),
    )


def test_an_adjudicator_sees_earlier_rankings_and_need_not_rate(boards: Boards) -> None:
    first = boards.new_item(3)
    page = boards.open(first)
    rate_all(page, 3)
    press(page, "a 1 b 2 c 3 Control+Enter")
    wait_sent(page, boards, first)
    boards.login = "reviewer"
    item = boards.new_item(3, kind="adjudication", adjudicates=first)
    page = boards.open(item)
    assert "Labelling 1" in page.inner_text(".earlier")
    assert "Cleo" not in page.content()
    assert axe_faults(page, axe_script()) == []
    press(page, "a 1 b 1 c 2 Control+Enter")
    assert wait_sent(page, boards, item)["quality"] == {}
