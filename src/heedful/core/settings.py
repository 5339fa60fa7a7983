"""The sections of a Heedful project file, one frozen model each, with their defaults.

A project file (TOML) may hold several sections; each command reads those it needs.
Field descriptions become `--help` and the reference page. How files and `--set` are
layered is in `heedful.core.config`; this module only says what may be set.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Base of all sections: frozen, unknown keys refused, defaults validated."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class FormatSettings(Settings):
    """How a prompt becomes tokens; stored with every checkpoint."""

    template: Literal["plain", "chat"] = Field(
        "chat",
        description="`chat` uses the model's own chat template; `plain` a simple one that "
        "every model can read.",
    )
    max_prompt_tokens: int = Field(1024, gt=0, description="Longest formatted prompt, in tokens.")
    max_completion_tokens: int = Field(
        1024, gt=0, description="Longest completion, in tokens, the end token counted."
    )
    overlong_prompts: Literal["truncate", "drop"] = Field(
        "truncate",
        description="Cut over-long prompts at whole lines from the front of their longest text "
        "part, or drop them; both are counted and reported.",
    )
    overlong_completions: Literal["drop", "truncate"] = Field(
        "drop",
        description="Drop training completions over the budget, or cut them (without an end "
        "token, so that the model does not learn to stop there).",
    )
