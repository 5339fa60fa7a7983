from pathlib import Path

import pytest

from fakes.label_shell import LabelShell
from heedful.core.errors import DataError


def test_projects_are_made_and_listed(tmp_path: Path) -> None:
    label = LabelShell(tmp_path)
    label("upgrade")
    assert label("project", "list") == ""
    with pytest.raises(DataError, match=r"no projects yet\n.*project create"):
        label("batch", "list")
    made = label("project", "create", "Answers", "--pay-rate", 15)
    project_id = made.split()[-1]
    assert label("project", "list") == (
        f"Answers: 0 prompts, 0 batches, 0 submissions; {project_id}\n"
    )
    with pytest.raises(DataError, match="already"):
        label("project", "create", "Answers")
