"""What goes first when a prompt is too long."""

from collections.abc import Callable

from heedful.core.records import Example, Prompt, Turn
from heedful.data.cutting import Cut, cuts

MakePrompt = Callable[..., Prompt]


def test_cuts_come_from_the_longest_part(make_prompt: MakePrompt) -> None:
    prompt = make_prompt(
        "keep\nme",
        context="aaaaaaaa\nbb",
        turns=(Turn(role="user", text="cccc"), Turn(role="assistant", text="dddd")),
        examples=(Example(prompt="ee", completion="e"), Example(prompt="f", completion="f")),
    )
    steps = cuts(prompt)
    assert steps == [
        Cut(context=1),
        Cut(context=1, turns=1),
        Cut(context=1, turns=1, examples=1),
        Cut(context=2, turns=1, examples=1),
        Cut(context=2, turns=1, examples=2),
        Cut(context=2, turns=1, examples=2, instruction=1),
    ]
    assert steps[0].apply(prompt).context == "bb"
    last = steps[-1].apply(prompt)
    assert (last.instruction, last.context, last.turns, last.examples) == ("me", None, (), ())
    assert last.id == prompt.id


def test_a_question_goes_with_its_answer_and_the_system_stays(make_prompt: MakePrompt) -> None:
    turns = (
        Turn(role="assistant", text="greeting"),
        Turn(role="system", text="s"),
        Turn(role="user", text="q1"),
        Turn(role="assistant", text="a1"),
        Turn(role="user", text="q2"),
    )
    prompt = make_prompt("x", turns=turns)
    kept = [[turn.text for turn in cut.apply(prompt).turns] for cut in cuts(prompt)]
    assert kept == [["s", "q1", "a1", "q2"], ["s", "q2"], ["s"]]


def test_nothing_to_cut(make_prompt: MakePrompt) -> None:
    assert cuts(make_prompt("one line")) == []
    assert cuts(make_prompt("blank lines at the end\n\n \n")) == []
