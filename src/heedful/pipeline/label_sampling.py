"""`heedful label sample`: K outputs of each of several models for every prompt of a project.

Ids follow from what is asked (model, prompt, seed, place), so a second call adds only what is
missing; what was sampled is stored prompt by prompt, and Ctrl-C loses the few under way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from heedful.core.errors import ConfigError, Interrupted
from heedful.core.records import Completion, Prompt, SamplingParameters
from heedful.core.settings import FormatSettings
from heedful.generation.language_model import LanguageModel, completion_id
from heedful.models.precision import compute_dtype, pick_device
from heedful.store.contents import add_completions, chunks, completions_by_id
from heedful.store.database import Database
from heedful.training.display import Display

# Prompts at once: enough for full batches, few enough that Ctrl-C loses little.
PROMPTS_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingPlan:
    """What to sample.

    Attributes:
        models: Run directories, folders or names, see `heedful.models.folders.find_model`.
        num_completions: Of each model for each prompt.
        format: None takes each checkpoint's own.
    """

    models: tuple[str, ...]
    num_completions: int
    sampling: SamplingParameters
    seed: int = 0
    format: FormatSettings | None = None
    device: str = "auto"
    dtype: str = "auto"


@dataclass(slots=True)
class Sampled:
    """What became of a plan.

    Attributes:
        new: Completions that were added.
        known: Those that were there already.
        too_long: By model, prompts that do not fit its format.
    """

    new: int = 0
    known: int = 0
    too_long: dict[str, int] = field(default_factory=dict)

    def summary(self) -> str:
        """One sentence."""
        parts = [f"{self.new:,} completions added, {self.known:,} were there"]
        parts += [
            f"{count:,} prompts are too long for {model}"
            for model, count in self.too_long.items()
            if count
        ]
        return "; ".join(parts) + "."


def sample(
    database: Database,
    project_id: str,
    prompts: Sequence[Prompt],
    plan: SamplingPlan,
    display: Display,
) -> Sampled:
    """Sample what the plan lacks and store it, model after model.

    Raises:
        ModelError: A model cannot be found or loaded; the earlier ones' completions are kept.
        ConfigError: Two models go by the same checkpoint id.
        Interrupted: Ctrl-C; the same call goes on.
    """
    done = Sampled()
    seen: dict[str, str] = {}
    try:
        for name in plan.models:
            language = LanguageModel.open(
                name,
                format_settings=plan.format,
                device=pick_device(plan.device),
                dtype=compute_dtype(plan.dtype, pick_device(plan.device)),
            )
            other = seen.pop(language.checkpoint_id, None)
            seen[language.checkpoint_id] = name
            if other is not None:
                raise ConfigError(
                    f"{name} and {other} are the same checkpoint, {language.checkpoint_id}",
                    "Name it once; -k says how many completions it gives.",
                )
            for completions in _sampled(database, language, prompts, plan, display, done):
                with database.write() as session:
                    done.new += add_completions(session, project_id, completions).new
    except KeyboardInterrupt:
        raise Interrupted(
            f"Stopped. {done.summary()}", "The same command samples what is missing."
        ) from None
    return done


def _sampled(
    database: Database,
    language: LanguageModel,
    prompts: Sequence[Prompt],
    plan: SamplingPlan,
    display: Display,
    done: Sampled,
) -> Iterator[list[Completion]]:
    """The missing completions of one model, some prompts at a time."""
    fitting = [kept.prompt for kept in language.formatter.format_prompts(prompts).kept]
    done.too_long[language.folder.name] = len(prompts) - len(fitting)
    wanted = {
        prompt.id: [
            completion_id(
                language.checkpoint_id,
                prompt.id,
                seed=plan.seed,
                place=place,
                sampling=plan.sampling,
            )
            for place in range(plan.num_completions)
        ]
        for prompt in fitting
    }
    with database.read() as session:
        there = set(completions_by_id(session, [one for ids in wanted.values() for one in ids]))
    done.known += len(there)
    missing = [prompt for prompt in fitting if not there.issuperset(wanted[prompt.id])]
    with display.bar(language.folder.name, len(missing), unit="prompts") as bar:
        for some in chunks(missing, PROMPTS_AT_ONCE):
            rows = language.complete(
                some, plan.sampling, num_completions=plan.num_completions, seed=plan.seed
            )
            yield [_storable(found) for row in rows for found in row if found.id not in there]
            bar.advance(len(some))


def _storable(completion: Completion) -> Completion:
    """A NUL, which no database holds and nobody sees, as the sign that stands for it."""
    text = completion.text.replace("\0", "\N{SYMBOL FOR NULL}")
    return completion.model_copy(update={"text": text})
