"""What the frame of a page does with parts that are or are not there."""

from heedful.reports.rendering import Page, to_html
from heedful.reports.view import AnswerView, Piece, PromptView, Section, Table

PAIR = PromptView(
    title="A pair",
    kind="near",
    parts=(),
    answers=(AnswerView(label="kept", series="sft", text="<b>one</b>", notes=()),),
)


def page(section: Section, **changes: object) -> str:
    parts: dict[str, object] = {
        "name": "room",
        "title": "A <title>",
        "meaning": "What it means.",
        "when": "",
        "hero": Section(key="top", title="Top"),
        "sections": [section],
        "made_from": "a run folder",
    }
    return to_html(Page(**(parts | changes)))  # type: ignore[arg-type]


def test_text_is_escaped_and_the_source_is_named() -> None:
    html = page(Section(key="pairs", title="Pairs", prompts=(PAIR,)))
    assert "A &lt;title&gt;" in html
    assert "&lt;b&gt;one&lt;/b&gt;" in html
    assert "from a run folder alone" in html


def test_the_first_prompt_is_open_unless_the_section_is_collapsed() -> None:
    shown = page(Section(key="pairs", title="Pairs", prompts=(PAIR, PAIR)))
    assert shown.count('<details class="prompt" open>') == 1
    folded = page(Section(key="pairs", title="Pairs", prompts=(PAIR, PAIR), collapsed=True))
    assert folded.count('<details class="prompt">') == 2


def test_what_is_missing_is_listed_only_where_a_list_is_given() -> None:
    section = Section(key="pairs", title="Pairs", missing=("No pairs.",))
    assert 'id="missing"' not in page(section)
    assert "No pairs.</li>" in page(section, absent=[(section, "No pairs.")])


def test_simulated_labels_are_said_and_linked() -> None:
    section = Section(key="who", title="Who")
    assert 'class="badge"' not in page(section)
    assert 'href="#who">Which ones' in page(section, simulated_at="who")


def test_marked_pieces_stand_out_and_stay_text() -> None:
    pieces = (Piece("so ", marked=False), Piece("<i>", marked=True))
    answer = AnswerView(label="a", series="sft", text="so <i>", notes=(), pieces=pieces)
    prompt = PromptView(title="t", kind="k", parts=(), answers=(answer,))
    assert "so <mark>&lt;i&gt;</mark>" in page(Section(key="s", title="S", prompts=(prompt,)))


def test_columns_of_words_stand_at_the_left() -> None:
    table = Table(columns=("a", "b", "c"), rows=(("1", "2", "3"),), num_words=2)
    html = page(Section(key="s", title="S", tables=(table,)))
    assert '<th scope="col" class="word">b</th><th scope="col">c</th>' in html
    assert '<td class="word">2</td><td>3</td>' in html
