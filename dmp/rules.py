"""The rules by their ids: what each says, where it comes from, what a refusal by it is sent with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from access_control.decision import Decision

RIGHTS: Final = "DMPAccessDeniedByRightsService"


@dataclass(frozen=True, slots=True)
class Rule:
    """`text` is one sentence in words; `code` the fault subcode of a refusal, empty for a rule that only permits."""

    id: str
    text: str
    source: str
    code: str = ""


RULES: Final = {
    rule.id: rule
    for rule in (
        Rule(
            "dmp-caller",
            "A caller who did not prove who he is, or whose profession is unknown, has no right.",
            "PDT-INF-526",
            RIGHTS,
        ),
        Rule(
            "dmp-patient",
            "The record concerned is that of the patient whom the caller's assertion names; it names one, "
            "and the message names no other.",
            "PDT-INF-526; VIHF, resource-id",
            RIGHTS,
        ),
        Rule(
            "dmp-transaction",
            "Documents enter the record with ITI-41, through the repository.",
            "PDT-INF-526, TD2.1",
            RIGHTS,
        ),
        Rule(
            "dmp-right",
            "The table of functional rights opens the transaction to the caller's card, role and access mode.",
            "PDT-INF-526; PDT-INF-606",
            RIGHTS,
        ),
        Rule("dmp-record-missing", "The patient has a record.", "R.1111-27 and after", "DMPNotFound"),
        Rule("dmp-record-closed", "A closed record is neither read nor fed.", "R.1111-34", "DMPNotFound"),
        Rule(
            "dmp-blocked",
            "A professional whom the patient blocked may deposit and do nothing else.",
            "PDT-INF-526; L.1111-19",
            "DMPPatientBlocked",
        ),
        Rule(
            "dmp-authorisation",
            "In normal mode reading, lists and changes need a valid authorisation of the patient.",
            "L.1111-17; PDT-INF-526, TD0.3",
            "DMPAuthorizationMissing",
        ),
        Rule(
            "dmp-authorisation-expired",
            "An authorisation ends after its length and is declared again.",
            "EX_0.3-1020",
            "DMPAuthorizationExpired",
        ),
        Rule(
            "dmp-emergency-opposed",
            "An emergency mode that the patient opposes is closed.",
            "L.1111-17; PDT-INF-526",
            "DMPEmergencyOpposed",
        ),
        Rule("dmp-emergency-reason", "Who breaks the glass says why.", "L.1111-17; EX_0.3-1050", RIGHTS),
        Rule(
            "dmp-secret",
            "In a secret connection of a minor only documents hidden from the representatives are deposited.",
            "L.1111-5; R.1111-6",
            RIGHTS,
        ),
        Rule(
            "dmp-cumulation",
            "A document is not hidden from the patient and masked to professionals at once, unless the settings allow it.",
            "parameter cumul-invisible_patient-masque_ps",
            RIGHTS,
        ),
        Rule(
            "dmp-replace",
            "A document is replaced by its author, or by the structure that deposited it.",
            "PDT-INF-526, note 9",
            RIGHTS,
        ),
        Rule(
            "dmp-change",
            "Nothing but visibility and status is changed by an update of metadata.",
            "PDT-INF-526, TD3.3",
            RIGHTS,
        ),
        Rule(
            "dmp-irreversible",
            "What was made visible to the patient or to the representatives stays visible.",
            "PDT-INF-526, TD3.3b",
            RIGHTS,
        ),
        Rule(
            "dmp-own",
            "This change is for the author, or for the structure of the document.",
            "PDT-INF-526, notes 8 and 9",
            RIGHTS,
        ),
        Rule(
            "dmp-of-patient",
            "A document of the patient is archived, unarchived and deleted by the patient or by his attending doctor.",
            "PDT-INF-526, note (*)",
            RIGHTS,
        ),
        Rule("dmp-allowed", "Every rule before was met.", "PDT-INF-526"),
    )
}


READING: Final = {
    rule.id: rule
    for rule in (
        Rule(
            "dmp-see-status",
            "A deleted document is found only by who asks for deleted ones, read by whom its type is open to, and never "
            "shown to the patient; look-ups do not give it.",
            "PDT-INF-526, TD3.2; DMP, TD3.3c",
        ),
        Rule(
            "dmp-see-author",
            "An author sees his own document whatever its type and visibility; a structure sees what it deposited.",
            "PDT-INF-526, notes 6 and 9",
        ),
        Rule(
            "dmp-see-visibility",
            "A document is shown if each of its visibility codes is open to the reader: masked ones to attending doctors, "
            "and in emergencies if the patient accepted it; hidden ones not to whom they are hidden from; none with an "
            "unknown code.",
            "PDT-INF-526, notes 6 and 7; R.1111-42; L.1111-5",
        ),
        Rule(
            "dmp-see-matrix",
            "A document is shown to a professional if the matrix opens its type to his profession; an unknown type to "
            "nobody.",
            "CNAM, matrice d'habilitation, 25/09/2024; arrêté du 26/10/2023",
        ),
    )
}
"""What decides for each document whether a reader sees it. They hide and do not refuse: what is hidden is as unknown."""


KEEPING: Final = {
    rule.id: rule
    for rule in (
        Rule("dmp-ins", "A record is that of an INS with a right key.", "PDT-INF-526, TD1.1; CI-SIS, INS"),
        Rule("dmp-record-found", "A patient has one record.", "PDT-INF-526, TD1.1"),
        Rule(
            "dmp-consent",
            "A record is opened or reopened, and a professional unblocked, with the patient's consent.",
            "R.1111-26 and after; PDT-INF-526, TD0.3",
        ),
        Rule("dmp-motive", "Closing a record needs a motive, which is kept.", "PDT-INF-526, TD1.4"),
        Rule(
            "dmp-record-active",
            "An active record is not reopened, and none is destroyed before it was closed.",
            "PDT-INF-526, TD1.2 and TD1.4; PDT-INF-527",
        ),
        Rule("dmp-attending", "An attending doctor is a person who is a doctor.", "PDT-INF-526, TD0.3"),
        Rule(
            "dmp-announcement",
            "Attending doctors and authors are reminded of a document that is hidden from its patient, and after a further "
            "delay it is made visible to him: 15 and 21 days unless the settings say otherwise.",
            "R.1111-26 and after; PDT-INF-526",
        ),
    )
}
"""What decides when a record itself is kept: acts of an operator, of a professional (TD0.3) and of the system."""


def allow() -> Decision:
    """Nothing speaks against it."""
    return Decision(allowed=True, rule="dmp-allowed")


def refuse(rule: str) -> Decision:
    """The decision of a rule that is not met."""
    return Decision(allowed=False, rule=rule, code=RULES[rule].code)
