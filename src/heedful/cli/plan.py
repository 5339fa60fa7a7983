"""The derived numbers of `--dry-run`: steps, episodes and tokens that the settings imply."""

from heedful.core.settings import FormatSettings, Project


def plan(stage: str, config: Project) -> str:
    """What `heedful train STAGE` would do, as far as the settings alone say."""
    formatting = config.format or FormatSettings()
    if stage == "ppo":
        ppo = config.ppo
        longest = formatting.max_prompt_tokens + formatting.max_completion_tokens
        numbers = {
            "iterations": ppo.num_iterations,
            "episodes": ppo.episodes,
            "optimiser steps": ppo.num_optimiser_steps,
            "most generated tokens": ppo.episodes * formatting.max_completion_tokens,
            "most tokens trained on": ppo.episodes * ppo.inner_epochs * longest,
        }
        if ppo.ptx_coef:
            examples = round(ppo.episodes * ppo.inner_epochs * ppo.ptx_ratio)
            numbers["pretraining tokens"] = examples * ppo.ptx_tokens
    elif stage == "sft":
        numbers = {"epochs": round(config.sft.epochs), "batch size": config.sft.batch_size}
    else:
        numbers = {"epochs": config.reward.epochs, "batch size": config.reward.batch_size}
    return "\n".join(f"{name}: {value:,}" for name, value in numbers.items())
