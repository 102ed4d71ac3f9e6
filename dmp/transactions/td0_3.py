"""TD0.3 setAuthorization: a professional declares that the patient authorised him, or attends him, or that he ceases to.

1. decode: schema, action and role. 2. decision, on the record of the assertion's patient. 3. the change and its journal row
in one transaction. What is so already is not done again, and the answer says so.
Source: DMP interface of professional software, TD0.3; PDT-INF-526, note 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from access_control.decision import Decision
from access_control.from_call import context_of
from dmp import records
from dmp.caller import Caller
from dmp.record import By, Named, Party, RecordRefused, authorisation_length
from dmp.records import Act
from dmp.rules import RULES
from dmp.transactions.host import ATTENDING, ENDPOINT, NAMESPACE, OK, Host, check_body, decide, refused, unavailable
from dmp.transactions.naming import named, party_of
from ebrim.write import text
from journal.rows import Attempt, JournalRow
from soap.transaction import Body, Call, Transaction
from xds_metadata.datatypes import PatientKey
from xds_metadata.patients import key_text, patient_column

NUMBER: Final = "TD0.3"
ACTION: Final = f"{NAMESPACE}:HabilitationsEndPoint:setAuthorization"
_N: Final = f"{{{NAMESPACE}}}"
_ADD, _REMOVE = "AJOUT", "SUPPRESSION"


@dataclass(frozen=True, slots=True)
class Wish:
    """One of the four combinations: what it does, the functional right it needs, and what is answered (French)."""

    act: Act
    right: str
    done: str
    so_already: str


WISHES: Final = {
    (_ADD, ""): Wish(Act.AUTHORISE, "authorise", "Autorisation enregistrée", "Autorisation déjà valide : rien à faire"),
    (_ADD, ATTENDING): Wish(
        Act.ATTEND,
        "authorise",
        "Autorisation et statut de médecin traitant enregistrés",
        "Médecin traitant déjà autorisé : rien à faire",
    ),
    (_REMOVE, ""): Wish(Act.UNAUTHORISE, "unauthorise", "Autorisation retirée", "Aucune autorisation à retirer"),
    (_REMOVE, ATTENDING): Wish(
        Act.LEAVE,
        "leave-attending",
        "Fin du statut de médecin traitant, l'autorisation demeure",
        "Pas de statut de médecin traitant à retirer",
    ),
}
"""By action and role."""


def decode(host: Host, call: Call) -> Wish:
    """What is asked. Raises Fault."""
    check_body(host, call)
    return WISHES[call.body.findtext(f"{_N}action") or "", call.body.findtext(f"{_N}role") or ""]


def handle(host: Host, call: Call) -> Body:
    """Decide, change and journal, answer."""
    wish: Wish = call.request
    ctx = context_of(call, host.clock)
    situation, patient, decision = decide(host, ctx, wish.right, authorised=False)
    party = _declarant(situation.caller, wish)
    change = _change(host, wish, patient, party, By(ctx.subject, ctx.at), named(ctx.subject, party))

    def statements(connection: Connection) -> bool:
        changed = change(connection)
        host.record(ctx, [_row(wish, patient, party, decision, call.digest, changed=changed)])(connection)
        return changed

    try:
        changed = host.database.write(statements)
    except RecordRefused as error:  # the record changed since it was looked at
        refused(error.rule if error.rule in RULES else "dmp-right")
    return Body((_answer(wish.done if changed else wish.so_already),))


def _declarant(caller: Caller, wish: Wish) -> Party:
    """For whom it is done. Only a doctor attends; a structure is declared, never more. Raises Fault."""
    party = party_of(caller)
    if party is None or (wish.act is Act.ATTEND and caller.kind != "doctor"):
        refused("dmp-right")
    return party


def _change(host: Host, wish: Wish, patient: PatientKey, party: Party, by: By, who: Named) -> Callable[[Connection], bool]:
    """The statements of the act."""
    length = authorisation_length(host.settings)
    if wish.act is Act.AUTHORISE:
        return lambda connection: records.authorise(connection, patient, party, by, length, who)
    if wish.act is Act.ATTEND:
        return lambda connection: records.attend(connection, patient, party, by, length, who)
    if wish.act is Act.LEAVE:
        return lambda connection: records.leave(connection, patient, party, by)
    return lambda connection: records.unauthorise(connection, patient, party, by)


def _row(wish: Wish, patient: PatientKey, party: Party, decision: Decision, digest: str, *, changed: bool) -> JournalRow:
    objects = [(party.kind, party.id), *([] if changed else [("unchanged", "yes")])]
    return JournalRow(key_text(patient), wish.act, objects, decision, "Success", digest)


def _answer(context: str) -> bytes:
    return (
        f'<h:setAuthorizationResponse xmlns:h="{NAMESPACE}"><h:output><h:status>{OK}</h:status>'
        f"<h:context>{text(context)}</h:context></h:output></h:setAuthorizationResponse>"
    ).encode()


def asked(call: Call) -> Attempt:
    """What was asked about the record of the assertion's patient, for the row of a refusal."""
    wish: Wish | None = call.request
    patient = patient_column(getattr(call.caller, "patient", "") or None)
    return Attempt(wish.act if wish is not None else "record-authorise", patient)


def refuse(_host: Host, _call: Call, error: Exception) -> Body | None:
    """This transaction refuses by faults alone. Raises Fault."""
    unavailable(error)
    return None


def transaction(host: Host) -> Transaction:
    """The descriptor."""
    return Transaction(
        number=NUMBER,
        title="Authorisation on a record",
        endpoint=ENDPOINT,
        request_actions=(ACTION,),
        response_action=f"{ACTION}Response",
        body_root=f"{_N}setAuthorization",
        decode=lambda call: decode(host, call),
        handle=lambda call: handle(host, call),
        refuse=lambda call, error: refuse(host, call, error),
    )
