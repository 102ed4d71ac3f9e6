"""The options of the policy `dmp`: `[access.options]` of the configuration."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class DmpSettings(BaseModel):
    """What an operator of a shared record decides. Durations are days."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    role_based_columns: bool = Field(
        default=False,
        description="Open the columns of the matrix that are given by a role; disputed in court, off by default.",
    )
    team_consent: Literal["once", "each"] = Field(
        default="once", description="An authorisation is given once for its length, or anew for each consultation (a day)."
    )
    authorisation_length: int = Field(default=365, ge=1, description="Days for which an authorisation is valid.")
    adult_age: int = Field(default=18, ge=1, description="Age in years from which nobody represents the holder as a minor.")
    reminder_days: int = Field(
        default=15, ge=1, description="Days after which an announcement that has not been made is recalled."
    )
    release_days: int = Field(
        default=21, ge=1, description="Days after which a document hidden from the patient is released."
    )
    cumulate_invisible_and_masked: bool = Field(
        default=False, description="A document may be hidden from the patient and masked to professionals at once."
    )


def read_settings(options: Mapping[str, object]) -> DmpSettings:
    """The settings. Raises ValueError naming every wrong option, with the nearest known name."""
    try:
        return DmpSettings.model_validate(dict(options))
    except ValidationError as error:
        raise ValueError("; ".join(_problem(one["loc"], one["type"], one["msg"]) for one in error.errors())) from None


def _problem(where: tuple[int | str, ...], kind: str, message: str) -> str:
    name = ".".join(map(str, where))
    if kind != "extra_forbidden":
        return f"{name}: {message}"
    near = difflib.get_close_matches(name, DmpSettings.model_fields, n=1)
    return f"{name!r} is not an option of the policy dmp" + (f"; did you mean {near[0]!r}?" if near else "")
