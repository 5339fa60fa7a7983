"""Who and what a rehearsal plays with: accounts nobody can sign in to, prompts, composed outputs.

What happens then is `rehearsal_acts`'.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.annotators.rubric import MEAN_WEIGHTS
from heedful.annotators.simulated import SimulatedLabeller, simulated_team
from heedful.annotators.team_answers import Material, Worker
from heedful.annotators.team_work import PlayedClock, Tally, join, work_through
from heedful.core.records import Completion, Prompt, derived_id
from heedful.data.embedded_data import embedded_demonstrations, embedded_prompts
from heedful.labelling.default_instructions import DEFAULT_INSTRUCTIONS
from heedful.pipeline.composed_completions import COMPOSERS, compose, copy_of
from heedful.store.batches import ItemSpec, create_batch
from heedful.store.columns import BatchState, MemberStage, Purpose, Role, TaskKind
from heedful.store.contents import add_completions, add_prompts
from heedful.store.database import Database
from heedful.store.invites import create_invite
from heedful.store.projects import create_project, set_stage
from heedful.store.tables import BatchRow, ProjectRow

NAME = "Rehearsal (simulated)"
DAYS = 14
PAY_RATE = 15.0
_PROMPTS = (24, 12)  # at the least, and for each labeller besides
_STEADIER = 0.4  # so much of the team's usual noise: these texts were spoilt on purpose
_EXPERT_TIES = 0.02
_GOLD_FLAGS = ("sexual_content", "violent_content", "encourages_harm", "denigrates_protected_class")


@dataclass(frozen=True, kw_only=True)
class Cast:
    """The people and texts of a rehearsal, and where its stories draw their luck from.

    Attributes:
        start: The morning of the first day.
        careless: A candidate who does not pass the screening.
        expert: Ranks without noise; what it ranks is taken as gold.
        demonstrations: Of each prompt, by id.
        sensitive, others: Prompts not used yet, taken from the end.
    """

    database: Database
    project_id: str
    chance: random.Random
    start: datetime
    researcher: Worker
    reviewers: list[Worker]
    labellers: list[Worker]
    held_out: list[Worker]
    careless: Worker
    expert: SimulatedLabeller
    demonstrations: dict[str, str]
    material: Material
    sensitive: list[Prompt]
    others: list[Prompt]

    def at(self, day: int, hour: float = 0.0) -> datetime:
        """A moment of the rehearsal; day 0 is the first."""
        return self.start + timedelta(days=day, hours=hour)

    def take(self, num_prompts: int, *, sensitive: int = 0) -> list[Prompt]:
        """Prompts that no batch has had, `sensitive` of them sensitive, mixed."""
        taken = [self.sensitive.pop() for _ in range(min(sensitive, len(self.sensitive)))]
        taken += [self.others.pop() for _ in range(num_prompts - len(taken))]
        self.chance.shuffle(taken)
        return taken

    def work(
        self,
        workers: Sequence[Worker],
        day: int,
        *,
        hour: float = 0.0,
        batch_id: str | None = None,
        most_each: int | None = None,
        material: Material | None = None,
    ) -> Tally:
        """Let workers work on a day; each begins some time in the morning."""
        delays = [timedelta(minutes=self.chance.uniform(0, 150)) for _ in workers]
        return work_through(
            self.database,
            workers,
            material=material or self.material,
            clock=PlayedClock(self.at(day, hour)),
            project_id=self.project_id,
            batch_id=batch_id,
            most_each=most_each,
            delays=delays,
        )

    def batch(
        self,
        session: Session,
        name: str,
        kind: TaskKind,
        purpose: Purpose,
        items: Sequence[ItemSpec],
        now: datetime,
        overlap: int = 1,
        *,
        priority: int = 0,
        state: BatchState = "open",
        baseline: str | None = None,
    ) -> BatchRow:
        """A batch made by the researcher."""
        return create_batch(
            session,
            project_id=self.project_id,
            name=name,
            kind=kind,
            purpose=purpose,
            items=items,
            overlap=overlap,
            priority=priority,
            baseline=baseline,
            created_by=self.researcher.account_id,
            state=state,
            now=now,
        )

    def move(
        self, session: Session, account_id: str, stage: MemberStage, reason: str, now: datetime
    ) -> None:
        """Let the researcher move a member to another stage."""
        set_stage(
            session,
            project_id=self.project_id,
            account_id=account_id,
            stage=stage,
            by=self.researcher.account_id,
            reason=reason,
            now=now,
        )

    def ranking_item(
        self,
        session: Session,
        prompt: Prompt,
        kinds: Sequence[str],
        *,
        gold: bool = False,
        twice: bool = False,
        also: Completion | None = None,
        author_id: str | None = None,
        now: datetime,
    ) -> ItemSpec:
        """An item whose outputs are composed in these ways, with gold ranks if wanted.

        Args:
            twice: Two of the outputs have the same text.
            also: Another output, written by `author_id`.
        """
        other = self.chance.choice(list(self.demonstrations.values()))
        made = compose(prompt, self.demonstrations[prompt.id], other, kinds)
        if also is not None:
            made = [also, *(one for one in made if one.text != also.text)]
        if twice:
            made.append(copy_of(made[-1]))
        authors = {also.id: author_id} if also is not None and author_id is not None else {}
        add_completions(session, self.project_id, made, authors=authors, now=now)
        ids = tuple(one.id for one in made)
        return ItemSpec(prompt.id, ids, gold=self._gold(prompt, made) if gold else None)

    def some_kinds(self, num_kinds: int) -> list[str]:
        """Ways of composing, the unspoilt one always among them."""
        spoilt = [kind for kind in COMPOSERS if kind != "own"]
        return ["own", *self.chance.sample(spoilt, num_kinds - 1)]

    def _gold(self, prompt: Prompt, completions: Sequence[Completion]) -> dict[str, object]:
        """What the expert says of each text, for every output that has it."""
        texts = list({one.text: one for one in completions}.values())
        ranks = self.expert.rank(prompt, texts).ranks
        rank_of = {one.text: rank for one, rank in zip(texts, ranks, strict=True)}
        flags = {one.text: self.expert.rate(prompt, one).flags for one in texts}
        return {
            "ranks": {one.id: rank_of[one.text] for one in completions},
            "flags": {
                one.id: {flag: bool(getattr(flags[one.text], flag)) for flag in _GOLD_FLAGS}
                for one in completions
            },
        }


def make_cast(database: Database, *, seed: int, size: int, start: datetime) -> Cast:
    """A new project with its people and prompts; none of them has done anything yet."""
    chance = random.Random(derived_id("rehearsal", seed))
    with database.write() as session:
        name = _free_name(session)
        project = create_project(
            session,
            name=name,
            instructions=DEFAULT_INSTRUCTIONS,
            created_by=None,
            pay_rate=PAY_RATE,
            simulated=True,
            now=start,
        )
        prompts, demonstrations = _prompts(chance, name, size)
        add_prompts(session, project.id, prompts, now=start)
        team = [replace(one, noise=_STEADIER * one.noise) for one in simulated_team(seed, size)]
        people = _People(session, project.id, chance, start)
        expert = replace(
            team[0],
            labeller_id="expert",
            weights=MEAN_WEIGHTS,
            noise=0.0,
            tie_within=_EXPERT_TIES,
            flip_rate=0.0,
        )
        researcher = people.join(_steady(expert, 0), "Researcher", "researcher")
        reviewers = [
            people.join(_steady(expert, number), f"Reviewer {number}", "reviewer")
            for number in (1, 2)
        ]
        workers = [people.join(one, f"Labeller {n}") for n, one in enumerate(team, start=1)]
        hasty = replace(team[0], labeller_id="careless", noise=1.5, flip_rate=0.4)
        careless = people.join(hasty, f"Labeller {size + 1}", pace=900.0)
        create_invite(
            session,
            role="labeller",
            created_by=None,
            project_id=project.id,
            note="Never used; expired",
            now=start,
        )
    by_id = {prompt.id: prompt for prompt in prompts}
    return Cast(
        database=database,
        project_id=project.id,
        chance=chance,
        start=start,
        researcher=researcher,
        reviewers=reviewers,
        labellers=[one for one in workers if not one.labeller.held_out],
        held_out=[one for one in workers if one.labeller.held_out],
        careless=careless,
        expert=expert,
        demonstrations=demonstrations,
        material=Material({name: [text] for name, text in demonstrations.items()}, prompts),
        sensitive=[prompt for prompt in by_id.values() if "sensitive" in prompt.tags],
        others=[prompt for prompt in by_id.values() if "sensitive" not in prompt.tags],
    )


@dataclass(frozen=True)
class _People:
    """Lets simulated people into the project."""

    session: Session
    project_id: str
    chance: random.Random
    start: datetime

    def join(
        self,
        labeller: SimulatedLabeller,
        name: str,
        role: Role = "labeller",
        *,
        pace: float | None = None,
    ) -> Worker:
        """An account in the project; its login tells that it is simulated, and of which project."""
        short = self.project_id.removeprefix("project-")[:6]
        login = f"simulated-{short}-{name.lower().replace(' ', '-')}"
        return join(
            self.session,
            self.project_id,
            labeller,
            login=login,
            name=f"{name} (simulated)",
            role=role,
            stage="screening" if role == "labeller" else "working",
            words_per_minute=pace or self.chance.uniform(150, 300),
            skip_rate=self.chance.uniform(0.0, 0.08) if role == "labeller" else 0.0,
            now=self.start,
        )


def _steady(expert: SimulatedLabeller, number: int) -> SimulatedLabeller:
    """Somebody who judges nearly as the expert does."""
    return replace(expert, labeller_id=f"steady-{number}", noise=0.05, held_out=False)


def _free_name(session: Session) -> str:
    taken = set(session.scalars(select(ProjectRow.name)))
    names = (NAME if number == 1 else f"{NAME}, {number}" for number in count(1))
    return next(name for name in names if name not in taken)


def _prompts(
    chance: random.Random, project_name: str, size: int
) -> tuple[list[Prompt], dict[str, str]]:
    """Embedded prompts that have a demonstration, under ids of this project's own."""
    texts = {one.prompt_id: one.text for one in embedded_demonstrations()}
    known = [prompt for prompt in embedded_prompts() if prompt.id in texts]
    sensitive = [prompt for prompt in known if "sensitive" in prompt.tags]
    others = [prompt for prompt in known if "sensitive" not in prompt.tags]
    chance.shuffle(others)
    prompts, demonstrations = [], {}
    for prompt in [*sensitive, *others[: _PROMPTS[0] + _PROMPTS[1] * size]]:
        own_id = derived_id("prompt", project_name, prompt.id)
        prompts.append(prompt.model_copy(update={"id": own_id}))
        demonstrations[own_id] = texts[prompt.id]
    return prompts, demonstrations
