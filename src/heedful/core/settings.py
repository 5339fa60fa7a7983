"""The sections of a Heedful project file, one frozen model each, with their defaults.

A project file (TOML) may hold several sections; each command reads those it needs.
Field descriptions become `--help` and the reference page. How files and `--set` are
layered is in `heedful.core.config`; this module only says what may be set.
"""

import math
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from heedful.core.settings_section import Settings

DEFAULT_MICROBATCH = 2048  # tokens


class FormatSettings(Settings):
    """How a prompt becomes tokens; stored with every checkpoint."""

    template: Literal["plain", "chat"] = Field(
        "chat",
        description="`chat` uses the model's own chat template; `plain` a simple one that "
        "every model can read.",
    )
    max_prompt_tokens: int = Field(1024, gt=0, description="Longest formatted prompt, in tokens.")
    max_completion_tokens: int = Field(
        1024, gt=0, description="Longest completion, in tokens, the end token counted."
    )
    overlong_prompts: Literal["truncate", "drop"] = Field(
        "truncate",
        description="Cut over-long prompts at whole lines from the front of their longest text "
        "part, or drop them; both are counted and reported.",
    )
    overlong_completions: Literal["drop", "truncate"] = Field(
        "drop",
        description="Drop training completions over the budget, or cut them (without an end "
        "token, so that the model does not learn to stop there).",
    )


class RunSettings(Settings):
    """Where a run lives and how it behaves."""

    dir: Path = Field(description="Run directory; an unfinished run in it is resumed.")
    seed: int = Field(0, ge=0, description="Decides every random choice of the run.")
    threads: int = Field(0, ge=0, description="CPU threads; 0 leaves PyTorch's own choice.")
    save_every: int = Field(
        0,
        ge=0,
        description="Save what resuming needs every so many steps (PPO: iterations); "
        "0 saves only on Ctrl-C.",
    )
    tensorboard: bool = Field(
        False, description="Also write TensorBoard events (needs heedful[tensorboard])."
    )


class ModelSettings(Settings):
    """Which model, and how it computes."""

    name: str = Field(
        "smollm2-135m-instruct",
        description="A run directory, a local folder or a hub name of a transformers causal "
        "language model, or a name that `heedful model list` shows.",
    )
    device: str = Field(
        "auto", description="`auto` takes a GPU where there is one; or cpu, cuda:0."
    )
    compute_dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Arithmetic of the passes; weights and optimiser stay in float32. `auto` "
        "takes bfloat16 where the processor multiplies it natively.",
    )
    lora_rank: int = Field(
        0, ge=0, description="Train low-rank adapters of this rank; 0 trains all."
    )
    lora_alpha: float = Field(16.0, gt=0, description="LoRA scale: updates count alpha / rank.")
    activation_checkpointing: bool = Field(
        False,
        description="Forget what a layer computed and compute it again in the backward pass: less "
        "memory for activations, about a third more time in passes, the same gradients.",
    )
    microbatch_tokens: Annotated[int, Field(gt=0)] | Literal["auto"] = Field(
        DEFAULT_MICROBATCH,
        description="Most tokens in one forward and backward pass; a prompt that several "
        "completions share counts once. Memory goes with it; results do not, beyond rounding. "
        "`auto` takes the largest that is planned to fit into free memory, 2048 at the most (on "
        "a GPU 32768), halves it where memory runs out all the same, and keeps it on resuming.",
    )

    @property
    def max_microbatch(self) -> int:
        """`microbatch_tokens` as a number: a run that begins with `auto` has decided on one."""
        tokens = self.microbatch_tokens
        return DEFAULT_MICROBATCH if tokens == "auto" else tokens


class DataSettings(Settings):
    """Where the data of a stage lies; public formats are read as they are.

    A path may name an environment variable: `${HEEDFUL_DATA}/rank/trees.jsonl`. In `heedful
    train`, `-` is standard input, as JSONL; the run keeps a copy.
    """

    demonstrations: Path | None = Field(None, description="Demonstrations for SFT, file or folder.")
    rankings: Path | None = Field(
        None, description="Rankings for the reward model, file or folder."
    )
    prompts: Path | None = Field(None, description="Prompts for PPO, file or folder.")
    pretraining: Path | None = Field(None, description="Pretraining text (.txt or .jsonl).")
    format: str | None = Field(None, description="Format of the files; found out where left out.")
    validation_share: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of users (conversation trees, prompts) held out where the data "
        "names no split.",
    )
    limit: int | None = Field(
        None,
        gt=0,
        description="Most training examples (demonstrations, rankings, prompts), drawn by the "
        "seed; a smaller limit takes some of those that a larger one takes. All where left out.",
    )
    max_rejects: int = Field(
        0, ge=0, description="Unreadable rows that are set aside before the run refuses the file."
    )
    licence: str | None = Field(
        None, description="Licence of imported data, kept with each record."
    )


class OptimSettings(Settings):
    """What every optimiser has: Adam (0.9, 0.95) as in the paper, clipping that clips."""

    weight_decay: float = Field(0.0, ge=0, description="Decoupled weight decay (AdamW).")
    beta1: float = Field(0.9, ge=0, lt=1, description="Adam's first-moment decay.")
    beta2: float = Field(0.95, ge=0, lt=1, description="Adam's second-moment decay.")
    eps: float = Field(1e-8, gt=0, description="Adam's epsilon.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are scaled to this global norm.")


class SFTSettings(OptimSettings):
    """Supervised fine-tuning on demonstrations (paper, section 3.5 and appendix C.1)."""

    epochs: float = Field(16, gt=0, description="Passes over the demonstrations.")
    batch_size: int = Field(
        32, gt=0, description="Examples per optimiser step, pretraining text counted."
    )
    learning_rate: float = Field(9.65e-6, gt=0, description="Peak learning rate.")
    warmup_share: float = Field(0.0, ge=0, lt=1, description="Share of steps of linear warm-up.")
    min_learning_rate_ratio: float = Field(
        0.1, ge=0, le=1, description="The cosine ends at this fraction of the peak."
    )
    dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Residual dropout (the paper: 0.2); none where left out, refused where the "
        "architecture has no such layers.",
    )
    pretraining_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of training tokens' examples that is pretraining text; 0.1 for the "
        "model that PPO starts from.",
    )
    pretraining_tokens: int = Field(128, gt=1, description="Tokens in one pretraining example.")
    choose_by: Literal["last", "validation_loss", "reward"] = Field(
        "validation_loss",
        description="Which epoch's weights are kept: the last, the lowest validation loss, or the "
        "highest reward model score on validation prompts (the paper's way).",
    )
    reward_model: str | None = Field(None, description="Reward checkpoint for choose_by = reward.")
    kind: Literal["sft", "ppo_init"] = Field(
        "sft", description="Whether this is the SFT baseline or the model PPO starts from."
    )

    @property
    def num_pretraining(self) -> int:
        """Pretraining examples in each optimiser step."""
        return math.ceil(self.pretraining_share * self.batch_size)

    @property
    def num_demonstrations(self) -> int:
        """Demonstrations in each optimiser step."""
        return self.batch_size - self.num_pretraining

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.choose_by == "reward" and self.reward_model is None:
            raise ValueError("choose_by = reward needs sft.reward_model")
        if self.choose_by != "reward" and self.reward_model is not None:
            raise ValueError(f"reward_model does nothing with choose_by = {self.choose_by}")
        if self.num_demonstrations < 1:
            raise ValueError(
                f"batch_size {self.batch_size} with pretraining_share {self.pretraining_share} "
                "leaves no room for demonstrations"
            )
        return self


class RewardSettings(OptimSettings):
    """The reward model on K-way rankings (paper, section 3.5 and appendix C.2)."""

    epochs: int = Field(1, gt=0, description="Passes over the rankings; more overfit quickly.")
    batch_size: int = Field(64, gt=0, description="Prompts (rankings) per optimiser step.")
    learning_rate: float = Field(9e-6, gt=0, description="Peak learning rate.")
    warmup_share: float = Field(0.0, ge=0, lt=1, description="Share of steps of linear warm-up.")
    min_learning_rate_ratio: float = Field(
        0.1, ge=0, le=1, description="The cosine ends at this fraction of the peak."
    )


class PPOSettings(OptimSettings):
    """PPO and PPO-ptx (paper, section 3.5, equation 2, and appendix C.4)."""

    init: str | None = Field(
        None,
        description="Checkpoint that policy and reference start from (the paper: few epochs with "
        "10 % pretraining mix, kind ppo_init); model.name where left out.",
    )
    reward: str | None = Field(
        None,
        description="Reward checkpoint, or `package.module:function` taking lists of prompts and "
        "texts and returning scores.",
    )
    value_init: str | None = Field(
        None,
        description="Checkpoint that the value model starts from; the reward checkpoint where left "
        "out (needed when the reward is a function).",
    )
    shared_trunk: bool = Field(
        False,
        description="One frozen trunk for policy, reference, value and reward model, with adapters "
        "of their own; needs model.lora_rank, and a reward model trained with it on `init`.",
    )
    episodes: int = Field(256_000, gt=0, description="Completions sampled in the whole run.")
    rollout_batch_size: int = Field(512, gt=0, description="Episodes per iteration.")
    minibatch_size: int = Field(64, gt=0, description="Episodes per optimiser step.")
    inner_epochs: int = Field(1, gt=0, description="Passes over each rollout batch.")
    learning_rate: float = Field(8e-6, gt=0, description="Policy learning rate after warm-up.")
    value_learning_rate: float = Field(9e-6, gt=0, description="Value learning rate after warm-up.")
    warmup_share: float = Field(
        0.02,
        ge=0,
        lt=1,
        description="Share of iterations over which the learning rates rise from a tenth "
        "(the paper: 10 of 500).",
    )
    value_head: Literal["reward", "zero"] = Field(
        "reward",
        description="The value model's head: the reward model's, as in the paper, or zero. A "
        "reward model is trained at the end token only, and before it its head gives numbers "
        "far from any mean; short runs cannot wait until that is unlearnt.",
    )
    temperature: float = Field(1.0, gt=0, description="Sampling temperature of rollouts.")
    kl_coef: float = Field(0.02, ge=0, description="Weight of the per-token KL penalty (beta).")
    target_kl: float | None = Field(
        None, gt=0, description="Adapt kl_coef towards this KL per episode; fixed where left out."
    )
    kl_horizon: int | None = Field(
        None,
        gt=0,
        description="Episodes over which an adaptive kl_coef moves; a tenth of the run where "
        "left out.",
    )
    ptx_coef: float = Field(
        0.0,
        ge=0,
        description="Weight of the pretraining loss (gamma of the objective); 0 is PPO, the "
        "paper's PPO-ptx 27.8. Both losses are means over tokens, see docs/losses.md.",
    )
    ptx_ratio: float = Field(8.0, gt=0, description="Pretraining examples per episode.")
    ptx_tokens: int = Field(128, gt=1, description="Tokens in one pretraining example.")
    clip_range: float = Field(0.2, gt=0, description="Clipping of the probability ratio.")
    value_clip_range: float | None = Field(0.2, gt=0, description="Clipping of value updates.")
    discount: float = Field(1.0, gt=0, le=1, description="Reward discount (gamma of GAE).")
    gae_lambda: float = Field(0.95, ge=0, le=1, description="Lambda of GAE.")
    whiten_advantages: bool = Field(True, description="Whiten advantages over the rollout batch.")
    missing_eos: Literal["penalise", "ignore"] = Field(
        "penalise",
        description="A completion that does not end by itself gets missing_eos_score in place of "
        "the reward model's score, or is scored like any other.",
    )
    missing_eos_score: float = Field(-1.0, description="That score; demonstrations have mean 0.")
    ema: bool = Field(False, description="Keep and save an exponential average of the policy.")
    ema_decay: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Decay per optimiser step; where left out it averages over 1/32 of the run "
        "(the paper's 0.992 of 4,000 steps).",
    )
    evaluate_every: int = Field(
        0, ge=0, description="Iterations between evaluations on held-out prompts; 0 is never."
    )
    evaluation_prompts: int = Field(32, gt=0, description="Held-out prompts in each evaluation.")

    @property
    def num_iterations(self) -> int:
        """Rollout batches in the whole run."""
        return self.episodes // self.rollout_batch_size

    @property
    def num_ptx(self) -> int:
        """Pretraining examples in each policy update of PPO-ptx."""
        return math.ceil(self.ptx_ratio * self.minibatch_size)

    @property
    def num_optimiser_steps(self) -> int:
        """Policy updates in the whole run."""
        return (
            self.num_iterations * self.inner_epochs * self.rollout_batch_size // self.minibatch_size
        )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.rollout_batch_size % self.minibatch_size:
            raise ValueError(
                f"rollout_batch_size {self.rollout_batch_size} is not a multiple of "
                f"minibatch_size {self.minibatch_size}"
            )
        if self.episodes % self.rollout_batch_size:
            raise ValueError(
                f"episodes {self.episodes} is not a multiple of rollout_batch_size "
                f"{self.rollout_batch_size}"
            )
        if self.kl_horizon is not None and self.target_kl is None:
            raise ValueError("kl_horizon does nothing without target_kl")
        if self.ema_decay is not None and not self.ema:
            raise ValueError("ema_decay does nothing without ema = true")
        return self


class Project(Settings):
    """A whole project file; each command reads the sections it needs."""

    run: RunSettings
    model: ModelSettings = ModelSettings()
    format: FormatSettings | None = None
    data: DataSettings = DataSettings()
    sft: SFTSettings = SFTSettings()
    reward: RewardSettings = RewardSettings()
    ppo: PPOSettings = PPOSettings()

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_shared_trunk(self.model, self.ppo)
        return self


def check_shared_trunk(model: ModelSettings, ppo: PPOSettings) -> None:
    """Refuse a shared trunk without adapters on it.

    Raises:
        ValueError: As pydantic's validators do.
    """
    if ppo.shared_trunk and not model.lora_rank:
        raise ValueError("ppo.shared_trunk needs adapters: set model.lora_rank, to 16 for example")
