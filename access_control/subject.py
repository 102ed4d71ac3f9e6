"""Who is asking, as a value; how it was proved is no concern of this package.

Source: IHE ITI TF-2 3.40 (XUA attributes); DMP VIHF.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ProofLevel = Literal["none", "local", "certificate", "sts", "card", "structure", "structure-strong"]
"""How an identity was proved.

"none": not at all; "local": an account of this machine; "certificate": the TLS client certificate alone; "sts": an assertion
of a trusted issuer; "card": one signed with the person's own card; "structure": one signed by an organisation for a user it
declares; "structure-strong": the same, the user having been authenticated strongly.
"""


@dataclass(frozen=True, slots=True)
class Coded:
    """A code and the OID of its system."""

    code: str
    system: str = ""

    def __str__(self) -> str:
        return f"{self.code}^{self.system}" if self.system else self.code


@dataclass(frozen=True, slots=True)
class Subject:
    """The caller. `id` is the national or local identifier, `name` what people call them, `issuer` who vouches for them.

    `roles`: the profession first, then the speciality where one is told. `structure` and `sector`: the organisation they act
    in and its kind. `mode`: the access mode ("normal", "bris_de_glace", "centre_15"); `reason`: why the mode is not normal;
    `purpose`: the purpose of use as "code^system"; `authentication`: the mode in the assertion's own word. `patient`: the
    patient that the assertion names, a CX. `confidentiality`: an audience restriction for traces and deposits. `consents`:
    documents of consent that the assertion points at. `digest`: SHA-256 of the assertion, `certificate` that of the TLS
    client certificate, both in hexadecimal. Every text is empty where nothing was said.
    """

    id: str
    name: str = ""
    issuer: str = ""
    roles: tuple[Coded, ...] = ()
    structure: str = ""
    sector: str = ""
    mode: str = ""
    reason: str = ""
    purpose: str = ""
    authentication: str = ""
    patient: str = ""
    confidentiality: str = ""
    software: str = ""
    consents: tuple[str, ...] = ()
    proof_level: ProofLevel = "none"
    digest: str = ""
    certificate: str = ""


ANONYMOUS: Final = Subject("anonymous")
