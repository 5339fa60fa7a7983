"""The files that make up a tokenizer in a model's folder: found, read, written.

Understands `tokenizer.json` with the configuration files beside it, and the bare
`[[piece, score], ...]` list of llama2.c models, which it turns into the former.
SentencePiece `.model` files are not read.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heedful.core.errors import DataError

_CONFIGURATIONS = {
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.json",
    "preprocessor_config.json",
    "processor_config.json",
    "vocab.json",
}

# What stands around the vocabulary of a llama2.c model: a space is put before a text, BOS
# before that, and bytes that no piece covers are spelled out.
_LLAMA2C_SPEC: dict[str, Any] = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "normalizer": {"type": "Prepend", "prepend": " "},
    "pre_tokenizer": None,
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<s>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [
            {"SpecialToken": {"id": "<s>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"Sequence": {"id": "B", "type_id": 0}},
        ],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    },
    "decoder": {
        "type": "Sequence",
        "decoders": [
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ],
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerFiles:
    """What a folder says about its tokenizer.

    Attributes:
        spec_bytes: `tokenizer.json`, as it is or as converted.
        config: `tokenizer_config.json` over `special_tokens_map.json`.
        eos_ids: End tokens of the model's configuration files, most telling first.
        origin: The file the tokenizer came from, for messages.
    """

    spec_bytes: bytes
    config: Mapping[str, Any]
    chat_template: str | None
    eos_ids: tuple[int, ...]
    bos_id: int | None
    origin: str = field(compare=False)
    notes: tuple[str, ...] = ()

    def __hash__(self) -> int:
        return hash(self.spec_bytes)

    def token_name(self, role: str) -> str | None:
        """The name of the token with `role`, such as `eos_token`, or None."""
        token = self.config.get(role)
        if isinstance(token, dict):
            token = token.get("content")
        return token if isinstance(token, str) else None

    def save(self, directory: Path, eos_ids: Sequence[int]) -> None:
        """Write the tokenizer's own files; a generation_config.json only where none is."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "tokenizer.json").write_bytes(self.spec_bytes)
        config = {"tokenizer_class": "PreTrainedTokenizerFast", **self.config}
        config.pop("chat_template", None)
        _write_json(directory / "tokenizer_config.json", config)
        if self.chat_template is not None:
            (directory / "chat_template.jinja").write_bytes(self.chat_template.encode())
        generation = directory / "generation_config.json"
        if not generation.exists():
            ids = {"bos_token_id": self.bos_id, "eos_token_id": list(eos_ids)}
            _write_json(generation, {key: value for key, value in ids.items() if value is not None})


def read_tokenizer_files(path: Path) -> TokenizerFiles:
    """Read the tokenizer's files in the folder `path`.

    Raises:
        DataError: There is none, more than one candidate, or a file is not valid JSON.
    """
    if not path.is_dir():
        raise DataError(f"{path}: no such folder", "Give the folder that holds tokenizer.json.")
    config = {
        **_read_object(path / "special_tokens_map.json"),
        **_read_object(path / "tokenizer_config.json"),
    }
    spec_path = _find_spec(path)
    spec = _read_json(spec_path)
    notes: tuple[str, ...] = ()
    if isinstance(spec, list):
        notes = (f"{spec_path.name}: converted from a llama2.c list of {len(spec)} pieces",)
        spec_bytes = json.dumps(_spec_from_pieces(spec, spec_path), ensure_ascii=False).encode()
        config = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", **config}
    elif isinstance(spec, dict) and {"model", "added_tokens"} <= spec.keys():
        spec_bytes = spec_path.read_bytes()
        if spec_path.name != "tokenizer.json":
            notes = (f"{spec_path.name} was taken as tokenizer.json",)
    else:
        raise DataError(
            f"{spec_path}: not a tokenizer",
            "Expected the tokenizer.json of the tokenizers library, or a llama2.c list.",
        )
    generation, model = (
        _read_object(path / name) for name in ("generation_config.json", "config.json")
    )
    return TokenizerFiles(
        spec_bytes=spec_bytes,
        config=config,
        chat_template=_read_chat_template(path, config),
        eos_ids=_ids(generation.get("eos_token_id")) + _ids(model.get("eos_token_id")),
        bos_id=next(iter(_ids(generation.get("bos_token_id", model.get("bos_token_id")))), None),
        origin=str(spec_path),
        notes=notes,
    )


def _find_spec(path: Path) -> Path:
    if (path / "tokenizer.json").is_file():
        return path / "tokenizer.json"
    candidates = [
        file
        for file in sorted(path.glob("*.json"))
        if file.name not in _CONFIGURATIONS and not file.name.endswith(".index.json")
    ]
    if len(candidates) == 1:
        return candidates[0]
    found = ", ".join(file.name for file in candidates) or "no other .json file"
    raise DataError(
        f"{path}: no tokenizer.json (found {found})",
        "Save the model's fast tokenizer into the folder, for example with "
        "AutoTokenizer.from_pretrained(...).save_pretrained(...).",
    )


def _read_chat_template(path: Path, config: Mapping[str, Any]) -> str | None:
    """The chat template: its own file first, then the key; of named ones the default."""
    file = path / "chat_template.jinja"
    if file.is_file():
        return file.read_bytes().decode("utf-8")
    template = config.get("chat_template")
    if isinstance(template, list):
        named = {entry["name"]: entry["template"] for entry in template}
        if "default" not in named:
            raise DataError(
                f"{path / 'tokenizer_config.json'}, field `chat_template`: "
                f"no template is called `default` (there are: {', '.join(named)})",
                "Save the one to use as chat_template.jinja in that folder.",
            )
        template = named["default"]
    return template if isinstance(template, str) else None


def _ids(value: object) -> tuple[int, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list) else (int(str(value)),)


def _spec_from_pieces(pieces: list[Any], path: Path) -> dict[str, Any]:
    """The tokenizers form of a llama2.c vocabulary: SentencePiece BPE with byte fallback.

    A pair merges into a piece of the vocabulary, the best-scored piece first; so every
    way to split a piece in two is a merge, in the order of the pieces' scores. Pieces
    are written with spaces, as llama2.c does; ids 0, 1, 2 are unknown, BOS and EOS.
    """
    if len(pieces) < 3 or not all(
        isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)
        for entry in pieces
    ):
        raise DataError(f"{path}: not a llama2.c list", "Expected [[piece, score], ...].")
    roles = ["<unk>", "<s>", "</s>"]
    names = roles + [piece for piece, _ in pieces[3:]]
    vocab = {name: token_id for token_id, name in enumerate(names)}
    merges = [
        (-score, token_id, [piece[:cut], piece[cut:]])
        for token_id, (piece, score) in enumerate(pieces)
        if token_id >= len(roles)
        for cut in range(1, len(piece))
        if piece[:cut] in vocab and piece[cut:] in vocab
    ]
    added = [
        {"id": token_id, "content": name, "single_word": False, "lstrip": False,
         "rstrip": False, "normalized": False, "special": True}
        for token_id, name in enumerate(roles)
    ]  # fmt: skip
    return {
        **_LLAMA2C_SPEC,
        "added_tokens": added,
        "model": {
            "type": "BPE",
            "unk_token": "<unk>",
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": vocab,
            "merges": [merge for _, _, merge in sorted(merges)],
        },
    }


def _read_object(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; empty where there is no such file."""
    if not path.is_file():
        return {}
    value = _read_json(path)
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected a JSON object", "Restore the file from the model.")
    return value


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}", "Restore the file from the model.") from error


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
