"""Who calls: a TLS client certificate and a signed assertion become a Subject, or the call is refused.

Runs as soon as the root part of a message is there, before its body is decoded and before further parts are read. What the
sender is told is one of a few sentences; the reason goes to the security log and to the journal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from access_control.from_call import context_of
from access_control.subject import ANONYMOUS, Subject
from database.errors import DatabaseError
from database.handle import Database
from journal.assertions import KeptAssertions
from journal.rows import Attempt, Record
from liasse.logs import SECURITY_LOG
from liasse.trust import LiveTrust, utc
from pki.errors import CertificateRefused
from pki.identity import CertificateIdentity
from pki.rules import Purpose
from soap.faults import Fault, FaultCode, QName
from soap.transaction import Call
from xmlsafe.namespaces import WSSE
from xua.refusal import AssertionRefused
from xua.verify import Verifier

log = structlog.get_logger()


@dataclass(frozen=True)
class Authentication:
    """The server's `authenticate`. `clock` gives microseconds since 1970 UTC.

    `trust` judges client certificates, where the settings name authorities for them.
    `verifier` checks assertions, None where no kind of them is accepted; `required` refuses messages without one.
    `kept` knows which assertions the journal has. Those that were verified are kept as evidence; those that were refused are
    not: they prove nothing, and anybody can send them. The verifier bounds their size (`xua.shape.MOST_BYTES`).
    """

    clock: Callable[[], int]
    trust: LiveTrust
    verifier: Verifier | None
    required: bool
    kept: KeptAssertions

    def __call__(self, call: Call) -> Subject:
        """The caller of a dispatched message. Raises Fault."""
        peer = self._peer(call)
        if self.verifier is None or (call.security is None and not self.required):
            return _certificate_holder(peer)
        try:
            verified = self.verifier.verify(call.security, call.message, peer)
        except AssertionRefused as refused:
            raise _fault(call, refused) from None
        if not self.kept.has(verified.digest):
            call.evidence = verified.data
        return verified.subject

    def _peer(self, call: Call) -> CertificateIdentity | None:
        """The holder of the client certificate, which is judged anew for each message: it may have been revoked."""
        der = call.incoming.certificate
        if der is None or not self.trust.asks_clients:
            return None
        try:
            return self.trust.check(der, (), Purpose.TLS_CLIENT, utc(self.clock())).identity
        except CertificateRefused as refused:
            _log(call, f"certificate-{refused.reason}", f"{refused.text} (SHA-256 {hashlib.sha256(der).hexdigest()})")
            raise Fault(
                FaultCode.SENDER,
                "The caller could not be authenticated",
                QName(WSSE, "FailedAuthentication"),
                rule=f"tls-certificate-{refused.reason}",
            ) from None


def _certificate_holder(peer: CertificateIdentity | None) -> Subject:
    if peer is None:
        return ANONYMOUS
    name = peer.holder or peer.common_name or peer.dn
    return Subject(name, issuer=peer.issuer_dn, proof_level="certificate", certificate=peer.fingerprint)


def _fault(call: Call, refused: AssertionRefused) -> Fault:
    _log(call, refused.reason, refused.text)
    public = refused.public
    return Fault(
        FaultCode.SENDER,
        public.text,
        QName(public.namespace, public.local),
        rule=f"assertion-{refused.reason}",
        language=public.language,
    )


def _log(call: Call, reason: str, text: str) -> None:
    """The security log: a precise reason, nothing of a patient."""
    log.warning(
        "a caller was refused",
        logger=SECURITY_LOG,
        rule=reason,
        detail=text,
        transaction=call.transaction.number,
        message_id=call.message_id,
        peer=call.incoming.peer,
    )


Asked = Mapping[str, Callable[[Call], Sequence[Attempt]]]
"""By the number of a transaction, what one of its messages asked for."""


@dataclass(frozen=True)
class FaultJournal:
    """The server's `on_fault`: the journal rows of a message that was answered with a fault, one where nobody is proved.

    They name patient and objects as far as the message was read: of one whose sender was not accepted, a few of the
    identifiers that stand in it. A fault discloses nothing: it is sent even when its rows cannot be written.
    """

    database: Database
    record: Record
    clock: Callable[[], int]
    asked: Asked

    def __call__(self, call: Call, fault: Fault) -> None:
        """Write the rows of `fault`."""
        rule, digest = fault.rule or f"fault-{fault.label}", call.digest
        rows = [replace(attempt.refused(rule, digest), outcome="Fault") for attempt in self._attempts(call)]
        ctx = context_of(call, self.clock)
        try:
            self.database.write(self.record(ctx, rows, once=False))
        except DatabaseError as failure:
            log.warning(
                "refusal not journaled",
                logger=SECURITY_LOG,
                transaction=call.transaction.number,
                code=failure.code,
            )

    def _attempts(self, call: Call) -> Sequence[Attempt]:
        asked = self.asked.get(call.transaction.number)
        return asked(call) if asked is not None else [Attempt("call")]
