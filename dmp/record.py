"""The record as values, and the rules of its states: no database and no messages here.

A record is that of one patient. It has a holder and people around him, a state, two oppositions to emergency access, and a
standing of every professional or structure that it knows: authorised, attending doctor, blocked. Times are microseconds
since 1970 UTC. Identities are `identifier^authority`.
Source: public health code L.1111-14 to L.1111-19, R.1111-26 to R.1111-43; PDT-INF-526; DMP interface, TD0.3, TD1.1 to TD1.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Final, Literal

from access_control.subject import Subject
from dmp.codes import PERSON, STRUCTURE
from dmp.settings import DmpSettings
from dmp.views import Authorisation
from xds_metadata.datatypes import PatientKey

DAY: Final = 86_400_000_000
"""Microseconds."""

LONGEST_REASON: Final = 500
LONGEST_NAME: Final = 100

StoredState = Literal["active", "closed", "destroyed"]
Sex = Literal["", "M", "F", "U"]
Ground = Literal["minor", "protected", "mandate"]
DelegationStatus = Literal["PENDING", "ACCEPTED", "REFUSED", "EXPIRED"]
Channel = Literal["EMAIL", "SMS"]
Language = Literal["fr", "en"]


class RecordRefused(Exception):
    """Nothing was changed. `rule` is the id of the rule that is not met; the text says why and names nobody."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(text)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class By:
    """Who changes a record, when, and why. `name`: for whom an operator acts, in words."""

    subject: Subject
    at: int
    reason: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Party:
    """Whom a record may know: a professional or a structure, by national identifier."""

    id: str
    kind: Literal["person", "structure"] = "person"

    @property
    def authority(self) -> str:
        """The OID of the national identifier's authority."""
        return PERSON if self.kind == "person" else STRUCTURE

    @property
    def identity(self) -> str:
        """`identifier^authority`."""
        return f"{self.id}^{self.authority}"

    @classmethod
    def of(cls, identity: str) -> Party:
        """The inverse of `identity`."""
        identifier, _, authority = identity.rpartition("^")
        return cls(identifier, "structure" if authority == STRUCTURE else "person")


@dataclass(frozen=True, slots=True)
class Named:
    """What people call a professional or a structure. `role`: code such as G15_10/SM26; `role_text`: in words."""

    family: str = ""
    given: str = ""
    role: str = ""
    role_text: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a record says of a party. Each time is None where the thing is not so, or never was.

    An authorisation runs from `declared_at` until before `expires_at` unless it was removed at `removed_at`.
    """

    party: Party
    named: Named = field(default_factory=Named)
    declared_at: int | None = None
    expires_at: int | None = None
    removed_at: int | None = None
    attending_since: int | None = None
    blocked_since: int | None = None
    changed_at: int = 0

    def authorisation(self, at: int) -> Authorisation:
        """The state of the authorisation at a time."""
        return authorisation_at(self.declared_at, self.expires_at, self.removed_at, at)

    def attends(self, at: int) -> bool:
        """Whether the party is an attending doctor now: the quality rests while the authorisation is not valid."""
        return self.attending_since is not None and self.authorisation(at) == "valid"


def authorisation_at(declared_at: int | None, expires_at: int | None, removed_at: int | None, at: int) -> Authorisation:
    """The state of an authorisation at a time, from its three dates."""
    if declared_at is None:
        return "none"
    if removed_at is not None:
        return "removed"
    return "valid" if expires_at is None or at < expires_at else "expired"


@dataclass(frozen=True, slots=True)
class Holder:
    """Traits of the patient: birth name, used name, given name, birth date YYYYMMDD, sex."""

    family: str = ""
    used: str = ""
    given: str = ""
    birth_date: str = ""
    sex: Sex = ""


@dataclass(frozen=True, slots=True)
class Oppositions:
    """What the patient decided about emergencies: he opposes a mode, he opens masked documents to both."""

    break_glass: bool = False
    regulation: bool = False
    masked_in_emergency: bool = False


@dataclass(frozen=True, slots=True)
class Representative:
    """Somebody who acts for the holder by law. `link`: HL7 role of the person such as MTH; `ground`: why he represents."""

    identity: str
    ground: Ground = "minor"
    link: str = ""
    family: str = ""
    given: str = ""
    since: int = 0
    until: int | None = None

    def acts(self, at: int, *, minor: bool) -> bool:
        """Whether he represents the holder now: a representative of a minor does until majority."""
        return self.since <= at and (self.until is None or at < self.until) and (self.ground != "minor" or minor)


@dataclass(frozen=True, slots=True)
class Delegate:
    """Somebody whom the holder lets act. `kind`: CAREGIVING, HEALTHCARE_PROFESSIONAL or LEGAL_REPRESENTATION."""

    identity: str
    kind: Literal["CAREGIVING", "HEALTHCARE_PROFESSIONAL", "LEGAL_REPRESENTATION"] = "CAREGIVING"
    family: str = ""
    given: str = ""
    answer: Literal["PENDING", "ACCEPTED", "REFUSED"] = "PENDING"
    invited_at: int = 0
    since: int = 0
    until: int | None = None

    def status(self, at: int) -> DelegationStatus:
        """Where the delegation stands: one that was not refused ends with its last day."""
        if self.answer != "REFUSED" and self.until is not None and at >= self.until:
            return "EXPIRED"
        return self.answer

    def acts(self, at: int) -> bool:
        """Whether the delegate may act now."""
        return self.since <= at and self.status(at) == "ACCEPTED"


@dataclass(frozen=True, slots=True)
class Contact:
    """How notifications reach somebody. `owner`: a representative's or a professional's identity, empty for the holder.

    `documents`: whether he wants to be told of each document that is added.
    """

    channel: Channel
    value: str
    owner: str = ""
    language: Language = "fr"
    documents: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """One patient's record. `consent_at`: when the holder, or who represents him, consented to its opening."""

    patient: PatientKey
    state: StoredState = "active"
    since: int = 0
    motive: str = ""
    created_at: int = 0
    consent_at: int | None = None
    holder: Holder = field(default_factory=Holder)
    oppositions: Oppositions = field(default_factory=Oppositions)


def authorisation_length(settings: DmpSettings) -> int:
    """How long a new authorisation lasts, in microseconds: a day where each consultation needs one of its own."""
    return DAY if settings.team_consent == "each" else settings.authorisation_length * DAY


def is_minor(birth_date: str, at: int, adult_age: int) -> bool:
    """Whether a person born on YYYYMMDD is not of age; without a known birth date nobody is a minor."""
    born = read_date(birth_date)
    if born is None:
        return False
    today = datetime.fromtimestamp(at / 1_000_000, UTC).date()
    return (today.year - born.year - ((today.month, today.day) < (born.month, born.day))) < adult_age


def read_date(text: str) -> date | None:
    """YYYYMMDD as a date; None for anything else."""
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:])) if len(text) == 8 and text.isascii() else None
    except ValueError:
        return None


def needs_own_consent(record: Record, at: int, adult_age: int) -> bool:
    """Whether the holder came of age since the consent to opening was given: he has to be asked himself."""
    given = record.consent_at if record.consent_at is not None else record.created_at
    born = record.holder.birth_date
    return record.state == "active" and is_minor(born, given, adult_age) and not is_minor(born, at, adult_age)


# The record's state.


def check_active(record: Record | None) -> Record:
    """The record, which must be there and active. Raises RecordRefused."""
    if record is None or record.state == "destroyed":
        raise RecordRefused("dmp-record-missing", "the patient has no record")
    if record.state != "active":
        raise RecordRefused("dmp-record-closed", "the record is closed: reopen it first")
    return record


def closed(record: Record | None, motive: str, at: int) -> Record:
    """The record, closed: what it holds is kept, nobody reads or feeds it. Raises RecordRefused."""
    if record is not None and record.state == "closed":
        raise RecordRefused("dmp-record-closed", "the record is closed already")
    record = check_active(record)
    return replace(record, state="closed", since=at, motive=_motive(motive))


def reopened(record: Record | None, at: int, *, consent: bool) -> Record:
    """The same record, active again: it needs the consent that its creation needed. Raises RecordRefused."""
    if record is None or record.state == "destroyed":
        raise RecordRefused("dmp-record-missing", "the patient has no record")
    if record.state == "active":
        raise RecordRefused("dmp-record-active", "the record is active already")
    if not consent:
        raise RecordRefused("dmp-consent", "reopening needs the patient's consent")
    return replace(record, state="active", since=at, motive="", consent_at=at)


def destroyed(record: Record | None, at: int) -> Record:
    """The record, destroyed for good: it was closed before, and nothing of the holder stays in it. Raises RecordRefused."""
    if record is None or record.state == "destroyed":
        raise RecordRefused("dmp-record-missing", "the patient has no record")
    if record.state != "closed":
        raise RecordRefused("dmp-record-active", "the record is active: close it before it is destroyed")
    return replace(record, state="destroyed", since=at, motive="", holder=Holder(), oppositions=Oppositions())


def _motive(text: str) -> str:
    motive = text.strip()
    if not motive or len(motive) > LONGEST_REASON:
        raise RecordRefused("dmp-motive", f"closing needs a motive of 1 to {LONGEST_REASON} characters")
    return motive


# The standing of a party. Each function gives the new standing, or the same one where there is nothing to do.


def authorised(standing: Standing, at: int, length: int, named: Named | None = None) -> Standing:
    """With an authorisation of `length` microseconds from now; one that is valid stays as it is. Raises RecordRefused."""
    if standing.blocked_since is not None:
        raise RecordRefused("dmp-blocked", "the patient blocked this professional: unblocking comes first")
    if standing.authorisation(at) == "valid":
        return standing
    named = named if named is not None and named != Named() else standing.named
    return replace(
        standing,
        named=named,
        declared_at=at,
        expires_at=at + length,
        removed_at=None,
        changed_at=at,
    )


def attending(standing: Standing, at: int, length: int, named: Named | None = None) -> Standing:
    """As an attending doctor, authorised with it where he is not. Raises RecordRefused."""
    if standing.party.kind != "person":
        raise RecordRefused("dmp-attending", "an attending doctor is a person")
    standing = authorised(standing, at, length, named)
    return standing if standing.attending_since is not None else replace(standing, attending_since=at, changed_at=at)


def not_attending(standing: Standing, at: int) -> Standing:
    """No attending doctor any more; the authorisation stays."""
    if standing.attending_since is None:
        return standing
    return replace(standing, attending_since=None, changed_at=at)


def unauthorised(standing: Standing, at: int) -> Standing:
    """Without authorisation, and no attending doctor."""
    if standing.authorisation(at) in ("none", "removed"):
        return standing
    return replace(standing, removed_at=at, attending_since=None, changed_at=at)


def blocked(standing: Standing, at: int, named: Named | None = None) -> Standing:
    """Blocked; an authorisation ends with it."""
    if standing.blocked_since is not None:
        return standing
    named = named if named is not None and named != Named() else standing.named
    return replace(unauthorised(standing, at), named=named, blocked_since=at, changed_at=at)


def unblocked(standing: Standing, at: int, *, consent: bool) -> Standing:
    """Not blocked any more. The patient consents to it; to be authorised again the party declares it anew.

    Raises RecordRefused.
    """
    if standing.blocked_since is None:
        return standing
    if not consent:
        raise RecordRefused("dmp-consent", "unblocking needs the patient's consent")
    return replace(standing, blocked_since=None, changed_at=at)
