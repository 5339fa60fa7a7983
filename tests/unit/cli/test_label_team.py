import json
from pathlib import Path

import pytest

from fakes.label_shell import LabelShell
from fakes.labelling_store import demo_batch, demo_project
from heedful.core.errors import ConfigError, DataError
from heedful.labelling.default_instructions import DEFAULT_INSTRUCTIONS
from heedful.store.projects import create_project


@pytest.fixture
def label(tmp_path: Path) -> LabelShell:
    shell = LabelShell(tmp_path)
    with shell.open() as database, database.write() as session:
        demo = demo_project(session)
        demo_batch(session, demo, overlap=2)
    return shell


def test_the_team_works_and_says_that_it_is_simulated(label: LabelShell) -> None:
    limited = label("team", "Demo", "--speed", "max", "--labels", 3, "--batch", "Batch")
    assert limited == "Demo: 3 labels, all simulated.\n"
    assert label("team", "--speed", 0, "--size", 6) == "Demo: 5 labels, all simulated.\n"
    exported = [json.loads(line) for line in label("export").splitlines()]
    makers = [row["ranking"]["made_by"] for row in exported if "ranking" in row]
    assert makers == ["simulated"] * 8
    assert '"ranking"' not in label("export", "--made-by", "person")


def test_what_the_team_cannot_do_is_told(label: LabelShell) -> None:
    for speed in ("fast", "-1", "nan"):
        with pytest.raises(ConfigError, match=f"“{speed}” is no speed"):
            label("team", "--speed", speed)
    with pytest.raises(DataError, match="nothing for the simulated team to do"):
        label("team", "--stage", "practice", "--speed", "max")
    with pytest.raises(DataError, match="there is no batch “Batsh”\nDid you mean “Batch”"):
        label("team", "--batch", "Batsh")
    with pytest.raises(DataError, match="there is no project “Dema”"):
        label("team", "Dema")
    assert label.run("team", "--size", 2).exit_code == 2
    with label.open() as database, database.write() as session:
        create_project(session, name="Other", instructions=DEFAULT_INSTRUCTIONS, created_by=None)
    with pytest.raises(ConfigError, match="several projects"):
        label("team")
