"""Sampling by transformers' `generate`, no token ending a row; see trl_ppo.py."""

import json
from pathlib import Path

import torch
from measuring import Meter, read_specification
from transformers import AutoModelForCausalLM


def main() -> None:
    """Generate as often as is asked for."""
    own = read_specification()
    meter = Meter(own)
    prompts = json.loads(Path(own["ids"]).read_text())["prompts"]
    dtype = getattr(torch, own["compute_dtype"])
    model = AutoModelForCausalLM.from_pretrained(own["model"], dtype=dtype)
    model.to(own["device"]).eval()
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    width = max(map(len, prompts))
    pads = [width - len(prompt) for prompt in prompts]
    ids = torch.tensor([[0] * n + prompt for n, prompt in zip(pads, prompts, strict=True)])
    mask = (torch.arange(width) >= torch.tensor(pads)[:, None]).long()
    ids, mask = ids.to(own["device"]), mask.to(own["device"])
    torch.manual_seed(0)
    shape = ()
    while not meter.finished:
        meter.boundary()
        if not meter.finished:
            found = model.generate(
                ids,
                attention_mask=mask,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                max_new_tokens=own["new_tokens"],
            )
            shape = tuple(found.shape)
    if shape != (len(prompts), width + own["new_tokens"]):
        raise SystemExit(f"{shape} tokens came out")
    meter.end()


if __name__ == "__main__":
    main()
