"""What `liasse doctor` says of one thing that it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check: its name, how it went, and what was found and is expected."""

    name: str
    status: State
    detail: str
