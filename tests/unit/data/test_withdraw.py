"""After a withdrawal nothing in the tree holds the person, and everybody else is untouched."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.data_room import Room, make_room
from fakes.data_tree import everything, write_rows, write_run, write_tree
from heedful.core.errors import DataError
from heedful.core.jsonl import read_records
from heedful.core.records import Completion, Demonstration, Prompt, Ranking
from heedful.data.pseudonyms import Key
from heedful.data.record_stream import stream_lines
from heedful.data.release import write_release
from heedful.data.sources import load_prompts, load_rankings
from heedful.data.withdraw import WithdrawalReport, withdraw
from heedful.data.withdrawals import Register, honour

USERS = ("user-ada", "user-bert")
KEY, SALT = Key(b"the key of these tests!"), Key(b"the salt of these tests")


def release(folder: Path, room: Room, register: Path) -> None:
    write_release(
        folder,
        *room,
        salt=SALT,
        masker=list,
        register=Register.read(register, KEY),
        title="Gardens",
    )


def leave(root: Path, user: str = "user-ada", **options: object) -> WithdrawalReport:
    defaults = {"register": root / "withdrawals.jsonl", "key": KEY, "salts": [SALT]}
    return withdraw(user, [root], **{**defaults, **options})  # type: ignore[arg-type]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write_tree(tmp_path, make_room())
    release(tmp_path / "release", make_room(), tmp_path / "withdrawals.jsonl")
    return tmp_path


def test_nothing_of_the_person_is_left(tree: Path) -> None:
    before = everything(tree)
    room = make_room()
    report = leave(tree)
    after = everything(tree)
    theirs = [prompt for prompt in room.prompts if prompt.user_id == "user-ada"]
    traces = ["user-ada", "garden of ada", "roses of ada", "context of ada", "question of ada"]
    traces += [f'"{prompt.id}"' for prompt in theirs]
    assert [trace for trace in traces if trace not in before] == []
    assert [trace for trace in traces if trace in after] == []
    assert report.unchanged == report.unreadable == []
    reports = [tree / "room" / "report.html", tree / "runs" / "report.html"]
    assert sorted(report.deleted) == reports
    assert not list(tree.rglob(".*"))


def test_everybody_else_stays_as_they_were(tree: Path) -> None:
    kept = [prompt for prompt in make_room().prompts if prompt.user_id == "user-bob"]
    lines = (tree / "room" / "read" / "prompts.jsonl").read_text().splitlines(keepends=True)
    leave(tree)
    assert (tree / "room" / "read" / "prompts.jsonl").read_text() == "".join(lines[3:])
    for folder in (tree / "room" / "read", tree / "room" / "result", tree / "packed"):
        assert load_prompts(folder) == kept
        assert len(load_rankings(folder).rankings) == 3
    dedup = tree / "room" / "dedup"
    assert json.loads((dedup / "examples.json").read_text()) == {
        "policies": [{"name": "exact", "examples": [{"kept": "a", "removed": "b"}]}],
        "by": {},
    }
    (dropped,) = map(json.loads, (dedup / "dropped.jsonl").read_text().splitlines())
    assert (dropped["id"], dropped["because_of"]) == (kept[-1].id, "withdrawn")
    assert (dedup / "links.jsonl").read_text().count("\n") == 1
    assert (tree / "log.txt").read_text() == "reading\nread\n"
    assert (tree / "room" / "table.csv").read_text() == f"text,note\n{kept[-1].instruction},b\n"
    assert (tree / "runs" / "ppo" / "samples.jsonl").read_text().count("\n") == 1


def test_a_release_is_counted_again(tree: Path) -> None:
    leave(tree)
    facts = json.loads((tree / "release" / "release.json").read_text())
    assert facts["num_rows"]["prompts"] == {"train": 1, "validation": 1, "test": 1}
    assert facts["left_out"] == {"row: withdrawn later": 9}
    assert "| prompts | 1 | 1 | 1 |" in (tree / "release" / "README.md").read_text()
    report = leave(tree, "user-bob")
    assert not list((tree / "release").rglob("*.jsonl"))
    assert tree / "release" / "prompts" / "test.jsonl" in report.deleted


def test_checkpoints_are_named_through_parents_and_earlier_content(tree: Path) -> None:
    found = {item.checkpoint_id: item.why for item in leave(tree).trained}
    assert found == {"sft-1": "read data", "ppo-1": "began with sft-1"}
    # Bob's withdrawal finds the file changed by Ada's; the run read it as it was before.
    assert {item.checkpoint_id for item in leave(tree, "user-bob").trained} == {"sft-1", "ppo-1"}
    first, second = Register.read(tree / "withdrawals.jsonl", KEY).withdrawals
    assert first.checkpoints == second.checkpoints == ("sft-1", "ppo-1")
    (tree / "runs" / "other" / "run.json").write_text("{")
    assert leave(tree, "user-eve").unreadable == [tree / "runs" / "other" / "run.json"]


def test_later_runs_and_releases_honour_it(tree: Path) -> None:
    leave(tree)
    register = tree / "withdrawals.jsonl"
    assert {p.user_id for p in honour(Register.read(register, KEY), *make_room()).prompts} == {
        "user-bob"
    }
    release(tree / "again", make_room(), register)
    assert "garden of ada" not in everything(tree / "again")
    assert "user-ada" not in register.read_text()


def test_people_may_be_named_as_the_source_does(tmp_path: Path) -> None:
    asked = {"messages": [{"role": "user", "content": "u"}], "time": 1, "consent": True}
    rows = [{**asked, "user": user} for user in ("ada@a.example", "bob@b.example")]
    write_rows(tmp_path / "source" / "log.jsonl", *rows)
    prompts = load_prompts(tmp_path / "source" / "log.jsonl", key=KEY)
    write_rows(tmp_path / "set" / "prompts.jsonl", *(p.model_dump(mode="json") for p in prompts))
    withdraw("ada@a.example", [tmp_path / "set"], register=tmp_path / "register.jsonl", key=KEY)
    assert read_records(tmp_path / "set" / "prompts.jsonl", Prompt) == prompts[1:]
    kept = honour(Register.read(tmp_path / "register.jsonl", KEY), prompts)
    assert kept.prompts == prompts[1:]
    withdraw("ada@a.example", [tmp_path], register=tmp_path / "register.jsonl", key=KEY)
    assert "ada" not in everything(tmp_path / "source")
    again = load_prompts(tmp_path / "source" / "log.jsonl", key=KEY)
    assert again == prompts[1:], "the others keep their ids"


def test_labellers_may_withdraw_too(tree: Path) -> None:
    leave(tree, "Clara Labeller")
    assert "Clara Labeller" not in everything(tree)
    assert read_records(tree / "room" / "read" / "demonstrations.jsonl", Demonstration) == []
    assert len(load_prompts(tree / "room" / "read")) == 6


def test_an_interrupted_withdrawal_is_finished_by_the_next(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace
    done = 0

    def stop(self: Path, target: Path) -> Path:
        nonlocal done
        done += str(self.name).startswith(".withdrawn-")
        if done > 3:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            leave(tree)
    assert "user-ada" in everything(tree)
    leave(tree, "user-nobody")
    assert "user-ada" not in everything(tree)
    assert not list(tree.rglob(".*"))
    assert len(Register.read(tree / "withdrawals.jsonl", KEY).withdrawals) == 2


def test_what_cannot_be_changed_is_named(tree: Path) -> None:
    (tree / "cache.arrow").write_bytes(b"\x00user-ada\x00")
    (tree / "weights.safetensors").write_bytes(b"user-ada")
    report = leave(tree)
    assert report.unchanged == [tree / "cache.arrow"]
    lines = "\n".join(report.lines())
    assert "cache.arrow: HOLDS THEM" in lines
    assert "sft-1 was trained on their data (read data)" in lines
    assert "user-ada" not in lines
    assert WithdrawalReport().lines() == [
        "Nothing of theirs was found; their withdrawal is registered."
    ]


def test_faults_change_nothing(tree: Path) -> None:
    before = everything(tree)
    with pytest.raises(DataError, match="release: the salt of this release is needed"):
        leave(tree, salts=[])
    with pytest.raises(DataError, match="none: no such folder"):
        withdraw("x", [tree / "none"], register=tree / "withdrawals.jsonl")
    assert everything(tree) == before
    leave(tree)
    with pytest.raises(DataError, match="under another key"):
        leave(tree, key=Key(b"another key for these tests"))


def test_a_run_without_a_checkpoint_is_named_by_its_folder(tree: Path) -> None:
    write_run(tree / "runs" / "new", tree / "packed" / "prompts.parquet", "new-1")
    (tree / "runs" / "new" / "checkpoint" / "checkpoint.json").unlink()
    leave(tree)
    (withdrawal,) = Register.read(tree / "withdrawals.jsonl", KEY).withdrawals
    assert str(tree / "runs" / "new") in withdrawal.checkpoints


def test_a_stream_that_a_run_kept_can_be_read_afterwards(
    tmp_path: Path, make_prompt: Callable[..., Prompt]
) -> None:
    """As `heedful label export` writes it, and `heedful train` keeps it."""
    prompts = [make_prompt(f"Ask {user}.", id=f"prompt-{user}", user_id=user) for user in USERS]
    made = {"made_by": "person", "labeller_id": "labeller-carl"}
    completions = [
        Completion(id=f"{prompt.id}-{k}", prompt_id=prompt.id, text=str(k), checkpoint_id="m")
        for prompt in prompts
        for k in (1, 2)
    ]
    rankings = [
        Ranking(
            id=f"ranking-{prompt.id}",
            prompt_id=prompt.id,
            completion_ids=(f"{prompt.id}-1", f"{prompt.id}-2"),
            ranks=(1, 2),
            **made,
        )
        for prompt in prompts
    ]
    path = tmp_path / "run" / "stdin.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"".join(stream_lines([*prompts, *completions, *rankings])))
    leave(tmp_path, "user-ada")
    left = load_rankings(path)
    assert [prompt.user_id for prompt in left.prompts] == ["user-bert"]
    assert (len(left.completions), len(left.rankings)) == (2, 1)
    assert "ada" not in path.read_text()
    leave(tmp_path, "labeller-carl")
    assert [prompt.user_id for prompt in load_prompts(path)] == ["user-bert"]
    assert "ranking" not in path.read_text()
