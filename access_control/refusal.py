"""What a refused decision looks like on the wire.

The subcode is in the namespace of the SOAP envelope, as DMP servers send it. Source: DMP faults as observed.
"""

from __future__ import annotations

from access_control.decision import Decision
from soap.faults import Fault, FaultCode, QName
from xmlsafe.namespaces import SOAP12


def refuse_access(decision: Decision) -> None:
    """Raise the fault of a decision that does not allow; it says nothing of why, its `rule` is for the journal."""
    if not decision.allowed:
        subcode = [QName(SOAP12, decision.code)] if decision.code else []
        raise Fault(FaultCode.SENDER, "access denied", *subcode, rule=decision.rule)
