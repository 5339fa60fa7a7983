"""What a pass of a model costs on this machine, measured once and kept.

`heedful.training.rehearsed_passes` tries the passes; this module says what is asked of it,
and remembers the answer for the same machine, versions, shapes and code. Bytes are counted
and always the same; seconds are the machine's. torch is not needed to read a kept answer.

What a run adds up to is `heedful.training.plan`'s.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

import heedful
from heedful.core.jsonl import write_json_atomic
from heedful.core.run import hardware, package_versions
from heedful.models.folders import cache_dir
from heedful.models.shape import ModelShape

Say = Callable[[str], None]

_ROUND = 16  # tokens; lengths nearer than this cost alike
_CODE = ("generation", "models", "training")  # rooms that decide what a pass does


class Bytes(BaseModel):
    """Memory that passes take; a token passes all layers.

    Attributes:
        train: Held from forward to backward, a token.
        train_pass: Beside those at the worst moment, a token.
        score: At the worst moment of a pass without gradients, a token.
        head: Held by the vocabulary head from forward to backward, a position.
        head_most: More than this the head does not hold; it computes it again.
        head_pass: Taken by the head beside those, however many positions there are.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: float
    train_pass: float
    score: float
    head: float
    head_most: float
    head_pass: float


class Seconds(BaseModel):
    """Time that passes take.

    Attributes:
        train: Forward and backward through all layers, a token.
        score: Forward alone, a token.
        head_train: The vocabulary head, forward and backward, a position.
        head_score: Forward alone, a position.
        update: Clipping and the optimiser's step, a trained parameter.
        step: Drawing one token for each of the completions drawn together.
        prefill: Reading a prompt before its first token is drawn, a token.
        rate: FLOP/s that training's passes through the layers reach.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: float
    score: float
    head_train: float
    head_score: float
    update: float
    step: float
    prefill: float
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is rehearsed: all that decides what a token costs.

    Attributes:
        prompt_tokens: Of a typical prompt.
        completion_tokens: Of a typical completion.
        prompts: In a microbatch.
        completions: Of each prompt, which they share.
        decode_rows: Completions drawn together; 0 where a stage draws none.
        threads: Of the processor; 0 is PyTorch's own choice.
    """

    shape: ModelShape
    device: str
    dtype: str
    lora_rank: int
    prompt_tokens: int
    completion_tokens: int
    prompts: int
    completions: int = 1
    activation_checkpointing: bool = False
    decode_rows: int = 0
    threads: int = 0

    def rounded(self) -> "Scene":
        """The same with lengths to the nearest sixteen, so that runs alike share an answer."""

        def near(length: int) -> int:
            return max(_ROUND, _ROUND * round(length / _ROUND)) if length > _ROUND else length

        return replace(
            self,
            prompt_tokens=near(self.prompt_tokens),
            completion_tokens=near(self.completion_tokens),
        )

    def key(self) -> str:
        """What the answer belongs to: scene, machine, versions and code."""
        parts = asdict(self)
        parts["shape"] = (self.shape.path / "config.json").read_text(encoding="utf-8")
        told = [parts, hardware(), package_versions(), _code()]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


@cache
def _code() -> str:
    """A hash of the code that passes run; what was measured of other code is not known here."""
    digest = hashlib.sha256()
    package = Path(heedful.__file__).parent
    for room in _CODE:
        for file in sorted((package / room).glob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def rehearse_bytes(scene: Scene) -> Bytes:
    """The memory of a pass, counted; the same everywhere."""
    return _counted(scene.rounded())


@cache
def _counted(scene: Scene) -> Bytes:
    from heedful.training.rehearsed_passes import count_bytes

    return count_bytes(scene)


def known_seconds(scene: Scene) -> Seconds | None:
    """The time of a pass where it was measured here before."""
    try:
        return Seconds.model_validate_json(_file(scene).read_bytes())
    except (OSError, ValidationError):
        return None


def rehearse_seconds(scene: Scene, say: Say) -> Seconds:
    """The time of a pass: measured now (some seconds), or when it was asked before."""
    found = known_seconds(scene)
    if found is None:
        from heedful.training.rehearsed_passes import measure_seconds

        found = measure_seconds(scene.rounded(), say)
        _file(scene).parent.mkdir(parents=True, exist_ok=True)
        write_json_atomic(_file(scene), found.model_dump())
    return found


def _file(scene: Scene) -> Path:
    return cache_dir() / "rehearsals" / f"{scene.rounded().key()}.json"
