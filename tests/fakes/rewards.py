"""Reward functions as a user would write them, good and bad."""

import math
import time
from collections.abc import Sequence

from heedful.core.records import Prompt

NOT_A_FUNCTION = 1.0


def likes_e(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
    """One point for each letter e."""
    return [float(text.count("e")) for text in texts]


def five(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
    return [5.0] * len(texts)


def slow(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
    """`likes_e` with time to be killed in."""
    time.sleep(0.3)
    return likes_e(prompts, texts)


def one_short(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
    return [0.0] * (len(texts) - 1)


def undefined(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
    return [math.nan] * len(texts)
