"""Takes the pictures of docs/labelling-tour.md from a rehearsal.

    python benchmarks/label_screenshots.py [NAME ...]

Each page is taken light and dark at 1280 px and on a phone at 390 px, cut below its first
screens. Needs playwright, a Chromium and Pillow.
"""

import argparse
import io
import random
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from PIL import Image
from playwright.sync_api import sync_playwright
from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from heedful.labelling.app import create_app
from heedful.labelling.cookies import SESSION
from heedful.labelling.server_settings import ServerSettings
from heedful.pipeline.rehearsal import rehearse
from heedful.store.access import create_account
from heedful.store.batches import ItemSpec, create_batch
from heedful.store.columns import TaskKind
from heedful.store.contents import add_completions, add_prompts
from heedful.store.database import Database, open_database
from heedful.store.invites import create_invite
from heedful.store.presentations import present
from heedful.store.sessions import start_session
from heedful.store.slots import claim_next
from heedful.store.tables import (
    AccountRow,
    BatchRow,
    DemonstrationRow,
    DraftRow,
    InstructionsRow,
    MemberRow,
    ProjectRow,
    PromptRow,
    QuestionRow,
    SubmissionRow,
    SurveyDoneRow,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # for texts to show
from fakes.labelling_life import ASKED, SENTENCES
from fakes.labelling_store import demo_completion, demo_prompt

OUT = Path(__file__).parents[1] / "docs" / "images" / "labelling"
COLOURS = 96
VIEWS = {  # name -> width, height of the screen, most that is shown, scheme
    "light": (1280, 900, 1350, "light"),
    "dark": (1280, 900, 1350, "dark"),
    "phone": (390, 844, 1600, "light"),
}


@dataclass(frozen=True)
class Picture:
    """A page to take.

    Attributes:
        who: A role or a name of those two that holds an account; None for a visitor.
        path: With names in braces of `find_places` and `add_open_work`.
        prepare: What to do on the page before it is taken.
    """

    name: str
    who: str | None
    path: str
    prepare: Callable[[Any], None] | None = None


def add_open_work(database: Database) -> dict[str, str]:
    """An admin, and a task of each kind in somebody's hands: ids, as `ranking`, `ranking_by`."""
    drawn = random.Random(5)
    prompts = {
        name: demo_prompt(name, instruction=text, tags=("sensitive",) if name == "insult" else ())
        for name, text in ASKED.items()
    }
    nine = [
        demo_completion(
            prompts["bread"],
            n,
            text="\n\n".join(" ".join(drawn.sample(SENTENCES, 3)) for _ in range(2 + n % 4)),
        )
        for n in range(1, 10)
    ]
    warned = [demo_completion(prompts["insult"], n, text=SENTENCES[n]) for n in range(1, 5)]
    brief = {"kind": "user_based", "use_case": None, "application": "Recipes from leftovers."}
    tasks: dict[str, tuple[TaskKind, ItemSpec]] = {
        "ranking": ("ranking", ItemSpec(prompts["bread"].id, [one.id for one in nine])),
        "warning": ("ranking", ItemSpec(prompts["insult"].id, [one.id for one in warned])),
        "demonstration": ("demonstration", ItemSpec(prompts["letter"].id)),
        "prompt": ("prompt", ItemSpec(None, brief=brief)),
    }
    found: dict[str, str] = {}
    with database.write() as session:
        create_account(session, login="ida", name="Ida Admin", role="admin")
        project_id = session.scalars(select(ProjectRow.id)).one()
        add_prompts(session, project_id, prompts.values())
        add_completions(session, project_id, [*nine, *warned])
        working = select(MemberRow.account_id).where(
            MemberRow.project_id == project_id,
            MemberRow.stage == "working",
            MemberRow.held_out.is_(False),
        )
        members = session.scalars(
            select(AccountRow)
            .where(AccountRow.id.in_(working), AccountRow.role == "labeller")
            .order_by(AccountRow.login)
        ).all()
        for account, (name, (kind, item)) in zip(members, tasks.items(), strict=False):
            batch = create_batch(
                session,
                project_id=project_id,
                name=f"Today: {name}",
                kind=kind,
                purpose="training",
                items=[item],
                state="open",
            )
            claim = claim_next(session, account.id, batch_id=batch.id)
            assert claim is not None
            if name != "warning":
                present(session, account.id, claim.item_id, shuffle=random.Random(2))
            found |= {name: claim.item_id, f"{name}_by": account.id}
    return found


def find_places(session: Session) -> dict[str, str]:
    """Ids for the paths of pictures, of the things with the most to show."""

    def first(query: Select[tuple[str]]) -> str:
        return session.scalars(query).first() or ""

    def submitted(kind: str, purpose: str) -> SubmissionRow:
        batch = select(BatchRow.id).where(BatchRow.kind == kind, BatchRow.purpose == purpose)
        working = (
            select(MemberRow.account_id)
            .join(AccountRow, AccountRow.id == MemberRow.account_id)
            .where(MemberRow.stage == "working", AccountRow.role == "labeller")
        )
        query = select(SubmissionRow).where(
            SubmissionRow.batch_id.in_(batch),
            SubmissionRow.excluded_at.is_(None),
            SubmissionRow.account_id.in_(working),
        )
        return session.scalars(query.order_by(SubmissionRow.id)).first() or sys.exit("no labels")

    ranking = submitted("ranking", "training")
    demonstrated = submitted("demonstration", "screening")
    return {
        "project": first(select(ProjectRow.id)),
        "batch": ranking.batch_id,
        "item": ranking.item_id,
        "submission": ranking.id,
        "labeller": ranking.account_id,
        "screened": demonstrated.account_id,
        "written": first(
            select(DemonstrationRow.id).where(DemonstrationRow.submission_id == demonstrated.id)
        ),
        "prompt_id": first(select(PromptRow.id).order_by(PromptRow.id)),
        "instructions": first(
            select(InstructionsRow.id).where(InstructionsRow.purpose == "evaluation")
        ),
        "asker": first(select(QuestionRow.account_id)),
        "unasked": first(
            select(AccountRow.id).where(
                AccountRow.role == "labeller",
                AccountRow.id.not_in(select(SurveyDoneRow.account_id)),
            )
        ),
        "admin": first(select(AccountRow.id).where(AccountRow.role == "admin")),
    }


def rate(page: Any) -> None:
    """Rate the first outputs, as a labeller in the middle of it."""
    page.locator("#reading-title").wait_for()
    for quality, flag in zip("635", "oho", strict=True):
        page.keyboard.press(quality)
        page.keyboard.press(flag)
        page.keyboard.press("j")
    page.keyboard.press("4")


def rank(page: Any) -> None:
    """Rate all, and place most."""
    page.locator("#reading-title").wait_for()
    for quality in "635426715":
        page.keyboard.press(quality)
        page.keyboard.press("j")
    for letter, place in zip("abcdefg", "2413251", strict=True):
        page.keyboard.press(letter)
        page.keyboard.press(place)


def opened(key: str) -> Callable[[Any], None]:
    """Rank, and then press a key."""

    def prepare(page: Any) -> None:
        rank(page)
        page.keyboard.press(key)
        page.locator("dialog[open]").wait_for()

    return prepare


RANKING = "/work/items/{ranking}"
PROJECT = "/projects/{project}"
PICTURES = (
    Picture("sign-in", None, "/login"),
    Picture("invite", None, "/invite/{invite}"),
    Picture("settings", "labeller", "/settings"),
    Picture("work", "labeller", "/work"),
    Picture("board-rate", "ranking_by", RANKING, rate),
    Picture("board-rank", "ranking_by", RANKING, rank),
    Picture("board-read", "ranking_by", RANKING, opened(" ")),
    Picture("board-compare", "ranking_by", RANKING, opened("v")),
    Picture("board-keys", "ranking_by", RANKING, opened("?")),
    Picture("shortcuts", "labeller", "/work/shortcuts"),
    Picture("warning", "warning_by", "/work/items/{warning}"),
    Picture("demonstration", "demonstration_by", "/work/items/{demonstration}"),
    Picture("prompt", "prompt_by", "/work/items/{prompt}"),
    Picture("history", "labeller", "/work/history"),
    Picture("sent", "labeller", "/work/history/{item}"),
    Picture("my-questions", "asker", "/work/questions"),
    Picture("my-instructions", "labeller", "/work/instructions"),
    Picture("read-instructions", "labeller", "/work/instructions/{instructions}"),
    Picture("self-assessment", "labeller", "/work/self-assessment/{project}"),
    Picture("survey", "unasked", "/work/survey/{project}"),
    Picture("review", "reviewer", "/review"),
    Picture("grade", "reviewer", "/review/{written}"),
    Picture("projects", "researcher", "/projects"),
    Picture("project-new", "researcher", "/projects/new"),
    Picture("dashboard", "researcher", PROJECT),
    Picture("project-settings", "researcher", PROJECT + "/settings"),
    Picture("prompts", "researcher", PROJECT + "/prompts"),
    Picture("prompts-import", "researcher", PROJECT + "/prompts/import"),
    Picture("prompt-page", "researcher", "/prompts/{prompt_id}"),
    Picture("batches", "researcher", PROJECT + "/batches"),
    Picture("batch-new", "researcher", PROJECT + "/batches/new"),
    Picture("batch", "researcher", "/batches/{batch}"),
    Picture("item", "researcher", "/items/{item}"),
    Picture("submission", "researcher", "/submissions/{submission}"),
    Picture("labellers", "researcher", PROJECT + "/labellers"),
    Picture("labeller", "researcher", PROJECT + "/labellers/{labeller}"),
    Picture("invites", "researcher", PROJECT + "/invites"),
    Picture("agreement", "researcher", PROJECT + "/agreement"),
    Picture("screening", "researcher", PROJECT + "/screening"),
    Picture("candidate", "researcher", PROJECT + "/screening/{screened}"),
    Picture("survey-results", "researcher", PROJECT + "/survey"),
    Picture("questions", "researcher", PROJECT + "/questions"),
    Picture("instructions", "researcher", PROJECT + "/instructions"),
    Picture("instructions-version", "researcher", "/instructions/{instructions}"),
    Picture("instructions-new", "researcher", PROJECT + "/instructions/training/new"),
    Picture("export", "researcher", PROJECT + "/export"),
    Picture("project-audit", "researcher", PROJECT + "/audit"),
    Picture("accounts", "admin", "/admin/accounts"),
    Picture("account", "admin", "/admin/accounts/{labeller}"),
    Picture("admin-invites", "admin", "/admin/invites"),
    Picture("audit", "admin", "/admin/audit"),
)


@contextmanager
def serving(database: Database) -> Iterator[str]:
    """The application on a free port; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings = ServerSettings(port=listener.getsockname()[1])
    config = uvicorn.Config(create_app(database, settings), log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield settings.origin
    finally:
        server.should_exit = True
        thread.join()


def sign_in(database: Database, who: str | None, places: dict[str, str]) -> str | None:
    """The token of a session of somebody: of a role, or whoever has the task `who` names."""
    if who is None:
        return None
    with database.write() as session:
        account_id = (
            places.get(who)
            or session.scalars(select(AccountRow.id).where(AccountRow.role == who)).first()
        )
        if account_id is None:
            raise SystemExit(f"the database holds no {who}")
        return start_session(session, account_id)[1]


def take(
    browser: Any, database: Database, origin: str, picture: Picture, places: dict[str, str]
) -> int:
    """Save one page in every view; the bytes written."""
    token = sign_in(database, picture.who, places)
    path = picture.path.format(**places)
    written = 0
    for view, (width, height, most, scheme) in VIEWS.items():
        with database.write() as session:
            session.execute(delete(DraftRow))  # each view begins with an untouched board
        phone = view == "phone"
        context = browser.new_context(
            base_url=origin,
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce",
            has_touch=phone,
            is_mobile=phone,
        )
        if token is not None:
            context.add_cookies([{"name": SESSION, "value": token, "url": origin}])
        page = context.new_page()
        answer = page.goto(path)
        if answer is None or not answer.ok:
            raise SystemExit(f"{picture.name}: {path} answered {answer and answer.status}")
        if picture.prepare is not None:
            picture.prepare(page)
        page.wait_for_load_state("networkidle")
        shot = page.screenshot(**_cut(page, picture, width, height, most))
        target = OUT / f"{picture.name}-{view}.png"
        image = Image.open(io.BytesIO(shot)).convert("RGB")
        _in_few_colours(image).save(target, optimize=True)
        written += target.stat().st_size
        context.close()
        time.sleep(0.3)  # what the page saves as it goes
    return written


def _in_few_colours(image: Image.Image) -> Image.Image:
    """The commonest colours as they are, the others as near as a small palette has them."""
    half = COLOURS // 2
    pixels = np.asarray(image).reshape(-1, 3).astype(np.int32)
    colours, places, counts = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    covering = image.quantize(half, Image.Quantize.MAXCOVERAGE).getpalette() or []
    others = np.array(covering[: 3 * half], dtype=np.int32).reshape(-1, 3)
    palette = np.concatenate([colours[np.argsort(-counts)[:half]], others])
    nearest = ((colours[:, None] - palette[None]) ** 2).sum(axis=2).argmin(axis=1)
    indices = nearest[places.reshape(-1)].astype(np.uint8).reshape(image.height, image.width)
    found = Image.fromarray(indices, "P")
    found.putpalette(palette.astype(np.uint8).tobytes())
    return found


def _cut(page: Any, picture: Picture, width: int, height: int, most: int) -> dict[str, Any]:
    """The first screens of a page; of the board, which has parts that stay, the first alone."""
    if picture.name.startswith("board"):
        return {}
    tall = min(most, page.evaluate("document.documentElement.scrollHeight"))
    clip = {"x": 0, "y": 0, "width": width, "height": max(tall, height)}
    return {"full_page": True, "clip": clip}


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", help="of pictures; all where none is given")
    names = parser.parse_args().names
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/rehearsal.db", migrate=True)
        rehearse(database)
        places = add_open_work(database)
        with database.write() as session:
            places |= find_places(session)
            where = {"created_by": places["admin"], "project_id": places["project"]}
            places["invite"] = create_invite(session, role="labeller", **where)[1]
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        with serving(database) as origin, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for picture in PICTURES:
                if names and picture.name not in names:
                    continue
                size = take(browser, database, origin, picture, places)
                sys.stdout.write(f"{picture.name}: {size / 1000:.0f} kB\n")
            browser.close()
        database.close()


if __name__ == "__main__":
    main()
