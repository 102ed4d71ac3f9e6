"""The VIHF of the French DMP as a table: its attributes, and the elements around them.

Editions: 2.0 (older DMP, CI-SIS transport), 3.0 (DMP of 2019 and 2020) and 4.0 (the present mapping of the ANS).
Source: DMP example messages v02.05.00; ANS implementation guide HL7 v2 / CDA, mapping of the VIHF 4.0; JDV_J38, J61, J64,
J65.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from schemas import paths
from xua.attributes import Attribute, Form
from xua.roles import FIRST_SYSTEMS, SECOND_SYSTEMS

EDITIONS: Final = ("2.0", "3.0", "4.0")
DIRECT, INDIRECT, REINFORCED = "DIRECTE", "INDIRECTE", "INDIRECTE_RENFORCEE"
NORMAL, BREAK_GLASS, REGULATION = "normal", "bris_de_glace", "centre_15"
PURPOSE_SYSTEM: Final = "1.2.250.1.213.1.1.4.248"
SECTOR_SYSTEM: Final = "1.2.250.1.71.4.2.4"
STAFF_SYSTEM: Final = "1.2.250.1.213.1.1.4.6"
"""Of the first role of those who are no professionals of care."""
RESTRICTION: Final = ("INVISIBLE_REPRESENTANTS_LEGAUX", "1.2.250.1.213.1.1.4.13")
X509_NAME: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"
X509_NAME_2: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:X509SubjectName"
CLASSES: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
SMARTCARD: Final = f"{CLASSES}SmartcardPKI"

PERSON_ID: Final = r"(?:8[0-9]{11}|[0-7][0-9A-Za-z/._-]{5,79})"
STRUCTURE_ID: Final = r"[0-9][0-9A-Z]{7,19}"
_PATIENT_AUTHORITIES: Final = frozenset(f"1.2.250.1.213.1.4.{n}" for n in (2, 8, 9, 10, 11))
_NEW: Final = frozenset({"3.0", "4.0"})
_OLD: Final = frozenset({"2.0"})
_ALL: Final = frozenset("*")


def _sectors() -> frozenset[str]:
    path = Path(paths.__file__).with_name("codes") / "dmp.csv"
    with path.open(encoding="utf-8") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return frozenset(
            row["code"]
            for row in rows
            if row["attribute"] == "healthcare_facility_type_code" and row["scheme"] == SECTOR_SYSTEM
        )


ATTRIBUTES: Final[tuple[Attribute, ...]] = (
    Attribute(
        "version",
        ("VIHF_Version",),
        Form.TEXT,
        "edition of the VIHF",
        needed=_ALL,
        values=frozenset(EDITIONS),
        check="one of the editions supported, before the signature is looked at",
    ),
    Attribute(
        "structure",
        ("Identifiant_Structure",),
        Form.WORD,
        "national id of the structure",
        needed=_ALL,
        pattern=STRUCTURE_ID,
        check="the id of a structure",
        condition="indirect: an organizational unit of both certificates",
    ),
    Attribute(
        "sector",
        ("Secteur_Activite",),
        Form.CODED,
        "sector of activity of the structure",
        needed=_ALL,
        values=_sectors(),
        systems=frozenset({SECTOR_SYSTEM}),
        check="a code of JDV_J61",
    ),
    Attribute(
        "name",
        ("urn:oasis:names:tc:xspa:1.0:subject:subject-id",),
        Form.TEXT,
        "name of the user, or of the software",
        condition="required in the indirect modes",
    ),
    Attribute(
        "organization",
        ("urn:oasis:names:tc:xspa:1.0:subject:organization",),
        Form.TEXT,
        "name of the structure",
        editions=_OLD,
    ),
    Attribute(
        "roles",
        ("urn:oasis:names:tc:xacml:2.0:subject:role",),
        Form.CE,
        "profession, then speciality or role",
        needed=_ALL,
        element=("Role",),
        most=2,
        systems=FIRST_SYSTEMS | SECOND_SYSTEMS,
        condition="a second value for 10, 21 and 99; optional for 40, 60 and in training; none for others",
        check="JDV_J65; direct: the profession in the card's certificate; a role of staff for a card of unit Personnel",
    ),
    Attribute(
        "authentication",
        ("Authentification_mode", "Authentification_Mode"),
        Form.TEXT,
        "mode of authentication",
        needed=_NEW,
        values=frozenset({DIRECT, INDIRECT, REINFORCED}),
        condition="absent from 2.0: the kind of certificate says it",
        check="a card for DIRECTE, a structure's certificates for the others",
    ),
    Attribute(
        "patient",
        ("urn:oasis:names:tc:xacml:2.0:resource:resource-id",),
        Form.CX,
        "the patient whose record is used",
        systems=_PATIENT_AUTHORITIES,
        condition="absent from transactions that concern no single patient",
        check="a CX with an authority of the INS; compared with the message by those who serve it",
    ),
    Attribute(
        "resource",
        ("Ressource_URN",),
        Form.WORD,
        "what the assertion is for",
        needed=_ALL,
        values=frozenset({"urn:dmp"}),
        check="exactly urn:dmp: an assertion for the ROR is refused",
    ),
    Attribute(
        "purpose",
        ("urn:oasis:names:tc:xspa:1.0:subject:purposeofuse",),
        Form.CE,
        "mode of access",
        needed=_ALL,
        element=("PurposeOfUse",),
        values=frozenset({NORMAL, BREAK_GLASS, REGULATION}),
        systems=frozenset({PURPOSE_SYSTEM, "1.2.250.1.213.1.1.4.336"}),
        check="a code of JDV_J38, under either of the two systems in use; no break-glass in indirect mode",
    ),
    Attribute(
        "reason",
        ("Mode_Acces_Raison",),
        Form.TEXT,
        "why the glass is broken",
        longest=2000,
        condition="required with bris_de_glace",
        check="not empty; kept in the journal",
    ),
    Attribute(
        "confidentiality",
        ("urn:oasis:names:tc:xspa:1.0:resource:patient:hl7:confidentiality-code",),
        Form.CODED,
        "secret connection of a minor",
        values=frozenset({RESTRICTION[0]}),
        systems=frozenset({RESTRICTION[1]}),
        check="the one code of JDV_J64",
    ),
    Attribute("software_id", ("LPS_ID",), Form.TEXT, "instance of the software", editions=_NEW),
    Attribute("software", ("LPS_Nom",), Form.TEXT, "name of the software", needed=_ALL),
    Attribute("software_version", ("LPS_Version",), Form.TEXT, "version of the software", needed=_ALL),
    Attribute(
        "approval", ("LPS_ID_HOMOLOGATION_DMP",), Form.TEXT, "approval number of the software", needed=_NEW, editions=_NEW
    ),
    Attribute(
        "profile",
        ("VIHF_Profil",),
        Form.CE,
        "profile of the edition for the ROR",
        editions=_OLD,
        element=("CodedElement", "Profil", "VIHF_Profil"),
        check="read and not used",
    ),
    Attribute(
        "user_profile",
        ("Profil_Utilisateur",),
        Form.CE,
        "profile of the user for the ROR",
        editions=_OLD,
        element=("CodedElement", "Profil", "Profil_Utilisateur"),
        check="read and not used",
    ),
    Attribute(
        "authentication_level",
        ("Palier_Authentification",),
        Form.CODED,
        "level of authentication",
        editions=_OLD,
        check="read and not used",
    ),
)


@dataclass(frozen=True, slots=True)
class Element:
    """A part of the assertion beside the attributes: where, how often, what is checked and the reasons of a refusal."""

    place: str
    needed: str
    check: str
    reasons: tuple[str, ...]


ELEMENTS: Final[tuple[Element, ...]] = (
    Element("Assertion/@xmlns", "1", "SAML 2.0", ("no-assertion", "saml-version")),
    Element("Assertion/@Version", "1", "2.0", ("saml-version",)),
    Element("Assertion/@ID", "1", "a name, unique in the message; bound to the first client that uses it",
            ("assertion-id", "duplicate-id", "replayed", "used")),
    Element("Assertion/@IssueInstant", "1", "UTC, not ahead by more than the skew, not older than max_age",
            ("time-format", "issued-in-future", "too-old")),
    Element("Issuer", "1", "the subject name of the signing certificate", ("issuer",)),
    Element("Issuer/@Format", "1", f"{X509_NAME}, in 2.0 also {X509_NAME_2}", ("issuer",)),
    Element("ds:Signature", "1", "second child, one reference, right, by a trusted certificate for signatures",
            ("unsigned", "signature-children", "references", "reference", "transforms", "digest-mismatch",
             "certificate-key-usage")),
    Element("Subject/NameID", "1", "national id of the person; direct: the common name of the card's certificate",
            ("name-id", "identity")),
    Element("Conditions/@NotBefore", "0..1", "reached, the skew allowed", ("time-format", "not-yet-valid")),
    Element("Conditions/@NotOnOrAfter", "0..1", "not reached; at most max_age after IssueInstant",
            ("time-format", "expired", "validity")),
    Element("Conditions/AudienceRestriction", "0", "not expected; if given it must name this server", ("audience",)),
    Element("AuthnStatement/@AuthnInstant", "1", "not after IssueInstant, the skew allowed",
            ("authn-statement", "time-format")),
    Element("AuthnStatement/AuthnContext/AuthnContextClassRef", "1", "a class of SAML 2.0; direct: SmartcardPKI",
            ("authn-statement", "authn-context")),
    Element("AuthnStatement/AuthnContext/AuthnContextDecl", "0..1", "required in INDIRECTE_RENFORCEE", ("authn-statement",)),
)  # fmt: skip
"""The rows of the assertion itself; the order is that of the checks."""
