"""The whole journey in a real Chromium: from the setup link to a reward model.

An admin sets the server up, creates a project, brings prompts and outputs in, ranks some
as gold, makes batches and invites a labeller, who is screened, demonstrates, ranks nine
outputs by keyboard alone, loses the network for a minute, and submits. The admin sees the
agreement, exports, and a reward model trains on the export.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fakes.labelling_life import ASKED, PASSWORD, SENTENCES
from fakes.labelling_site import Site
from fakes.labelling_store import demo_completion, demo_prompt
from fakes.tiny_models import build_model_dir
from fakes.training_data import make_project
from heedful.core.metrics import read_metrics
from heedful.core.records import Completion, Prompt
from heedful.data.record_stream import stream_lines
from heedful.store.database import open_database
from heedful.store.invites import create_setup_link
from heedful.training import reward
from heedful.training.display import Display

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NINE = "bread"
THREE = {"Completions_of_each_prompt": 3}
TWICE = {**THREE, "Labels_of_each_item": 2}


@dataclass
class Person:
    """Somebody at a browser of their own."""

    page: Any
    name: str
    task: str = ""

    def go(self, path: str) -> None:
        assert self.page.goto(path).ok, path

    def fill(self, **labels: str) -> None:
        """Fill fields, by their labels with underscores for spaces."""
        for label, value in labels.items():
            self.page.get_by_label(label.replace("_", " "), exact=True).fill(value)

    def press(self, name: str, *, first: bool = False) -> None:
        """Click a button by what stands on it."""
        button = self.page.get_by_role("button", name=name, exact=not first)
        (button.first if first else button).click()

    def text(self) -> str:
        shown: str = self.page.locator("main").inner_text()
        return shown

    def sees(self, words: str) -> None:
        self.page.get_by_text(words).first.wait_for()


@contextmanager
def empty_site(folder: Path) -> Iterator[tuple[Site, str]]:
    """A new server with nobody in it, and the path of its one-time setup link."""
    database = open_database(f"sqlite:///{folder / 'labels.db'}", migrate=True)
    with database.write() as session:
        _, token = create_setup_link(session)
    site = Site(database)
    try:
        yield site, f"/invite/{token}"
    finally:
        site.stop()
        database.close()


def records() -> tuple[list[Prompt], list[Completion]]:
    """Prompts with three short outputs each, and one with nine long ones."""
    drawn = random.Random(5)
    prompts = [demo_prompt(name, instruction=text) for name, text in ASKED.items()]
    completions = []
    for prompt in prompts:
        is_nine = prompt.id == f"prompt-{NINE}"
        completions += [
            demo_completion(
                prompt, n, text=" ".join(drawn.sample(SENTENCES, 8 if is_nine else 2)) + f" ({n})"
            )
            for n in range(1, 10 if is_nine else 4)
        ]
    return prompts, completions


def set_up(admin: Person, link: str) -> None:
    admin.go(link)
    admin.fill(Your_name="Ida Admin", Login="ida", Password=PASSWORD)
    admin.fill(The_same_password_again=PASSWORD)
    admin.press("Make my account")
    assert admin.page.goto(link).status == 404, "the link works once"


def create_project(admin: Person) -> str:
    admin.go("/projects/new")
    admin.fill(Name="Harbour pilot")
    admin.press("Make the project")
    path: str = admin.page.evaluate("location.pathname")
    assert path.startswith("/projects/project-")
    return path


def import_records(admin: Person, project: str, folder: Path) -> None:
    prompts, completions = records()
    source = folder / "prompts.jsonl"
    source.write_bytes(b"".join(stream_lines([*prompts, *completions])))
    admin.go(f"{project}/prompts/import")
    admin.page.set_input_files("input[type=file]", source)
    admin.press("Bring it in")
    assert f"{len(prompts)} new" in admin.text()
    assert f"{len(completions)} new" in admin.text()


def make_batch(admin: Person, project: str, name: str, **fields: Any) -> None:
    """Make and open a batch; what is not named keeps the form's own value."""
    admin.go(f"{project}/batches/new")
    admin.fill(Name=name)
    for label, value in fields.items():
        control = admin.page.get_by_label(label.replace("_", " "), exact=True)
        if value is True:
            control.check()
        elif control.evaluate("e => e.tagName") == "SELECT":
            control.select_option(value)
        else:
            control.fill(str(value))
    admin.press("Make and open it")
    assert admin.page.get_by_role("heading", level=1).inner_text() == name, admin.text()


def make_batches(admin: Person, project: str) -> None:
    """What the labeller will meet: screening with our rankings as gold, then the work."""
    screening = {"Screening": True, "Not_used_yet": ""}
    gold = {"Use_the_researchers'_own_rankings_as_gold_answers": True, "Text": "Write"}
    make_batch(admin, project, "Screening rankings", **screening, **gold, **THREE)
    writing = {"Write_demonstrations": True}
    make_batch(admin, project, "Screening writing", **screening, **writing, Text="bicycle")
    make_batch(admin, project, "Writing", **writing, Text="tides", Priority=3)
    nine = {"Completions_of_each_prompt": 9}
    make_batch(admin, project, "Nine outputs", **nine, Text="sourdough", Priority=2)


def rank_by_keys(person: Person, ranks: str, *, until: Callable[[], None] | None = None) -> None:
    """Rate every output and place it, by keyboard alone; then send. `until` comes between."""
    keyboard, page = person.page.keyboard, person.page
    page.locator("#reading-title").wait_for()
    for place in range(len(ranks)):
        keyboard.press(str(7 - place % 7))
        if place == 1:
            keyboard.press("o")
        keyboard.press("j")
    if until is not None:
        until()
    for letter, rank in zip("abcdefghi", ranks, strict=False):
        keyboard.press(letter)
        keyboard.press(rank)
    keyboard.press("Control+Enter")


def next_task(person: Person) -> str:
    """Go on as the start page offers it; gives the task's heading.

    (After sending, the browser has gone on to the next task by itself, if there is one.)
    """
    person.go("/work")
    begun = person.page.get_by_role("link", name="Continue")
    begun.or_(person.page.get_by_role("button", name="Next task")).first.press("Enter")
    person.page.wait_for_url("**/work/items/*")
    person.task = person.page.url
    heading: str = person.page.get_by_role("heading", level=1).inner_text()
    return heading


def sent(person: Person, count: int) -> None:
    """Wait until the page has gone on; then so many tasks stand in this person's history."""
    person.page.wait_for_url(lambda url: url != person.task)
    person.page.wait_for_load_state()
    person.go("/work/history")
    assert person.page.locator("main tbody tr").count() == count, person.text()


def invite(admin: Person, project: str) -> str:
    admin.go(f"{project}/invites")
    admin.press("Make an invite")
    link: str = admin.page.get_by_label("Invite link").input_value()
    return link


def accept(labeller: Person, link: str) -> None:
    labeller.go(link)
    labeller.fill(Your_name="Lin Labeller", Login="lin", Password=PASSWORD)
    labeller.fill(The_same_password_again=PASSWORD)
    labeller.press("Make my account")
    labeller.sees("Screening")


def be_screened(labeller: Person) -> None:
    """Two gold rankings, a demonstration and the self-assessment."""
    for count in range(1, 4):
        if next_task(labeller).startswith("Rate and rank"):
            rank_by_keys(labeller, "123")
        else:
            write(labeller, "A polite answer that took some care.")
        sent(labeller, count)
    labeller.go("/work")
    labeller.page.get_by_text("Answer the self-assessment").click()
    labeller.page.get_by_label("Religion and belief").check()
    labeller.page.get_by_role("radio", name="6", exact=True).check()
    labeller.press("Send")


def write(labeller: Person, text: str) -> None:
    labeller.page.get_by_label("Your answer").fill(text)
    labeller.press("Send the answer")


def review_and_pass(admin: Person, project: str) -> None:
    admin.go("/review")
    admin.page.locator("main").get_by_role("link", name="Grade").first.click()
    admin.page.get_by_role("radio", name="7", exact=True).check()
    admin.press("Keep the grade")
    admin.go(f"{project}/screening")
    admin.page.get_by_role("link", name="Lin Labeller").first.click()
    admin.page.get_by_label("Passed: on to work, without practice").check()
    admin.fill(Reason="Ranks as we do; writes well.")
    admin.press("Keep the decision")


def lose_the_network(labeller: Person) -> None:
    """A minute without network, in which a save and two heartbeats fall due."""
    page = labeller.page
    page.get_by_text("Saved").first.wait_for()
    page.context.set_offline(True)
    page.keyboard.press("a")
    page.keyboard.press("9")
    page.get_by_text("Kept in this browser").first.wait_for()
    page.clock.fast_forward("01:05")
    page.locator("#banner").get_by_text("cannot be reached").wait_for()
    page.keyboard.press("u")
    page.context.set_offline(False)
    page.locator("#banner").wait_for(state="hidden")


def train_on(export: Path, folder: Path) -> list[float]:
    """Train a tiny reward model on the exported stream; gives the loss of every step."""
    model = build_model_dir(folder / "model", initial_std=0.1, max_position_embeddings=2048)
    sections: dict[str, dict[str, Any]] = {
        "data": {"rankings": export, "validation_share": 0.0},
        "format": {"template": "plain", "max_prompt_tokens": 256, "max_completion_tokens": 1024},
        "reward": {"epochs": 3, "batch_size": 2, "learning_rate": 3e-3},
    }
    reward.train(make_project(folder / "run", model, **sections), Display())
    return [row["reward/loss"] for row in read_metrics(folder / "run" / "metrics.jsonl")]


def see_agreement(admin: Person, project: str) -> None:
    admin.go(f"{project}/agreement")
    row = admin.page.get_by_role("row", name="Labellers with researchers")
    assert "%" in row.inner_text(), admin.text()
    admin.go(project)
    assert "Nine outputs" in admin.text()


def export(admin: Person, project: str, folder: Path) -> Path:
    admin.go(f"{project}/export")
    admin.page.get_by_label("One stream for heedful train").check()
    with admin.page.expect_download() as download:
        admin.press("Download")
    target = folder / download.value.suggested_filename
    download.value.save_as(target)
    return target


@pytest.fixture
def people(browser: Any) -> Iterator[Callable[[str, str], Person]]:
    """Makes people at browsers of their own, whose consoles must stay quiet."""
    contexts = []
    said: list[str] = []

    def arrive(name: str, url: str) -> Person:
        context = browser.new_context(base_url=url, reduced_motion="reduce")
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: said.append(f"{name}: {error}"))
        return Person(page, name)

    yield arrive
    for context in contexts:
        context.close()
    assert said == []


def test_from_the_setup_link_to_a_reward_model(
    people: Callable[[str, str], Person], tmp_path: Path
) -> None:
    with empty_site(tmp_path) as (site, setup_link):
        admin = people("admin", site.url)
        set_up(admin, setup_link)
        project = create_project(admin)
        import_records(admin, project, tmp_path)
        make_batch(admin, project, "Ours", Text="Write", **TWICE)
        for count in (1, 2):
            assert next_task(admin).startswith("Rate and rank")
            rank_by_keys(admin, "112")
            sent(admin, count)
        make_batches(admin, project)

        labeller = people("labeller", site.url)
        accept(labeller, invite(admin, project))
        be_screened(labeller)
        review_and_pass(admin, project)

        assert next_task(labeller).startswith("Write an answer")
        write(labeller, "The Moon pulls, and the Earth turns under two bulges of water.")
        sent(labeller, 4)
        labeller.page.clock.install()
        assert next_task(labeller).startswith("Rate and rank")
        rank_by_keys(labeller, "314159265", until=lambda: lose_the_network(labeller))
        sent(labeller, 5)
        for count in (6, 7):
            assert next_task(labeller).startswith("Rate and rank")
            rank_by_keys(labeller, "121")
            sent(labeller, count)

        see_agreement(admin, project)
        rankings = export(admin, project, tmp_path)
    losses = train_on(rankings, tmp_path)
    assert len(losses) >= 2
    assert losses[-1] < losses[0]
