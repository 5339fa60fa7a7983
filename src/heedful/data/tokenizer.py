"""Text to token ids and back, read from a model's folder with the `tokenizers` package.

Text is always plain: a control string such as `<|im_end|>` that somebody typed is
spelled out in ordinary tokens, never turned into the control token. Only
`encode_template`, for text that a chat template wrote, yields control tokens. To make
that hold for every tokenizer model, the control tokens are renamed, in memory, to names
that nobody can guess; ids do not change.

This module does not know prompts (see `heedful.data.formatting`) and needs no torch.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from heedful.core.errors import DataError
from heedful.data.tokenizer_files import TokenizerFiles, read_tokenizer_files

_ROLES = ("bos_token", "eos_token", "unk_token", "pad_token")
# What stands before a continuation so that a tokenizer's own prefix space goes there.
_ANCHOR = "\n"


class TextTokenizer:
    """A model's tokenizer: plain text in, ids out.

    Attributes:
        eos_id: The token that ends a completion.
        eos_ids: Every token at which the model's own configuration stops; has `eos_id`.
        pad_id: Filler, never an end token. Masks come from lengths, never from ids, so
            any existing token serves; see `_choose_pad`.
        bos_id: The token that starts a text, where there is one.
        adds_bos: Whether the tokenizer itself puts `bos_id` before a text.
        vocab_size: Number of tokens, added ones counted; a model may have more rows.
        hash: SHA-256 of the bytes of `tokenizer.json` and of the chat template.
        chat_template: Jinja source of the chat template, where there is one.
        special_names: Names of the tokens with a role, such as `eos_token`, for templates.
        notes: What was decided while loading that a person may want to know.
    """

    def __init__(self, files: TokenizerFiles) -> None:
        self._files = files
        self.chat_template = files.chat_template
        template = files.chat_template or ""
        self.hash = hashlib.sha256(files.spec_bytes + template.encode()).hexdigest()
        spec = json.loads(files.spec_bytes)
        _add_declared_tokens(spec, files.config)
        nonce = secrets.token_hex(8)
        self._controls = _rename_controls(spec, template, nonce)
        self._names = {mark: name for name, mark in self._controls.items()}
        # What a control string in plain text is called while a template is rendered.
        self._stand_ins = {name: mark.replace("|", ":") for name, mark in self._controls.items()}
        self._hidden = {stand_in: name for name, stand_in in self._stand_ins.items()}
        self._find_control = _any_of(self._controls)
        self._find_mark = re.compile(rf"<\|{nonce}\.\d+\|>")
        self._find_stand_in = re.compile(rf"<:{nonce}\.\d+:>")
        self._backend = Tokenizer.from_str(json.dumps(spec))
        for token in spec["added_tokens"]:
            if self._backend.token_to_id(token["content"]) != token["id"]:
                name = self._names.get(token["content"], token["content"])
                raise DataError(
                    f"{files.origin}: the token {name!r} cannot have the id {token['id']}, "
                    "which is not the next free one",
                    "Save the tokenizer again with transformers, so that its files agree.",
                )
        self.vocab_size: int = self._backend.get_vocab_size(with_added_tokens=True)
        self.special_names = {
            role: name
            for role in _ROLES
            if (name := files.token_name(role)) is not None and self._id_of(name) is not None
        }
        self._set_ids(spec)
        self._prefix_space = self._anchored_ids("a") != self.encode("a")

    @staticmethod
    def from_dir(path: Path) -> "TextTokenizer":
        """Read a model's folder; folders whose files say the same share one tokenizer.

        Raises:
            DataError: No tokenizer in the folder, or it names no end token.
        """
        return _made_of(read_tokenizer_files(path))

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """Ids of plain `text`; `add_special_tokens` adds what the tokenizer itself adds."""
        ids: list[int] = self._backend.encode(text, add_special_tokens=add_special_tokens).ids
        if add_special_tokens and self.adds_bos and ids[:1] != [self.bos_id]:
            assert self.bos_id is not None
            return [self.bos_id, *ids]
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of many plain texts, on several threads."""
        encodings = self._backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def encode_continuation(self, text: str) -> list[int]:
        """Ids of plain `text` that continues another text: no prefix space of its own."""
        ids = self._anchored_ids(text) if self._prefix_space else None
        return self.encode(text) if ids is None else ids

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """The text of `ids`."""
        text: str = self._backend.decode(list(ids), skip_special_tokens=skip_special_tokens)
        return self._find_mark.sub(lambda match: self._names[match[0]], text)

    def decode_continuation(self, ids: Sequence[int]) -> str:
        """The text of `ids` from `encode_continuation`, a leading space kept."""
        if not self._prefix_space:
            return self.decode(ids)
        return self.decode([*self.encode(_ANCHOR), *ids]).removeprefix(_ANCHOR)

    def protect(self, text: str) -> str:
        """`text` with control strings under stand-in names, to be put into a template."""
        return self._find_control.sub(lambda match: self._stand_ins[match[0]], text)

    def unprotect(self, rendered: str) -> str:
        """Undo `protect` in what the template made of it."""
        return self._find_stand_in.sub(lambda match: self._hidden[match[0]], rendered)

    def encode_template(self, rendered: str) -> list[int]:
        """Ids of what a template wrote: its control strings are control tokens.

        Text that went in through `protect` stays plain text, whatever it says.
        """
        marked = self._find_control.sub(lambda match: self._controls[match[0]], rendered)
        return self.encode(self.unprotect(marked))

    def token_id(self, name: str) -> int | None:
        """The id of the token called `name`, or None."""
        return self._id_of(name)

    def save(self, directory: Path) -> None:
        """Write files that `from_dir` and transformers read back as the same tokenizer."""
        self._files.save(directory, sorted(self.eos_ids))

    def _anchored_ids(self, text: str) -> list[int] | None:
        """Ids of `text` after the anchor; None where the two share a token."""
        anchor, ids = self.encode(_ANCHOR), self.encode(_ANCHOR + text)
        return ids[len(anchor) :] if ids[: len(anchor)] == anchor else None

    def _id_of(self, name: str) -> int | None:
        found: int | None = self._backend.token_to_id(self._controls.get(name, name))
        return found

    def _set_ids(self, spec: Mapping[str, Any]) -> None:
        files = self._files
        eos_name = self.special_names.get("eos_token")
        bos_name = self.special_names.get("bos_token")
        configured = [token for token in files.eos_ids if token < self.vocab_size]
        eos_id = configured[0] if configured else None
        if eos_name is not None:
            eos_id = self._id_of(eos_name)
        if eos_id is None:
            raise DataError(
                f"{files.origin}: the tokenizer names no end token",
                "Put its name as `eos_token` into tokenizer_config.json beside it.",
            )
        self.eos_id: int = eos_id
        self.eos_ids = frozenset([eos_id, *configured])
        self.bos_id: int | None = files.bos_id if bos_name is None else self._id_of(bos_name)
        plain, full = (
            self._backend.encode("a", add_special_tokens=special).ids for special in (False, True)
        )
        starts_with_bos = full != plain and self.bos_id is not None and full[0] == self.bos_id
        self.adds_bos = self.bos_id is not None and bool(
            files.config.get("add_bos_token", starts_with_bos)
        )
        for role, token in (("eos_token", self.eos_id), ("bos_token", self.bos_id)):
            if role not in self.special_names and token is not None:
                self.special_names[role] = self.decode([token], skip_special_tokens=False)
        self.pad_id = self._choose_pad(spec)
        self.notes = (*files.notes, *self._pad_note())

    def _choose_pad(self, spec: Mapping[str, Any]) -> int:
        """The tokenizer's own pad token, else a token that is no end token.

        In this order: one whose name says pad, the unknown token, another special token
        that is not BOS, any token.
        """
        declared = self._id_of(self.special_names.get("pad_token", ""))
        if declared is not None and declared not in self.eos_ids:
            return declared
        special = {t["id"]: self._names.get(t["content"], "") for t in spec["added_tokens"]}
        free = [token for token in special if token not in self.eos_ids]
        named_pad = [token for token in free if "pad" in special[token].lower()]
        unknown = [self._id_of(self.special_names.get("unk_token", "<unk>"))]
        others = [token for token in free if token != self.bos_id]
        for candidate in [*named_pad, *unknown, *others, *range(self.vocab_size)]:
            if candidate is not None and candidate not in self.eos_ids:
                return int(candidate)
        raise DataError(f"{self._files.origin}: every token of the tokenizer is an end token")

    def _pad_note(self) -> list[str]:
        name = self.decode([self.pad_id], skip_special_tokens=False)
        declared = self.special_names.get("pad_token")
        if declared is not None and self._id_of(declared) == self.pad_id:
            return []
        why = "has no pad token" if declared is None else "pads with an end token"
        return [f"the tokenizer {why}; {name!r} ({self.pad_id}) is the filler instead"]


@lru_cache(maxsize=4)  # a model's own and those of its checkpoints are the same
def _made_of(files: TokenizerFiles) -> TextTokenizer:
    return TextTokenizer(files)


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    """A pattern for any of `names`, longer ones first; for none of them, one that never matches."""
    by_length = sorted(names, key=lambda name: (-len(name), name))
    return re.compile("|".join(map(re.escape, by_length)) if by_length else r"(?!)")


def _add_declared_tokens(spec: dict[str, Any], config: Mapping[str, Any]) -> None:
    """Add the special tokens that only tokenizer_config.json declares, as transformers does."""
    known = {token["content"] for token in spec["added_tokens"]}
    vocab = _vocab(spec)
    declared = {
        token["content"]: int(token_id)
        for token_id, token in config.get("added_tokens_decoder", {}).items()
        if token.get("special")
    }
    for role in _ROLES:
        name = _content(config.get(role))
        if name in vocab:
            declared.setdefault(name, vocab[name])
    for name, token_id in sorted(declared.items(), key=lambda item: item[1]):
        if name not in known:
            spec["added_tokens"].append(
                {
                    "id": token_id,
                    "content": name,
                    "single_word": False,
                    "lstrip": False,
                    "rstrip": False,
                    "normalized": False,
                    "special": True,
                }
            )


def _content(token: object) -> str:
    """The name of a token that a configuration gives as a string or as an object."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else ""


def _vocab(spec: Mapping[str, Any]) -> dict[str, int]:
    vocab = spec["model"]["vocab"]
    if isinstance(vocab, dict):
        return vocab
    return {piece: place for place, (piece, _) in enumerate(vocab)}


def _rename_controls(spec: dict[str, Any], template: str, nonce: str) -> dict[str, str]:
    """Rename the control tokens in `spec` to unguessable names; return name -> new name.

    Controls are the special tokens and any other added token that the chat template
    writes (`<tool_call>`, say). The model's own vocabulary is renamed too, for a model
    that looks whole words up would find the control string there.
    """
    marks: dict[str, str] = {}
    for token in spec["added_tokens"]:
        name = token["content"]
        if token["special"] or (name.strip() and name in template):
            marks[name] = token["content"] = f"<|{nonce}.{token['id']}|>"
            token["normalized"] = False
    model = spec["model"]
    vocab = model["vocab"]
    if isinstance(vocab, dict):
        model["vocab"] = {marks.get(piece, piece): token_id for piece, token_id in vocab.items()}
    else:
        model["vocab"] = [[marks.get(piece, piece), score] for piece, score in vocab]
    if model.get("unk_token") is not None:
        model["unk_token"] = marks.get(model["unk_token"], model["unk_token"])
    if "merges" in model:
        model["merges"] = [
            merge for merge in model["merges"] if marks.keys().isdisjoint(_merge_pieces(merge))
        ]
    # Lengths are the formatter's business; a truncation set in the file would be silent.
    spec["truncation"] = spec["padding"] = None
    return marks


def _merge_pieces(merge: str | list[str]) -> tuple[str, str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right, left + right
