"""What leaves is consented, licensed, masked and pseudonymous; `datasets` reads it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fakes.data_room import Room, make_room
from heedful.core.errors import ConfigError, DataError
from heedful.data.data_card import ReleaseFacts
from heedful.data.pseudonyms import NO_KEY, Key, fingerprint
from heedful.data.release import LeftOut, release_files, write_release
from heedful.data.withdrawals import Register, Withdrawal

SALT, KEY = Key(b"the salt of these tests"), Key(b"the key of these tests!")
Released = tuple[ReleaseFacts, list[LeftOut]]


def mask(texts: Sequence[str]) -> list[str]:
    """A masker that knows one address."""
    return [text.replace("a@b.example", "<EMAIL_1>") for text in texts]


@pytest.fixture
def release(tmp_path: Path) -> Callable[..., Released]:
    def of(room: Room, **options: Any) -> Released:
        defaults = {"salt": SALT, "masker": mask, "register": Register(KEY), "title": "Gardens"}
        return write_release(tmp_path / "out", *room, **{**defaults, **options})

    return of


def everything(folder: Path) -> str:
    return "\n".join(file.read_text() for file in sorted(folder.rglob("*")) if file.is_file())


def test_datasets_reads_every_kind_and_split(
    tmp_path: Path, release: Callable[..., Released], monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    room = make_room()
    facts, left_out = release(room)
    assert not left_out
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    cache = str(tmp_path / "cache")
    loaded = {
        kind: datasets.load_dataset(str(tmp_path / "out"), kind, cache_dir=cache)
        for kind in ("prompts", "demonstrations", "rankings")
    }
    for kind, splits in loaded.items():
        sizes = {split: len(rows) for split, rows in splits.items()}
        assert sizes == facts.num_rows[kind] == {"train": 2, "validation": 2, "test": 2}
    default = datasets.load_dataset(str(tmp_path / "out"), cache_dir=cache)
    assert default["test"].to_list() == loaded["demonstrations"]["test"].to_list()
    prompts = {row["instruction"]: row for rows in loaded["prompts"].values() for row in rows}
    for prompt, label, ranking in zip(
        room.prompts, room.demonstrations, room.rankings, strict=True
    ):
        row = prompts[prompt.instruction]
        assert row["turns"] == [turn.model_dump() for turn in prompt.turns]
        assert row["examples"] == [example.model_dump() for example in prompt.examples]
        (said,) = [r for r in loaded["demonstrations"][prompt.split] if r["prompt_id"] == row["id"]]
        assert (said["completion"], said["instructions_version"]) == (label.text, "v1")
        assert (said["licence"], said["prompt_licence"]) == ("CC-BY-4.0", "MIT")
        (ranked,) = [r for r in loaded["rankings"][prompt.split] if r["prompt_id"] == row["id"]]
        assert (ranked["ranks"], ranked["made_by"]) == (list(ranking.ranks), "simulated")
        assert len(ranked["completions"]) == len(ranked["models"]) == 2


def test_nobody_can_be_recognised(tmp_path: Path, release: Callable[..., Released]) -> None:
    room = make_room()
    facts, _ = release(room)
    written = everything(tmp_path / "out")
    for trace in ("user-ada", "Clara", "organisation of", 'prompt-1"', "a@b.example", "Monday"):
        assert trace not in written
    assert SALT.decode() not in written
    assert [prompt for prompt in room.prompts if prompt.text_hash in written] == []
    assert facts.num_people == {"users": 2, "organisations": 2, "labellers": 1}
    assert facts.placeholders == {"EMAIL": 9}, "three prompts, in three kinds of rows"
    assert facts.salt == fingerprint(SALT)


def test_another_salt_gives_other_ids(tmp_path: Path) -> None:
    ids = []
    for name, salt in (("a", SALT), ("b", SALT), ("c", Key(b"another salt for this test"))):
        write_release(
            tmp_path / name, *make_room(), salt=salt, masker=mask, register=Register(KEY), title="x"
        )
        rows = (tmp_path / name / "prompts" / "train.jsonl").read_text().splitlines()
        ids.append({json.loads(row)[field] for row in rows for field in ("id", "user")})
    assert ids[0] == ids[1]
    assert not ids[0] & ids[2]


def test_what_may_not_leave_stays_and_is_counted(
    tmp_path: Path, release: Callable[..., Released]
) -> None:
    room = make_room(users=("user-ada", "user-bob", "user-eve"))
    changes: dict[int, dict[str, Any]] = {0: {"consent": False}, 1: {"licence": None}}
    for place, change in changes.items():
        room.prompts[place] = room.prompts[place].model_copy(update=change)
    room.demonstrations[2] = room.demonstrations[2].model_copy(update={"licence": None})
    register = Register(KEY)
    gone = Withdrawal(
        key=fingerprint(KEY),
        people=(register.hash_of("user-eve"),),
        withdrawn_at="2026-01-02T03:04:05Z",
    )
    facts, left_out = release(room, register=Register(KEY, (gone,)))
    assert facts.left_out == {
        "completion: withdrawn": 6,
        "demonstration: its prompt is left out": 2,
        "demonstration: no licence": 1,
        "demonstration: withdrawn": 3,
        "prompt: no consent": 1,
        "prompt: no licence": 1,
        "prompt: withdrawn": 3,
        "ranking: its prompt is left out": 2,
        "ranking: withdrawn": 3,
    }
    assert sum(facts.left_out.values()) == len(left_out)
    written = everything(tmp_path / "out")
    assert "garden of eve" not in written
    assert room.prompts[0].instruction not in written
    assert room.prompts[1].instruction not in written


def test_a_release_is_whole_or_not_there(tmp_path: Path, release: Callable[..., Released]) -> None:
    def fail(texts: Sequence[str]) -> list[str]:
        raise RuntimeError("the masker broke")

    with pytest.raises(RuntimeError, match="the masker broke"):
        release(make_room(), masker=fail)
    assert list(tmp_path.iterdir()) == []
    release(make_room())
    before = everything(tmp_path / "out")
    with pytest.raises(DataError, match="out is not empty"):
        release(make_room())
    assert everything(tmp_path / "out") == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_wrong_is_said(release: Callable[..., Released]) -> None:
    room = make_room()
    with pytest.raises(ConfigError, match="a release needs a secret key"):
        release(room, salt=NO_KEY)
    unsplit = [room.prompts[0].model_copy(update={"split": None}), *room.prompts[1:]]
    with pytest.raises(DataError, match="prompt prompt-0 has no split"):
        release(room._replace(prompts=unsplit))
    with pytest.raises(DataError, match="demonstration-0 is of prompt-0, which is not there"):
        release(room._replace(prompts=room.prompts[1:]))
    with pytest.raises(DataError, match="ranking-0 ranks completion-0-0, which is not there"):
        release(room._replace(completions=[]))
    refused = [prompt.model_copy(update={"consent": False}) for prompt in room.prompts]
    with pytest.raises(DataError, match="no record may be released") as caught:
        release(Room(refused, [], [], []))
    assert "'prompt: no consent': 6" in str(caught.value.hint)


def test_the_files_of_a_release(tmp_path: Path, release: Callable[..., Released]) -> None:
    release(make_room(per_user=1)._replace(rankings=[]))
    assert list(release_files(tmp_path / "out")) == [
        (kind, split) for kind in ("demonstrations", "prompts") for split in ("train", "validation")
    ]
