import json
from pathlib import Path

from heedful.core.data_settings import ContaminationSettings
from heedful.core.records import Completion, Demonstration, Prompt, Ranking, text_hash
from heedful.data.contamination_records import read_report
from heedful.pipeline.data_overlap import look_for_overlap
from heedful.pipeline.record_set import RecordSet
from heedful.training.display import Display

ASKED = "how many lanterns hang over the long bridge that leads to the castle gate"
PREACHED = "which saint is carved above the northern door of the weavers chapel in town"


def prompt(name: str, text: str, split: str) -> Prompt:
    values = {"id": name, "text_hash": text_hash(text), "instruction": text, "split": split}
    return Prompt.model_validate({**values, "source": "x", "user_id": name, "consent": True})


def test_only_what_is_trained_on_counts(tmp_path: Path) -> None:
    records = RecordSet(
        prompts=[prompt("p1", f"{ASKED}?", "train"), prompt("p2", f"{PREACHED}?", "test")],
        demonstrations=[
            Demonstration(id="d", prompt_id="p1", text="9", labeller_id="l", made_by="person")
        ],
        completions=[
            Completion(id=name, prompt_id="p1", text=name, checkpoint_id="m") for name in "ab"
        ],
        rankings=[
            Ranking(
                id="r",
                prompt_id="p1",
                completion_ids=("a", "b"),
                ranks=(1, 2),
                labeller_id="l",
                made_by="person",
            )
        ],
    )
    records.write(tmp_path / "result")
    sets, books = tmp_path / "local.jsonl", tmp_path / "books.txt"
    rows = [{"question": text, "answer": "9"} for text in (ASKED, PREACHED)]
    sets.write_text("".join(json.dumps(row) + "\n" for row in rows))
    books.write_text("Nothing of the kind.")
    settings = ContaminationSettings(sets=(sets,), pretraining=(books,))
    folder = tmp_path / "contamination"
    look_for_overlap(folder, tmp_path / "result", settings, display=Display(quiet=True))
    report = read_report(folder)
    assert (report.sets[0].num_items, report.sets[0].num_dirty) == (2, 1)
    assert (folder / "clean" / "local.txt").read_text() == "2\n"
    kinds = [source.kind for source in report.sources]
    assert kinds == [
        "ppo_prompts",
        "demonstrations",
        "ranking_prompts",
        "completions",
        "pretraining",
    ]
