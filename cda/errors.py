"""The error of the CDA layer."""

from __future__ import annotations


class CdaError(Exception):
    """A document that is not usable as CDA R2. The text is a sentence with place, finding and expectation.

    `line` is that of the element concerned, None where there is none.
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        self.reason = reason
        self.line = line
        super().__init__(f"line {line}: {reason}" if line else reason)
