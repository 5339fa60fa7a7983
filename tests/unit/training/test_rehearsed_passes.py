from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fakes.planned_stage import case
from fakes.tiny_models import CONFIGS, build_model_dir
from heedful.models.policy import completion_logprobs
from heedful.training.batches import Batcher, TokenPair
from heedful.training.rehearsal import Scene
from heedful.training.rehearsed_passes import _Part, _watched, count_bytes, measure_seconds

CPU = torch.device("cpu")


@pytest.fixture
def scene(base: Path) -> Scene:
    return case("ppo", base / "model", dtype="float32").scene()


class TestWatched:
    def test_what_lives_and_what_lived_at_the_most(self) -> None:
        weight = torch.randn(100, 100, requires_grad=True)
        with _watched(CPU) as memory:
            inputs = torch.randn(10, 100)
            assert memory.now() == 4000
            middle = (inputs @ weight).relu()
            assert memory.now() == 8000  # the product itself is not kept
            loss = middle.sum()
            del middle
            loss.backward()
            assert memory.peak() > 8000 + 40_000
            del inputs, loss
            assert memory.now() == 40_000  # the gradient
        assert memory.peak() < 100_000

    def test_views_and_results_in_place_take_nothing(self) -> None:
        with _watched(CPU) as memory:
            block = torch.zeros(1000)
            block.view(10, 100)[3:].add_(1)
            assert memory.now() == memory.peak() == 4000


def test_costs_go_with_the_layers(base: Path, tmp_path: Path) -> None:
    scene = case("sft", base / "model", dtype="float32").scene()
    deeper = replace(scene.shape, layers=12)
    shallow, deep = count_bytes(scene), count_bytes(replace(scene, shape=deeper))
    assert deep.train > 4 * shallow.train
    assert deep.head == shallow.head


def test_what_is_counted_is_what_a_real_pass_of_all_layers_holds(tmp_path: Path) -> None:
    """Four layers, extended from one and three."""
    folder = build_model_dir(tmp_path / "four", num_hidden_layers=4)
    scene = case("sft", folder, dtype="float32").scene()
    part = _Part(scene, 4)
    with _watched(CPU) as memory:
        loss = part.loss()
        held = memory.now()
    del loss
    assert count_bytes(scene).train * part.tokens == pytest.approx(held, rel=0.01)


def test_adapters_and_narrow_numbers_hold_less(scene: Scene) -> None:
    wide = count_bytes(scene)
    narrow = count_bytes(replace(scene, dtype="bfloat16"))
    assert narrow.train < 0.8 * wide.train


def test_the_head_is_counted_at_its_positions(scene: Scene, base: Path) -> None:
    """A real pass of the whole model: layers and head, each as counted."""
    part = _Part(scene, scene.shape.layers)
    pairs = [
        TokenPair(prompt_ids=[number, *range(20)], completion_ids=range(11))
        for number in range(scene.prompts)
    ]
    batch = Batcher(part._trunk, pad_id=0, device=CPU, max_tokens=10**6).batch(pairs)
    with _watched(CPU) as memory:
        found = completion_logprobs(part.model, batch)
        held = memory.now()
    costs = count_bytes(replace(scene, prompt_tokens=21, completion_tokens=11))
    expected = sum(map(len, pairs)) * costs.train + 11 * len(pairs) * costs.head
    assert found.logprobs.requires_grad
    assert held == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize("architecture", sorted(CONFIGS))
def test_every_architecture_can_be_rehearsed(architecture: str, tmp_path: Path) -> None:
    folder = build_model_dir(tmp_path / "model", architecture)
    scene = replace(case("ppo", folder).scene(), threads=1)
    assert count_bytes(scene).train > 0
    threads = torch.get_num_threads()
    pace = measure_seconds(scene, lambda _: None)
    assert torch.get_num_threads() == threads
    assert min(pace.train, pace.score, pace.head_train, pace.update) > 0


def test_completions_of_a_prompt_share_it(base: Path) -> None:
    scene = replace(case("reward", base / "model").scene(), prompts=2, completions=3)
    assert _Part(scene, 1).tokens == 2 * (20 + 3 * 10)
