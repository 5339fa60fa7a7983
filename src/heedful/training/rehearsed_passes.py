"""Passes tried on a few layers of a model's own shapes, with noise for weights.

A model of the same configuration takes the passes of training themselves, so that what is
found follows the code. Costs of more layers are those of two small depths, extended in
proportion. Nothing of the real weights is read.
"""

import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.initialization import no_init_weights

from heedful.core.protocols import GenerationRequest
from heedful.core.records import SamplingParameters
from heedful.core.settings import OptimSettings
from heedful.generation.native import NativeEngine
from heedful.models.adapters import add_lora
from heedful.models.attention import use_our_attention
from heedful.models.fused import use_fused_blocks
from heedful.models.head import KEPT_BYTES, head_logprobs
from heedful.models.loading import trunk_of
from heedful.models.precision import compute_in
from heedful.models.token_batch import token_states
from heedful.training.batches import Batcher, TokenPair, shared_tokens
from heedful.training.loop import Trainable
from heedful.training.rehearsal import Bytes, Say, Scene, Seconds

DEPTHS = (1, 3)  # layers of the two models that are compared
HEAD_POSITIONS = 512
_STEPS = (1, 9)  # tokens drawn by the two rehearsals of the decoder
_TRIES = 2
_MOST_FLOPS = 4e10  # of one layer in one pass; longer microbatches are tried in part
_MOST_PREFILL = 2048  # tokens of all prompts together in a rehearsal of the decoder
_NOISE = 1_000_003  # numbers, repeated: drawing one for each weight takes seconds
_LARGE = 2**28  # bytes of weights that no processor's cache holds


def count_bytes(scene: Scene) -> Bytes:
    """Bytes of the passes, allocation by allocation."""
    device = torch.device(scene.device)
    held, worst, score = [], [], []
    for depth in DEPTHS:
        part = _Part(scene, depth)
        part.add_gradients()  # counted apart, by the plan
        with _watched(device) as memory:
            loss = part.loss()
            held.append(memory.now())
            loss.backward()
            worst.append(memory.peak() - held[-1])
        del loss
        with _watched(device) as memory, torch.no_grad():
            part.states()
            score.append(memory.peak())
    with _watched(device) as memory:
        loss = part.head_loss()
        head_held = memory.now()
        loss.backward()
        head_worst = memory.peak() - head_held
    tokens = part.tokens
    return Bytes(
        train=_extended(held, scene.shape.layers) / tokens,
        train_pass=worst[-1] / tokens,
        score=score[0] / tokens,
        head=head_held / HEAD_POSITIONS,
        head_most=float(KEPT_BYTES),
        head_pass=head_worst,
    )


def measure_seconds(scene: Scene, say: Say) -> Seconds:
    """Seconds of the passes: the best of several tries, other work on the machine notwithstanding.

    Args:
        scene: What is tried.
        say: Told what is being measured.
    """
    threads = torch.get_num_threads()
    if scene.threads:
        torch.set_num_threads(scene.threads)
    try:
        say(f"Measuring this machine with {scene.shape.name} (some seconds; kept for next time).")
        return _measure(scene)
    finally:
        torch.set_num_threads(threads)


def _measure(scene: Scene) -> Seconds:
    device = torch.device(scene.device)
    train, score = [], []
    for depth in DEPTHS:
        part = _Part(scene, depth)
        train.append(_best(part.train, device))
        score.append(_best(torch.no_grad()(part.states), device))
    update = _best(lambda: part.trainable.step(0.0), device, part.add_gradients)
    head_train = _best(lambda: part.head_loss().backward(), device)
    head_score = _best(torch.no_grad()(part.head_loss), device)
    layers, shape = scene.shape.layers, scene.shape
    whole = _extended(train, layers)
    step, prefill = _decoding(scene) if scene.decode_rows else (0.0, 0.0)
    return Seconds(
        train=whole / part.tokens,
        score=_extended(score, layers) / part.tokens,
        head_train=head_train / HEAD_POSITIONS,
        head_score=head_score / HEAD_POSITIONS,
        update=update / part.num_trained,
        step=step,
        prefill=prefill,
        rate=6 * shape.block_parameters * part.tokens / whole,
    )


class _Part:
    """The first layers of a model, on noise: what training does to them.

    Args:
        scene: Whose shapes, types and lengths.
        depth: Layers.
    """

    def __init__(self, scene: Scene, depth: int) -> None:
        device, shape = torch.device(scene.device), scene.shape
        self.model = _small_model(scene, depth).to(device)
        if scene.lora_rank:
            add_lora(self.model, rank=scene.lora_rank, alpha=1.0, seed=0)
        self.trainable = Trainable(
            self.model,
            _dtype(scene),
            OptimSettings(),
            activation_checkpointing=scene.activation_checkpointing,
        )
        self.num_trained = sum(w.numel() for w in self.trainable.weights.masters.values())
        pairs = _pairs(scene, getattr(self.model.config, "max_position_embeddings", None))
        self._trunk = trunk_of(self.model)
        batcher = Batcher(self._trunk, pad_id=0, device=device, max_tokens=1)
        self._batch = batcher.batch(pairs)
        self.tokens = shared_tokens(pairs)
        width, vocabulary = shape.hidden, shape.vocabulary
        self._states = torch.randn(HEAD_POSITIONS, width, device=device, dtype=_dtype(scene))
        self._targets = torch.arange(HEAD_POSITIONS, device=device) % vocabulary

    def states(self) -> Tensor:
        """A pass through the layers."""
        return token_states(self._trunk, self._batch)

    def loss(self) -> Tensor:
        """The same as a loss."""
        return self.states().float().square().mean()

    def train(self) -> None:
        """The same, forward and backward."""
        self.trainable.backward(self.loss())

    def head_loss(self) -> Tensor:
        """A pass of some positions through the vocabulary head, as a loss."""
        states = self._states.detach().requires_grad_(torch.is_grad_enabled())
        return head_logprobs(self.model, states, self._targets)[0].mean()

    def add_gradients(self) -> None:
        """What an optimiser's step needs."""
        for master in self.trainable.weights.masters.values():
            master.grad = torch.full_like(master, 1e-6)


def _pairs(scene: Scene, context: int | None) -> list[TokenPair]:
    """A microbatch as the scene has it, or the part of it that is tried on a processor."""
    layer = 6 * scene.shape.block_parameters / scene.shape.layers
    completion, prompt = scene.completion_tokens, scene.prompt_tokens
    if context is not None:  # the run itself will refuse what does not fit
        completion = min(completion, context // 2)
        prompt = min(prompt, context - completion)
    size = prompt + scene.completions * completion
    most = scene.prompts if scene.device != "cpu" else int(_MOST_FLOPS / layer / size)
    return [
        TokenPair(
            # Another number first, so that only the completions of one prompt share it.
            prompt_ids=_ids(scene, prompt, first=number),
            completion_ids=_ids(scene, completion),
        )
        for number in range(max(1, min(scene.prompts, most)))
        for _ in range(scene.completions)
    ]


def _ids(scene: Scene, count: int, *, first: int = 0) -> tuple[int, ...]:
    return tuple(n % scene.shape.vocabulary for n in (first, *range(1, count)))


def _small_model(scene: Scene, depth: int) -> Any:
    """A model of the scene's configuration with `depth` layers and noise for weights."""
    config = AutoConfig.from_pretrained(scene.shape.path, local_files_only=True)
    config.num_hidden_layers = depth
    kinds = getattr(config, "layer_types", None)
    if kinds:
        config.layer_types = (kinds * depth)[:depth]
    config.pad_token_id = None
    with no_init_weights():  # which would take longer than what is measured
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.tie_weights()
    noise = torch.randn(_NOISE, generator=torch.Generator().manual_seed(0)) * 0.02
    for parameter in model.parameters():
        for chunk in parameter.data.view(-1).split(_NOISE):
            chunk.copy_(noise[: len(chunk)])
        if parameter.dim() == 1:
            parameter.data += 1.0  # scales, which would otherwise let nothing through
    use_our_attention(model)
    use_fused_blocks(model)
    return model.eval()


def _decoding(scene: Scene) -> tuple[float, float]:
    """Seconds of a decoding step, and of reading a prompt's token.

    With as many layers as no cache holds, since reading the weights is most of a step.
    """
    shape = scene.shape
    layer_bytes = torch.finfo(_dtype(scene)).bits // 8 * shape.block_parameters // shape.layers
    depth = min(shape.layers, max(DEPTHS[-1], -(-_LARGE // layer_bytes)))
    model = _small_model(scene, depth).to(scene.device)
    compute_in(model, _dtype(scene))
    engine = NativeEngine(model, eos_ids=(), decode=lambda _: "")
    # Of a long prompt the cache would be full before anything is drawn: part of it will do.
    length = min(scene.prompt_tokens, max(1, _MOST_PREFILL // scene.decode_rows))
    times = []
    for steps in _STEPS:
        sampling = SamplingParameters(temperature=1.0, max_tokens=steps)
        requests = [
            GenerationRequest(
                prompt_ids=_ids(scene, length, first=row), sampling=sampling, seed=row
            )
            for row in range(scene.decode_rows)
        ]
        times.append(_best(partial(engine.generate, requests), model.device))
    few, many = _STEPS
    # On a busy machine the longer of two may look as short as the other.
    step = max((times[1] - times[0]) / (many - few), times[1] / (4 * many))
    prefill = max(0.0, times[0] - few * step)
    longer = shape.layers / depth
    return step * longer, prefill * longer / (scene.decode_rows * length)


def _dtype(scene: Scene) -> torch.dtype:
    found: torch.dtype = getattr(torch, scene.dtype)
    return found


def _extended(costs: Sequence[float], layers: int) -> float:
    """The cost of `layers` layers from those of `DEPTHS`."""
    shallow, deep = DEPTHS
    layer = max(0.0, (costs[1] - costs[0]) / (deep - shallow))
    return costs[0] + (layers - shallow) * layer


def _best(
    work: Callable[[], Any], device: torch.device, prepare: Callable[[], None] = lambda: None
) -> float:
    """The shortest time that `work` took, after one call that nobody counts."""
    found = []
    for _ in range(1 + _TRIES):
        prepare()
        _wait(device)
        # One thread's own time passes only while it computes, whatever else the machine does.
        alone = device.type == "cpu" and torch.get_num_threads() == 1
        clock = time.process_time if alone else time.perf_counter
        started = clock()
        work()
        _wait(device)
        found.append(clock() - started)
    return min(found[1:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class _Memory:
    """Bytes of tensors that live now, and at the most, since the watch began."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._start = self.taken = self.most = 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._start = torch.cuda.memory_allocated(device)

    def now(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.memory_allocated(self._device) - self._start
        return self.taken

    def peak(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) - self._start
        return self.most

    def take(self, count: int) -> None:
        self.taken += count
        self.most = max(self.most, self.taken)

    def give(self, count: int) -> None:
        self.taken -= count


class _Allocations(TorchDispatchMode):
    """Follows the storages that operations make, for devices that keep no count."""

    def __init__(self, memory: _Memory) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._memory = memory
        self._seen: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = _storages((args, kwargs))
        out = func(*args, **(kwargs or {}))
        for storage in _storages(out):
            if storage not in self._seen and not any(storage is other for other in given):
                self._seen.add(storage)
                self._memory.take(storage.nbytes())
                weakref.finalize(storage, self._memory.give, storage.nbytes())
        return out


def _storages(tree: Any) -> list[Any]:
    return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


@contextmanager
def _watched(device: torch.device) -> Iterator[_Memory]:
    memory = _Memory(device)
    if device.type == "cuda":
        yield memory
        return
    with _Allocations(memory):
        yield memory
