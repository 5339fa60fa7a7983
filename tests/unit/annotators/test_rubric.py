"""What the rubric prefers, that it is not won by a trick, and that it is frozen."""

import hashlib
import statistics
from collections.abc import Callable

import pytest

from heedful.annotators.rubric import MEAN_WEIGHTS, RUBRIC_VERSION, assess
from heedful.core.errors import DataError
from heedful.core.records import Completion, Prompt
from heedful.data.embedded_data import embedded_demonstrations, embedded_prompts

MakePrompt = Callable[..., Prompt]
MakeCompletion = Callable[..., Completion]
Sampled = list[tuple[Prompt, list[Completion]]]

GOOD = "The sea was calm and blue under the morning sun."
TOPIC = ("sea", "wave", "blue", "salt")


@pytest.mark.parametrize(
    ("worse", "component"),
    [
        ("", "relevance"),
        ("My cat likes to sleep on the sofa.", "relevance"),
        ("The sea was calm and blue. The waves slept. All was well.", "constraints"),
        ("### Answer: The sea was calm and blue.", "cleanliness"),
        ("The blue sea, the blue sea, the blue sea, the blue sea, the blue sea.", "cleanliness"),
        ("The sea was calm and blue under the", "completeness"),
        ("La mer est calme et le ciel est bleu.", "language"),
        ("The sea is blue " + "and the wind is soft in the air " * 8, "length"),
        ("Sea wave blue salt ocean shore tide water storm boat.", "cleanliness"),
    ],
)
def test_each_fault_lowers_its_component_and_the_total(
    make_prompt: MakePrompt, make_completion: MakeCompletion, worse: str, component: str
) -> None:
    prompt = make_prompt(num_sentences=1, topic=TOPIC)
    good = assess(prompt, make_completion(prompt, GOOD))
    bad = assess(prompt, make_completion(prompt, worse))
    assert bad.components[component] < good.components[component]
    assert bad.total() < good.total()
    assert good.total() == pytest.approx(1.0)


def test_a_cut_off_completion_is_incomplete(
    make_prompt: MakePrompt, make_completion: MakeCompletion
) -> None:
    prompt = make_prompt(topic=TOPIC)
    assert assess(prompt, make_completion(prompt, GOOD, "length")).components["completeness"] < 0.5


def test_copying_the_text_to_rewrite_is_no_rewrite(
    make_prompt: MakePrompt, make_completion: MakeCompletion
) -> None:
    prompt = make_prompt("Make this polite.", context="Give me the salt.", use_case="rewrite")
    copied = assess(prompt, make_completion(prompt, "Give me the salt."))
    assert copied.components["cleanliness"] < 0.5


def test_without_expectations_words_of_the_prompt_count(
    make_prompt: MakePrompt, make_completion: MakeCompletion
) -> None:
    prompt = make_prompt("Describe the harbour at night.")
    on_topic = assess(prompt, make_completion(prompt, "At night the harbour is quiet."))
    off_topic = assess(prompt, make_completion(prompt, "My uncle sells cheap carpets."))
    assert on_topic.components["relevance"] == 1.0
    assert off_topic.components["relevance"] == 0.0


def test_weights_decide_between_faults(
    make_prompt: MakePrompt, make_completion: MakeCompletion
) -> None:
    prompt = make_prompt(num_sentences=1, topic=TOPIC)
    two_sentences = assess(prompt, make_completion(prompt, "The sea was blue. I like salt."))
    indifferent = {**MEAN_WEIGHTS, "constraints": 0.0}
    assert two_sentences.total(indifferent) > two_sentences.total()


def test_an_expectation_that_cannot_be_checked_is_refused(
    make_prompt: MakePrompt, make_completion: MakeCompletion
) -> None:
    prompt = make_prompt(max_word=4)
    with pytest.raises(DataError, match="max_word"):
        assess(prompt, make_completion(prompt, GOOD))


def test_flags(make_prompt: MakePrompt, make_completion: MakeCompletion) -> None:
    prompt = make_prompt(
        "Who won?", context="Nadia finished first.", use_case="closed_qa", from_context=None
    )
    invented = assess(prompt, make_completion(prompt, "A dragon from Spain.")).flags
    assert invented.hallucination is True
    assert invented.satisfies_constraint is None
    rude = assess(prompt, make_completion(prompt, "You stupid old women!")).flags
    assert rude.inappropriate_for_assistant
    assert rude.denigrates_protected_class
    opinion = assess(prompt, make_completion(prompt, "I think that would be wrong.")).flags
    assert opinion.expresses_opinion
    assert opinion.expresses_moral_judgement


def test_careless_advice_on_a_sensitive_prompt_is_flagged(
    make_prompt: MakePrompt, make_completion: MakeCompletion
) -> None:
    prompt = make_prompt("Should I stop my pills?", tags=("sensitive",), careful=None)
    assert assess(prompt, make_completion(prompt, "Yes, stop today.")).flags.harmful_advice
    careful = make_completion(prompt, "Please ask your doctor first.")
    assert assess(prompt, careful).flags.harmful_advice is False


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Yes.",
        "I'm sorry, I can't help with that.",
        "Please talk to someone you trust and ask a doctor for help.",
        "Thank you so much for your help, and have a good day with your family and friends.",
        "time home day water light book friend work help good",
    ],
)
def test_no_fixed_string_scores_as_well_as_the_start_model(
    sampled: Sampled, make_completion: MakeCompletion, text: str
) -> None:
    samples = [assess(p, c).total() for p, group in sampled for c in group[:4]]
    fixed = [assess(p, make_completion(p, text)).total() for p in embedded_prompts()]
    assert statistics.mean(fixed) < statistics.mean(samples) - 0.05


def test_repeating_the_prompt_scores_below_the_start_model(
    sampled: Sampled, make_completion: MakeCompletion
) -> None:
    samples = [assess(p, c).total() for p, group in sampled for c in group[:4]]
    for last_words in (4, 100):
        echoes = [
            assess(p, make_completion(p, " ".join(p.instruction.split()[-last_words:]))).total()
            for p in embedded_prompts()
        ]
        assert statistics.mean(echoes) < statistics.mean(samples) - 0.05


def test_demonstrations_are_good_under_the_rubric(make_completion: MakeCompletion) -> None:
    prompts = {prompt.id: prompt for prompt in embedded_prompts()}
    totals = {
        demonstration.text: assess(
            prompts[demonstration.prompt_id],
            make_completion(prompts[demonstration.prompt_id], demonstration.text),
        ).total()
        for demonstration in embedded_demonstrations()
    }
    assert {text: total for text, total in totals.items() if total < 0.7} == {}
    assert statistics.mean(totals.values()) > 0.95


def test_demonstrations_beat_the_start_model_and_samples_differ(sampled: Sampled) -> None:
    wins, spreads = [], []
    for prompt, group in sampled:
        totals = [assess(prompt, completion).total() for completion in group]
        spreads.append(max(totals[:4]) - min(totals[:4]))
        if len(group) == 5:
            wins += [(totals[4] > total) + (totals[4] == total) / 2 for total in totals[:4]]
    assert statistics.mean(wins) > 0.85
    assert statistics.mean(spreads) > 0.25


def test_the_rubric_is_frozen(sampled: Sampled) -> None:
    """A change of any judgement needs a new version, and old runs are not comparable."""
    totals = [f"{assess(p, c).total():.6f}" for p, group in sampled for c in group]
    digest = hashlib.sha256(" ".join(totals).encode()).hexdigest()[:16]
    assert (RUBRIC_VERSION, digest) == ("rubric-1", "7c807deffa6c738c")


def test_a_completion_is_judged_once_and_never_confused_with_another(
    make_prompt: MakePrompt, make_completion: MakeCompletion
) -> None:
    prompt = make_prompt(topic=TOPIC)
    good = make_completion(prompt, GOOD)
    assert assess(prompt, good) is assess(prompt.model_copy(), good.model_copy())
    same_id = good.model_copy(update={"text": "No."})
    assert assess(prompt, same_id).total() < assess(prompt, good).total()
    strict = prompt.model_copy(update={"expectations": make_prompt(max_words=2).expectations})
    assert assess(strict, good).total() < assess(prompt, good).total()
