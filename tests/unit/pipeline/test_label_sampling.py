"""Sampling into the store: ids that a second call finds, models apart, work that is kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select

from fakes.labelling_store import DemoProject, demo_project, demo_prompt
from fakes.tiny_models import build_model_dir
from heedful.core.errors import ConfigError, Interrupted, ModelError
from heedful.core.records import Completion, SamplingParameters
from heedful.core.settings import FormatSettings
from heedful.pipeline import label_sampling
from heedful.pipeline.label_sampling import SamplingPlan, sample
from heedful.store.contents import completions_by_id
from heedful.store.database import Database, open_database
from heedful.store.tables import CompletionRow
from heedful.training.display import Bar, Display

PLAIN = FormatSettings(template="plain", max_prompt_tokens=64, max_completion_tokens=8)
QUIET = Display(quiet=True)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return (
        str(build_model_dir(folder / "one")),
        str(build_model_dir(folder / "two", architecture="gpt2")),
    )


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(f"sqlite:///{tmp_path / 'heedful.db'}", migrate=True) as opened:
        yield opened


@pytest.fixture
def demo(database: Database) -> DemoProject:
    with database.write() as session:
        return demo_project(session, num_prompts=20, num_completions=0)


def plan(*models: str, **settings: object) -> SamplingPlan:
    values: dict[str, object] = {
        "num_completions": 2,
        "sampling": SamplingParameters(max_tokens=4),
        "format": PLAIN,
    }
    return SamplingPlan(models=models, **(values | settings))  # type: ignore[arg-type]


def stored(database: Database) -> dict[str, Completion]:
    with database.read() as session:
        return completions_by_id(session, session.scalars(select(CompletionRow.id)).all())


def test_each_model_gives_k_completions_of_each_prompt(
    database: Database, demo: DemoProject, models: tuple[str, str]
) -> None:
    done = sample(database, demo.id, demo.prompts, plan(*models), QUIET)
    assert (done.new, done.known) == (80, 0)
    found = stored(database).values()
    assert len({(one.prompt_id, one.checkpoint_id) for one in found}) == 40
    assert all(one.sampling == SamplingParameters(max_tokens=4) for one in found)


def test_a_second_call_adds_only_what_is_missing(
    database: Database, demo: DemoProject, models: tuple[str, str]
) -> None:
    sample(database, demo.id, demo.prompts[:5], plan(models[0]), QUIET)
    before = stored(database)
    done = sample(database, demo.id, demo.prompts, plan(models[0]), QUIET)
    assert (done.new, done.known) == (30, 10)
    after = stored(database)
    assert {one: after[one] for one in before} == before
    # One more of each: the first two stay as they are.
    more = sample(database, demo.id, demo.prompts, plan(models[0], num_completions=3), QUIET)
    assert (more.new, more.known) == (20, 40)


class StoppingDisplay(Display):
    """Presses Ctrl-C when the first prompts are done."""

    @contextmanager
    def bar(self, name: str, total: int, *, unit: str = "") -> Iterator[Bar]:
        class StoppingBar(Bar):
            def advance(self, *_: object, **__: object) -> None:
                raise KeyboardInterrupt

        yield StoppingBar(self.console, name, total, unit=unit, live=None)


def test_what_was_done_before_ctrl_c_is_kept(
    database: Database, demo: DemoProject, models: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_sampling, "PROMPTS_AT_ONCE", 3)
    with pytest.raises(Interrupted, match="6 completions added"):
        sample(database, demo.id, demo.prompts, plan(models[0]), StoppingDisplay(quiet=True))
    assert len(stored(database)) == 6
    assert sample(database, demo.id, demo.prompts, plan(models[0]), QUIET).new == 34


def test_a_model_that_is_not_there_costs_nothing_of_the_others(
    database: Database, demo: DemoProject, models: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    wanted = plan(models[0], str(tmp_path / "empty"))
    with pytest.raises(ModelError, match="this folder holds no model"):
        sample(database, demo.id, demo.prompts, wanted, QUIET)
    assert len(stored(database)) == 40


def test_one_checkpoint_is_named_once(
    database: Database, demo: DemoProject, models: tuple[str, str]
) -> None:
    with pytest.raises(ConfigError, match="are the same checkpoint"):
        sample(database, demo.id, demo.prompts[:1], plan(models[0], models[0]), QUIET)


def test_prompts_that_do_not_fit_are_counted(
    database: Database, demo: DemoProject, models: tuple[str, str]
) -> None:
    from heedful.store.contents import add_prompts

    long = demo_prompt("long", instruction="word " * 500)
    with database.write() as session:
        add_prompts(session, demo.id, [long])
    settings = FormatSettings(
        template="plain", max_prompt_tokens=16, max_completion_tokens=8, overlong_prompts="drop"
    )
    done = sample(database, demo.id, [long], plan(models[0], format=settings), QUIET)
    assert "1 prompts are too long" in done.summary()
    with database.read() as session:
        assert session.scalar(select(func.count(CompletionRow.id))) == 0


def test_a_nul_is_shown_by_its_sign() -> None:
    completion = Completion(id="c", prompt_id="p", text="a\0b", checkpoint_id="m")
    assert label_sampling._storable(completion).text == "a\u2400b"
