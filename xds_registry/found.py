"""One object that a query found, as a row of its statement."""

from __future__ import annotations

from typing import NamedTuple


class Found(NamedTuple):
    """`kind` and `status` as in `vocabulary`; `last_update` and `splice` of folders, else empty and 0.

    `registered_at` in microseconds orders an answer.
    """

    kind: int
    registered_at: int
    id: str
    patient: str
    status: int
    last_update: str
    splice: int
