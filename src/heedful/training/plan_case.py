"""A stage before it runs: its models, its examples, and where it computes.

What `heedful.training.plan_memory` and `heedful.training.plan_time` reckon with. Needs no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from heedful.core.settings import Project
from heedful.models.shape import ModelShape
from heedful.training.rehearsal import Scene
from heedful.training.workload import Workload

Parts = dict[str, float]  # bytes, seconds or counts, by what they are for
Trained = Literal["all", "adapters", "nothing"]
DECODE_ROWS = 64  # completions drawn together, see heedful.generation.native


@dataclass(frozen=True, slots=True)
class Copy:
    """A model in memory.

    Attributes:
        trained: What of it is trained.
        borrowed: Its frozen weights are another copy's.
    """

    role: str
    name: str
    trained: Trained
    borrowed: bool = False


def copies(stage: str, config: Project) -> list[Copy]:
    """The models that a stage holds at once."""
    lora = config.model.lora_rank > 0
    trained: Trained = "adapters" if lora else "all"
    if stage != "ppo":
        judge = config.sft.reward_model if stage == "sft" else None
        mine = [Copy("model", config.model.name, trained)]
        return mine + ([Copy("reward model", judge, "nothing")] if judge else [])
    ppo = config.ppo
    init = ppo.init or config.model.name
    is_function = ppo.reward is not None and ":" in ppo.reward and not Path(ppo.reward).exists()
    scorer = None if is_function else ppo.reward
    value = ppo.value_init or scorer
    shared = ppo.shared_trunk
    found = [
        Copy("policy", init, trained),
        # Without adapters on, the policy's weights are the reference's.
        Copy("reference", init, "nothing", borrowed=lora),
    ]
    if scorer:
        found.append(Copy("reward model", scorer, "nothing", borrowed=shared))
    if value:
        borrowed = lora and (shared or value == scorer)
        found.append(Copy("value model", value, trained, borrowed=borrowed))
    return found


@dataclass(frozen=True, kw_only=True)
class Case:
    """One stage.

    Attributes:
        shapes: Of each copy's model, by name.
        device: `cpu`, or a CUDA device.
        dtype: Of the passes.
        budget: Most tokens of a microbatch.
    """

    stage: str
    config: Project
    work: Workload
    shapes: Mapping[str, ModelShape]
    device: str
    dtype: str
    budget: int

    @cached_property
    def models(self) -> list[tuple[Copy, ModelShape]]:
        """Each copy with its sizes; the trained language model, or trunk, first."""
        return [(copy, self.shapes[copy.name]) for copy in copies(self.stage, self.config)]

    @property
    def shape(self) -> ModelShape:
        """Of the first."""
        return self.models[0][1]

    @property
    def on_gpu(self) -> bool:
        """Whether what counts is a GPU's memory."""
        return self.device.startswith("cuda")

    @property
    def compute_bytes(self) -> int:
        """Of a number in the compute type."""
        return 4 if self.dtype == "float32" else 2

    def num_trained(self, copy: Copy, shape: ModelShape) -> int:
        """Numbers of a copy that the optimiser moves."""
        scalar = shape.hidden if copy.role == "value model" or self.stage == "reward" else 0
        if copy.trained == "all":
            return shape.parameters + scalar
        rank = self.config.model.lora_rank
        return rank * shape.linear_sizes + scalar if copy.trained == "adapters" else 0

    @property
    def all_trained(self) -> int:
        """The same of all copies."""
        return sum(self.num_trained(copy, shape) for copy, shape in self.models)

    @property
    def num_steps(self) -> int:
        """Optimiser steps."""
        config, count = self.config, self.work.training * self.work.kept
        if self.stage == "ppo":
            return config.ppo.num_optimiser_steps
        if self.stage == "sft":
            return max(1, round(config.sft.epochs * count / config.sft.num_demonstrations))
        return max(1, round(config.reward.epochs * count / config.reward.batch_size))

    @property
    def pretraining_tokens(self) -> int:
        """Of pretraining text, in the whole stage."""
        sft, ppo = self.config.sft, self.config.ppo
        if self.stage == "sft":
            return self.num_steps * sft.num_pretraining * sft.pretraining_tokens
        if self.stage == "ppo" and ppo.ptx_coef:
            return self.num_steps * ppo.num_ptx * ppo.ptx_tokens
        return 0

    @property
    def step_tokens(self) -> float:
        """Of the examples of an optimiser step."""
        config, work = self.config, self.work
        if self.stage == "reward":
            return config.reward.batch_size * work.example_tokens
        count = config.sft.num_demonstrations if self.stage == "sft" else config.ppo.minibatch_size
        return count * work.pair_tokens

    @property
    def microbatch(self) -> float:
        """Tokens of the largest one."""
        # A ranking is never cut, nor is a pair.
        least = self.work.example_tokens if self.stage == "reward" else self.work.longest
        text = self.pretraining_tokens / self.num_steps
        return max(least, min(self.budget, max(self.step_tokens, text)))

    @property
    def read_before(self) -> float:
        """Share of a rollout that PPO's value model reads before its first step."""
        ppo = self.config.ppo
        return 1.0 - ppo.minibatch_size / ppo.rollout_batch_size

    @property
    def keeps_graph(self) -> bool:
        """Whether the policy's activations of a first minibatch wait for the value model's step."""
        return self.stage == "ppo" and 2 * self.step_tokens <= self.budget

    @property
    def decode_rows(self) -> int:
        """Completions drawn together."""
        return min(DECODE_ROWS, self.config.ppo.rollout_batch_size) if self.stage == "ppo" else 0

    def scene(self) -> Scene:
        """What is to be rehearsed: the typical microbatch."""
        work = self.work
        size = max(1.0, work.example_tokens)
        return Scene(
            shape=self.shape,
            device=self.device,
            dtype=self.dtype,
            lora_rank=self.config.model.lora_rank,
            prompt_tokens=max(1, round(work.prompt_tokens)),
            completion_tokens=max(1, round(work.completion_tokens)),
            prompts=max(1, int(min(self.budget, self.step_tokens) / size)),
            completions=max(1, round(work.completions)),
            activation_checkpointing=self.config.model.activation_checkpointing,
            decode_rows=self.decode_rows,
            threads=self.config.run.threads,
        )
