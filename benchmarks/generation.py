"""Tokens per second of the native engine beside transformers' `generate`, in one run.

    python benchmarks/generation.py MODEL [--batch-sizes 32 64] [--json FILE]

Both sample at temperature 1 from the same left-padded random prompts, and neither may
end early. Runs alternate, so that a change of the machine's load meets both; the best of
the repeats counts. MODEL is a directory or hub name of a causal language model.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM, PreTrainedModel

from heedful.core.protocols import GenerationRequest
from heedful.core.records import SamplingParameters
from heedful.generation.native import NativeEngine


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="directory or hub name")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[32, 64])
    parser.add_argument(
        "--prompt-tokens", type=int, default=30, help="mean; lengths vary by a third"
    )
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    return parser.parse_args()


def make_requests(
    model: PreTrainedModel, count: int, prompt_tokens: int, new_tokens: int
) -> list[GenerationRequest]:
    """Requests with random prompts, the same ones at every run."""
    generator = torch.Generator().manual_seed(0)
    spread = prompt_tokens // 3
    lengths = torch.randint(
        prompt_tokens - spread, prompt_tokens + spread + 1, (count,), generator=generator
    )
    return [
        GenerationRequest(
            prompt_ids=torch.randint(model.config.vocab_size, (n,), generator=generator).tolist(),
            sampling=SamplingParameters(max_tokens=new_tokens),
            seed=number,
        )
        for number, n in enumerate(lengths.tolist())
    ]


def native_run(model: PreTrainedModel, requests: list[GenerationRequest]) -> Callable[[], Any]:
    """All requests through the native engine, as one batch."""
    engine = NativeEngine(model, eos_ids=(), decode=lambda _: "", max_batch_size=len(requests))
    return lambda: engine.generate(requests)


def transformers_run(
    model: PreTrainedModel, requests: list[GenerationRequest], new_tokens: int
) -> Callable[[], Any]:
    """All requests through `model.generate`, as one batch."""
    width = max(len(request.prompt_ids) for request in requests)
    start = [width - len(request.prompt_ids) for request in requests]
    ids = torch.tensor(
        [[0] * pad + list(r.prompt_ids) for pad, r in zip(start, requests, strict=True)]
    )
    mask = (torch.arange(width) >= torch.tensor(start)[:, None]).long()
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return lambda: model.generate(
        ids.to(model.device),
        attention_mask=mask.to(model.device),
        do_sample=True,
        top_k=0,
        max_new_tokens=new_tokens,
    )


def alternate(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each repeat of each run, after one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if repeat > 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Measure, print the table, write the file."""
    arguments = read_arguments()
    torch.set_num_threads(arguments.threads)
    model = AutoModelForCausalLM.from_pretrained(
        arguments.model, dtype=getattr(torch, arguments.dtype)
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device).eval()
    table = Table(title=f"{Path(arguments.model).name}, {arguments.dtype}, {device}, tokens/s")
    for heading in ("batch", "native", "transformers", "ratio", "median ratio"):
        table.add_column(heading, justify="right")
    rows = []
    for batch_size in arguments.batch_sizes:
        requests = make_requests(model, batch_size, arguments.prompt_tokens, arguments.new_tokens)
        runs = {
            "native": native_run(model, requests),
            "transformers": transformers_run(model, requests, arguments.new_tokens),
        }
        seconds = alternate(runs, arguments.repeats)
        num_tokens = batch_size * arguments.new_tokens
        best = {name: num_tokens / min(times) for name, times in seconds.items()}
        median = {name: statistics.median(times) for name, times in seconds.items()}
        row = {
            "batch_size": batch_size,
            "native_tokens_per_second": best["native"],
            "transformers_tokens_per_second": best["transformers"],
            "ratio": best["native"] / best["transformers"],
            "median_ratio": median["transformers"] / median["native"],
            "seconds": seconds,
        }
        rows.append(row)
        table.add_row(
            str(batch_size),
            f"{best['native']:.0f}",
            f"{best['transformers']:.0f}",
            f"{row['ratio']:.2f}",
            f"{row['median_ratio']:.2f}",
        )
    Console().print(table)
    if arguments.json is not None:
        result = {
            "model": Path(arguments.model).name,
            **{
                name: getattr(arguments, name)
                for name in ("prompt_tokens", "new_tokens", "dtype", "threads", "repeats")
            },
            "device": torch.cuda.get_device_name() if device == "cuda" else platform.processor(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
