"""A conversation with a model in the terminal; nothing of it is kept."""

from rich.console import Console

from heedful.core.errors import HeedfulError
from heedful.core.records import Prompt, SamplingParameters, Turn, derived_id, text_hash
from heedful.generation.language_model import LanguageModel
from heedful.models.precision import compute_dtype, pick_device


def talk(model: str, *, temperature: float, max_tokens: int, seed: int) -> None:
    """Read prompts and print answers until the end of input.

    Raises:
        HeedfulError: The model cannot be opened.
    """
    console = Console(highlight=False, soft_wrap=True)
    device = pick_device("auto")
    language = LanguageModel.open(model, device=device, dtype=compute_dtype("auto", device))
    sampling = SamplingParameters(temperature=temperature, max_tokens=max_tokens)
    console.print(
        f"{language.checkpoint_id}: type a prompt; /new starts over, Ctrl-D ends.", style="dim"
    )
    turns: list[Turn] = []
    while True:
        try:
            asked = console.input("[bold]you[/bold]  ").strip()
        except (EOFError, KeyboardInterrupt):
            console.print()
            return
        if not asked:
            continue
        if asked == "/new":
            turns = []
            continue
        prompt = _prompt(asked, turns)
        try:
            answer = language.sample([prompt], sampling, seed=seed)[0][0]
        except HeedfulError as error:
            console.print(str(error), markup=False)
            continue
        console.print("[bold]model[/bold] ", end="")
        console.print(answer.text, markup=False)
        if answer.finish_reason == "length":
            console.print(f"(cut after {max_tokens} tokens)", style="dim")
        turns += [Turn(role="user", text=asked), Turn(role="assistant", text=answer.text)]


def _prompt(asked: str, turns: list[Turn]) -> Prompt:
    return Prompt(
        id=derived_id("prompt", asked, len(turns)),
        text_hash=text_hash(asked, turns=turns),
        instruction=asked,
        turns=tuple(turns),
        source="chat",
        user_id="terminal",
        consent=False,
    )
