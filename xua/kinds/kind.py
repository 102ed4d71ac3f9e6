"""What a kind of assertion is. Kinds are found by entry point, so that a third party can add one.

Source: the group `liasse.assertion_kinds`, each entry a class made without arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final, Protocol

from lxml import etree

from access_control.subject import Subject
from pki.identity import CertificateIdentity
from pki.rules import Purpose
from pki.trust import Checked
from xua.conditions import Authentication
from xua.refusal import Family
from xua.settings import AssertionSettings, AssertionSettingsError

ENTRY_POINT_GROUP: Final = "liasse.assertion_kinds"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a kind reads from.

    The signed assertion (verified, without its signature), the checked certificate that signed it, how its subject was
    authenticated, the TLS client certificate of the connection (checked; None without), the settings, and the time
    (microseconds).
    """

    assertion: etree._Element
    checked: Checked
    authentication: Authentication
    peer: CertificateIdentity | None
    settings: AssertionSettings
    at: int


class AssertionKind(Protocol):
    """One kind of assertion.

    `name` is what the setting `kinds` calls it; `family` says which faults its senders understand; `purpose` which trust its
    signers need; `strict_conditions` whether Conditions with an end and an audience must be there.
    """

    name: str
    family: Family
    purpose: Purpose
    strict_conditions: bool

    def recognises(self, assertion: etree._Element) -> bool:
        """Whether an assertion is of this kind, on looks: nothing is verified yet. May refuse an edition."""
        ...

    def check_issuer(self, assertion: etree._Element, checked: Checked) -> str:
        """The Issuer, compared with the signing certificate. Raises AssertionRefused."""
        ...

    def read(self, evidence: Evidence) -> Subject:
        """Who is asking; raises AssertionRefused. The verifier fills in `digest` and `certificate` of the subject."""
        ...


def load_kinds(names: Iterable[str], points: Sequence[EntryPoint] | None = None) -> tuple[AssertionKind, ...]:
    """The kinds of these names, in this order. Raises AssertionSettingsError for one that is not installed."""
    found = {point.name: point for point in (entry_points(group=ENTRY_POINT_GROUP) if points is None else points)}
    kinds: list[AssertionKind] = []
    for name in names:
        if name not in found:
            known = ", ".join(sorted(found)) or "none"
            raise AssertionSettingsError(f"the kind of assertion {name!r} is not installed; installed: {known}")
        kinds.append(found[name].load()())
    return tuple(kinds)
