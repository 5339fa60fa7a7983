"""A reward model by TRL's RewardTrainer, each strict pair of a ranking a row; see trl_ppo.py."""

import json
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from measuring import Meter, read_specification
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from trl import RewardConfig, RewardTrainer
from turns import Turns, choose_precision, require_precision


def pairs_of(rankings: list[Any]) -> dict[str, list[list[int]]]:
    """Chosen and rejected texts of every two completions of unequal rank."""
    rows: dict[str, list[list[int]]] = {"chosen_ids": [], "rejected_ids": []}
    for ranking in rankings:
        texts = [prompt + completion for prompt, completion in ranking["pairs"]]
        for better, better_rank in zip(texts, ranking["ranks"], strict=True):
            for worse, worse_rank in zip(texts, ranking["ranks"], strict=True):
                if better_rank < worse_rank:
                    rows["chosen_ids"].append(better)
                    rows["rejected_ids"].append(worse)
    return rows


def main() -> None:
    """Train for as many steps as are asked for; each is one pass over the data."""
    own = read_specification()
    meter, precision = Meter(own), choose_precision(own)
    rows = pairs_of(json.loads(Path(own["ids"]).read_text())["rankings"])
    num_pairs = len(rows["chosen_ids"])
    tokenizer = AutoTokenizer.from_pretrained(own["model"])
    tokenizer.pad_token = own["pad_token"]
    model = AutoModelForSequenceClassification.from_pretrained(
        own["model"], dtype=torch.float32, num_labels=1
    )
    model.config.pad_token_id = tokenizer.pad_token_id
    config = RewardConfig(
        output_dir=own["scratch"],
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        use_cpu=own["device"] == "cpu",
        bf16=precision == "bf16",
        gradient_checkpointing=False,
        per_device_train_batch_size=own["microbatch_pairs"],
        gradient_accumulation_steps=num_pairs // own["microbatch_pairs"],
        max_steps=own["warmups"] + own["repeats"],
        max_length=None,
        learning_rate=1e-5,
        logging_steps=1,
        dataloader_pin_memory=False,
        seed=0,
    )
    trainer = RewardTrainer(
        model=model,
        args=config,
        processing_class=tokenizer,
        train_dataset=Dataset.from_dict(rows),
        callbacks=[Turns(meter)],
    )
    require_precision(trainer, precision)
    trainer.train()
    raise SystemExit("training ended before the last step was reported")


if __name__ == "__main__":
    main()
