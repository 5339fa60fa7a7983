"""Shortens an over-long prompt at whole lines, from the front of its longest text part.

The context goes line by line, earlier turns one exchange at a time, worked examples one
at a time: half a line, an answer without its question or half an example would mislead.
The instruction is cut only when nothing else is left, and never away altogether.
What counts as too long is the formatter's to say.
"""

from dataclasses import dataclass, replace
from typing import Literal

from heedful.core.records import Prompt, Turn

_Part = Literal["context", "turns", "examples"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How many units to take from the front of each part of a prompt."""

    context: int = 0
    turns: int = 0
    examples: int = 0
    instruction: int = 0

    def apply(self, prompt: Prompt) -> Prompt:
        """The shortened prompt, under its old id."""
        kept_lines = (prompt.context or "").split("\n")[self.context :]
        system, exchanges = _exchanges(prompt.turns)
        kept_turns = [turn for exchange in exchanges[self.turns :] for turn in exchange]
        return prompt.model_copy(
            update={
                "context": "\n".join(kept_lines) or None,
                "turns": (*system, *kept_turns),
                "examples": prompt.examples[self.examples :],
                "instruction": "\n".join(prompt.instruction.split("\n")[self.instruction :]),
            }
        )


def cuts(prompt: Prompt) -> list[Cut]:
    """Every cut worth trying, each one unit shorter than the one before."""
    left: dict[_Part, list[int]] = {
        "context": [len(line) + 1 for line in prompt.context.split("\n")] if prompt.context else [],
        "turns": [sum(len(turn.text) for turn in turns) for turns in _exchanges(prompt.turns)[1]],
        "examples": [len(item.prompt) + len(item.completion) for item in prompt.examples],
    }
    totals = {part: sum(sizes) for part, sizes in left.items()}
    taken: dict[_Part, int] = {"context": 0, "turns": 0, "examples": 0}
    found: list[Cut] = []
    while candidates := [part for part in left if taken[part] < len(left[part])]:
        # Of equally long parts the first: context, then turns, then examples.
        longest = max(candidates, key=lambda part: totals[part])
        totals[longest] -= left[longest][taken[longest]]
        taken[longest] += 1
        found.append(Cut(**taken))
    bare = found[-1] if found else Cut()
    lines = prompt.instruction.split("\n")
    return found + [
        replace(bare, instruction=line)
        for line in range(1, len(lines))
        if "".join(lines[line:]).strip()
    ]


def _exchanges(turns: tuple[Turn, ...]) -> tuple[list[Turn], list[list[Turn]]]:
    """System turns, and the others in groups that each begin with a user's turn."""
    system = [turn for turn in turns if turn.role == "system"]
    groups: list[list[Turn]] = []
    for turn in turns:
        if turn.role == "system":
            continue
        if turn.role == "user" or not groups:
            groups.append([])
        groups[-1].append(turn)
    return system, groups
