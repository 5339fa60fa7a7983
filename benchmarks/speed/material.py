"""The models and texts that both sides of a comparison read, made once under .bench/.

Texts are common words drawn by a seed and cut to the token: what they say does not matter to
a matrix product, how long they are does. The peers get the ids that our own readers made of
our files, so both sides train on the same tokens.
"""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from heedful.core.jsonl import write_records
from heedful.core.records import (
    Completion,
    Demonstration,
    FinishReason,
    Prompt,
    Ranking,
    text_hash,
)
from heedful.core.settings import DataSettings, FormatSettings, Project
from heedful.data.embedded_data import embedded_prompts
from heedful.data.formatting import PromptFormatter
from heedful.data.tokenizer import TextTokenizer
from heedful.generation.language_model import LanguageModel
from heedful.models.checkpoint import save_scalar
from heedful.models.folders import find_model
from heedful.models.loading import trunk_of
from heedful.models.scalar import ScalarModel
from heedful.training.display import Display
from heedful.training.examples import read_demonstrations, read_rankings

NEVER = "<|never|>"
LONGEST = 1024
LORA_RANK = 16
PROMPT_SHARE = 0.25  # of the tokens of a demonstration, and of a ranked completion
_COMMON = (
    "about after again animal answer apple around because before better between book bread "
    "bring build carry change children city clean close cold colour country cover different "
    "door early earth family father field follow garden great green group hand happen heart "
    "hold home horse house idea island keep kind large later learn leave letter light little "
    "long make mark mean money morning mother mountain move music night north number open "
    "paper people place plant point quick rain read remember right river road room round school "
    "sea second sentence seven ship short should show simple small snow song sound south spell "
    "stand start state stone story street strong study summer table teach think three through "
    "time town travel tree turn under until voice wait walk warm watch water week white wind "
    "winter word work world write year yellow young"
)
WORDS = _COMMON.split()


class Material:
    """Folders made from one model; each is made when first asked for.

    Args:
        folder: Where they are kept.
        model: A name that `find_model` knows.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self.source = find_model(model).path.resolve()
        self.folder = folder / self.source.name
        self.tokenizer = TextTokenizer.from_dir(self.source)
        self.filler = self.tokenizer.decode([self.tokenizer.pad_id], skip_special_tokens=False)

    def endless_model(self) -> Path:
        """The same weights under a tokenizer whose end token the model cannot draw.

        It is one more than the model has rows for, so every completion has its full length.
        """
        return self._made("endless", self._make_endless)

    def reward_model(self, *, endless: bool) -> Path:
        """A reward checkpoint of the model's trunk and a random head."""
        base = self.endless_model() if endless else self.source
        form = plain_format() if endless else FormatSettings()
        name = "reward-endless" if endless else "reward"
        return self._made(name, lambda folder: make_reward_model(base, form, folder)) / "checkpoint"

    def reward_adapter(self) -> Path:
        """A reward checkpoint that can share the endless model's trunk, after one short step."""
        return self._made("reward-adapter", self._train_adapter) / "run" / "checkpoint"

    def prompts(self, count: int, num_tokens: int) -> Path:
        """Prompts of exactly `num_tokens`, formatted, and their ids."""
        name = f"prompts-{count}-{num_tokens}"
        return self._made(name, lambda folder: self._make_prompts(folder, count, num_tokens))

    def questions(self, count: int) -> Path:
        """The first embedded prompts, as somebody would ask them, and their ids."""
        return self._made(f"questions-{count}", lambda folder: self._make_questions(folder, count))

    def demonstrations(self, lengths: list[int], name: str) -> Path:
        """Demonstrations of these lengths in tokens, prompt and end token counted."""
        return self._made(name, lambda folder: self._make_demonstrations(folder, lengths))

    def rankings(self, count: int, num_completions: int, num_tokens: int) -> Path:
        """Rankings of K completions of `num_tokens`, prompt and end token counted, no ties."""
        return self._made(
            f"rankings-{count}-{num_completions}-{num_tokens}",
            lambda folder: self._make_rankings(folder, count, num_completions, num_tokens),
        )

    def _made(self, name: str, make: Callable[[Path], None]) -> Path:
        folder = self.folder / name
        if not folder.exists():
            unfinished = self.folder / f"{name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            make(unfinished)
            unfinished.rename(folder)
        return folder

    def _make_endless(self, folder: Path) -> None:
        for file in self.source.iterdir():
            if file.suffix == ".safetensors":
                (folder / file.name).symlink_to(file)
            elif file.is_file():
                shutil.copyfile(file, folder / file.name)
        configuration = json.loads((folder / "config.json").read_text())
        rows = configuration["vocab_size"]
        if rows != self.tokenizer.vocab_size:
            raise SystemExit(f"the model has {rows} rows, its tokenizer another number of tokens")
        token = {"id": rows, "content": NEVER, "special": True, "single_word": False}
        token |= {"lstrip": False, "rstrip": False, "normalized": False}
        _edit(folder / "tokenizer.json", lambda spec: spec["added_tokens"].append(token))
        _edit(folder / "tokenizer_config.json", lambda own: own.update(eos_token=NEVER))
        for name in ("config.json", "generation_config.json"):
            _edit(folder / name, lambda own: own.update(eos_token_id=None))

    def _formatter(self, folder: Path | None = None) -> PromptFormatter:
        tokenizer = self.tokenizer if folder is None else TextTokenizer.from_dir(folder)
        return PromptFormatter(plain_format(), tokenizer)

    def _make_prompts(self, folder: Path, count: int, num_tokens: int) -> None:
        formatter, draw = self._formatter(), random.Random(0)
        prompts = [self._prompt(f"prompt-{n}", num_tokens, draw) for n in range(count)]
        write_records(folder / "prompts.jsonl", prompts)
        _write_ids(folder, prompts=[formatter.prompt_ids(prompt) for prompt in prompts])

    def _make_questions(self, folder: Path, count: int) -> None:
        formatter = PromptFormatter(FormatSettings(), self.tokenizer)
        prompts = [one.model_copy(update={"split": "train"}) for one in embedded_prompts()[:count]]
        write_records(folder / "prompts.jsonl", prompts)
        _write_ids(folder, prompts=[formatter.prompt_ids(prompt) for prompt in prompts])

    def _make_demonstrations(self, folder: Path, lengths: list[int]) -> None:
        draw = random.Random(0)
        prompts, demonstrations = [], []
        for number, length in enumerate(lengths):
            of_prompt = prompt_tokens(length)
            prompts.append(self._prompt(f"prompt-{number}", of_prompt, draw))
            demonstrations.append(
                Demonstration(
                    id=f"demonstration-{number}",
                    prompt_id=prompts[-1].id,
                    text=self._completion(length - of_prompt, draw),
                    labeller_id="benchmark",
                    made_by="simulated",
                )
            )
        write_records(folder / "prompts.jsonl", prompts)
        write_records(folder / "demonstrations.jsonl", demonstrations)
        data = DataSettings(demonstrations=folder, validation_share=0)
        pairs = read_demonstrations(data, self._formatter(), 0, print).train
        if sorted(map(len, pairs)) != sorted(lengths):
            raise SystemExit("the demonstrations have other lengths than asked for")
        _write_ids(folder, pairs=[(pair.prompt_ids, pair.completion_ids) for pair in pairs])

    def _train_adapter(self, folder: Path) -> None:
        from heedful.training.reward import train

        self._write_rankings(folder, 2, 2, 48, "length")
        config = {
            "run": {"dir": folder / "run", "threads": 1},
            "model": {"name": str(self.endless_model()), "device": "cpu", "lora_rank": LORA_RANK},
            "format": plain_format().model_dump(),
            "data": {"rankings": folder, "validation_share": 0},
        }
        train(Project.model_validate(config), Display(quiet=True))

    def _make_rankings(self, folder: Path, count: int, k: int, num_tokens: int) -> None:
        self._write_rankings(folder, count, k, num_tokens, "stop")
        data = DataSettings(rankings=folder, validation_share=0)
        examples = read_rankings(data, self._formatter(), 0, print).train
        if {len(pair) for one in examples for pair in one.pairs} != {num_tokens}:
            raise SystemExit("the ranked completions have other lengths than asked for")
        rows = [
            {
                "pairs": [(pair.prompt_ids, pair.completion_ids) for pair in one.pairs],
                "ranks": one.ranking.ranks,
            }
            for one in examples
        ]
        _write_ids(folder, rankings=rows)

    def _write_rankings(
        self, folder: Path, count: int, k: int, num_tokens: int, reason: FinishReason
    ) -> None:
        draw, of_prompt = random.Random(0), prompt_tokens(num_tokens)
        prompts = [self._prompt(f"prompt-{n}", of_prompt, draw) for n in range(count)]
        completions = [
            Completion(
                id=f"completion-{prompt.id}-{place}",
                prompt_id=prompt.id,
                text=self._completion(num_tokens - of_prompt, draw),
                checkpoint_id="benchmark",
                finish_reason=reason,
            )
            for prompt in prompts
            for place in range(k)
        ]
        rankings = [
            Ranking(
                id=f"ranking-{number}",
                prompt_id=prompt.id,
                completion_ids=tuple(one.id for one in completions[number * k : (number + 1) * k]),
                ranks=tuple(draw.sample(range(1, k + 1), k)),
                labeller_id="benchmark",
                made_by="simulated",
            )
            for number, prompt in enumerate(prompts)
        ]
        write_records(folder / "prompts.jsonl", prompts)
        write_records(folder / "completions.jsonl", completions)
        write_records(folder / "rankings.jsonl", rankings)

    def _prompt(self, name: str, num_tokens: int, draw: random.Random) -> Prompt:
        formatter = self._formatter()

        def prompt(text: str) -> Prompt:
            return Prompt(
                id=name,
                text_hash=text_hash(text),
                instruction=text,
                source="benchmark",
                user_id=f"user-{name}",
                split="train",
                consent=True,
            )

        count = lambda text: len(formatter.prompt_ids(prompt(text)))  # noqa: E731
        return prompt(text_of(num_tokens, count, draw))

    def _completion(self, num_tokens: int, draw: random.Random) -> str:
        formatter = self._formatter()
        return text_of(num_tokens, lambda text: len(formatter.completion_ids(text)), draw)


def plain_format() -> FormatSettings:
    """The format of every measured run but those that answer questions."""
    return FormatSettings(
        template="plain", max_prompt_tokens=LONGEST, max_completion_tokens=LONGEST
    )


def prompt_tokens(num_tokens: int) -> int:
    """How many of a text's tokens are its prompt's."""
    return max(16, round(PROMPT_SHARE * num_tokens))


def ragged_lengths(count: int, median: int, longest: int) -> list[int]:
    """Lengths with a long tail: log-normal, sigma 0.7, the same at every call."""
    draw = random.Random(0)
    found = [round(median * draw.lognormvariate(0, 0.7)) for _ in range(count)]
    return [min(max(length, 32), longest) for length in found]


def text_of(num_tokens: int, count: Callable[[str], int], draw: random.Random) -> str:
    """Words that `count` finds to be exactly `num_tokens`.

    Raises:
        SystemExit: There is no such text, as where the format alone is longer.
    """
    for _ in range(100):
        drawn = [draw.choice(WORDS) for _ in range(num_tokens)]
        fewest, most = 1, num_tokens
        while fewest < most:
            middle = (fewest + most + 1) // 2
            if count(" ".join(drawn[:middle])) <= num_tokens:
                fewest = middle
            else:
                most = middle - 1
        text = " ".join(drawn[:fewest])
        for letter in [*draw.sample("abcdefghijklmnopqrstuvwxyz", 26), *"0123456789.,;:!?-"]:
            if count(text) < num_tokens and count(text + letter) == count(text) + 1:
                text += letter
        if count(text) == num_tokens:
            return text
    raise SystemExit(f"found no text of {num_tokens} tokens")


def make_reward_model(base: Path, form: FormatSettings, folder: Path) -> None:
    """Save the trunk of `base` with a head drawn by a seed."""
    import torch

    language = LanguageModel.open(str(base), format_settings=form)
    trunk: Any = trunk_of(language.model)
    generator = torch.Generator().manual_seed(0)
    model = ScalarModel(trunk, trunk.config.hidden_size, generator=generator)
    weights = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    save_scalar(
        folder / "checkpoint",
        model,
        weights,
        card=language.child_card(
            "reward", step=0, settings_hash="benchmark", parents={}, made_by=("simulated",)
        ),
        format_settings=language.formatter.settings,
        save_tokenizer=language.save_tokenizer,
    )


def _edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    if path.exists():
        content = json.loads(path.read_text(encoding="utf-8"))
        change(content)
        path.write_text(json.dumps(content), encoding="utf-8")


def _write_ids(folder: Path, **ids: Any) -> None:
    (folder / "ids.json").write_text(json.dumps(ids), encoding="utf-8")
