"""The embedded data keeps its promises: sizes, spread, consent, frozen prompts."""

import hashlib
from collections import Counter
from importlib.resources import files

import pytest

from heedful.annotators.expectations import validate_expectations
from heedful.core.records import Prompt, text_hash
from heedful.data.embedded_data import (
    FEW_SHOT_PREFIX,
    embedded_demonstrations,
    embedded_prompts,
    pretraining_texts,
)

PAPER_SHARES = {  # the paper's table 1, per cent of the reward model's prompts
    "generation": 45.6,
    "open_qa": 12.4,
    "brainstorming": 11.2,
    "chat": 8.4,
    "rewrite": 6.6,
    "summarisation": 4.2,
    "classification": 3.5,
    "other": 3.5,
    "closed_qa": 2.6,
    "extract": 1.9,
}
CHECKABLE = {
    "max_words",
    "num_sentences",
    "max_sentences",
    "num_items",
    "num_lines",
    "starts_with",
    "ends_with",
    "includes",
    "excludes",
    "uppercase",
    "lowercase",
    "one_of",
}


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    return embedded_prompts()


def test_sizes(prompts: list[Prompt]) -> None:
    assert len(prompts) >= 660
    assert len(embedded_demonstrations()) >= 320
    assert len({prompt.user_id for prompt in prompts}) == 84
    assert len({prompt.organisation for prompt in prompts}) == 42


def test_use_cases_are_about_the_papers(prompts: list[Prompt]) -> None:
    counts = Counter(prompt.use_case for prompt in prompts)
    shares = {use_case: 100 * count / len(prompts) for use_case, count in counts.items()}
    assert shares == pytest.approx(PAPER_SHARES, abs=2.5)


def test_users_belong_to_one_organisation_and_wrote_4_to_14(prompts: list[Prompt]) -> None:
    pairs = {(prompt.user_id, prompt.organisation) for prompt in prompts}
    assert len(pairs) == 84
    per_user = Counter(prompt.user_id for prompt in prompts).values()
    assert min(per_user) >= 4
    assert max(per_user) <= 14


def test_prompts_are_consented_unique_unsplit_and_hashed(prompts: list[Prompt]) -> None:
    assert len({prompt.id for prompt in prompts}) == len(prompts)
    assert len({prompt.text_hash for prompt in prompts}) == len(prompts)
    for prompt in prompts:
        assert prompt.consent
        assert prompt.split is None
        assert prompt.licence == "Apache-2.0"
        assert prompt.text_hash == text_hash(
            prompt.instruction,
            context=prompt.context,
            examples=prompt.examples,
            turns=prompt.turns,
        )


def test_expectations_are_valid_and_plenty(prompts: list[Prompt]) -> None:
    validate_expectations(prompts)
    assert all(prompt.expectations for prompt in prompts)
    constrained = [p for p in prompts if CHECKABLE & {e.kind for e in p.expectations}]
    assert len(constrained) / len(prompts) >= 0.35


def test_every_kind_of_prompt_is_there(prompts: list[Prompt]) -> None:
    tags = Counter(tag for prompt in prompts for tag in prompt.tags)
    assert tags["sensitive"] >= 35
    assert tags["closed_domain"] >= 100
    assert tags["safety_constraint"] >= 3
    assert {"ambiguous", "continuation_style", "opinion", "moral_judgement"} <= tags.keys()
    assert sum(bool(prompt.examples) for prompt in prompts) >= 20
    assert sum(bool(prompt.turns) for prompt in prompts) >= 15
    assert {prompt.source for prompt in prompts} == {
        "labeller/plain",
        "labeller/few_shot",
        "labeller/user_based",
        "customer",
    }
    languages = [e.value for p in prompts for e in p.expectations if e.kind == "language"]
    assert 0.03 <= len(languages) / len(prompts) <= 0.06
    assert set(languages) == {"fr", "es", "de"}


def test_every_organisation_has_demonstrations(prompts: list[Prompt]) -> None:
    shown = {demonstration.prompt_id for demonstration in embedded_demonstrations()}
    organisations = {prompt.organisation for prompt in prompts}
    for organisation in organisations:
        own = [prompt.id for prompt in prompts if prompt.organisation == organisation]
        assert len(shown & set(own)) / len(own) >= 0.4


def test_demonstrations_name_author_and_licence_but_invent_no_time() -> None:
    demonstrations = embedded_demonstrations()
    assert len({d.prompt_id for d in demonstrations}) == len(demonstrations)
    assert {d.prompt_id for d in demonstrations} <= {p.id for p in embedded_prompts()}
    assert {d.made_by for d in demonstrations} == {"person"}
    assert {d.licence for d in demonstrations} == {"Apache-2.0"}
    assert {d.seconds_spent for d in demonstrations} == {None}
    assert len({d.labeller_id for d in demonstrations}) == 12


def test_texts_are_short() -> None:
    """Words stand in for tokens here: everything must fit a two-core quickstart."""
    for prompt in embedded_prompts():
        parts = [prompt.instruction, prompt.context or "", *(t.text for t in prompt.turns)]
        assert sum(len(part.split()) for part in parts) <= 60
    assert max(len(d.text.split()) for d in embedded_demonstrations()) <= 30


def test_the_few_shot_prefix_is_no_prompt_of_the_data(prompts: list[Prompt]) -> None:
    assert len(FEW_SHOT_PREFIX) == 3
    assert not {e.prompt for e in FEW_SHOT_PREFIX} & {p.instruction for p in prompts}
    shown = {d.text for d in embedded_demonstrations()}
    assert not {e.completion for e in FEW_SHOT_PREFIX} & shown


def test_pretraining_texts_are_split_once_and_for_all() -> None:
    train, validation = pretraining_texts("train"), pretraining_texts("validation")
    assert len(train) > 4 * len(validation) > 0
    assert not set(train) & set(validation)
    assert train == pretraining_texts("train")
    assert sum(map(len, train)) > 300_000


def test_the_prompts_are_frozen() -> None:
    """Changed prompts make old results incomparable: release them as a new data version."""
    content = files("heedful.data").joinpath("embedded", "prompts.jsonl").read_bytes()
    assert hashlib.sha256(content).hexdigest()[:16] == "4838ee884bea3ba0"
