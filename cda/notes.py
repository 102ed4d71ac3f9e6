"""What a derivation could not do, as sentences."""

from __future__ import annotations

from dataclasses import dataclass, field

from xds_metadata.datatypes import Check, DatatypeTolerances


@dataclass(slots=True)
class Notes:
    """Collects warnings, and judges texts by what the receiver accepts."""

    tolerances: DatatypeTolerances
    sentences: list[str] = field(default_factory=list)

    def warn(self, attribute: str, sentence: str) -> None:
        """Notes that `attribute` (its wire name) is not as it could be."""
        self.sentences.append(f"{attribute}: {sentence}")

    def accepts(self, text: str, check: Check) -> bool:
        """Whether `check` accepts `text`."""
        return check(text, self.tolerances) is None

    def right(self, attribute: str, text: str, check: Check) -> str | None:
        """`text` if `check` accepts it, else None and a warning."""
        wrong = check(text, self.tolerances)
        if wrong is None:
            return text
        self.warn(attribute, f"left out; {wrong}")
        return None
