"""Completions composed without a model say how they were composed."""

from fakes.labelling_store import demo_prompt
from heedful.pipeline.composed_completions import COMPOSERS, PREFIX, compose, copy_of

PROMPT = demo_prompt("tea")
OWN = "Pour hot water over the leaves and wait four minutes."
OTHER = "Cats sleep a lot."


def test_each_kind_is_a_text_of_its_own_under_its_name() -> None:
    made = compose(PROMPT, OWN, OTHER, list(COMPOSERS))
    assert [one.checkpoint_id for one in made] == [PREFIX + kind for kind in COMPOSERS]
    assert len({one.text for one in made}) == len({one.id for one in made}) == 9
    texts = {one.checkpoint_id.removeprefix(PREFIX): one.text for one in made}
    assert texts["own"] == OWN
    assert texts["other"] == OTHER
    assert texts["cut"] == "Pour hot water over the"
    assert texts["shouted"] == "POUR HOT WATER OVER THE LEAVES AND WAIT FOUR MINUTES!!!"
    assert texts["echo"] == PROMPT.instruction
    assert sorted(texts["scrambled"].split()) == sorted(OWN.split())


def test_a_text_that_is_there_already_is_left_out() -> None:
    made = compose(PROMPT, "Tea", "Tea", ["own", "cut", "other", "echo"])
    assert [one.checkpoint_id for one in made] == ["composed:own", "composed:echo"]


def test_the_same_is_composed_again_and_kept_apart_by_key() -> None:
    first = compose(PROMPT, OWN, OTHER, ["own", "cut"])
    assert compose(PROMPT, OWN, OTHER, ["own", "cut"]) == first
    keyed = compose(PROMPT, OWN, OTHER, ["own", "cut"], key="second")
    assert {one.id for one in keyed}.isdisjoint(one.id for one in first)


def test_a_copy_has_the_text_and_an_id_of_its_own() -> None:
    (own,) = compose(PROMPT, OWN, OTHER, ["own"])
    copy = copy_of(own)
    assert copy.text == own.text
    assert copy.id != own.id
    assert copy.checkpoint_id == "composed:own-again"
