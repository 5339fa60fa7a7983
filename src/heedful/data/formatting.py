"""The one format in which every stage shows a prompt to a model.

SFT, reward model, PPO, evaluation and serving all turn a `Prompt` into tokens here, so
that a model is asked in the way it was taught. A completion is its text and the end
token. Truncated and dropped items are counted in a `FormatReport`, never silent.

Batching and padding are the trainers'; this module knows no tensors.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from heedful.core.errors import DataError
from heedful.core.records import Prompt
from heedful.core.settings import FormatSettings
from heedful.data.chat import ChatTemplate, Message
from heedful.data.cutting import cuts
from heedful.data.tokenizer import TextTokenizer

_SCHEMA = 1
_PLAIN_EXAMPLE = "Instruction: {prompt}\nAnswer: {completion}\n\n"
_PLAIN_TURNS = {"system": "{text}\n", "user": "User: {text}\n", "assistant": "Assistant: {text}\n"}
_PLAIN_INSTRUCTION = "Instruction: {instruction}\n"
_PLAIN_CONTEXT = "Text: {context}\n"
_PLAIN_CUE = "Answer:"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormattedPrompt:
    """A prompt and its token ids, within the budget."""

    prompt: Prompt
    token_ids: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatReport:
    """What formatting did to a list of prompts (or of completions).

    Attributes:
        num_prompts: How many there were.
        num_kept: How many came out, the truncated ones counted.
        num_truncated: How many were cut to fit.
        num_dropped: How many did not fit.
        max_tokens: Longest of those kept, in tokens; 0 for none.
        mean_tokens: Mean length of those kept, in tokens; 0 for none.
    """

    num_prompts: int
    num_kept: int
    num_truncated: int
    num_dropped: int
    max_tokens: int
    mean_tokens: float

    def summary(self, noun: str = "prompts") -> str:
        """One sentence for a log."""
        return (
            f"{self.num_prompts} {noun}: {self.num_kept} kept ({self.num_truncated} of them "
            f"cut to the token budget), {self.num_dropped} dropped; "
            f"mean {self.mean_tokens:.1f} tokens, longest {self.max_tokens}."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FormattedPrompts:
    """The prompts that fit, in their order, and the report."""

    kept: list[FormattedPrompt]
    report: FormatReport


class PromptFormatter:
    """Turns prompts and completions into token ids.

    Attributes:
        version: Name, schema and template hash of the format; stored with checkpoints,
            because a model is only as good as the format it was trained in.
        end_id: The token that ends a completion: the one the chat template writes after
            an assistant's message where the model stops at it, else the tokenizer's EOS.

    Raises:
        DataError: The `chat` format is asked for and the model has no chat template.
    """

    def __init__(self, settings: FormatSettings, tokenizer: TextTokenizer) -> None:
        self.settings = settings
        self._tokenizer = tokenizer
        self._chat: ChatTemplate | None = None
        self.end_id = tokenizer.eos_id
        template = _PLAIN_EXAMPLE + str(_PLAIN_TURNS) + _PLAIN_INSTRUCTION + _PLAIN_CONTEXT
        template += _PLAIN_CUE
        if settings.template == "chat":
            if tokenizer.chat_template is None:
                raise DataError(
                    'format.template is "chat", but the model has no chat template',
                    'Set format.template = "plain", which suits every model.',
                )
            template = tokenizer.chat_template
            self._chat = ChatTemplate(template, tokenizer.special_names)
            self.end_id = self._find_end(self._chat)
        digest = hashlib.sha256(template.encode()).hexdigest()[:8]
        self.version = f"{settings.template}-{_SCHEMA}-{digest}"

    def prompt_text(self, prompt: Prompt) -> str:
        """The whole prompt as the model would read it, before any budget."""
        return self._tokenizer.unprotect(self._rendered(prompt))

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        """Ids of `prompt` within the budget.

        Raises:
            DataError: It does not fit and may not, or cannot, be cut.
        """
        ids, _ = self._fit(prompt)
        if ids is None:
            raise DataError(
                f"prompt {prompt.id} is longer than {self.settings.max_prompt_tokens} tokens",
                "Raise format.max_prompt_tokens, or shorten or remove the prompt.",
            )
        return ids

    def format_prompts(self, prompts: Sequence[Prompt]) -> FormattedPrompts:
        """Ids of every prompt that fits, cut where the settings say so."""
        kept: list[FormattedPrompt] = []
        num_truncated = 0
        for prompt in prompts:
            ids, was_cut = self._fit(prompt)
            if ids is not None:
                kept.append(FormattedPrompt(prompt=prompt, token_ids=ids))
                num_truncated += was_cut
        lengths = [len(item.token_ids) for item in kept]
        return FormattedPrompts(kept=kept, report=_report(len(prompts), lengths, num_truncated))

    def completion_ids(self, text: str, *, ended: bool = True) -> list[int]:
        """Ids of a completion; no budget applies.

        After the plain template the text begins with a space, after a chat template not.
        The end token comes last, unless the completion was cut by a length limit before
        it ended.
        """
        lead = " " if self._chat is None and text else ""
        ids = self._tokenizer.encode_continuation(lead + text)
        return [*ids, self.end_id] if ended else ids

    def format_completions(
        self, texts: Sequence[str], *, ended: Sequence[bool] | None = None
    ) -> tuple[list[list[int] | None], FormatReport]:
        """Ids of training completions, in order; None for a dropped one.

        One that is cut has no end token: the model must not learn to stop there. `ended`
        names those that had none to begin with; all end where it is left out.
        """
        budget = self.settings.max_completion_tokens
        formatted: list[list[int] | None] = []
        num_truncated = 0
        for text, whole in zip(texts, ended or [True] * len(texts), strict=True):
            ids: list[int] | None = self.completion_ids(text, ended=whole)
            if ids is not None and len(ids) > budget:
                cut = self.settings.overlong_completions == "truncate"
                ids = ids[:budget] if cut else None
                num_truncated += cut
            formatted.append(ids)
        lengths = [len(ids) for ids in formatted if ids is not None]
        return formatted, _report(len(texts), lengths, num_truncated)

    def decode_completion(self, ids: Sequence[int]) -> str:
        """The text of a completion: up to the end token, without the leading space."""
        stops = self._tokenizer.eos_ids
        ends = (place for place, token in enumerate(ids) if token in stops)
        text = self._tokenizer.decode_continuation(ids[: next(ends, len(ids))])
        return text.removeprefix(" ") if self._chat is None else text

    def _fit(self, prompt: Prompt) -> tuple[list[int] | None, bool]:
        """Ids within the budget (None: dropped) and whether the prompt was cut."""
        budget = self.settings.max_prompt_tokens
        ids = self._encode(prompt)
        if len(ids) <= budget:
            return ids, False
        if self.settings.overlong_prompts == "drop":
            return None, False
        # Each cut takes more away than the one before, so the first that fits is found
        # by bisection: a long text is not encoded once per line.
        candidates = cuts(prompt)
        first = bisect_left(
            candidates, True, key=lambda cut: len(self._encode(cut.apply(prompt))) <= budget
        )
        if first == len(candidates):
            return None, False
        return self._encode(candidates[first].apply(prompt)), True

    def _encode(self, prompt: Prompt) -> list[int]:
        ids = self._tokenizer.encode_template(self._rendered(prompt))
        # A chat template writes its own BOS.
        if self._chat is None and self._tokenizer.adds_bos:
            assert self._tokenizer.bos_id is not None
            return [self._tokenizer.bos_id, *ids]
        return ids

    def _rendered(self, prompt: Prompt) -> str:
        """The formatted prompt, its own text protected from being read as control tokens."""
        if self._chat is None:
            return self._tokenizer.protect(plain_text(prompt))
        messages: list[Message] = [
            {"role": message["role"], "content": self._tokenizer.protect(message["content"])}
            for message in messages_of(prompt)
        ]
        try:
            return self._chat.render(messages, add_generation_prompt=True)
        except DataError as error:
            raise DataError(f"prompt {prompt.id}: {error.what}", error.hint) from error

    def _find_end(self, chat: ChatTemplate) -> int:
        """The end token that the template writes straight after an assistant's text."""
        probe = "heedful-probe"
        messages: list[Message] = [
            {"role": "user", "content": probe},
            {"role": "assistant", "content": probe},
        ]
        after = chat.render(messages, add_generation_prompt=False).rpartition(probe)[2].lstrip()
        ids = self._tokenizer.encode_template(after)
        return ids[0] if ids and ids[0] in self._tokenizer.eos_ids else self._tokenizer.eos_id


def messages_of(prompt: Prompt) -> list[Message]:
    """The prompt as a conversation: system first, examples as turns, earlier turns, the ask."""
    system = [turn for turn in prompt.turns if turn.role == "system"]
    rest = [turn for turn in prompt.turns if turn.role != "system"]
    messages: list[Message] = [{"role": "system", "content": turn.text} for turn in system]
    for example in prompt.examples:
        messages.append({"role": "user", "content": example.prompt})
        messages.append({"role": "assistant", "content": example.completion})
    messages += [{"role": turn.role, "content": turn.text} for turn in rest]
    ask = prompt.instruction if not prompt.context else f"{prompt.instruction}\n\n{prompt.context}"
    return [*messages, {"role": "user", "content": ask}]


def plain_text(prompt: Prompt) -> str:
    """The prompt in the plain format; what is not there takes no room."""
    system = [turn for turn in prompt.turns if turn.role == "system"]
    rest = [turn for turn in prompt.turns if turn.role != "system"]
    parts = [_PLAIN_TURNS["system"].format(text=turn.text) for turn in system]
    parts += [
        _PLAIN_EXAMPLE.format(prompt=example.prompt, completion=example.completion)
        for example in prompt.examples
    ]
    parts += [_PLAIN_TURNS[turn.role].format(text=turn.text) for turn in rest]
    parts.append(_PLAIN_INSTRUCTION.format(instruction=prompt.instruction))
    if prompt.context:
        parts.append(_PLAIN_CONTEXT.format(context=prompt.context))
    return "".join([*parts, _PLAIN_CUE])


def _report(num_prompts: int, lengths: Sequence[int], num_truncated: int) -> FormatReport:
    return FormatReport(
        num_prompts=num_prompts,
        num_kept=len(lengths),
        num_truncated=num_truncated,
        num_dropped=num_prompts - len(lengths),
        max_tokens=max(lengths, default=0),
        mean_tokens=sum(lengths) / len(lengths) if lengths else 0.0,
    )
