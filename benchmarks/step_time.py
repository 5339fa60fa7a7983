"""A training step against its own matrix products timed alone.

    python benchmarks/step_time.py [--task sft|reward] [--rows 8] [--tokens 256] [--threads 1]
        [--profile] [--json FILE] [--set KEY=VALUE ...]

The products of one step (forward, gradient of the input and of the weights, for every linear
layer; attention's; the vocabulary head's) are listed with their shapes and timed one by one in
bfloat16, on operands that are at hand; their sum is what the step would take if it did nothing
else. The step is the trainer's own: passes, gradients, clipping, AdamW, weights rounded again.
Milliseconds of processor time, the best of several.
"""

import argparse
import resource
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.profiler import ProfilerActivity, profile

from heedful.core.settings import OptimSettings
from heedful.models import head
from heedful.models.folders import find_model
from heedful.models.loading import load_causal_lm, trunk_of
from heedful.models.memory import keep_freed_memory
from heedful.training.batches import TokenPair
from heedful.training.language import accumulate_language_loss
from heedful.training.loop import Trainable

CPU = torch.device("cpu")
REPEATS = 5


@dataclass(frozen=True)
class Product:
    """A batch of `count` products [rows, inner] x [inner, columns] of one step."""

    part: str
    count: int
    rows: int
    inner: int
    columns: int
    left_transposed: bool = False
    right_transposed: bool = False

    @property
    def operations(self) -> float:
        """Multiplications and additions."""
        return 2.0 * self.count * self.rows * self.inner * self.columns


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=256, help="of each row")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--profile", action="store_true", help="also print the operators' times")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    return parser.parse_args()


def best(run: Callable[[], object], repeats: int) -> float:
    """Milliseconds of processor time, the best of `repeats` after one to warm up."""
    found = []
    for _ in range(repeats + 1):
        start = time.process_time()
        run()
        found.append((time.process_time() - start) * 1000)
    return min(found[1:])


def linear_products(trunk: nn.Module, tokens: int) -> Counter[Product]:
    """Forward, gradient of the input and of the weights of every linear layer."""
    found: Counter[Product] = Counter()
    for module in trunk.modules():
        if isinstance(module, nn.Linear):
            wide, narrow = module.out_features, module.in_features
            found[Product("linear", 1, tokens, narrow, wide, right_transposed=True)] += 1
            found[Product("linear dX", 1, tokens, wide, narrow)] += 1
            found[Product("linear dW", 1, wide, tokens, narrow, left_transposed=True)] += 1
    return found


def attention_products(config: Any, rows: int, tokens: int) -> Counter[Product]:
    """Scores and mixing of each layer, and the four products of their gradients.

    The heads that share a key stand side by side, see `heedful.models.attention`.
    """
    heads, groups = config.num_attention_heads, config.num_key_value_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    batch, queries = rows * groups, tokens * heads // groups
    layer = [
        Product("attention", batch, queries, width, tokens, right_transposed=True),
        Product("attention", batch, queries, tokens, width),
        Product("attention dX", batch, queries, width, tokens, right_transposed=True),
        Product("attention dX", batch, queries, tokens, width),
        Product("attention dX", batch, tokens, queries, width, left_transposed=True),
        Product("attention dX", batch, tokens, queries, width, left_transposed=True),
    ]
    return Counter({one: n * config.num_hidden_layers for one, n in Counter(layer).items()})


def head_products(config: Any, positions: int) -> Counter[Product]:
    """The vocabulary head's three, in the chunks that it works in."""
    width, vocabulary = config.hidden_size, config.vocab_size
    found: Counter[Product] = Counter()
    for start in range(0, positions, head.HEAD_CHUNK):
        size = min(head.HEAD_CHUNK, positions - start)
        found[Product("head", 1, size, width, vocabulary, right_transposed=True)] += 1
        found[Product("head dX", 1, size, vocabulary, width)] += 1
        found[Product("head dW", 1, vocabulary, size, width, left_transposed=True)] += 1
    return found


def time_product(product: Product, repeats: int) -> float:
    """Milliseconds of one product alone."""

    def operand(rows: int, columns: int, transposed: bool) -> torch.Tensor:
        shape = (columns, rows) if transposed else (rows, columns)
        values = torch.randn(product.count, *shape).bfloat16()
        values = values.transpose(1, 2) if transposed else values
        return values[0] if product.count == 1 else values

    left = operand(product.rows, product.inner, product.left_transposed)
    right = operand(product.inner, product.columns, product.right_transposed)
    return best(lambda: left @ right, repeats)


def build_step(arguments: argparse.Namespace) -> tuple[Any, Callable[[], float]]:
    """The trunk, and one step of training it."""
    torch.manual_seed(0)
    settings = OptimSettings()
    model = load_causal_lm(find_model(arguments.model), pad_id=0)
    ids = torch.randint(2, model.config.vocab_size, (arguments.rows, arguments.tokens))
    policy = Trainable(model, torch.bfloat16, settings)
    pairs = [TokenPair(prompt_ids=row[:1], completion_ids=row[1:]) for row in ids.tolist()]

    def step() -> float:
        policy.module.train()
        accumulate_language_loss(
            policy, pairs, weight=1.0, max_tokens=ids.numel(), pad_id=0, device=CPU
        )
        return policy.step(1e-6)

    return trunk_of(model), step


def main() -> None:
    """Time the products, then the step; print, and write what was asked for."""
    arguments, console = read_arguments(), Console()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    trunk, step = build_step(arguments)
    tokens = arguments.rows * arguments.tokens
    products = linear_products(trunk, tokens)
    products += attention_products(trunk.config, arguments.rows, arguments.tokens)
    products += head_products(trunk.config, tokens - arguments.rows)
    parts: dict[str, list[float]] = {}
    for product, count in products.items():
        milliseconds = time_product(product, arguments.repeats)
        part = parts.setdefault(product.part, [0.0, 0.0])
        part[0] += count * milliseconds
        part[1] += count * product.operations
    table = Table("products", "ms", "TFLOP/s")
    for name, (milliseconds, operations) in parts.items():
        table.add_row(name, f"{milliseconds:.0f}", f"{operations / milliseconds / 1e9:.2f}")
    alone = sum(milliseconds for milliseconds, _ in parts.values())
    console.print(table)
    whole = best(step, arguments.repeats)
    console.print(
        f"products {alone:.0f} ms, step {whole:.0f} ms, ratio {whole / alone:.2f}, "
        f"{1000 * tokens / whole:.0f} tokens/s, "
        f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"
    )
    if arguments.profile:
        with profile(activities=[ProfilerActivity.CPU], record_shapes=False) as found:
            step()
        console.print(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=30))


if __name__ == "__main__":
    main()
