"""Counts by stage and reason, personal data, caps, lineage."""

import dataclasses
from pathlib import Path

from fakes.data_room_folder import made_up_prompts, proof
from heedful.data.lineage import write_stage
from heedful.reports.data_flow_sections import (
    caps,
    dropped,
    headline,
    hero,
    lineage,
    personal_data,
)
from heedful.reports.data_run import DataRun, read_data_run


def test_the_headline_says_what_is_left_and_that_the_split_holds(data_run: DataRun) -> None:
    title, meaning = headline(data_run)
    assert title == "600 of 773 prompts are left, in three splits"
    assert meaning.startswith("No user, organisation, exact or near duplicate is in two splits.")
    assert "53 of 6,994 evaluation items" in meaning


def test_a_share_that_is_not_nothing_never_reads_so(data_run: DataRun) -> None:
    assert data_run.contamination is not None
    large = data_run.contamination.sets[0].model_copy(update={"num_items": 10**6})
    report = data_run.contamination.model_copy(update={"sets": (large,)})
    found = headline(dataclasses.replace(data_run, contamination=report))[1]
    assert "(under 0.1" in found


def test_a_split_that_leaks_is_said_in_the_headline(data_run: DataRun) -> None:
    leaking = proof(made_up_prompts(10), shared_users=("user-1",))
    assert "The split leaks" in headline(dataclasses.replace(data_run, proof=leaking))[1]


def test_the_flow_is_drawn_beside_the_headline(data_run: DataRun) -> None:
    rows = hero(data_run).figures[0].table.rows
    assert rows[1] == ("Deduplication", "770", "620", "150")
    assert hero(dataclasses.replace(data_run, manifests={})).figures == ()


def test_drops_are_listed_by_reason_the_most_frequent_first(data_run: DataRun) -> None:
    section = dropped(data_run)
    assert section is not None
    rows = section.tables[0].rows
    assert rows[2] == ("Deduplication", "", "770", "620", "")
    assert [row[1:4] for row in rows[3:6]] == [
        ("exact", "", "−100"),  # noqa: RUF001 - a real minus sign
        ("containment", "", "−30"),  # noqa: RUF001
        ("near", "", "−20"),  # noqa: RUF001
    ]


def test_personal_data_is_counted_by_kind(data_run: DataRun) -> None:
    section = personal_data(data_run)
    assert section is not None
    assert section.lead[0].startswith("66 of 1,200 records")
    assert section.tables[0].rows[0] == ("person", "<PERSON_1>", "55")


def test_caps_say_their_limits(data_run: DataRun) -> None:
    section = caps(data_run)
    assert section is not None
    assert [row[:3] for row in section.tables[0].rows] == [
        ("user", "200", "16"),
        ("organisation", "200", "0"),
    ]


def test_lineage_has_counts_inputs_and_settings_of_every_stage(data_run: DataRun) -> None:
    runs = {view.title: view for view in lineage(data_run).runs}
    reading = runs["Reading"]
    assert ("Demonstrations", "200") in reading.facts.rows
    assert reading.inputs is not None
    assert reading.inputs.rows[0][0] == "prompts.jsonl"
    assert ("near.threshold", "0.8") in runs["Deduplication"].settings.rows


def test_what_has_not_run_has_no_section(tmp_path: Path) -> None:
    write_stage(tmp_path / "other", inputs=[], settings={}, num_out=1)
    run = read_data_run(tmp_path)
    assert (dropped(run), personal_data(run), caps(run)) == (None, None, None)
    assert headline(run) == ("A report of the data room", "What was done here follows.")
    assert [view.title for view in lineage(run).runs] == ["Other"]
