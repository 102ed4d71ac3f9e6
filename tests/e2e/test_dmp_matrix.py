"""Every cell of the profession matrix through the public endpoints: what ITI-18 finds and ITI-43 gives each kind of reader.

Each row of the matrix is a document of one record; each way to a column is a professional whom the patient authorised.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from access_control.subject import Coded
from dmp import tables
from tests.e2e.dmp_domain import DmpDomain, Speaker, content, dmp_domain, entry, patient
from xds_metadata.datatypes import PatientKey
from xds_metadata.model import Code, DocumentEntry
from xua.roles import ROLES

CLASSES = "1.2.250.1.213.1.1.4.1"
OTHER_TYPES = "1.2.250.1.999.1.1"
UNKNOWN = "XDSDocumentUniqueIdError"
COLUMNS, ROWS = tables.matrix()
READERS = tables.columns()
WITHOUT_COLUMN = sorted(
    (
        role
        for role in ROLES.first
        if role.system == "1.2.250.1.71.1.2.7" and role.code not in {reader.code for reader in READERS if not reader.system}
    ),
    key=str,
)


@dataclass(frozen=True)
class Hall:
    """A server whose only record holds one document for each row of the matrix."""

    domain: DmpDomain
    patient: PatientKey
    documents: tuple[tuple[tables.TypeRow, DocumentEntry], ...]
    by_role: bool

    def readable(self, column: str) -> set[str]:
        return {document.unique_id or "" for row, document in self.documents if column in row.readers}

    def reader(self, first: Coded, second: Coded | None) -> Speaker:
        roles = (first, *([second] if second else []))
        name = "-".join(f"{role.code}-{role.system}" for role in roles).lower()
        speaker = self.domain.professional(name, profession=first.code, roles=roles)
        self.domain.authorise(self.patient, speaker)
        return speaker

    def check(self, speaker: Speaker, readable: set[str]) -> None:
        """Both ways of reading give exactly these documents; each of the others is as unknown."""
        assert self.domain.find(speaker, self.patient) == readable
        wanted = [document.unique_id or "" for _, document in self.documents]
        seen = self.domain.get(speaker.about(self.patient), *wanted)
        given = {each.unique_id: each.data for each in seen.answer.documents}
        assert given == {
            document.unique_id: content(document) for _, document in self.documents if document.unique_id in readable
        }
        assert seen.answer.result is not None
        assert [error.code for error in seen.answer.result.errors] == [UNKNOWN] * (len(wanted) - len(readable))


@pytest.fixture(scope="module", params=[True, False], ids=["columns by role", "no columns by role"])
def hall(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    by_role = bool(request.param)
    with dmp_domain(tmp_path_factory.mktemp("matrix"), {"role_based_columns": by_role}) as domain:
        key = domain.open(patient(801))
        documents = tuple((row, _document(key, number, row)) for number, row in enumerate(ROWS))
        source = domain.structure()
        for start in range(0, len(documents), 27):
            domain.deposit(source, key, *(document for _, document in documents[start : start + 27]))
        yield Hall(domain, key, documents, by_role)


def _document(key: PatientKey, number: int, row: tables.TypeRow) -> DocumentEntry:
    named = row.code != "*"
    kind = Code(row.code if named else f"OTHER-{number}", row.scheme if named else OTHER_TYPES, "type")
    return entry(key, type_code=kind, class_code=Code(row.class_code, CLASSES, "class"))


def _roles(reader: tables.ColumnRow) -> tuple[Coded, Coded | None]:
    """The roles that lead to the column; where a profession needs a second one and the row names none, any other one."""
    first = min(
        (role for role in ROLES.first if role.code == reader.code and role.system == (reader.system or role.system)),
        key=_place,
    )
    others = sorted(ROLES.second.get(reader.code, ()), key=str)
    named = {row.beside for row in READERS if row.code == reader.code}
    fitting = [role for role in others if (role.code == reader.beside if reader.beside else role.code not in named)]
    return first, fitting[0] if fitting else None


def _place(role: Coded) -> tuple[bool, str]:
    return role.system != "1.2.250.1.71.1.2.7", str(role)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: "-".join(filter(None, (reader.code, reader.beside))))
def test_each_reader_gets_the_documents_of_his_column(hall: Hall, reader: tables.ColumnRow) -> None:
    first, second = _roles(reader)
    assert not reader.beside or second, "the way to the column is a pair of roles that an assertion may name"
    open_ = hall.by_role or not reader.by_role
    hall.check(hall.reader(first, second), hall.readable(reader.column) if open_ else set())


def test_every_column_has_a_reader() -> None:
    assert {reader.column for reader in READERS} == set(COLUMNS)


def test_every_type_is_read_by_somebody_and_no_row_is_a_twin() -> None:
    assert (len(ROWS), len(COLUMNS)) == (108, 19)
    assert all(row.readers for row in ROWS)
    assert len({(row.pair, row.class_code) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("role", WITHOUT_COLUMN, ids=str)
def test_a_profession_without_a_column_reads_nothing(hall: Hall, role: Coded) -> None:
    second = min(ROLES.second.get(role.code, ()), key=str, default=None)
    hall.check(hall.reader(role, second), set())


def test_a_type_that_no_row_names_is_read_by_nobody_else(hall: Hall) -> None:
    stray = entry(
        hall.patient, type_code=Code("UNHEARD-OF", OTHER_TYPES, "type"), class_code=Code("99", OTHER_TYPES, "class")
    )
    hall.domain.deposit(hall.domain.structure(), hall.patient, stray)
    doctor = hall.reader(*_roles(next(reader for reader in READERS if reader.column == "doctor")))
    assert stray.unique_id not in hall.domain.find(doctor, hall.patient)
