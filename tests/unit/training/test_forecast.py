from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from fakes.interrupting_display import InterruptingDisplay
from fakes.planned_stage import COSTS, PACE, case
from heedful.core.errors import Interrupted, ModelError
from heedful.core.file_hashes import sha256_file
from heedful.core.jsonl import write_json_atomic
from heedful.core.machine import Room
from heedful.core.run import Prediction, RunDirectory, read_card
from heedful.core.settings import Project
from heedful.models.precision import native_bfloat16
from heedful.training import ppo, reward, sft
from heedful.training.display import Display
from heedful.training.forecast import (
    MOST_TOKENS,
    choose_microbatch,
    counted_costs,
    open_case,
    planned,
    room_on,
)
from heedful.training.out_of_memory import SMALLEST, OutOfMemory, with_microbatch
from heedful.training.plan import make_plan

CPU = torch.device("cpu")
TOO_MANY = 2**50


class Heard(Display):
    """Keeps what was said."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.sentences: list[str] = []

    def say(self, text: str, *, style: str | None = None) -> None:  # noqa: ARG002
        self.sentences.append(text)


def weights(config: Project) -> str:
    return sha256_file(config.run.dir / "checkpoint" / "model.safetensors")


def test_a_run_keeps_its_prediction_beside_its_cost(project: Any) -> None:
    config, heard = project(), Heard()
    sft.train(config, heard)
    card = read_card(config.run.dir)
    assert card.prediction is not None
    assert card.prediction.microbatch_tokens == 256
    assert card.prediction.memory_bytes is not None
    assert card.prediction.memory_bytes > 1e8
    assert card.prediction.seconds is None  # nobody measured this machine
    assert "at the most (predicted " in heard.sentences[-1]


@pytest.mark.parametrize("dtype", ["bfloat16", "auto"])
def test_bfloat16_on_a_processor_without_it_is_said_aloud(project: Any, dtype: str) -> None:
    config, heard = project(model={"compute_dtype": dtype}), Heard()
    with begun(config) as run, planned("sft", config, run, heard):
        pass
    warned = any("does not multiply bfloat16" in sentence for sentence in heard.sentences)
    assert warned == (dtype == "bfloat16" and not native_bfloat16(CPU))


def test_time_is_predicted_where_it_was_measured_before(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEEDFUL_CACHE", str(tmp_path / "cache"))
    config, heard = project(), Heard()
    found = open_case("sft", config, CPU)
    assert found is not None
    folder = tmp_path / "cache" / "rehearsals"
    folder.mkdir(parents=True)
    key = found.scene().rounded().key()
    write_json_atomic(folder / f"{key}.json", PACE.model_dump())
    sft.train(config, heard)
    prediction = read_card(config.run.dir).prediction
    assert prediction is not None
    assert prediction.seconds == make_plan(found, COSTS, PACE).total_seconds
    assert "(predicted " in heard.sentences[-1].split(",")[0]


def test_what_cannot_be_read_is_left_to_the_run(project: Any) -> None:
    config = project(model={"name": "no-such-model"})
    with pytest.raises(ModelError, match="no model called no-such-model"):
        sft.train(config, Heard())
    prediction = read_card(config.run.dir).prediction
    assert prediction == Prediction(microbatch_tokens=256)


def begun(config: Project) -> RunDirectory:
    return RunDirectory.start(config.run.dir, kind="sft", seed=0, config=config)


def test_an_error_that_means_memory_is_explained(project: Any) -> None:
    config = project()
    with begun(config) as run, pytest.raises(OutOfMemory), planned("sft", config, run, Heard()):
        torch.empty(TOO_MANY)


class TestChoice:
    def test_more_memory_never_gives_a_smaller_microbatch(self, base: Path) -> None:
        sft_case = case("sft", base / "model", budget=32768, sft={"batch_size": 4096})
        needed = [
            make_plan(with_budget, COSTS, None).peak_bytes
            for with_budget in (
                case("sft", base / "model", budget=n, sft={"batch_size": 4096})
                for n in (64, 1024, 32768)
            )
        ]
        assert needed == sorted(needed)
        rooms = [needed[0] * 0.5, *(n / 0.9 + 1 for n in needed), 1e15]
        chosen = [choose_microbatch(sft_case, COSTS, room) for room in rooms]
        assert chosen == sorted(chosen)
        assert chosen == [SMALLEST, 64, 1024, 32768, 32768]

    def test_auto_takes_the_default_where_there_is_room(self, project: Any) -> None:
        config, heard = project(model={"microbatch_tokens": "auto"}), Heard()
        sft.train(config, heard)
        prediction = read_card(config.run.dir).prediction
        assert prediction is not None
        assert prediction.microbatch_tokens == MOST_TOKENS["cpu"]
        again = project("again", model={"microbatch_tokens": MOST_TOKENS["cpu"]})
        sft.train(again, Heard())
        assert weights(config) == weights(again)

    def test_room_counts_what_this_process_holds_already(self) -> None:
        room = room_on(CPU)
        assert room is None or room.free > 0


@contextmanager
def failing_above(limit: int) -> Iterator[list[int]]:
    """Passes of more than `limit` tokens ask for more memory than any machine has."""
    passed: list[int] = []

    def ask(module: torch.nn.Module, inputs: Any) -> None:
        if module.training and isinstance(module, torch.nn.Embedding):
            tokens = inputs[0].numel()
            torch.empty(TOO_MANY if tokens > limit else 1)
            passed.append(tokens)

    hook = torch.nn.modules.module.register_module_forward_pre_hook(ask)
    try:
        yield passed
    finally:
        hook.remove()


AUTO = {"model": {"microbatch_tokens": "auto"}, "sft": {"batch_size": 12, "epochs": 4}}


class TestShrinking:
    def test_a_pass_that_fails_is_taken_again_in_parts(self, project: Any) -> None:
        whole, parts, heard = project("whole", **AUTO), project("parts", **AUTO), Heard()
        sft.train(whole, Heard())
        with failing_above(100) as passed:
            sft.train(parts, heard)
        assert max(passed) <= 100
        prediction = read_card(parts.run.dir).prediction
        assert prediction is not None
        assert prediction.microbatch_tokens == 64
        assert sum("Memory ran out: microbatches" in sentence for sentence in heard.sentences) == 5
        one, other = (
            load_file(config.run.dir / "checkpoint" / "model.safetensors")
            for config in (whole, parts)
        )
        for name, tensor in one.items():
            torch.testing.assert_close(other[name], tensor, rtol=1e-3, atol=1e-4)

    def test_a_number_that_was_set_is_kept_and_the_error_explained(self, project: Any) -> None:
        config = project(model={"microbatch_tokens": 256}, sft=AUTO["sft"])
        with failing_above(100), pytest.raises(OutOfMemory) as caught:
            sft.train(config, Heard())
        assert "in a forward and backward pass" in caught.value.what
        assert "model.microbatch_tokens = 128 (now 256" in (caught.value.hint or "")

    def test_resuming_keeps_the_number_bit_for_bit(self, project: Any) -> None:
        straight, stopped = project("straight", **AUTO), project("stopped", **AUTO)
        with failing_above(100):
            sft.train(straight, Heard())
            with pytest.raises(Interrupted):
                sft.train(stopped, InterruptingDisplay(at=2))
        # Memory is there again: the number stays all the same.
        sft.train(stopped, Heard())
        assert weights(straight) == weights(stopped)
        prediction = read_card(stopped.run.dir).prediction
        assert prediction is not None
        assert prediction.microbatch_tokens == 64

    def test_the_reward_model_shrinks_too(self, project: Any) -> None:
        config = project(model={"microbatch_tokens": "auto"}, reward={"batch_size": 12})
        asked: list[int] = []

        def ask(module: torch.nn.Module, inputs: Any) -> None:
            if torch.is_grad_enabled() and isinstance(module, torch.nn.Embedding):
                asked.append(inputs[0].numel())
                torch.empty(TOO_MANY if asked[-1] > 150 else 1)

        counted_costs_of(config)
        hook = torch.nn.modules.module.register_module_forward_pre_hook(ask)
        try:
            reward.train(config, Heard())
        finally:
            hook.remove()
        assert max(asked) > 150 >= asked[-1]

    @pytest.mark.parametrize("minibatch", [4, 8])
    def test_ppo_shrinks_too(self, project: Any, reward_run: Path, minibatch: int) -> None:
        """In several steps a rollout, and in one, whose passes serve as the old ones."""
        ppo_settings = {
            "reward": str(reward_run),
            "episodes": 8,
            "minibatch_size": minibatch,
            "ptx_coef": 0.5,
            "ptx_tokens": 16,
            "ptx_ratio": 1.0,
        }
        sections = {"model": {"microbatch_tokens": "auto"}, "ppo": ppo_settings}
        whole, parts = project("whole", **sections), project("parts", **sections)
        ppo.train(whole, Heard())
        asked: list[int] = []

        def ask(module: torch.nn.Module, inputs: Any) -> None:
            if torch.is_grad_enabled() and isinstance(module, torch.nn.Embedding):
                asked.append(inputs[0].numel())
                torch.empty(TOO_MANY if asked[-1] > 80 else 1)

        hook = torch.nn.modules.module.register_module_forward_pre_hook(ask)
        try:
            ppo.train(parts, Heard())
        finally:
            hook.remove()
        assert max(asked) > 80 >= asked[-1]
        one, other = (
            load_file(config.run.dir / "checkpoint" / "model.safetensors")
            for config in (whole, parts)
        )
        for name, tensor in one.items():
            torch.testing.assert_close(other[name], tensor, rtol=1e-3, atol=1e-4)


def counted_costs_of(config: Project) -> None:
    """Rehearse beforehand, so that no rehearsal meets the failing pass."""
    found = open_case("reward", config, CPU)
    assert found is not None
    counted_costs(found)


def test_another_number_after_a_stop_is_taken_and_noted(project: Any) -> None:
    with pytest.raises(Interrupted):
        sft.train(project(), InterruptingDisplay(at=2))
    smaller = with_microbatch(project(), 64)
    sft.train(smaller, Heard())
    card = read_card(smaller.run.dir)
    assert card.prediction is not None
    assert card.prediction.microbatch_tokens == 64
    assert any("instead of 256: results differ by rounding" in note for note in card.notes)


def test_a_run_that_will_not_fit_is_warned_about(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit of the process's own, as `ulimit -v` sets it, far below what is held already."""
    heard = Heard()
    config = project(format={"max_completion_tokens": 12, "max_prompt_tokens": 64})
    monkeypatch.setattr("heedful.training.forecast.room_on", lambda _: Room(10**6, "test limit"))
    sft.train(config, heard)
    (warning,) = [text for text in heard.sentences if "is expected to need" in text]
    assert "0.0 GB are there (test limit)" in warning
    assert "model.microbatch_tokens = 128 (now 256" in warning
