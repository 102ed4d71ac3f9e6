"""The repository's rows: one content for each uniqueId, and the states it goes through."""

from __future__ import annotations

import pytest

from database import Database
from xds_metadata.errors import XdsFailure
from xds_repository.documents import (
    PENDING,
    STORED,
    WITHDRAWN,
    StoredDocument,
    find_documents,
    forget_pending,
    owners_of,
    purge_documents,
    put_documents,
    reinstate_documents,
    set_state,
    withdraw_documents,
)


def document(unique_id: str, content: str = "a", state: str = STORED) -> StoredDocument:
    return StoredDocument(unique_id, content * 64, content * 40, 7, "application/pdf", state)


def put(database: Database, *documents: StoredDocument) -> None:
    database.write(put_documents(documents, 5))


def states(database: Database, *unique_ids: str) -> dict[str, str]:
    with database.read() as connection:
        return {row.unique_id: row.state for row in find_documents(connection, unique_ids)}


def test_rows_are_found_as_they_were_put(database: Database) -> None:
    put(database, document("1"), document("2", "b", PENDING))
    with database.read() as connection:
        found = find_documents(connection, ["2", "1", "3"])
    assert sorted(found, key=lambda row: row.unique_id) == [document("1"), document("2", "b", PENDING)]


def test_the_same_content_again_changes_nothing(database: Database) -> None:
    put(database, document("1"))
    put(database, document("1"))
    assert states(database, "1") == {"1": STORED}


def test_another_content_is_refused_and_undoes_the_whole_write(database: Database) -> None:
    put(database, document("1"))
    with pytest.raises(XdsFailure) as caught:
        put(database, document("2"), document("1", "b"))
    (finding,) = caught.value.findings
    assert (finding.code, finding.rule) == ("XDSNonIdenticalHash", "document-identical")
    assert states(database, "1", "2") == {"1": STORED}


@pytest.mark.parametrize(
    ("before", "new", "after"),
    [
        (PENDING, STORED, STORED),
        (WITHDRAWN, STORED, STORED),
        (STORED, PENDING, STORED),
        (PENDING, PENDING, PENDING),
        (WITHDRAWN, PENDING, WITHDRAWN),
    ],
)
def test_a_row_that_is_there_is_only_ever_promoted(database: Database, before: str, new: str, after: str) -> None:
    put(database, document("1", state=before))
    put(database, document("1", state=new))
    assert states(database, "1") == {"1": after}


def test_only_pending_rows_are_forgotten(database: Database) -> None:
    put(database, document("1", state=PENDING), document("2"), document("3", state=PENDING))
    database.write(lambda c: forget_pending(c, ["1", "2"]))
    assert states(database, "1", "2", "3") == {"2": STORED, "3": PENDING}


def test_a_state_is_set(database: Database) -> None:
    put(database, document("1", state=PENDING), document("2", state=PENDING))
    database.write(lambda c: set_state(c, ["1"], STORED, 6))
    assert states(database, "1", "2") == {"1": STORED, "2": PENDING}


def test_withdrawing_tells_what_it_moved_and_can_be_undone(database: Database) -> None:
    put(database, document("1"), document("2"), document("3", state=PENDING))
    assert database.write(lambda c: withdraw_documents(c, ["1", "3", "9"], 6)) == ("1",)
    assert states(database, "1", "2", "3") == {"1": WITHDRAWN, "2": STORED, "3": PENDING}
    assert database.write(lambda c: withdraw_documents(c, ["1"], 7)) == ()
    assert database.write(lambda c: reinstate_documents(c, ["1", "2"], 8)) == ("1",)
    assert states(database, "1") == {"1": STORED}


def test_purging_tells_which_bytes_nobody_refers_to(database: Database) -> None:
    put(database, document("1"), document("2"), document("3", "b"))
    assert database.write(lambda c: purge_documents(c, ["1", "3"])) == ("b" * 64,)
    assert database.write(lambda c: purge_documents(c, ["2"])) == ("a" * 64,)
    assert states(database, "1", "2", "3") == {}


def test_the_owners_of_bytes(database: Database) -> None:
    put(database, document("2"), document("1"), document("3", "b"))
    with database.read() as connection:
        assert owners_of(connection, ["a" * 64, "c" * 64]) == {"a" * 64: ("1", "2")}
