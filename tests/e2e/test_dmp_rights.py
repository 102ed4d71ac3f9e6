"""The functional rights, cell by cell, through the transaction that each opens: who may call it, and the limits.

One record for each column of the table, to which its caller has every access that a patient gives; documents are by others
or by himself. The rights whose transaction this server does not have are shown at the function (unit/dmp/test_tables.py).
Source: GIE SESAM-Vitale PDT-INF-526.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from dmp import tables
from dmp.tables import Right
from tests import samples
from tests.e2e import wire
from tests.e2e.dmp_domain import (
    APPROVED,
    ARCHIVED,
    DELETED,
    HIDDEN,
    MASKED,
    NORMAL,
    SECRET,
    DmpDomain,
    Speaker,
    content,
    cx,
    dmp_domain,
    entry,
    patient,
)
from tests.e2e.test_habilitations import ADD, ALL, LIST, REMOVE, SET
from xds_metadata.associations import RPLC
from xds_metadata.datatypes import PatientKey
from xds_metadata.model import Author, Code, DocumentEntry

REFUSED = "fault Sender/DMPAccessDeniedByRightsService"
UNKNOWN = "Failure XDSDocumentUniqueIdError"
MODES = {"_regulation": "centre_15", "_break_glass": "bris_de_glace"}
NOT_SERVED = ("authenticate", "existence", "authorised-list", "search-patients", "web", "administrative")
RIGHTS = tables.rights()


@dataclass
class Column:
    """A caller in the mode of a column, and the record that was opened for it; another structure deposits."""

    name: str
    domain: DmpDomain
    key: PatientKey
    caller: Speaker
    author: Speaker
    source: Speaker

    def document(self, *codes: Code, own: bool = False, status: str = APPROVED) -> DocumentEntry:
        """A document of another author, beside the caller with `own`; that author gave it the status."""
        authors = (*([_as_author(self.caller)] if own else []), self.author.author)
        made = entry(self.key, confidentiality_codes=codes or (NORMAL,), authors=authors)
        self.domain.deposit(self.source, self.key, made)
        if status != APPROVED:
            author = self.author.about(self.key)
            assert self.domain.status(author, self.key, made.entry_uuid, APPROVED, status).verdict == "Success"
        return made

    def replaced(self) -> DocumentEntry:
        """A document that its author has replaced."""
        old = self.document()
        new = entry(self.key, self.author)
        link = samples.link(RPLC, new.entry_uuid, old.entry_uuid)
        seen = self.domain.provide(self.author.about(self.key), samples.submission(new, links=[link]))
        assert seen.verdict == "Success", seen.text
        return old

    def search(self, *, leaves: bool) -> str:
        wanted = (("$XDSDocumentEntryPatientId", f"'{cx(self.key)}'"), ("$XDSDocumentEntryStatus", f"('{APPROVED}')"))
        return self.domain.ask(self.caller, "FindDocuments", *wanted, leaves=leaves).verdict

    def reference(self, document: DocumentEntry) -> str:
        wanted = ("$XDSDocumentEntryUniqueId", f"('{document.unique_id}')")
        return self.domain.ask(self.caller, "GetDocuments", wanted, leaves=False).verdict

    def deposit(self) -> str:
        return self.domain.provide(self.caller, samples.submission(entry(self.key))).verdict

    def read(self, document: DocumentEntry) -> str:
        seen = self.domain.get(self.caller, document.unique_id or "")
        given = [each.data for each in seen.answer.documents]
        assert given == ([content(document)] if seen.verdict == "Success" else [])
        return seen.verdict

    def codes(self, document: DocumentEntry, *codes: Code) -> str:
        return self.domain.codes(self.caller, document, *codes).verdict

    def status(self, document: DocumentEntry, before: str, after: str) -> str:
        return self.domain.status(self.caller, self.key, document.entry_uuid, before, after).verdict

    def habilitation(self, action: str, body: str) -> str:
        """TD0.3 or TD1.6."""
        seen = self.domain.send(self.caller, wire.simple("/habilitations", wire.envelope(action, body)))
        return "Success" if seen.verdict == "DMPOk" else seen.verdict


def _as_author(speaker: Speaker) -> Author:
    """The caller as author; a structure and its staff by the institution."""
    if any(code.isdigit() for code, _ in speaker.card.roles):
        return speaker.author
    structure = f"Test^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^{speaker.card.structure}"
    return replace(samples.author(), institutions=(structure,))


def _caller(domain: DmpDomain, who: str) -> Speaker:
    if who == "structure":
        return domain.structure()
    if who == "staff_card":
        return domain.professional("staff", profession="SECRETARIAT_MEDICAL", speciality="", staff=True)
    if who == "professional":
        return domain.professional("nurse", profession="60", speciality="")
    return domain.professional(who, speciality="SM25" if who == "occupational_doctor" else "SM26")


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DmpDomain]:
    with dmp_domain(tmp_path_factory.mktemp("rights")) as running:
        yield running


@pytest.fixture(scope="module")
def columns(domain: DmpDomain) -> dict[str, Column]:
    author, source = domain.professional("author"), domain.structure("elsewhere", "10B0999999")
    found = {}
    for number, name in enumerate(RIGHTS.columns):
        who, mode = next(((name.removesuffix(end), mode) for end, mode in MODES.items() if name.endswith(end)), (name, ""))
        key = domain.open(patient(820 + number))
        caller = _caller(domain, who).about(key)
        domain.authorise(key, author, *([caller] if not mode else []))
        if who == "attending":
            domain.attend(key, caller)
        found[name] = Column(name, domain, key, caller.in_emergency(access=mode) if mode else caller, author, source)
    return found


def denied_or(right: Right, verdict: str) -> None:
    assert verdict == ("Success" if right.allowed else REFUSED)


def authorise(column: Column, right: Right) -> None:
    denied_or(right, column.habilitation(SET, ADD))


def unauthorise(column: Column, right: Right) -> None:
    denied_or(right, column.habilitation(SET, REMOVE))
    if right.allowed:
        column.domain.authorise(column.key, column.caller)
        if column.name == "attending":
            column.domain.attend(column.key, column.caller)


def leave_attending(column: Column, right: Right) -> None:
    denied_or(right, column.habilitation(SET, REMOVE.replace("</action>", "</action><role>MEDECIN_TRAITANT</role>")))
    if right.allowed:
        column.domain.attend(column.key, column.caller)


def authorisation_list(column: Column, right: Right) -> None:
    denied_or(right, column.habilitation(LIST, ALL))


def deposit(column: Column, right: Right) -> None:
    if column.name != "staff_card":
        denied_or(right, column.deposit())
    else:
        assert not right.allowed, "what staff deposits is TD2.2"


def deposit_secretary(column: Column, right: Right) -> None:
    if column.name == "staff_card":
        denied_or(right, column.deposit())
    else:
        assert not right.allowed, "what others deposit is TD2.1"


def search(column: Column, right: Right) -> None:
    denied_or(right, column.search(leaves=True))


def find_reference(column: Column, right: Right) -> None:
    assert column.reference(column.document(own=True)) == "Success"
    assert right.allowed


def read(column: Column, right: Right) -> None:
    denied_or(right, column.read(column.document()))


def read_masked(column: Column, right: Right) -> None:
    if not right.allowed:
        assert column.read(column.document(NORMAL, MASKED)) == REFUSED
    elif right.limit == 6:
        assert column.read(column.document(NORMAL, MASKED)) == UNKNOWN
        assert column.read(column.document(NORMAL, MASKED, own=True)) == "Success"
    elif right.limit == 7:
        masked = column.document(NORMAL, MASKED)
        assert column.read(masked) == UNKNOWN
        column.domain.oppose(column.key, masked_in_emergency=True)
        assert column.read(masked) == "Success"
        column.domain.oppose(column.key, masked_in_emergency=False)
    else:
        assert column.read(column.document(NORMAL, MASKED)) == "Success"


def read_invisible(column: Column, right: Right) -> None:
    denied_or(right, column.read(column.document(NORMAL, HIDDEN)))
    denied_or(right, column.read(column.document(NORMAL, SECRET)))


def read_archived(column: Column, right: Right) -> None:
    denied_or(right, column.read(column.document(status=ARCHIVED)))


def read_deprecated(column: Column, right: Right) -> None:
    denied_or(right, column.read(column.replaced()))


def read_deleted(column: Column, right: Right) -> None:
    denied_or(right, column.read(column.document(status=DELETED)))


def mask(column: Column, right: Right) -> None:
    denied_or(right, column.codes(column.document(own=not right.allowed), NORMAL, MASKED))


def unmask(column: Column, right: Right) -> None:
    assert (column.codes(column.document(NORMAL, MASKED, own=True), NORMAL) == "Success") is right.allowed
    others = column.codes(column.document(NORMAL, MASKED), NORMAL)
    assert (others == "Success") is (right.allowed and not right.limit)


def make_visible(column: Column, right: Right) -> None:
    denied_or(right, column.codes(column.document(NORMAL, HIDDEN, own=not right.allowed), NORMAL))


def archive(column: Column, right: Right) -> None:
    limited(column, right, APPROVED, ARCHIVED)


def unarchive(column: Column, right: Right) -> None:
    limited(column, right, ARCHIVED, APPROVED)


def delete(column: Column, right: Right) -> None:
    limited(column, right, APPROVED, DELETED)


def limited(column: Column, right: Right, before: str, after: str) -> None:
    """A change of status of his own document, and of another's."""
    own = column.document(own=True, status=before)
    denied_or(right, column.status(own, before, after))
    others = column.document(status=before)
    assert (column.status(others, before, after) == "Success") is (right.allowed and not right.limit)


SHOWN: dict[str, Callable[[Column, Right], None]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        authorise,
        unauthorise,
        leave_attending,
        authorisation_list,
        deposit,
        deposit_secretary,
        search,
        find_reference,
        read,
        read_masked,
        read_invisible,
        read_archived,
        read_deprecated,
        read_deleted,
        mask,
        unmask,
        make_visible,
        archive,
        unarchive,
        delete,
    )
}


def test_every_right_is_shown_or_has_no_transaction_here() -> None:
    assert {*SHOWN, *NOT_SERVED} == set(RIGHTS.transactions)


@pytest.mark.parametrize("name", RIGHTS.columns)
@pytest.mark.parametrize("right", SHOWN)
def test_functional_right(columns: dict[str, Column], right: str, name: str) -> None:
    SHOWN[right](columns[name], RIGHTS.cells[right, name])
