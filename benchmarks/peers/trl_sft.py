"""Supervised fine-tuning by TRL's SFTTrainer; see trl_ppo.py."""

import json
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from measuring import Meter, read_specification
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer
from turns import Turns, choose_precision, require_precision


def main() -> None:
    """Train for as many steps as are asked for; each is one pass over the data."""
    own = read_specification()
    meter, precision = Meter(own), choose_precision(own)
    pairs: list[Any] = json.loads(Path(own["ids"]).read_text())["pairs"]
    tokenizer = AutoTokenizer.from_pretrained(own["model"])
    tokenizer.pad_token = own["pad_token"]
    config = SFTConfig(
        output_dir=own["scratch"],
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        use_cpu=own["device"] == "cpu",
        bf16=precision == "bf16",
        gradient_checkpointing=False,
        per_device_train_batch_size=own["microbatch_rows"],
        gradient_accumulation_steps=own["batch"] // own["microbatch_rows"],
        max_steps=own["warmups"] + own["repeats"],
        max_length=None,
        completion_only_loss=True,
        loss_type=own.get("loss_type", "nll"),
        learning_rate=1e-5,
        logging_steps=1,
        dataloader_pin_memory=False,
        seed=0,
    )
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(own["model"], dtype=torch.float32),
        args=config,
        processing_class=tokenizer,
        train_dataset=Dataset.from_dict(
            {
                "input_ids": [prompt + completion for prompt, completion in pairs],
                "completion_mask": [[0] * len(p) + [1] * len(c) for p, c in pairs],
            }
        ),
        callbacks=[Turns(meter)],
    )
    require_precision(trainer, precision)
    trainer.train()
    raise SystemExit("training ended before the last step was reported")


if __name__ == "__main__":
    main()
