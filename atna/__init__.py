"""Audit messages: which event a transaction is, the DICOM message that tells it, the durable outbox and its delivery.

Source: IHE ITI TF-2 3.20 (ITI-20); DICOM PS3.15 A.5; RFC 5424, 5425, 5426.
"""

from atna.events import AuditEvent, AuditObject, AuditUser, Outcome
from atna.outbox import enqueue

__all__ = ["AuditEvent", "AuditObject", "AuditUser", "Outcome", "enqueue"]
