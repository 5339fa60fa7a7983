"""PPO by TRL 1.12 (`trl.experimental.ppo`), the last version that has it.

What is set and why is in docs/decisions/0022-benchmarks.md. Runs in an environment made from
trl-ppo.txt; started by benchmarks/speed.
"""

import json
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from measuring import Meter, read_specification
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from trl.experimental.ppo import PPOConfig, PPOTrainer
from turns import Turns, choose_precision, require_precision


def main() -> None:
    """Train for as many iterations as are asked for."""
    own = read_specification()
    meter = Meter(own)
    narrow = own["weights"] == "bfloat16"
    dtype = torch.bfloat16 if narrow else torch.float32
    precision = "no" if narrow else choose_precision(own)
    prompts = json.loads(Path(own["ids"]).read_text())["prompts"]
    tokenizer = AutoTokenizer.from_pretrained(own["model"], padding_side="left")
    # A token that is not drawn: TRL masks what equals the pad token.
    tokenizer.pad_token = own["pad_token"]

    def policy() -> Any:
        return AutoModelForCausalLM.from_pretrained(own["model"], dtype=dtype)

    def scalar() -> Any:
        model = AutoModelForSequenceClassification.from_pretrained(
            own["model"], dtype=dtype, num_labels=1
        )
        model.config.pad_token_id = tokenizer.pad_token_id
        return model

    steps = own["warmups"] + own["repeats"]
    natural = own.get("natural_ends", False)
    config = PPOConfig(
        output_dir=own["scratch"],
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        use_cpu=own["device"] == "cpu",
        gradient_checkpointing=False,
        per_device_train_batch_size=own["microbatch_rows"],
        gradient_accumulation_steps=own["batch"] // own["microbatch_rows"],
        local_rollout_forward_batch_size=own["batch"],
        num_mini_batches=1,
        num_ppo_epochs=1,
        num_sample_generations=0,
        total_episodes=own["batch"] * steps,
        response_length=own["new_tokens"],
        stop_token="eos" if natural else None,
        temperature=1.0,
        kl_coef=0.02,
        learning_rate=8e-6,
        seed=0,
    )
    trainer = PPOTrainer(
        args=config,
        processing_class=tokenizer,
        model=policy(),
        ref_model=policy(),
        reward_model=scalar(),
        value_model=scalar(),
        train_dataset=Dataset.from_dict({"input_ids": prompts}),
        callbacks=[Turns(meter)],
    )
    require_precision(trainer, precision)
    trainer.train()
    raise SystemExit("training ended before the last step was reported")


if __name__ == "__main__":
    main()
