"""Duplicates, the split's proof, contamination: counted, and shown side by side."""

import dataclasses

from fakes.data_room_folder import made_up_prompts, proof
from heedful.reports.data_overlap_sections import contamination, duplicates, split
from heedful.reports.data_run import DataRun


def test_every_policy_has_its_count_and_one_example(data_run: DataRun) -> None:
    section = duplicates(data_run)
    assert section is not None
    names = ["exact", "containment", "near", "template", "paraphrase"]
    assert [row[0] for row in section.tables[0].rows] == names
    assert [row[1] for row in section.tables[0].rows][2:] == [
        "are removed",
        "stay in one split",
        "are counted only",
    ]
    assert [prompt.kind for prompt in section.prompts] == names
    exact, *_, paraphrase = section.prompts
    assert [answer.label for answer in exact.answers] == ["Stays", "Removed"]
    assert all(piece.marked for answer in exact.answers for piece in answer.pieces)
    assert paraphrase.answers[1].label == "The later one"
    assert not any(piece.marked for answer in paraphrase.answers for piece in answer.pieces)


def test_the_proof_is_four_zeros(data_run: DataRun) -> None:
    section = split(data_run)
    assert section is not None
    assert [row[1] for row in section.tables[0].rows] == ["0", "0", "0", "0"]
    assert section.missing == ()
    sizes = section.tables[1]
    assert [row[0] for row in sizes.rows] == ["train", "validation", "test"]
    assert sum(int(row[1]) for row in sizes.rows) == 600
    assert section.tables[2].caption.startswith("Quarantine: 4 prompts")


def test_what_leaks_is_named(data_run: DataRun) -> None:
    leaking = proof(
        made_up_prompts(10),
        shared_users=tuple(f"user-{n}" for n in range(25)),
        shared_near=(("prompt-1", "prompt-2"),),
    )
    section = split(dataclasses.replace(data_run, proof=leaking, quarantined=[]))
    assert section is not None
    users, near = section.missing
    assert users.startswith("In more than one split, users: user-0, user-1,")
    assert users.endswith("user-19 and 5 more.")
    assert near == "In more than one split, near duplicates: prompt-1/prompt-2."
    assert len(section.tables) == 2


def test_contamination_has_shares_with_intervals_the_dirtiest_first(data_run: DataRun) -> None:
    section = contamination(data_run)
    assert section is not None
    sets, rows, sources = section.tables
    assert [row[0] for row in sets.rows] == ["gsm8k", "truthfulqa", "hellaswag", "rte"]
    assert sets.rows[0][4].endswith("(2.4 to 4.8)")
    assert rows.rows[0][:4] == ("gsm8k", "demonstrations", "31", "10")
    assert sources.rows[1] == ("books", "pretraining", "96", "7,801,022")
    assert [row[0] for row in section.figures[0].table.rows] == ["gsm8k", "truthfulqa", "hellaswag"]
    assert section.figures[0].caption.startswith("3 of 4 evaluation sets have any")


def test_examples_are_folded_marked_and_spread_over_the_sets(data_run: DataRun) -> None:
    section = contamination(data_run)
    assert section is not None
    assert section.collapsed
    assert [prompt.kind for prompt in section.prompts[:3]] == ["gsm8k", "hellaswag", "truthfulqa"]
    item, document = section.prompts[0].answers
    assert item.label == "gsm8k, gsm8k-17"
    assert item.notes == ("whole question, a 13-gram", "overlap 1.00")
    assert "".join(piece.text for piece in document.pieces if piece.marked).startswith("a baker")


def test_an_item_that_is_in_two_sources_is_shown_once(data_run: DataRun) -> None:
    report = data_run.contamination
    assert report is not None
    again = tuple(row.model_copy(update={"source": "books"}) for row in report.rows)
    doubled = report.model_copy(update={"rows": report.rows + again})
    section = contamination(dataclasses.replace(data_run, contamination=doubled))
    assert section is not None
    labels = [prompt.answers[0].label for prompt in section.prompts]
    assert len(labels) == len(set(labels)) == 6


def test_examples_by_id_alone_quote_nothing(data_run: DataRun) -> None:
    section = contamination(data_run)
    assert section is not None
    by_id = section.prompts[3]
    assert by_id.title == "gsm8k-18"
    assert {answer.text for answer in by_id.answers} == {"(not quoted here)"}


def test_stages_that_have_not_run_have_no_section(data_run: DataRun) -> None:
    bare = dataclasses.replace(data_run, dedup=None, proof=None, contamination=None)
    assert (duplicates(bare), split(bare), contamination(bare)) == (None, None, None)
