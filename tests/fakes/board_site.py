"""Ranking boards for browser tests: a fresh item for each, opened in a browser of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlalchemy import select

from fakes.labelling_site import Site
from heedful.core.records import Ranking, Rating
from heedful.store.batches import ItemSpec, create_batch
from heedful.store.columns import Purpose, TaskKind
from heedful.store.slots import claim_next
from heedful.store.tables import AccountRow, PresentationRow, RankingRow, RatingRow
from heedful.store.tables import SubmissionRow as Submission

_NUMBERS = count(1)


@dataclass
class Boards:
    """Makes items of `labelling_life`'s nine outputs about bread, and opens them."""

    site: Site
    browser: Any
    login: str = "cleo"
    contexts: list[Any] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def account_id(self) -> str:
        """Of who labels."""
        assert self.site.life is not None
        return self.site.life.people[self.login].id

    def new_item(
        self,
        size: int = 9,
        *,
        kind: TaskKind = "ranking",
        purpose: Purpose = "training",
        adjudicates: str | None = None,
    ) -> str:
        """The id of a new item of `size` outputs, given to the labeller."""
        life = self.site.life
        assert life is not None
        ids = [one.id for one in life.completions["bread"][:size]]
        spec = ItemSpec(
            life.prompts["bread"].id,
            () if kind == "demonstration" else ids,
            adjudicates=adjudicates,
        )
        with self.site.database.write() as session:
            batch = create_batch(
                session,
                project_id=life.project.id,
                name=f"Board {next(_NUMBERS)}",
                kind=kind,
                purpose=purpose,
                items=[spec],
                created_by=life.people["researcher"].id,
                state="open",
            )
            claim = claim_next(session, self.account_id, batch_id=batch.id)
        assert claim is not None
        return claim.item_id

    def open(self, item_id: str, *, context: Any = None, **options: Any) -> Any:
        """A page with the item; `options` are of a new browser context."""
        if context is None:
            settings = {"viewport": {"width": 1280, "height": 860}, **options}
            context = self.browser.new_context(**settings)
            context.add_cookies(self.site.cookies(self.login))
            self.contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda said: self._heard(said.type, said.text))
        page.goto(f"{self.site.url}/work/items/{item_id}")
        page.wait_for_selector("#panel .rate-panel, #panel .place-panel, form[data-work-form]")
        return page

    def sent(self, item_id: str) -> dict[str, Any] | None:
        """What the server has of the labeller, by letter; None where nothing was sent."""
        with self.site.database.read() as session:
            mine = (Submission.item_id == item_id) & (Submission.account_id == self.account_id)
            submission = session.scalars(select(Submission).where(mine)).one_or_none()
            if submission is None:
                return None
            here = submission.id
            ranked = select(RankingRow.record).where(RankingRow.submission_id == here)
            rated = select(RatingRow.record).where(RatingRow.submission_id == here)
            ranking = Ranking.model_validate(session.scalars(ranked).one())
            ratings = [Rating.model_validate(one) for one in session.scalars(rated)]
            shown = session.get_one(PresentationRow, (item_id, self.account_id))
        letter_of = {
            one: letter
            for letter, card in zip("ABCDEFGHI", shown.cards, strict=False)
            for one in card
        }
        pairs = zip(ranking.completion_ids, ranking.ranks, strict=True)
        return {
            "ranks": {letter_of[one]: rank for one, rank in sorted(pairs)},
            "quality": {letter_of[one.completion_id]: one.quality for one in ratings},
            "flags": {letter_of[one.completion_id]: one.flags for one in ratings},
            "all_bad": ranking.all_bad,
            "seconds": submission.seconds_spent,
        }

    def set_preferences(self, preferences: dict[str, Any]) -> None:
        """What the labeller's account prefers."""
        with self.site.database.write() as session:
            session.get_one(AccountRow, self.account_id).preferences = preferences

    def _heard(self, kind: str, text: str) -> None:
        # What the browser itself says of a network that is away, or of a refused save.
        if "Failed to load resource" not in text:
            self.faults.append(f"{kind}: {text}")


@contextmanager
def boards_of(site: Site, browser: Any) -> Iterator[Boards]:
    """Boards for one test; nothing may go wrong in its pages."""
    boards = Boards(site, browser)
    try:
        yield boards
    finally:
        for context in boards.contexts:
            context.close()
        boards.set_preferences({})
    assert boards.faults == []
