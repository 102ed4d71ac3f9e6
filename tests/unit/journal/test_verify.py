"""The verification names what was done to a journal by somebody who may change everything in its database."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from database import open_database
from database.problem import Problem, Severity
from journal.head import ExportedHead, last_head
from journal.keys import make_key, save_key
from journal.line import canonical, line
from journal.rows import journal
from journal.tables import journal_row
from journal.verify import LATE, Verification, check_ends
from tests.journal_side import SECOND, Journal, made_rows, tamper, unprotect, write_rows, write_rows_at_once

COUNT = 9


@pytest.fixture
def sealed(journal_of: Journal) -> Journal:
    """Nine rows under three heads."""
    journal_of.sealed(COUNT, batch=4)
    return journal_of


def test_an_untouched_journal_is_whole(sealed: Journal) -> None:
    assert sealed.problems(sealed.head()) == []
    assert sealed.problems(sealed.head(), signatures=False) == []
    assert list(check_ends(sealed.database)) == []
    seen: list[int] = []
    assert list(Verification(sealed.database, sealed.keys(), sealed.now).run(seen.append)) == []
    assert sum(seen) == COUNT


def test_an_empty_journal_is_whole(journal_of: Journal) -> None:
    assert journal_of.problems() == []
    assert journal_of.sealer().run() == 0
    assert journal_of.problems() == []


@pytest.mark.parametrize("column", [column.name for column in journal_row.c if column.name not in ("patient", "id")])
def test_every_column_is_sealed(sealed: Journal, column: str) -> None:
    value = 5 if column == "at" else "another"
    assert tamper(sealed.database, f"UPDATE journal_row SET {column} = :v WHERE id = :i", v=value, i=sealed.ids()[4]) == 1
    assert sealed.first() == ("row-changed", "row 5")


@pytest.mark.parametrize("column", ["patient", "id"])
def test_a_row_with_another_key_is_gone_from_its_place(sealed: Journal, column: str) -> None:
    assert tamper(sealed.database, f"UPDATE journal_row SET {column} = 'another' WHERE id = :i", i=sealed.ids()[4]) == 1
    assert sealed.first() == ("row-missing", "row 5")


TAMPERING: dict[str, tuple[Callable[[Journal], object], tuple[str, str]]] = {
    "a row is deleted": (
        lambda j: tamper(j.database, "DELETE FROM journal_row WHERE id = :i", i=j.ids()[2]),
        ("row-missing", "row 3"),
    ),
    "a row and its number are deleted": (
        lambda j: (
            tamper(j.database, "DELETE FROM journal_row WHERE id = :i", i=j.ids()[2]),
            tamper(j.database, "DELETE FROM journal_number WHERE number = 3"),
        ),
        ("row-missing", "row 3"),
    ),
    "two rows change places": (lambda j: swap(j, 2, 6), ("row-changed", "row 3")),
    "all numbers after one move up": (
        lambda j: (
            tamper(j.database, "DELETE FROM journal_number WHERE number = 3"),
            [
                tamper(j.database, "UPDATE journal_number SET number = :a WHERE number = :b", a=n - 1, b=n)
                for n in range(4, 10)
            ],
        ),
        ("row-changed", "row 3"),
    ),
    "a hash is written anew": (
        lambda j: tamper(j.database, "UPDATE journal_number SET hash = :h WHERE number = 4", h=b"h" * 32),
        ("row-changed", "row 4"),
    ),
    "a head is written anew": (
        lambda j: tamper(j.database, "UPDATE journal_head SET at = at + 1 WHERE number = 8"),
        ("head-changed", "head 8"),
    ),
    "the hash of a head is written anew": (
        lambda j: tamper(j.database, "UPDATE journal_head SET hash = :h WHERE number = 8", h=b"h" * 32),
        ("head-changed", "head 8"),
    ),
    "a head is deleted": (
        lambda j: tamper(j.database, "DELETE FROM journal_head WHERE number = 4"),
        ("head-missing", "head 8"),
    ),
    "the first head is deleted": (
        lambda j: tamper(j.database, "DELETE FROM journal_head WHERE number = 0"),
        ("head-missing", "head 0"),
    ),
    "the last head is deleted": (
        lambda j: tamper(j.database, "DELETE FROM journal_head WHERE number = 9"),
        ("head-missing", "row 9"),
    ),
    "all heads are deleted": (lambda j: tamper(j.database, "DELETE FROM journal_head"), ("head-missing", "row 1")),
    "the numbers of the tail are deleted": (
        lambda j: tamper(j.database, "DELETE FROM journal_number WHERE number > 7"),
        ("row-missing", "row 8"),
    ),
    "a row is put in": (lambda j: write_rows(j.database, 1, j.now - 3600 * SECOND), ("row-unsealed", "")),
    "a row is put in with the id of another": (lambda j: twin(j), ("row-unsealed", "")),
}


def swap(j: Journal, one: int, other: int) -> None:
    """Two numbers exchange their rows; hashes stay."""
    ids = j.ids()
    with j.database.read() as connection:
        r = journal_row.c
        patients = {row.id: row.patient for row in connection.execute(select(r.id, r.patient))}

    def statements(connection: Connection) -> None:
        unprotect(connection)
        for at, row_id in ((one + 1, "aside"), (other + 1, ids[one]), (one + 1, ids[other])):
            connection.exec_driver_sql(
                f"UPDATE journal_number SET row_id = '{row_id}', patient = '{patients.get(row_id, '')}' WHERE number = {at}"
            )

    j.database.write(statements)


def twin(j: Journal) -> None:
    ((ctx, row),) = made_rows(1, j.now - 3600 * SECOND, 1)
    j.database.write(journal(ctx, [row]))
    newest = "(SELECT max(row_id) FROM journal_number)"
    oldest = f"WHERE at < {j.now}"
    assert tamper(j.database, f"UPDATE journal_row SET id = {newest}, patient = 'other' {oldest}") == 1


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_named(sealed: Journal, name: str) -> None:
    do, (rule, place) = TAMPERING[name]
    do(sealed)
    found, where = sealed.first()
    assert (found, where if place else "") == (rule, place)


def test_the_quick_check_sees_where_the_journal_ends(sealed: Journal) -> None:
    for statement, rule in (
        ("UPDATE journal_number SET hash = '' WHERE number = 9", "head-changed"),
        ("DELETE FROM journal_number WHERE number = 9", "row-missing"),
        ("DELETE FROM journal_head", "head-missing"),
    ):
        tamper(sealed.database, statement.replace("''", "x'00'" if sealed.database.kind == "sqlite" else "'\\x00'::bytea"))
        assert [each.rule for each in check_ends(sealed.database)] == [rule]


def test_a_cut_tail_is_found_with_a_head_kept_elsewhere(sealed: Journal) -> None:
    kept = sealed.head()
    for table, column in (("journal_number", "number"), ("journal_head", "number")):
        tamper(sealed.database, f"DELETE FROM {table} WHERE {column} > 8")
    tamper(sealed.database, "DELETE FROM journal_row WHERE id = (SELECT max(id) FROM journal_row)")
    assert sealed.rules() == []  # nothing inside says that there was more
    assert sealed.first(kept) == ("tail-missing", "row 9")


def test_an_older_backup_is_found_with_a_head_kept_elsewhere(sealed: Journal, tmp_path: Path) -> None:
    if sealed.database.kind != "sqlite":
        pytest.skip("a copy of the file stands for the backup")
    sealed.database.copy_to(tmp_path / "backup.sqlite")  # type: ignore[attr-defined]
    sealed.sealed(3)
    kept = sealed.head()
    with open_database(tmp_path / "backup.sqlite") as older:
        back = Journal(older, sealed.key_file, sealed.now)
        assert back.rules() == []
        assert back.first(kept) == ("tail-missing", "row 10")
        back.sealed(5)  # life goes on: a fork
        assert back.rules() == []
        assert back.first(kept) == ("head-differs", "row 12")


def test_a_journal_written_anew_with_a_key_of_ones_own_is_found(sealed: Journal, tmp_path: Path) -> None:
    kept = sealed.head()
    tamper(sealed.database, "DELETE FROM journal_number")
    tamper(sealed.database, "DELETE FROM journal_head")
    tamper(sealed.database, "UPDATE journal_row SET subject = 'somebody else'")
    save_key(tmp_path / "forged" / "seal.pem", make_key())
    forger = Journal(sealed.database, tmp_path / "forged" / "seal.pem", sealed.now)
    assert forger.sealer().run() == COUNT
    assert forger.rules() == []  # for whoever trusts the forger's key
    assert set(sealed.rules()) == {"key-unknown"}
    assert "head-differs" in sealed.rules(kept)


def test_a_key_endorsed_by_a_stranger_is_not_trusted(sealed: Journal) -> None:
    tamper(sealed.database, "UPDATE journal_key SET endorsed_by = id")
    shutil.rmtree(sealed.key_file.parent)
    assert set(sealed.rules()) == {"key-unknown"}


def test_a_head_kept_elsewhere_is_judged_itself(sealed: Journal, tmp_path: Path) -> None:
    kept = sealed.head()
    kept.write(tmp_path / "head.json")
    assert ExportedHead.read(tmp_path / "head.json") == kept
    text = (tmp_path / "head.json").read_text().replace(f'"count": {kept.head.count}', '"count": 7')
    (tmp_path / "forged.json").write_text(text)
    assert sealed.first(ExportedHead.read(tmp_path / "forged.json")) == ("head-changed", "exported head 9")


def test_rows_that_wait_are_no_fault_until_they_wait_too_long(sealed: Journal) -> None:
    write_rows(sealed.database, 2, sealed.now)
    run = Verification(sealed.database, sealed.keys(), sealed.now + SECOND)
    assert (list(run.run()), run.unsealed) == ([], 2)
    (late,) = Verification(sealed.database, sealed.keys(), sealed.now + int(2 * LATE * SECOND)).run()
    assert (late.rule, late.severity) == ("seal-late", Severity.ERROR)


def test_rows_that_were_sealed_long_after_their_time_are_noted(sealed: Journal) -> None:
    write_rows(sealed.database, 2, sealed.now - 2 * 3600 * SECOND)
    assert sum(sealed.sealer().run() for _ in range(2)) == 2
    (note,) = sealed.problems()
    assert (note.rule, note.severity) == ("sealed-late", Severity.NOTE)
    assert "2 rows" in note.text
    assert "row 10" in note.text


def test_without_signatures_the_last_head_of_each_key_is_still_proved(sealed: Journal) -> None:
    tamper(sealed.database, "UPDATE journal_head SET at = at + 1 WHERE number = 4")
    assert sealed.problems(signatures=False) == []
    tamper(sealed.database, "UPDATE journal_head SET at = at + 1 WHERE number = 9")
    assert [each.place for each in sealed.problems(signatures=False)] == ["head 9"]


def test_memory_is_bounded_when_rows_and_numbers_go_apart(sealed: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many rows are put in before the sealed ones, and no number comes for them."""
    monkeypatch.setattr("journal.verify.READ", 4)
    monkeypatch.setattr("journal.verify.AHEAD", 8)
    assert sealed.problems() == []
    write_rows_at_once(sealed.database, 30, 1000)
    if sealed.database.kind == "sqlite":
        assert tamper(sealed.database, "UPDATE journal_row SET rowid = -rowid WHERE at < 2000") == 30
    sealed.now += SECOND
    write_rows_at_once(sealed.database, 20, sealed.now)
    with sealed.database.read() as connection:
        before = last_head(connection)
    assert before is not None
    found: list[Problem] = sealed.problems()
    assert {each.rule for each in found} == {"row-unsealed"}
    assert len(found) == 30
    while sealed.sealer(batch=3).run():
        pass
    assert sealed.rules() == []
    assert [each.rule for each in sealed.problems()] == ["sealed-late"]


@pytest.mark.parametrize("column", ["detail", "at", "objects"])
@pytest.mark.parametrize("value", [b"\x00\xff", "text", 1.5])
def test_a_value_of_another_type_is_found_and_stops_nothing(sealed: Journal, column: str, value: object) -> None:
    if sealed.database.kind != "sqlite":
        pytest.skip("PostgreSQL keeps the types of columns")
    tamper(sealed.database, f"UPDATE journal_row SET {column} = :v WHERE id = :i", v=value, i=sealed.ids()[4])
    assert sealed.first() == ("row-changed", "row 5")
    write_rows(sealed.database, 1, sealed.now)
    tamper(sealed.database, f"UPDATE journal_row SET {column} = :v WHERE id > :i", v=value, i=max(sealed.ids()))
    sealed.sealer().run()  # what is there is sealed as it is
    assert sealed.rules() == ["row-changed"]


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=())), min_size=16, max_size=16), st.integers())
def test_the_fast_line_is_the_canonical_one(texts: list[str], at: int) -> None:
    values = (*texts[:2], at, *texts[3:])
    assert line(7, values) == canonical((7, *values)) == json.dumps([7, *values], separators=(",", ":")).encode()
