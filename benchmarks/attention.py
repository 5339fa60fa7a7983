"""Causal attention on the CPU: our matrix products against PyTorch's fused attention.

Forward, and forward with backward, of one layer of SmolLM2-135M's shape (9 heads over 3 keys
of width 64), 1,024 tokens in rows of each length. The best of several runs in turn, in
milliseconds of processor time.

    python benchmarks/attention.py
"""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from heedful.models.attention import attend

HEADS, KEYS, WIDTH, TOKENS, REPEATS = 9, 3, 64, 1024, 7
MODULE = SimpleNamespace(num_key_value_groups=HEADS // KEYS, is_causal=True)


def measure(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Milliseconds of each run, the best of several, taken in turn."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(REPEATS + 1):
        for name, run in runs.items():
            start = time.process_time()
            run()
            best[name] = min(best[name], (time.process_time() - start) * 1000)
    return best


def main() -> None:
    """Print a table."""
    torch.set_num_threads(1)
    table = Table("tokens a row", "forward: fused", "ours", "with backward: fused", "ours", "ratio")
    for length in (32, 64, 128, 256, 512):
        rows = TOKENS // length
        shapes = ((rows, heads, length, WIDTH) for heads in (HEADS, KEYS, KEYS))
        states = [torch.randn(shape).bfloat16().requires_grad_() for shape in shapes]
        grad = torch.randn(rows, length, HEADS, WIDTH).bfloat16()

        def forward(function: Any, states: Any = states) -> Any:
            return function(MODULE, *states, None)[0]

        def backward(function: Any, grad: Any = grad, forward: Any = forward) -> None:
            forward(function).backward(grad)

        found = measure(
            {
                "forward fused": lambda: forward(sdpa_attention_forward),
                "forward ours": lambda: forward(attend),
                "fused": lambda: backward(sdpa_attention_forward),
                "ours": lambda: backward(attend),
            }
        )
        times = (f"{value:.1f}" for value in found.values())
        table.add_row(str(length), *times, f"{found['fused'] / found['ours']:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
