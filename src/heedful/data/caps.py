"""At most so many prompts of one user, and of one organisation (paper, section 3.2).

Which of them stay is drawn by a hash of seed and id, so it depends on no order and on no
other user. An organisation's prompts are counted after its users were capped.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from heedful.core.errors import ConfigError
from heedful.core.records import Prompt

CapReason = Literal["user", "organisation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capped:
    """What the caps let through.

    Attributes:
        kept: In the order they came.
        dropped: By id, whose cap it was over.
    """

    kept: list[Prompt]
    dropped: dict[str, CapReason]


def cap(
    prompts: Sequence[Prompt],
    *,
    per_user: int = 200,
    per_organisation: int = 200,
    seed: int = 0,
) -> Capped:
    """The prompts within both caps; those that `drawn` puts first stay.

    Prompts of no organisation meet the cap per user only.

    Raises:
        ConfigError: A cap is below 1.
    """
    if min(per_user, per_organisation) < 1:
        raise ConfigError(
            f"caps of {per_user} per user and {per_organisation} per organisation",
            "Each is at least 1.",
        )
    users: Counter[str] = Counter()
    organisations: Counter[str] = Counter()
    dropped: dict[str, CapReason] = {}
    for prompt in sorted(prompts, key=lambda prompt: drawn(seed, prompt.id)):
        if users[prompt.user_id] == per_user:
            dropped[prompt.id] = "user"
            continue
        users[prompt.user_id] += 1
        if prompt.organisation is None:
            continue
        if organisations[prompt.organisation] == per_organisation:
            dropped[prompt.id] = "organisation"
        else:
            organisations[prompt.organisation] += 1
    return Capped(kept=[prompt for prompt in prompts if prompt.id not in dropped], dropped=dropped)


def drawn(seed: int, prompt_id: str) -> bytes:
    """The place of a prompt in the draw: a hash keyed by the seed."""
    return hashlib.blake2b(prompt_id.encode(), key=str(seed).encode(), digest_size=16).digest()
