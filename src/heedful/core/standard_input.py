"""`-` as a data file: what is piped in, kept in the run directory so that the run can resume.

A pipe can be read once, and a run may be resumed. So the stream is first written to
`<run.dir>/stdin.jsonl`, and the settings name that file; its hash is in the run card like
that of any other. What the stream holds is for the readers of data files.
"""

import shutil
import sys
from pathlib import Path
from typing import BinaryIO

from heedful.core.errors import CheckpointError, ConfigError
from heedful.core.file_hashes import sha256_file
from heedful.core.jsonl import open_atomic
from heedful.core.run import STANDARD_INPUT, claim, read_card
from heedful.core.settings import Project

_PIPED = Path("-")


def take_standard_input(
    config: Project, stream: BinaryIO | None = None, *, folder: Path | None = None
) -> Project:
    """`config` with the stream's file wherever `[data]` says `-`; the stream is read to its end.

    An unfinished run that is called again without a pipe goes on with what it kept.

    Args:
        config: The settings of one stage.
        stream: Standard input where left out.
        folder: Where the file lies; the run directory where left out.

    Raises:
        ConfigError: Nothing is piped in, and the run has kept nothing; or the run directory
            cannot be used.
        CheckpointError: The run that would be resumed began with something else.
    """
    piped = [name for name, value in config.data if value == _PIPED]
    if not piped:
        return config
    kept = (folder or config.run.dir) / STANDARD_INPUT
    if not (kept.parent / "run.json").exists():
        claim(kept.parent)
    # A finished run is refused when it starts; nothing of it is touched before.
    if folder or not _is_finished(kept.parent):
        _keep(kept, stream or sys.stdin.buffer, piped[0])
    data = config.data.model_copy(update=dict.fromkeys(piped, kept))
    return config.model_copy(update={"data": data})


def _is_finished(run_dir: Path) -> bool:
    return (run_dir / "run.json").exists() and read_card(run_dir).status == "finished"


def _keep(kept: Path, stream: BinaryIO, name: str) -> None:
    first = b"" if stream.isatty() else stream.read(1)
    if not first:
        if kept.exists():
            return
        raise ConfigError(
            f"`data.{name}` is `-`, and nothing is piped in",
            "Pipe JSONL into the command, such as from `heedful label export`, or name a file.",
        )
    new = kept.with_name(f".{kept.name}")
    with open_atomic(new) as file:
        file.write(first)
        shutil.copyfileobj(stream, file)
    is_resumed = kept.exists() and (kept.parent / "state").exists()
    if is_resumed and sha256_file(new) != sha256_file(kept):
        new.unlink()
        raise CheckpointError(
            f"what is piped in is not what the run in {kept.parent} began with",
            "To resume it, call it without the pipe: it has kept its data. For a run on the new "
            "data, choose another run.dir.",
        )
    new.replace(kept)
