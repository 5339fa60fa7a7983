import math
import signal
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from fakes.interrupting_display import InterruptingDisplay
from fakes.tiny_models import build_model
from heedful.core.errors import CheckpointError, Interrupted, ModelError
from heedful.core.metrics import read_metrics
from heedful.core.run import RunDirectory, read_card
from heedful.core.settings import ModelSettings, OptimSettings, RunSettings
from heedful.models.checkpoint import load_state
from heedful.training.display import Display
from heedful.training.loop import (
    Loop,
    Trainable,
    add_metrics,
    cosine_rate,
    prepare,
    warmup_rate,
)

QUIET = Display(quiet=True)


class TestSchedules:
    def test_cosine_without_warm_up(self):
        rates = [
            cosine_rate(step, 5, peak=2.0, warmup_share=0.0, min_ratio=0.1) for step in range(5)
        ]
        middle = (0.1 + 0.9 * 0.5) * 2
        half = math.sqrt(0.5)
        expected = [2.0, 1.1 + 0.9 * half, middle, 1.1 - 0.9 * half, 0.2]
        assert rates == pytest.approx(expected)

    def test_cosine_with_warm_up(self):
        rates = [
            cosine_rate(step, 10, peak=1.0, warmup_share=0.4, min_ratio=0.0) for step in range(10)
        ]
        assert rates[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
        assert rates[-1] == pytest.approx(0.0)
        assert rates[4:] == sorted(rates[4:], reverse=True)

    def test_one_step_has_the_peak(self):
        assert cosine_rate(0, 1, peak=3.0, warmup_share=0.0, min_ratio=0.1) == 3.0

    def test_ppo_rises_from_a_tenth_and_stays(self):
        rates = [warmup_rate(step, 500, peak=1.0, warmup_share=0.02) for step in range(500)]
        assert rates[0] == pytest.approx(0.1)
        assert rates[5] == pytest.approx(0.55)
        assert set(rates[10:]) == {1.0}

    def test_the_warm_up_scales_with_the_run(self):
        rates = [warmup_rate(step, 50, peak=1.0, warmup_share=0.02) for step in range(50)]
        assert rates[0] == pytest.approx(0.1)
        assert set(rates[1:]) == {1.0}
        assert warmup_rate(0, 50, peak=1.0, warmup_share=0.0) == 1.0


def trainable(dtype: torch.dtype = torch.float32, **settings: float) -> Trainable:
    torch.manual_seed(0)
    return Trainable(nn.Linear(4, 4), dtype, OptimSettings(**settings))


def movement(max_grad_norm: float) -> tuple[float, float]:
    """Norm of the gradient, and how far one step moves the weights."""
    # A large epsilon, so that Adam does not undo the scaling.
    part = trainable(max_grad_norm=max_grad_norm, eps=1.0)
    before = part.module.weight.detach().clone()
    part.backward((part.module.weight * 3).sum())
    norm = part.step(0.1)
    return norm, float((part.module.weight.detach() - before).norm())


class TestTrainable:
    def test_clipping_clips(self):
        free_norm, free = movement(1e9)
        norm, clipped = movement(0.01)
        assert free_norm == norm == pytest.approx(12.0)
        assert 0 < clipped < free / 100

    def test_adam_moves_by_the_learning_rate_at_first(self):
        part = trainable()
        before = part.module.weight.detach().clone()
        part.backward(part.module.weight.sum())
        part.step(0.01)
        torch.testing.assert_close(part.module.weight.detach(), before - 0.01)

    def test_a_clipped_step_is_one_of_the_clipped_gradient(self):
        clipped, small = trainable(max_grad_norm=0.5), trainable(max_grad_norm=1e9)
        gradient = torch.randn(4, 4)
        for part, share in ((clipped, 1.0), (small, 0.5 / float(gradient.norm()))):
            for _ in range(3):
                part.backward((part.module.weight * gradient * share).sum())
                part.step(0.01)
        for name, moved in small.full_state_dict().items():
            torch.testing.assert_close(clipped.full_state_dict()[name], moved)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_microbatches_add_up(self, dtype: torch.dtype):
        whole, parts = trainable(dtype), trainable(dtype)
        inputs = torch.randn(6, 4, dtype=dtype)
        whole.backward(whole.module(inputs).sum())
        for row in inputs:
            parts.backward(parts.module(row).sum())
        assert whole.step(0.01) == pytest.approx(parts.step(0.01), rel=0.02)
        for name, master in whole.state_dict()["masters"].items():
            other = parts.state_dict()["masters"][name]
            torch.testing.assert_close(master, other, rtol=0, atol=1e-5)

    def test_layers_computed_again_train_alike(self):
        states = []
        for again in (False, True):
            part = Trainable(
                build_model(), torch.bfloat16, OptimSettings(), activation_checkpointing=again
            )
            logits = part.module(input_ids=torch.arange(3, 9)[None]).logits
            part.backward(logits.float().square().mean())
            part.step(0.01)
            states.append(part.full_state_dict())
        assert all(torch.equal(states[1][name], tensor) for name, tensor in states[0].items())

    def test_divergence_is_refused_before_it_reaches_the_weights(self):
        part = trainable()
        before = part.module.weight.detach().clone()
        part.backward(part.module.weight.sum() * math.inf)
        with pytest.raises(ModelError, match="training has diverged"):
            part.step(0.1)
        assert torch.equal(part.module.weight.detach(), before)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_state_carries_the_moments(self, dtype: torch.dtype, tmp_path: Path):
        one, other = trainable(dtype), trainable(dtype)
        one.backward(one.module.weight.square().sum())
        one.step(0.1)
        torch.save(one.state_dict(), tmp_path / "state.pt")
        other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        for part in (one, other):
            part.backward(part.module.weight.square().sum())
            part.step(0.1)
        for name, tensor in one.full_state_dict().items():
            assert torch.equal(other.full_state_dict()[name], tensor)


class Walk:
    """The smallest trainer: its state is one number, and noise that is drawn each step."""

    def __init__(self, path: Path, *, steps: int = 6, display: Display = QUIET, **run: object):
        self.settings = RunSettings.model_validate({"dir": path} | run)
        self.steps, self.display = steps, display
        self.total = 0.0

    def restore(self, state: dict[str, float]) -> None:
        self.total = state["total"]

    def run(self, fail_at: int | None = None) -> float:
        run = RunDirectory.start(self.settings.dir, kind="sft", seed=0, config=self.settings)
        with run:
            loop = Loop(
                run,
                self.settings,
                name="walk",
                num_steps=self.steps,
                display=self.display,
                collect=lambda: {"total": self.total},
                restore=self.restore,
            )
            torch.manual_seed(0)
            with loop:
                for step in loop.steps():
                    if step == fail_at:
                        raise RuntimeError("power cut")
                    self.total += float(torch.rand(()))
                    run.card.cost.add_tokens(1, trained=1)
                    loop.log(step, {"language/loss": self.total}, {"loss": self.total})
        return self.total


def losses(path: Path) -> list[tuple[int, float]]:
    return [(row["step"], row["language/loss"]) for row in read_metrics(path / "metrics.jsonl")]


@pytest.fixture
def reference(tmp_path: Path) -> tuple[float, list[tuple[int, float]]]:
    total = Walk(tmp_path / "reference").run()
    return total, losses(tmp_path / "reference")


class TestLoop:
    def test_a_finished_run_keeps_no_state(self, tmp_path: Path):
        Walk(tmp_path / "run", save_every=1).run()
        assert not (tmp_path / "run" / "state").exists()
        assert [step for step, _ in losses(tmp_path / "run")] == [1, 2, 3, 4, 5, 6]
        assert read_card(tmp_path / "run").status == "finished"

    def test_ctrl_c_saves_after_the_step_and_the_same_run_goes_on(self, tmp_path: Path, reference):
        path = tmp_path / "run"
        with pytest.raises(Interrupted, match="Stopped after step 2 of 6"):
            Walk(path, display=InterruptingDisplay(at=2)).run()
        assert read_card(path).status == "interrupted"
        assert len(losses(path)) == 2
        assert Walk(path).run() == reference[0]
        assert losses(path) == reference[1]
        assert read_card(path).cost.trained_tokens == 6

    def test_ctrl_c_in_the_last_step_finishes(self, tmp_path: Path, reference):
        walk = Walk(tmp_path / "run", display=InterruptingDisplay(at=6))
        assert walk.run() == reference[0]

    def test_a_second_ctrl_c_stops_at_once_and_leaves_the_last_save(
        self, tmp_path: Path, reference
    ):
        path = tmp_path / "run"
        with pytest.raises(KeyboardInterrupt):
            Walk(path, save_every=2, display=InterruptingDisplay(at=5, times=2)).run()
        state = load_state(path / "state")
        assert state is not None
        assert state["step"] == 4
        assert Walk(path, save_every=2).run() == reference[0]
        assert losses(path) == reference[1]

    def test_ctrl_c_means_what_it_did_before_once_the_loop_is_left(self, tmp_path: Path):
        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(Interrupted):
            Walk(tmp_path / "run", display=InterruptingDisplay(at=1)).run()
        assert signal.getsignal(signal.SIGINT) is before

    @pytest.mark.parametrize("save_every", [1, 2, 4])
    def test_what_was_done_after_the_save_is_done_again_and_counted_once(
        self, tmp_path: Path, reference, save_every: int
    ):
        path = tmp_path / "run"
        with pytest.raises(RuntimeError, match="power cut"):
            Walk(path, save_every=save_every).run(fail_at=5)
        assert len(losses(path)) == 5
        assert Walk(path, save_every=save_every).run() == reference[0]
        assert losses(path) == reference[1]
        assert read_card(path).cost.trained_tokens == 6

    def test_without_a_save_the_run_begins_again(self, tmp_path: Path, reference):
        path = tmp_path / "run"
        with pytest.raises(RuntimeError):
            Walk(path).run(fail_at=5)
        assert Walk(path).run() == reference[0]
        assert losses(path) == reference[1]
        assert read_card(path).cost.trained_tokens == 6

    def test_time_goes_on_where_it_stopped(self, tmp_path: Path):
        path = tmp_path / "run"
        with pytest.raises(Interrupted):
            Walk(path, display=InterruptingDisplay(at=3)).run()
        Walk(path).run()
        seconds = [row["progress/seconds"] for row in read_metrics(path / "metrics.jsonl")]
        assert seconds == sorted(seconds)
        assert read_card(path).cost.seconds >= seconds[-1] - seconds[0]

    def test_a_damaged_state_is_refused(self, tmp_path: Path):
        path = tmp_path / "run"
        with pytest.raises(Interrupted):
            Walk(path, display=InterruptingDisplay(at=3)).run()
        (file,) = (path / "state").glob("*.pt")
        file.write_bytes(b"")
        with pytest.raises(CheckpointError, match="missing or damaged"):
            Walk(path).run()

    def test_runs_outside_the_main_thread(self, tmp_path: Path, reference):
        totals: list[float] = []
        thread = threading.Thread(target=lambda: totals.append(Walk(tmp_path / "run").run()))
        thread.start()
        thread.join()
        assert totals == [reference[0]]

    def test_tensorboard_gets_every_number(self, tmp_path: Path):
        pytest.importorskip("tensorboard")
        Walk(tmp_path / "run", tensorboard=True).run()
        assert list((tmp_path / "run" / "tensorboard").glob("events.*"))


def test_prepare_seeds_and_sets_threads(tmp_path: Path):
    noise = []
    for _ in range(2):
        settings = RunSettings(dir=tmp_path, seed=5, threads=1)
        device, dtype = prepare(settings, ModelSettings(device="cpu", compute_dtype="bfloat16"))
        noise.append(torch.rand(3))
    assert torch.equal(*noise)
    assert torch.get_num_threads() == 1
    assert (device.type, dtype) == ("cpu", torch.bfloat16)


def test_metrics_of_microbatches_are_added():
    total: dict[str, float] = {}
    for value in (0.5, 1.25):
        add_metrics(total, {"language/loss": torch.tensor(value)})
    assert total == {"language/loss": 1.75}
