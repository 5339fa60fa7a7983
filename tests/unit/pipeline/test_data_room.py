"""Which stages there are, and the quickstart's prompts; runs are in tests/integration."""

from pathlib import Path

import pytest

from fakes.data_room_sources import write_sources
from heedful.core.config import load_config
from heedful.core.data_settings import DataRoom
from heedful.core.errors import DataError
from heedful.data.embedded_data import embedded_prompts
from heedful.data.split import split_by_organisation
from heedful.pipeline.data_room import check_embedded, data_room_stages
from heedful.training.display import Display


def stage_names(project: Path, *overrides: str) -> list[str]:
    config = load_config(DataRoom, [project], overrides)
    # A stage's inputs are there once the stages before it have run.
    return [stage.name for stage in data_room_stages(config, Display(quiet=True))]


def test_contamination_is_looked_for_where_sets_are_named(tmp_path: Path) -> None:
    project = write_sources(tmp_path)
    stages = ["read", "dedup", "cap", "split", "result"]
    assert stage_names(project) == [*stages, "contamination", "distribution"]
    text = project.read_text()
    project.write_text(text[: text.index("[contamination]")])
    assert stage_names(project) == [*stages, "distribution"]


def test_the_embedded_prompts_pass() -> None:
    prompts, _ = split_by_organisation(embedded_prompts(), seed=0)
    found = check_embedded(prompts)
    assert found == (
        "The data room finds in 732 prompts exact 0, containment 0, near 2 duplicates and 0 over "
        "the caps; in two splits: 0 users, 0 organisations, 0 exact and 1 near duplicates."
    )


def test_a_leak_in_split_prompts_is_an_error() -> None:
    prompts, _ = split_by_organisation(embedded_prompts(), seed=0)
    other = "test" if prompts[0].split == "train" else "train"
    prompts[0] = prompts[0].model_copy(update={"split": other})
    with pytest.raises(DataError, match=r"the split leaks: .* 1 users"):
        check_embedded(prompts)
