"""What the transactions on authorisations share: where the record is, who decides, how a refusal is sent.

Source: DMP interface of professional software, TD0.3 and TD1.6; faults as DMP servers send them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.refusal import refuse_access
from database.errors import DatabaseError
from database.handle import Database
from dmp.policy import DmpPolicy, Situation, gate
from dmp.rules import allow, refuse
from dmp.settings import DmpSettings
from journal.rows import Record, journal
from soap.faults import Fault, FaultCode
from soap.transaction import Call
from xds_metadata.datatypes import PatientKey
from xds_metadata.errors import XdsFailure
from xmlsafe.schema import Schema

NAMESPACE: Final = "urn:si-dmp-habilitations"
ENDPOINT: Final = "/habilitations"
OK: Final = "DMPOk"
ATTENDING: Final = "MEDECIN_TRAITANT"

_AUTHORISATION: Final = frozenset({"dmp-authorisation", "dmp-authorisation-expired"})


@dataclass(frozen=True)
class Host:
    """The record store and the policy over it. `schema` is that of HABILITATIONS; `clock` gives microseconds since 1970 UTC.

    `record` writes down what was done for whom.
    """

    database: Database
    policy: DmpPolicy
    settings: DmpSettings
    schema: Schema
    clock: Callable[[], int]
    record: Record = journal


def check_body(host: Host, call: Call) -> None:
    """Raise the fault of a body that does not fit its schema; the first things that are wrong are named."""
    if host.schema.is_valid(call.body):
        return
    found = "; ".join(str(each) for each in host.schema.findings(call.body, 3))
    raise Fault(FaultCode.SENDER, f"The body does not fit its schema: {found}", rule="schema")


def decide(host: Host, ctx: RequestContext, right: str, *, authorised: bool) -> tuple[Situation, PatientKey, Decision]:
    """The caller before the record of his assertion's patient, and the decision that lets him use a right.

    `authorised`: a valid authorisation is needed. Raises the fault of a refusal.
    """
    situation = host.policy.situation(ctx)
    if situation.caller.kind == "unknown":
        refused("dmp-caller")
    if situation.patient is None:
        refused("dmp-patient")
    broken = (rule for rule in gate(situation, right) if authorised or rule not in _AUTHORISATION)
    rule = next(broken, None)
    if rule is not None:
        refused(rule)
    return situation, situation.patient, allow()


def refused(rule: str) -> NoReturn:
    """Raise the fault of a rule that is not met."""
    decision = refuse(rule)
    refuse_access(decision)
    raise AssertionError(rule)


def unavailable(error: Exception) -> None:
    """Raise the fault for what stopped a transaction that may be sent again; nothing for any other exception."""
    if isinstance(error, XdsFailure | DatabaseError):
        rule = error.findings[0].rule if isinstance(error, XdsFailure) else "database"
        raise Fault(FaultCode.RECEIVER, "The record cannot be reached now; the message may be sent again", rule=rule)
