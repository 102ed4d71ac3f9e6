"""A part that could not be written aside."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FailedPart:
    """Takes the place of a StagedPart whose storage failed, so that the transaction can answer in its own kind.

    It holds no bytes and is of no store's own type: whoever would take it over must refuse with `error` as the cause.
    """

    error: Exception

    def write(self, data: bytes) -> None:
        """The bytes are dropped."""

    def close(self) -> None:
        """Nothing to complete."""

    def discard(self) -> None:
        """Nothing to forget."""
