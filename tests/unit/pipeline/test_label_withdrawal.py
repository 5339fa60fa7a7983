"""One withdrawal from folders and a database: what only the database knows is found in files."""

import json
from pathlib import Path

import pytest

from fakes.labelling_store import demo_project, demo_prompt
from heedful.core.errors import DataError
from heedful.pipeline.label_withdrawal import withdraw_everywhere
from heedful.store.contents import add_prompts
from heedful.store.database import open_database
from heedful.store.tables import PromptRow

ILSE = "ilse@example.org"
ASKED = "Why does the otter of Ilse float on its back?"


def test_an_export_that_names_nobody_is_found(tmp_path: Path) -> None:
    pairs = tmp_path / "exports" / "pairs.jsonl"
    pairs.parent.mkdir()
    row = {"prompt": ASKED, "chosen": "To rest.", "rejected": "No."}
    pairs.write_text(json.dumps(row) + "\n" + json.dumps({**row, "prompt": "Hello."}) + "\n")
    register = tmp_path / "withdrawals.jsonl"
    with open_database(f"sqlite:///{tmp_path / 'labels.db'}", migrate=True) as database:
        with database.write() as session:
            hers = demo_prompt("ilse", instruction=ASKED).model_copy(update={"user_id": ILSE})
            add_prompts(session, demo_project(session, num_prompts=1).id, [hers])
        with pytest.raises(DataError, match="no such folder"):
            withdraw_everywhere(ILSE, [tmp_path / "nowhere"], database, register=register)
        with database.read() as session:
            assert session.get(PromptRow, hers.id) is not None
        lines = withdraw_everywhere(ILSE, [tmp_path], database, register=register)
        assert f"{pairs}: 1 removed" in lines
        assert any("labels.db: removed: prompts 1;" in line for line in lines)
        assert "backups" in lines[-1]
        assert not any("HOLDS" in line for line in lines)  # the database's own file
        for file in (file for file in tmp_path.rglob("*") if file.is_file()):
            assert b"otter of Ilse" not in file.read_bytes(), file
        again = withdraw_everywhere(ILSE, [], database, register=register)
        assert again[0] == f"{register}: their withdrawal is registered."
        assert "nothing of theirs was found" in again[1]
