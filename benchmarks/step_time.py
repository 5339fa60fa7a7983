"""A training step against its own matrix products timed alone.

    python benchmarks/step_time.py [--task sft|reward] [--rows 8] [--tokens 256] [--threads 1]
        [--clock wall] [--compute-dtype float32] [--json FILE] [--profile]
        [--activation-checkpointing]

The products of one step of the trainer (passes, clipping, AdamW, weights rounded again) are
recorded with their shapes, strides and types, then timed one by one on operands that are at
hand: their sum is what the step would take if it did nothing else. SFT takes --rows texts of
--tokens tokens, all but the first predicted; the reward model --rows completions, four to a
prompt, each half as long as --tokens beside a prompt of the other half. Milliseconds of
processor time (or by the wall, where several threads work), the best of several.
"""

import argparse
import json
import resource
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from heedful.core.settings import OptimSettings
from heedful.losses.ranking import ranking_loss
from heedful.models.folders import find_model
from heedful.models.loading import load_causal_lm, trunk_of
from heedful.models.memory import keep_freed_memory
from heedful.models.precision import compute_dtype
from heedful.models.scalar import ScalarModel
from heedful.training.batches import Batcher, TokenPair
from heedful.training.language import accumulate_language_loss
from heedful.training.loop import Trainable

CPU = torch.device("cpu")
NUM_COMPLETIONS = 4
PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "addmm_", "baddbmm_")

Operand = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]
Product = tuple[Operand, Operand]


class Recording(TorchDispatchMode):
    """Counts the matrix products that are computed inside it, by their two operands."""

    def __init__(self) -> None:
        super().__init__()
        self.products: Counter[Product] = Counter()

    def __torch_dispatch__(
        self, function: Any, _types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Count, and compute as ever."""
        name = function.overloadpacket.__name__
        if name in PRODUCTS:
            left, right = args[-2:] if name in ("mm", "bmm") else args[1:3]
            self.products[_operand(left), _operand(right)] += 1
        return function(*args, **(kwargs or {}))


def _operand(tensor: torch.Tensor) -> Operand:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--task", choices=("sft", "reward"), default="sft")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=256, help="of each row")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clock", choices=("cpu", "wall"), default="cpu")
    parser.add_argument("--compute-dtype", choices=("auto", "bfloat16", "float32"), default="auto")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--activation-checkpointing", action="store_true")
    parser.add_argument("--profile", action="store_true", help="also print the operators' times")
    return parser.parse_args()


def best(run: Callable[[], object], repeats: int, clock: str) -> float:
    """Milliseconds by the processor or the wall, the best of `repeats` after one to warm up."""
    now = time.process_time if clock == "cpu" else time.perf_counter
    found = []
    for _ in range(repeats + 1):
        start = now()
        run()
        found.append((now() - start) * 1000)
    return min(found[1:])


def time_product(product: Product, repeats: int, clock: str) -> float:
    """Milliseconds of one product alone."""
    left, right = (
        torch.empty_strided(shape, strides, dtype=dtype).normal_()
        for shape, strides, dtype in product
    )
    return best(lambda: left @ right, repeats, clock)


def build_step(arguments: argparse.Namespace) -> tuple[int, Callable[[], float]]:
    """Tokens that a step reads, and one step."""
    torch.manual_seed(0)
    model = load_causal_lm(find_model(arguments.model), pad_id=0)
    options: Any = {"activation_checkpointing": arguments.activation_checkpointing}
    dtype = compute_dtype(arguments.compute_dtype, CPU)
    ids = torch.randint(2, model.config.vocab_size, (arguments.rows, arguments.tokens)).tolist()
    if arguments.task == "reward":
        half = arguments.tokens // 2
        firsts = [ids[n - n % NUM_COMPLETIONS] for n in range(arguments.rows)]
        pairs = [
            TokenPair(prompt_ids=first[:half], completion_ids=row[half:])
            for first, row in zip(firsts, ids, strict=True)
        ]
        scalar = ScalarModel(trunk_of(model), model.config.hidden_size)
        trained = Trainable(scalar, dtype, OptimSettings(), keep_fp32=("head.",), **options)
        ranks = torch.arange(len(pairs)) % NUM_COMPLETIONS
        groups = torch.arange(len(pairs)) // NUM_COMPLETIONS
    else:
        pairs = [TokenPair(prompt_ids=row[:1], completion_ids=row[1:]) for row in ids]
        trained = Trainable(model, dtype, OptimSettings(), **options)
    size = arguments.rows * arguments.tokens
    batcher = Batcher(trunk_of(model), pad_id=0, device=CPU, max_tokens=size)

    def step() -> float:
        if arguments.task == "reward":
            scores = trained.module.scores(batcher.batch(pairs))
            trained.backward(ranking_loss(scores, ranks, groups)[0])
        else:
            accumulate_language_loss(trained, pairs, batcher, weight=1.0)
        return trained.step(1e-6)

    return batcher.num_tokens(pairs), step


def main() -> None:
    """Record and time the products, then the step; print."""
    arguments, console = read_arguments(), Console(width=110)
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    tokens, step = build_step(arguments)
    with Recording() as recording:
        step()
    table = Table("product", "times", "ms of all", "TFLOP/s", "type")
    alone, counts = 0.0, (arguments.repeats, arguments.clock)
    for product, count in recording.products.most_common():
        (left, _, dtype), (right, _, _) = product
        milliseconds = count * time_product(product, *counts)
        operations = 2.0 * count * torch.Size(left).numel() * right[-1]
        alone += milliseconds
        shapes = " x ".join("[" + ", ".join(map(str, shape)) + "]" for shape in (left, right))
        speed = f"{operations / milliseconds / 1e9:.2f}"
        table.add_row(shapes, str(count), f"{milliseconds:.0f}", speed, str(dtype)[6:])
    console.print(table)
    whole = best(step, *counts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    console.print(
        f"products {alone:.0f} ms, step {whole:.0f} ms, ratio {whole / alone:.2f}, "
        f"{1000 * tokens / whole:.0f} tokens/s, peak {peak:.2f} GiB"
    )
    if arguments.json is not None:
        numbers = {"products_ms": alone, "step_ms": whole, "ratio": whole / alone}
        arguments.json.write_text(json.dumps(numbers | {"tokens": tokens}), encoding="utf-8")
    if arguments.profile:
        with profile(activities=[ProfilerActivity.CPU]) as found:
            step()
        rows = sorted(found.key_averages(), key=lambda row: -row.self_cpu_time_total)
        total = sum(row.self_cpu_time_total for row in rows)
        operators = Table("operator", "times", "ms", "share")
        for row in rows[:25]:
            spent = row.self_cpu_time_total
            cells = (str(row.count), f"{spent / 1000:.0f}", f"{spent / total:.1%}")
            operators.add_row(row.key, *cells)
        console.print(operators)


if __name__ == "__main__":
    main()
