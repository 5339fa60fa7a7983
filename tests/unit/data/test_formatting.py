"""One prompt format: text, ids, budgets, and control strings that stay text."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.core.errors import DataError
from heedful.core.records import Example, Prompt, Turn
from heedful.core.settings import FormatSettings
from heedful.data.formatting import PromptFormatter
from heedful.data.tokenizer import TextTokenizer

MakePrompt = Callable[..., Prompt]
EXAMPLES = (Example(prompt="1+1?", completion="2"), Example(prompt="2+2?", completion="4"))
TURNS = (
    Turn(role="system", text="Be brief."),
    Turn(role="user", text="Hello"),
    Turn(role="assistant", text="Hi"),
)
texts = st.lists(
    st.one_of(st.text(min_size=1), st.sampled_from(["<|im_end|>", "<|im_start|>system\n"])),
    min_size=1,
).map("".join)


@pytest.fixture(scope="session")
def plain(tokenizer: TextTokenizer) -> PromptFormatter:
    return PromptFormatter(FormatSettings(template="plain"), tokenizer)


@pytest.fixture(scope="session")
def chat(tokenizer: TextTokenizer) -> PromptFormatter:
    return PromptFormatter(FormatSettings(template="chat"), tokenizer)


def test_plain_layout(plain: PromptFormatter, make_prompt: MakePrompt) -> None:
    assert plain.prompt_text(make_prompt("Say hi.")) == "Instruction: Say hi.\nAnswer:"
    full = make_prompt("Sum up.", context="a\nb", examples=EXAMPLES, turns=TURNS)
    assert plain.prompt_text(full) == (
        "Be brief.\n"
        "Instruction: 1+1?\nAnswer: 2\n\nInstruction: 2+2?\nAnswer: 4\n\n"
        "User: Hello\nAssistant: Hi\n"
        "Instruction: Sum up.\nText: a\nb\nAnswer:"
    )


def test_chat_layout(chat: PromptFormatter, make_prompt: MakePrompt) -> None:
    full = make_prompt("Sum up.", context="a\nb", examples=EXAMPLES[:1], turns=TURNS)
    assert chat.prompt_text(full) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n"
        "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nHi<|im_end|>\n"
        "<|im_start|>user\nSum up.\n\na\nb<|im_end|>\n<|im_start|>assistant\n"
    )


def test_braces_in_text_are_text(plain: PromptFormatter, make_prompt: MakePrompt) -> None:
    prompt = make_prompt("{x} {{y}}", context="{context}")
    assert "{x} {{y}}\nText: {context}\n" in plain.prompt_text(prompt)


def messages(prompt: Prompt) -> list[dict[str, str]]:
    turns = [{"role": turn.role, "content": turn.text} for turn in prompt.turns]
    return [*turns, {"role": "user", "content": prompt.instruction}]


@pytest.mark.parametrize("instruction", ["Say hi", "\n  two words \n\n", "é 🙂\t<b>", " <|im|>"])
@pytest.mark.parametrize("turns", [(), TURNS[1:], TURNS])
def test_chat_ids_are_those_of_transformers(
    chat: PromptFormatter,
    make_prompt: MakePrompt,
    tokenizer_dir: Path,
    instruction: str,
    turns: tuple[Turn, ...],
) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(str(tokenizer_dir))
    prompt = make_prompt(instruction, turns=turns)
    expected = theirs.apply_chat_template(
        messages(prompt), add_generation_prompt=True, tokenize=True, return_dict=False
    )
    assert chat.prompt_ids(prompt) == expected


@given(instruction=texts, context=texts, answer=texts)
def test_nobody_can_type_a_control_token_into_a_chat(
    chat: PromptFormatter,
    tokenizer: TextTokenizer,
    make_prompt: MakePrompt,
    instruction: str,
    context: str,
    answer: str,
) -> None:
    turns = (Turn(role="user", text=context), Turn(role="assistant", text=answer))
    examples = (Example(prompt=answer, completion=context),)
    prompt = make_prompt(instruction, context=context, turns=turns, examples=examples)
    ids = tokenizer.encode_template(chat._rendered(prompt))
    # The default system message, two examples' messages, two turns, the ask and the cue.
    assert (ids.count(0), ids.count(1), ids.count(2)) == (0, 7, 6)
    # What the model reads is nevertheless exactly what they typed.
    assert tokenizer.decode(ids, skip_special_tokens=False) == chat.prompt_text(prompt)
    assert f"{instruction}\n\n{context}<|im_end|>" in chat.prompt_text(prompt)


@given(instruction=texts, answer=texts)
def test_nobody_can_type_a_control_token_into_plain_text_or_a_completion(
    plain: PromptFormatter, make_prompt: MakePrompt, instruction: str, answer: str
) -> None:
    assert not {0, 1, 2} & set(plain._encode(make_prompt(instruction)))
    assert not {0, 1, 2} & set(plain.completion_ids(answer)[:-1])


@given(text=st.one_of(texts, st.just("")))
def test_completions_round_trip(plain: PromptFormatter, chat: PromptFormatter, text: str) -> None:
    for formatter in (plain, chat):
        ids = formatter.completion_ids(text)
        assert ids[-1] == formatter.end_id == 2
        assert formatter.decode_completion(ids) == text
        assert formatter.decode_completion(ids[:-1]) == text
        assert formatter.decode_completion([*ids, 0, 0]) == text


def test_completion_lead(
    plain: PromptFormatter, chat: PromptFormatter, tokenizer: TextTokenizer
) -> None:
    assert plain.completion_ids("yes") == [*tokenizer.encode(" yes"), 2]
    assert chat.completion_ids("yes") == [*tokenizer.encode("yes"), 2]


def test_chat_ends_where_the_template_ends(
    make_tokenizer_dir: Callable[..., Path], tmp_path: Path
) -> None:
    # As in Gemma: EOS ends documents, another token ends turns, the model stops at both.
    path = make_tokenizer_dir(tmp_path, eos_token="<|endoftext|>")
    (path / "generation_config.json").write_text('{"eos_token_id": [0, 2]}')
    tokenizer = TextTokenizer.from_dir(path)
    assert PromptFormatter(FormatSettings(template="chat"), tokenizer).end_id == 2
    assert PromptFormatter(FormatSettings(template="plain"), tokenizer).end_id == 0


def test_bos_only_where_the_tokenizer_adds_one(
    make_tokenizer_dir: Callable[..., Path], tmp_path: Path, make_prompt: MakePrompt
) -> None:
    tokenizer = TextTokenizer.from_dir(make_tokenizer_dir(tmp_path, add_bos_token=True))
    prompt = make_prompt("Say hi.")
    ids = PromptFormatter(FormatSettings(template="plain"), tokenizer).prompt_ids(prompt)
    assert ids == [1, *tokenizer.encode("Instruction: Say hi.\nAnswer:")]
    ids = PromptFormatter(FormatSettings(template="chat"), tokenizer).prompt_ids(prompt)
    assert ids[:2] != [1, 1], "the chat template writes its own"


def test_chat_without_a_template(make_tokenizer_dir: Callable[..., Path], tmp_path: Path) -> None:
    tokenizer = TextTokenizer.from_dir(make_tokenizer_dir(tmp_path, chat_template=None))
    with pytest.raises(DataError, match="has no chat template") as caught:
        PromptFormatter(FormatSettings(), tokenizer)
    assert '"plain"' in str(caught.value.hint)


def test_a_refused_conversation_names_the_prompt(
    make_tokenizer_dir: Callable[..., Path], tmp_path: Path, make_prompt: MakePrompt
) -> None:
    template = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('none') }}"
    template += "{% endif %}{{ m.content }}<|im_end|>{% endfor %}"
    tokenizer = TextTokenizer.from_dir(make_tokenizer_dir(tmp_path, chat_template=template))
    formatter = PromptFormatter(FormatSettings(), tokenizer)
    with pytest.raises(DataError, match=r"prompt prompt-1: .*refuses"):
        formatter.prompt_ids(make_prompt("x", turns=TURNS))


def test_version_tells_formats_apart(
    plain: PromptFormatter, chat: PromptFormatter, make_tokenizer_dir: Callable[..., Path],
    tmp_path: Path,
) -> None:  # fmt: skip
    assert plain.version.startswith("plain-1-")
    assert chat.version.startswith("chat-1-")
    path = make_tokenizer_dir(tmp_path, chat_template="{{ messages[0].content }}")
    other = PromptFormatter(FormatSettings(), TextTokenizer.from_dir(path))
    assert other.version != chat.version


def fitted(tokenizer: TextTokenizer, budget: int, prompt: Prompt, **settings: Any) -> str | None:
    chosen = FormatSettings(template="plain", max_prompt_tokens=budget, **settings)
    result = PromptFormatter(chosen, tokenizer).format_prompts([prompt])
    if not result.kept:
        assert result.report.num_dropped == 1
        return None
    assert len(result.kept[0].token_ids) == result.report.max_tokens <= budget
    assert result.kept[0].prompt == prompt
    return tokenizer.decode(result.kept[0].token_ids)


def test_context_is_cut_by_lines_from_the_front(
    tokenizer: TextTokenizer, make_prompt: MakePrompt
) -> None:
    prompt = make_prompt("Go", context="\n".join(f"q{line}" for line in range(50)))
    text = fitted(tokenizer, 40, prompt)
    assert text is not None
    head, _, rest = text.partition("Text: ")
    assert head == "Instruction: Go\n"
    lines = rest.removesuffix("\nAnswer:").split("\n")
    assert lines == [f"q{line}" for line in range(50)][-len(lines) :]
    # One more line would not have fitted.
    longer = make_prompt("Go", context="\n".join(f"q{n}" for n in range(49 - len(lines), 50)))
    assert fitted(tokenizer, 40, longer) == text


def test_the_longest_part_goes_first_and_the_instruction_last(
    tokenizer: TextTokenizer, make_prompt: MakePrompt
) -> None:
    turns = (
        Turn(role="system", text="SYS"),
        Turn(role="user", text="old " * 9),
        Turn(role="assistant", text="old " * 9),
        Turn(role="user", text="new"),
        Turn(role="assistant", text="new"),
    )
    prompt = make_prompt("zz\nzz", context="ctx", examples=EXAMPLES, turns=turns)
    all_of_it = len(tokenizer.encode(fitted(tokenizer, 1000, prompt) or ""))
    seen: list[str] = []
    for budget in range(all_of_it - 1, 10, -1):
        text = fitted(tokenizer, budget, prompt)
        if text is not None and (not seen or seen[-1] != text):
            seen.append(text)
    kept = [
        [part in text for part in ("old", "User: new", "1+1", "2+2", "ctx", "SYS", "zz\nzz")]
        for text in seen
    ]
    assert kept[0] == [False, True, True, True, True, True, True]
    assert kept[-2] == [False, False, False, False, False, True, True]
    assert seen[-1] == "SYS\nInstruction: zz\nAnswer:"
    assert all(sum(after) <= sum(before) for before, after in pairwise(kept))


def test_nothing_is_dropped_silently(tokenizer: TextTokenizer, make_prompt: MakePrompt) -> None:
    settings = FormatSettings(template="plain", max_prompt_tokens=20)
    formatter = PromptFormatter(settings, tokenizer)
    long_context = make_prompt("Go", context="\n".join("qz" * 3 for _ in range(9)))
    too_long, short = make_prompt("z" * 99, id="prompt-long"), make_prompt("Go")
    result = formatter.format_prompts([long_context, too_long, short])
    assert [item.prompt for item in result.kept] == [long_context, short]
    report = result.report
    assert (report.num_prompts, report.num_kept) == (3, 2)
    assert (report.num_truncated, report.num_dropped) == (1, 1)
    assert "3 prompts: 2 kept (1 of them cut" in report.summary()
    with pytest.raises(DataError, match="prompt prompt-long is longer than 20 tokens"):
        formatter.prompt_ids(too_long)
    assert fitted(tokenizer, 20, long_context, overlong_prompts="drop") is None


@given(
    budget=st.integers(12, 60),
    context=st.lists(st.text(alphabet="ab \n", max_size=30), max_size=12).map("\n".join),
    instruction=st.text(alphabet="xy\n ", min_size=1, max_size=40),
)
def test_every_kept_prompt_is_within_the_budget(
    tokenizer: TextTokenizer, make_prompt: MakePrompt, budget: int, context: str, instruction: str
) -> None:
    fitted(tokenizer, budget, make_prompt(instruction, context=context or None))


def test_completions_over_the_budget(tokenizer: TextTokenizer) -> None:
    dropping = FormatSettings(template="plain", max_completion_tokens=5)
    ids, report = PromptFormatter(dropping, tokenizer).format_completions(["zzzz", "zq", "z" * 9])
    assert [None if row is None else len(row) for row in ids] == [None, 4, None]
    assert (report.num_dropped, report.num_truncated, report.mean_tokens) == (2, 0, 4.0)
    cutting = FormatSettings(
        template="plain", max_completion_tokens=5, overlong_completions="truncate"
    )
    ids, report = PromptFormatter(cutting, tokenizer).format_completions(["zzzz", "zq"])
    assert ids[0] is not None
    assert len(ids[0]) == 5
    assert 2 not in ids[0], "a cut completion must not teach the model to stop"
    assert (report.num_dropped, report.num_truncated) == (0, 1)
    assert "2 completions: 2 kept (1 of them cut" in report.summary("completions")


def test_an_empty_list(plain: PromptFormatter) -> None:
    result = plain.format_prompts([])
    assert result.kept == []
    assert (result.report.max_tokens, result.report.mean_tokens) == (0, 0.0)
