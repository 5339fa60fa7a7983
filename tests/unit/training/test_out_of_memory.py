"""Allocations that fail for real: under a limit on the address space, or beyond any machine."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fakes.training_data import make_project
from heedful.core.errors import ModelError
from heedful.core.settings import Project
from heedful.training.out_of_memory import (
    SMALLEST,
    OutOfMemory,
    TokenBudget,
    asked_bytes,
    explained,
    is_out_of_memory,
    remedies,
)

TOO_MANY = 2**50


@pytest.fixture
def config(tmp_path: Path) -> Project:
    return make_project(tmp_path / "run", tmp_path / "model", model={"microbatch_tokens": 2048})


def failure(work: object) -> BaseException:
    try:
        work()  # type: ignore[operator]
    except Exception as error:  # noqa: BLE001  whatever the library raises
        return error
    raise AssertionError("it had room")


def test_failed_allocations_are_recognised_with_what_they_asked_for() -> None:
    of_torch = failure(lambda: torch.empty(TOO_MANY))
    assert is_out_of_memory(of_torch)
    assert asked_bytes(of_torch) == 4 * TOO_MANY
    of_numpy = failure(lambda: np.ones(TOO_MANY))
    assert is_out_of_memory(of_numpy)
    assert asked_bytes(of_numpy) == 8 * TOO_MANY
    of_python = failure(lambda: bytearray(TOO_MANY))
    assert is_out_of_memory(of_python)
    assert asked_bytes(of_python) is None
    of_cuda = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has")
    assert is_out_of_memory(of_cuda)
    assert asked_bytes(of_cuda) == int(2.5 * 2**30)


def test_one_that_another_error_stands_for_is_recognised() -> None:
    def load() -> None:
        try:
            torch.empty(TOO_MANY)
        except RuntimeError as error:
            raise ModelError(f"cannot be loaded: {error}") from None

    assert is_out_of_memory(failure(load))


def test_other_errors_pass_unchanged(config: Project) -> None:
    for error in (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), KeyError("x")):
        assert not is_out_of_memory(error)
        with pytest.raises(type(error)), explained(config, "sft"):
            raise error


def test_it_is_explained_with_a_setting_and_its_value(config: Project) -> None:
    with pytest.raises(OutOfMemory) as caught, explained(config, "sft"):
        torch.empty(TOO_MANY)
    assert "in a forward and backward pass (asked for 4.5e+06 GB more)" in caught.value.what
    assert "model.microbatch_tokens = 1024 (now 2048;" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("phase", "stage", "expected"),
    [
        ("pass", "sft", "model.microbatch_tokens = 1024"),
        ("score", "ppo", "model.microbatch_tokens = 1024"),
        ("draw", "ppo", "ppo.rollout_batch_size = 4"),
        ("draw", "sft", "format.max_completion_tokens = 6"),
        ("update", "reward", "model.lora_rank = 16"),
        ("save", "reward", "model.lora_rank = 16"),
        ("load", "reward", "model.lora_rank = 16"),
    ],
)
def test_the_first_remedy_fits_what_the_run_was_doing(
    phase: str, stage: str, expected: str, config: Project
) -> None:
    assert expected in remedies(phase, config, stage)[0]


def test_there_is_always_something_to_do(config: Project) -> None:
    model = config.model.model_copy(update={"microbatch_tokens": SMALLEST, "lora_rank": 8})
    small = config.model_copy(update={"model": model})
    for phase in ("load", "save", "draw", "score", "update", "pass"):
        assert remedies(phase, small, "sft")


UNDER_A_LIMIT = """
import resource, sys
import torch
from pathlib import Path
from fakes.tiny_models import build_model_dir
from fakes.training_data import make_project, write_demonstrations
from heedful.training import sft
from heedful.training.display import Display
from heedful.training.out_of_memory import OutOfMemory

folder = Path(sys.argv[1])
build_model_dir(folder / "model", initial_std=0.1)
write_demonstrations(folder / "demonstrations")
config = make_project(
    folder / "run", folder / "model", data={"demonstrations": folder / "demonstrations"}
)
hidden = 4 * 10**9

def fail(module, inputs):
    if not (module.training and torch.is_grad_enabled()):
        return
    room = int(Path("/proc/self/statm").read_text().split()[0]) * 4096 + 2 * 10**8
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    torch.zeros(hidden // 4)

# The tiny model needs no memory that could be refused: one of its layers asks for more.
torch.nn.modules.module.register_module_forward_pre_hook(fail)
try:
    sft.train(config, Display(quiet=True))
except OutOfMemory as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space as Linux does")
def test_a_run_that_hits_a_limit_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNDER_A_LIMIT, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={"OMP_NUM_THREADS": "1", "PYTHONPATH": "."},
    )
    assert "memory ran out in a forward and backward pass" in done.stdout, done.stderr
    assert "asked for 4 GB more" in done.stdout


class TestTokenBudget:
    def test_it_halves_until_the_work_fits_and_says_so(self) -> None:
        told: list[int] = []
        budget = TokenBudget(2048, halves=True, on_change=told.append)

        def work() -> int:
            # Memory goes with the tokens: 512 are the most that fit.
            torch.empty(1 if budget.tokens <= 512 else TOO_MANY)
            return budget.tokens

        assert budget.run(work) == 512
        assert told == [1024, 512]
        assert budget.run(work) == 512
        assert told == [1024, 512]

    def test_what_a_failed_call_left_is_discarded_and_its_noise_drawn_again(self) -> None:
        budget = TokenBudget(256, halves=True)
        gradients: list[float] = []

        def work() -> list[float]:
            for _ in range(3):
                gradients.append(float(torch.rand(())))
                if budget.tokens == 256 and len(gradients) == 2:
                    torch.empty(TOO_MANY)
            return list(gradients)

        torch.manual_seed(3)
        expected = [float(torch.rand(())) for _ in range(3)]
        torch.manual_seed(3)
        assert budget.run(work, gradients.clear) == expected

    def test_a_number_that_was_set_stays(self) -> None:
        budget = TokenBudget(2048)
        with pytest.raises(RuntimeError, match="can't allocate"):
            budget.run(lambda: torch.empty(TOO_MANY))
        assert budget.tokens == 2048

    def test_it_gives_up_at_the_smallest_and_on_other_errors(self) -> None:
        budget = TokenBudget(256, halves=True)
        with pytest.raises(RuntimeError):
            budget.run(lambda: torch.empty(TOO_MANY))
        assert budget.tokens == SMALLEST
        with pytest.raises(RuntimeError, match="shapes"):
            TokenBudget(256, halves=True).run(lambda: torch.ones(2, 3) @ torch.ones(2, 3))
