"""What is compared with what: the rows of the table and the points of the sweeps.

A group is some work that several sides do in turn. Why it is fair, and what of the peers'
settings does nothing, is in docs/decisions/0022-benchmarks.md.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from material import LORA_RANK, Material, prompt_tokens, ragged_lengths
from turns import Side

TRL_PPO, TRL, GENERATE = "TRL 1.12", "TRL", "transformers"
# Where the peers are fastest, see the decision.
PAIRS_AT_ONCE, TOKENS_AT_ONCE = 3, 1024


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two sides of a group, and what the ratio should be."""

    ours: str
    peer: str
    at_least: float | None = None
    aim: float | None = None


@dataclass(frozen=True, kw_only=True)
class Group:
    """Work that several sides do in turn.

    Attributes:
        key: As on the command line.
        unit: Of the rates.
        work: Units in one step.
        flops: Operations of the matrix products that a step's algorithm asks for.
        sweep: The figure's panel that it is a point of, if any.
        point: Where it stands on that axis.
        in_table: Whether it is a row of the table too.
    """

    key: str
    title: str
    unit: str
    work: float
    flops: float
    warmups: int
    repeats: int
    sides: list[Side]
    comparisons: list[Comparison] = field(default_factory=list)
    sweep: str | None = None
    point: float = 0.0
    in_table: bool = True


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much each row does; `QUICK` only shows that everything runs."""

    batch: int
    prompt_tokens: int
    new_tokens: int
    generation: tuple[int, ...]
    sft_rows: int
    sft_tokens: int
    ragged: tuple[int, int]
    ranking_tokens: int
    ranked_completions: int
    rankings: tuple[int, ...]
    warmups: int
    repeats: int
    ppo_microbatch: int
    sweeps: dict[str, tuple[int, ...]]


FULL = Sizes(
    batch=32,
    prompt_tokens=64,
    new_tokens=64,
    generation=(32, 64),
    sft_rows=16,
    sft_tokens=256,
    ragged=(128, 512),
    ranking_tokens=256,
    ranked_completions=16,
    rankings=(4, 9),
    warmups=1,
    repeats=3,
    ppo_microbatch=8,
    sweeps={
        "generation": (8, 16, 128),
        "ppo": (8, 16),
        "sft": (64, 128, 512),
        "reward": (2, 6),
    },
)
QUICK = Sizes(
    batch=4,
    prompt_tokens=32,
    new_tokens=8,
    generation=(4,),
    sft_rows=2,
    sft_tokens=64,
    ragged=(48, 64),
    ranking_tokens=64,
    ranked_completions=3,
    rankings=(3,),
    warmups=0,
    repeats=1,
    ppo_microbatch=2,
    sweeps={"generation": (2,), "ppo": (2,), "sft": (96,), "reward": (2,)},
)


class Rows:
    """Makes the groups of one run.

    Args:
        material: Models and texts.
        sizes: How much each does.
        common: What every case is told: `threads`, `device`, `compute_dtype`.
        peers: Whether the peers take part.
    """

    def __init__(
        self, material: Material, sizes: Sizes, common: dict[str, Any], *, peers: bool
    ) -> None:
        self._material, self._sizes, self._peers = material, sizes, peers
        self._common = {**common, "pad_token": material.filler}
        self._narrow = common["compute_dtype"] == "bfloat16"
        self._trunk, self._head = matrix_parameters(material.source)

    def table(self) -> dict[str, Callable[[], Group]]:
        """The rows of the table, by key; the material of each is made when it is called.

        Where float32 is computed in, no row compares with a peer all in bfloat16.
        """
        sizes = self._sizes
        even = [sizes.sft_tokens] * sizes.sft_rows
        ragged = ragged_lengths(sizes.sft_rows, *sizes.ragged)
        all_narrow = partial(self.ppo, "ppo-bf16", sizes.batch, peer_weights="bfloat16")
        found = {
            "ppo": partial(self.ppo, "ppo", sizes.batch),
            "ppo-lora": partial(self.ppo, "ppo-lora", sizes.batch, lora=True),
            **({"ppo-bf16": all_narrow} if self._narrow else {}),
            "ppo-natural": partial(self.ppo, "ppo-natural", sizes.batch, natural=True),
            "sft": partial(self.sft, "sft", even),
            "sft-ragged": partial(self.sft, "sft-ragged", ragged),
        }
        for batch in sizes.generation:
            key = f"generation-{batch}"
            found[key] = partial(self.generation, key, batch)
        for k in sizes.rankings:
            key = f"reward-{k}"
            found[key] = partial(self.reward, key, k)
        return found

    def sweeps(self) -> dict[str, Callable[[], Group]]:
        """The points of the figures, by key."""
        makers: dict[str, Callable[[str, int], Group]] = {
            "generation": self.generation,
            "ppo": self.ppo,
            "sft": self._sft_of_length,
            "reward": self.reward,
        }
        return {
            f"sweep-{name}-{point}": partial(self._point, makers[name], name, point)
            for name, points in self._sizes.sweeps.items()
            for point in points
        }

    def _sft_of_length(self, key: str, length: int) -> Group:
        sizes = self._sizes
        return self.sft(key, [length] * max(2, sizes.sft_rows * sizes.sft_tokens // length))

    def _point(self, maker: Callable[[str, int], Group], sweep: str, point: int) -> Group:
        """A point that is no row of the table: one repeat counts."""
        group = maker(f"sweep-{sweep}-{point}", point)
        sides = [
            replace(side, specification={**side.specification, "repeats": 1})
            for side in group.sides
        ]
        return replace(group, repeats=1, sides=sides, in_table=False)

    def ppo(
        self,
        key: str,
        batch: int,
        *,
        peer_weights: str = "float32",
        lora: bool = False,
        natural: bool = False,
    ) -> Group:
        """Episodes a second: full fine-tuning, or the shared trunk where `lora`, against TRL.

        A row each, since the three would not fit into 24 GiB together.
        """
        sizes, material = self._sizes, self._material
        folder = (
            material.questions(batch) if natural else material.prompts(batch, sizes.prompt_tokens)
        )
        own = {"batch": batch, "new_tokens": sizes.new_tokens, "natural_ends": natural}
        own |= {"kind": "ppo", "data": str(folder / "prompts.jsonl")}
        own["model"] = str(material.source if natural else material.endless_model())
        own["reward"] = str(material.reward_model(endless=not natural))
        label = "ours, LoRA" if lora else "ours"
        if lora:
            shared = {"model": {"lora_rank": LORA_RANK}, "ppo": {"shared_trunk": True}}
            own |= {"reward": str(material.reward_adapter()), "settings": shared}
        both = peer_weights == "float32"
        kinds = {"bfloat16": "bf16", "float32": "fp32 masters" if self._narrow else "fp32"}
        peer = f"{TRL_PPO}, {kinds[peer_weights]}"
        told = {"batch": batch, "new_tokens": sizes.new_tokens, "natural_ends": natural}
        told |= {"ids": str(folder / "ids.json"), "weights": peer_weights}
        told["microbatch_rows"] = min(sizes.ppo_microbatch, batch)
        sides = [self._ours(label, own), *self._peer(peer, "trl-ppo", "trl_ppo.py", told)]
        targets = (6.0, 9.0) if lora else (5.0, 7.0) if both else (3.0, 4.5)
        lengths = [len(ids) for ids in json.loads((folder / "ids.json").read_text())["prompts"]]
        words = "as it goes: " if natural else ""
        asked = f"{round(sum(lengths) / batch)}+{sizes.new_tokens} tokens, batch {batch}"
        return self._group(
            key,
            f"PPO, {words}{asked}",
            "episodes/s",
            batch,
            self._ppo_flops(sum(lengths), batch),
            sides,
            [self._versus(label, peer, *((None, None) if natural else targets))],
            ("ppo", batch) if both and not natural and not lora else None,
        )

    def generation(self, key: str, batch: int) -> Group:
        """Tokens a second of sampling."""
        sizes, material = self._sizes, self._material
        folder = material.prompts(batch, sizes.prompt_tokens)
        own = {"kind": "generate", "data": str(folder / "prompts.jsonl")}
        own |= {"new_tokens": sizes.new_tokens, "model": str(material.endless_model())}
        told = {"ids": str(folder / "ids.json"), "new_tokens": sizes.new_tokens}
        sides = [self._ours("ours", own)]
        sides += self._peer(GENERATE, "trl", "transformers_generate.py", told)
        tokens = batch * sizes.new_tokens
        prefill = 2 * self._trunk * batch * sizes.prompt_tokens
        return self._group(
            key,
            f"Generation, {sizes.prompt_tokens}+{sizes.new_tokens} tokens, batch {batch}",
            "tokens/s",
            tokens,
            prefill + 2 * (self._trunk + self._head) * tokens,
            sides,
            [self._versus("ours", GENERATE, 2.5, 4.0)],
            ("generation", batch),
        )

    def sft(self, key: str, lengths: list[int]) -> Group:
        """Tokens a second, prompts counted; a step is one pass over the demonstrations."""
        count, ragged = len(lengths), len(set(lengths)) > 1
        name = f"demonstrations-{count}-{'ragged-' if ragged else ''}{max(lengths)}"
        folder = self._material.demonstrations(lengths, name)
        own = {"kind": "sft", "data": str(folder), "batch": count}
        rows = largest_divisor(count, max(1, TOKENS_AT_ONCE * count // sum(lengths)))
        told = {"ids": str(folder / "ids.json"), "batch": count, "microbatch_rows": rows}
        sides = [self._ours("ours", own), *self._peer(TRL, "trl", "trl_sft.py", told)]
        tokens = sum(lengths)
        completions = tokens - sum(map(prompt_tokens, lengths))
        spread = f"{min(lengths)} to {max(lengths)}, mean {tokens / count:.0f}"
        return self._group(
            key,
            f"SFT, {spread if ragged else max(lengths)} tokens, batch {count}",
            "tokens/s",
            tokens,
            6 * (self._trunk * tokens + self._head * completions),
            sides,
            [self._versus("ours", TRL, 3.0, 5.0)],
            None if ragged else ("sft", max(lengths)),
        )

    def reward(self, key: str, k: int) -> Group:
        """Rankings a second; a step is one pass over the rankings."""
        count = max(1, self._sizes.ranked_completions // k)
        tokens = self._sizes.ranking_tokens
        folder = self._material.rankings(count, k, tokens)
        own = {"kind": "reward", "data": str(folder), "batch": count}
        pairs = largest_divisor(k * (k - 1) // 2, PAIRS_AT_ONCE)
        told = {"ids": str(folder / "ids.json"), "microbatch_pairs": pairs}
        split = f"{prompt_tokens(tokens)}+{tokens - prompt_tokens(tokens)}"
        targets = {4: (6.0, 10.0), 9: (15.0, 25.0)}.get(k, (None, None))
        return self._group(
            key,
            f"Reward model, K = {k}, {split} tokens, batch {count}",
            "rankings/s",
            count,
            6 * self._trunk * tokens * k * count,
            [self._ours("ours", own), *self._peer(TRL, "trl", "trl_reward.py", told)],
            [self._versus("ours", TRL, *targets)],
            ("reward", k),
        )

    def _ppo_flops(self, prompt_tokens_of_all: int, batch: int) -> float:
        """Sampling, four passes that score, and the update of policy and value."""
        completions = batch * self._sizes.new_tokens
        tokens = prompt_tokens_of_all + completions
        sampling = 2 * (self._trunk * tokens + self._head * completions)
        scoring = 2 * (4 * self._trunk * tokens + 2 * self._head * completions)
        return sampling + scoring + 6 * (2 * self._trunk * tokens + self._head * completions)

    def _group(
        self,
        key: str,
        title: str,
        unit: str,
        work: float,
        flops: float,
        sides: list[Side],
        comparisons: list[Comparison],
        place: tuple[str, int] | None,
    ) -> Group:
        sizes = self._sizes
        sweep, point = place or (None, 0)
        return Group(
            key=key,
            title=title,
            unit=unit,
            work=work,
            flops=flops,
            warmups=sizes.warmups,
            repeats=sizes.repeats,
            sides=sides,
            comparisons=comparisons if self._peers else [],
            sweep=sweep,
            point=point,
        )

    def _told(self, specification: dict[str, Any]) -> dict[str, Any]:
        counts = {"warmups": self._sizes.warmups, "repeats": self._sizes.repeats}
        return {**self._common, **counts, "model": str(self._material.source), **specification}

    def _ours(self, label: str, specification: dict[str, Any]) -> Side:
        told = self._told(specification)
        return Side(label=label, environment="heedful", script="ours.py", specification=told)

    def _peer(
        self, label: str, environment: str, script: str, specification: dict[str, Any]
    ) -> list[Side]:
        told = self._told(specification)
        side = Side(label=label, environment=environment, script=script, specification=told)
        return [side] if self._peers else []

    def _versus(
        self, ours: str, peer: str, at_least: float | None = None, aim: float | None = None
    ) -> Comparison:
        """The targets were set for bfloat16."""
        if not self._narrow:
            return Comparison(ours=ours, peer=peer)
        return Comparison(ours=ours, peer=peer, at_least=at_least, aim=aim)


def largest_divisor(number: int, at_most: int) -> int:
    """The largest divisor of `number` up to `at_most`: even microbatches."""
    return max(count for count in range(1, at_most + 1) if number % count == 0)


def matrix_parameters(folder: Path) -> tuple[int, int]:
    """Weights that a token is multiplied with: of the trunk, and of the vocabulary head."""
    from safetensors import safe_open

    rows = json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    trunk = head = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            for name in weights.keys():  # noqa: SIM118
                shape = weights.get_slice(name).get_shape()
                if len(shape) == 2 and shape[0] == rows:
                    head = shape[0] * shape[1]
                elif len(shape) == 2:
                    trunk += shape[0] * shape[1]
    return trunk, head
