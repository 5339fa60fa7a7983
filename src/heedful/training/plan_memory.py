"""How much memory a stage takes, part by part, at each moment that could be the fullest.

Weights, gradients and optimiser follow from the sizes; activations are those that a rehearsal
counted. The coefficients that neither gives stand at the top, measured
(docs/decisions/0021-memory-plan.md).
"""

from heedful.training.plan_case import Case, Parts
from heedful.training.rehearsal import Bytes

LIBRARIES = 620e6  # bytes of the interpreter and all libraries, before a model
RETAINED = 0.06  # of all tensors: freed memory that fits nothing that is asked for next
ITEM_BYTES = 40  # of a token id in Python, in the examples
DECODE_ROOM = 64  # tokens of a cache beyond those it holds


def memory_parts(case: Case, costs: Bytes) -> dict[str, Parts]:
    """Bytes by moment and part; on a GPU of its memory, else of the whole process."""
    narrow = case.compute_bytes
    mixed = narrow != 4
    weights = sum(narrow * shape.parameters for c, shape in case.models if not c.borrowed)
    adapters = sum(case.num_trained(c, s) for c, s in case.models if c.trained == "adapters")
    steady: Parts = {} if case.on_gpu else {"interpreter and libraries": LIBRARIES}
    steady["weights"] = float(weights + narrow * adapters)
    steady["float32 masters"] = 4.0 * case.all_trained * mixed
    steady["optimiser"] = 8.0 * case.all_trained
    steady["kept copy of the weights"] = 4.0 * _kept(case)
    if not case.on_gpu:
        steady["examples"] = ITEM_BYTES * _example_tokens(case)
    # PPO's policy and value model take their steps one after the other.
    gradients = {"gradients": 4.0 * max(case.num_trained(*model) for model in case.models)}
    moments = {
        "training": steady | gradients | _pass(case, costs),
        "saving": steady | {"weights to be written": _written(case)},
    }
    if case.stage == "ppo":
        moments["drawing"] = steady | _drawing(case)
    if case.keeps_graph:
        both = case.step_tokens * (2 * costs.train + costs.train_pass)
        moments["value update"] = steady | gradients | {"activations": both}
    for parts in moments.values() if not case.on_gpu else ():
        parts["freed memory that is kept"] = RETAINED * (sum(parts.values()) - LIBRARIES)
    return {moment: {k: v for k, v in p.items() if v} for moment, p in moments.items()}


def _kept(case: Case) -> int:
    """Numbers kept beside the trained ones: the best epoch's, or the average."""
    config = case.config
    keeps = case.stage == "sft" and config.sft.choose_by != "last"
    keeps = keeps or (case.stage == "ppo" and config.ppo.ema)
    return case.num_trained(*case.models[0]) if keeps else 0


def _example_tokens(case: Case) -> float:
    work = case.work
    several = work.prompt_tokens * work.completions + work.completion_tokens * work.completions
    return (work.training + work.validation) * several + case.pretraining_tokens


def _pass(case: Case, costs: Bytes) -> Parts:
    """The largest microbatch, from its forward to its backward pass."""
    positions = case.microbatch * _predicted(case)
    head = min(positions * costs.head, costs.head_most) + costs.head_pass * (positions > 0)
    activations = case.microbatch * (costs.train + costs.train_pass)
    return {"activations": activations, "vocabulary head": head}


def _predicted(case: Case) -> float:
    """Share of positions at which the vocabulary head is computed."""
    if case.stage == "reward":
        return 0.0
    if case.pretraining_tokens:
        return 1.0
    return case.work.completion_tokens / case.work.pair_tokens


def _drawing(case: Case) -> Parts:
    shape, narrow, rows = case.shape, case.compute_bytes, case.decode_rows
    columns = case.work.pair_tokens + DECODE_ROOM
    return {
        "keys and values": rows * columns * shape.layers * shape.key_value_width * narrow,
        "logits": rows * shape.vocabulary * (narrow + 4.0),
        "packed weights": 0.0 if case.on_gpu else narrow * float(shape.parameters),
    }


def _written(case: Case) -> float:
    """Frozen weights are widened, and adapters merged into more; masters are wide already."""
    copy, shape = case.models[0]
    return (8.0 if copy.trained == "adapters" else 4.0) * shape.parameters
