"""Fresh identifiers for a run, reproducible from its seed: the same seed names the same patients and documents again."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from dataclasses import dataclass

from conformance.target import Domain


@dataclass(frozen=True, slots=True)
class Ids:
    """Identifiers of one case in one run."""

    seed: str
    case: str
    domain: Domain

    def _digest(self, kind: str, name: str) -> bytes:
        message = f"{self.case}\n{kind}\n{name}".encode()
        return hmac.new(self.seed.encode(), message, hashlib.sha256).digest()

    def _uuid(self, kind: str, name: str) -> uuid.UUID:
        return uuid.UUID(bytes=self._digest(kind, name)[:16], version=4)

    def uuid(self, name: str) -> str:
        """A lower-case `urn:uuid:…`."""
        return f"urn:uuid:{self._uuid('uuid', name)}"

    def oid(self, name: str) -> str:
        """An OID of at most 64 characters: below 2.25 a UUID as an integer, below another root a number of 15 digits."""
        value = self._uuid("oid", name).int
        root = self.domain.id_root
        return f"{root}.{value}" if root == "2.25" else f"{root}.{10**14 + value % (9 * 10**14)}"

    def patient(self, name: str) -> str:
        """A patient identifier (HL7 v2 CX) of the domain's assigning authority."""
        number = int.from_bytes(self._digest("patient", name)[:5], "big")
        return f"{self.domain.patient_prefix}{number:013d}^^^&{self.domain.assigning_authority}&ISO"
