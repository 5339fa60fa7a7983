from pathlib import Path

import pytest
from pydantic import ValidationError

from heedful.core.settings import DataSettings, ModelSettings


def test_a_path_may_name_environment_variables(monkeypatch):
    monkeypatch.setenv("HEEDFUL_DATA", "/data")
    monkeypatch.setenv("PART", "rank")
    data = DataSettings(rankings="${HEEDFUL_DATA}/${PART}/trees.jsonl")
    assert data.rankings == Path("/data/rank/trees.jsonl")


@pytest.mark.parametrize("value", [None, ""])
def test_an_environment_variable_that_is_not_set_is_named(monkeypatch, value):
    monkeypatch.delenv("HEEDFUL_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("HEEDFUL_DATA", value)
    with pytest.raises(ValidationError, match="environment variable HEEDFUL_DATA is not set"):
        DataSettings(rankings="${HEEDFUL_DATA}/trees.jsonl")


def test_only_paths_are_expanded_and_only_braces(monkeypatch):
    monkeypatch.setenv("NAME", "other")
    assert ModelSettings(name="${NAME}").name == "${NAME}"
    assert DataSettings(prompts="$NAME.jsonl").prompts == Path("$NAME.jsonl")
