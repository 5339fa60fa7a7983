"""A folder of everything that a data room, runs and reports leave behind of a data set."""

import gzip
import json
from pathlib import Path

from pydantic import BaseModel

from fakes.data_room import Room
from heedful.core.jsonl import write_json_atomic, write_records
from heedful.core.records import Checkpoint
from heedful.core.run import RunDirectory


class NoSettings(BaseModel):
    """A run's settings; there are none."""


def write_room(folder: Path, room: Room, suffix: str = ".jsonl") -> None:
    """The records as a folder of our own."""
    for name, records in room._asdict().items():
        write_records(folder / f"{name}{suffix}", records)


def write_rows(path: Path, *rows: dict[str, object]) -> None:
    """Rows of any columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_run(path: Path, read: Path | None, checkpoint_id: str, parent: str | None = None) -> None:
    """A finished run that read a file, began with a checkpoint, and saved one."""
    with RunDirectory.start(path, kind="sft", seed=0, config=NoSettings()) as run:
        if read is not None:
            run.add_input("data", read)
        if parent is not None:
            run.card.parents["start"] = parent
    checkpoint = Checkpoint(
        id=checkpoint_id,
        kind="sft",
        step=1,
        base_model="tiny",
        parents=() if parent is None else (parent,),
        config_hash="c",
        tokenizer_hash="t",
        format_version="f",
    )
    write_json_atomic(path / "checkpoint" / "checkpoint.json", checkpoint.model_dump(mode="json"))


def write_tree(root: Path, room: Room) -> None:
    """Sets, what the room notes of the first user's first prompt, reports and runs."""
    prompt, other = room.prompts[0], room.prompts[-1]
    write_room(root / "room" / "read", room)
    write_room(root / "room" / "result", room, ".jsonl.gz")
    write_room(root / "packed", room, ".parquet")
    dedup = root / "room" / "dedup"
    write_rows(dedup / "links.jsonl", {"id": prompt.id, "of": other.id}, {"id": "x", "of": "y"})
    dropped = {"id": other.id, "stage": "dedup", "reason": "exact", "because_of": prompt.id}
    write_rows(
        dedup / "dropped.jsonl",
        {**dropped, "detail": f"as in: {prompt.instruction}"},
        {**dropped, "id": prompt.id, "because_of": other.id, "detail": None},
    )
    example = {"kept": other.instruction, "removed": prompt.instruction[:40] + "\u2026"}
    policies = [{"name": "exact", "examples": [example, {"kept": "a", "removed": "b"}]}]
    write_json_atomic(dedup / "examples.json", {"policies": policies, "by": {prompt.id: 3}})
    report = f"<p>{other.instruction}</p>\n<p>{prompt.instruction[:30]}\u2026</p>"
    (root / "room" / "other.html").write_text("<p>Something else.</p>")
    (root / "room" / "report.html").write_text("<p>Only figures.</p>")
    (root / "notes.html").write_text("<p>Something else.</p>")
    (root / "log.txt").write_text(f"reading\nprompt {prompt.id} of {prompt.user_id}\nread\n")
    (root / "room" / "table.csv").write_text(
        f"text,note\n{prompt.instruction},a\n{other.instruction},b\n"
    )
    (root / "runs").mkdir()
    (root / "runs" / "report.html").write_text(report)
    write_run(root / "runs" / "sft", root / "room" / "read" / "demonstrations.jsonl", "sft-1")
    write_run(root / "runs" / "ppo", None, "ppo-1", parent="sft-1")
    write_run(root / "runs" / "other", None, "other-1")
    write_rows(
        root / "runs" / "ppo" / "samples.jsonl",
        {"step": 1, "prompt": prompt.instruction, "completion": "x"},
        {"step": 1, "prompt": other.instruction, "completion": "x"},
    )


def everything(root: Path) -> str:
    """All that the files of a tree say, unpacked."""
    texts = []
    for file in sorted(root.rglob("*")):
        if file.is_file():
            content = file.read_bytes()
            content = gzip.decompress(content) if file.suffix == ".gz" else content
            texts.append(f"{file}\n{content.decode(errors='replace')}")
    return "\n".join(texts)
