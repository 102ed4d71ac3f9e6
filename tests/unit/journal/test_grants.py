"""The server's role on PostgreSQL: everything it needs, and no way to change the journal, its partitions included."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url, text

from database import Database, DatabaseError, open_database
from journal.assertions import KeptAssertions, keep_assertion
from journal.grants import grants
from journal.message_ids import insert_or_repeat, purge_message_ids
from journal.seal import Sealer
from journal.tables import APPEND_ONLY
from tests.instance import Instance, instance_on
from tests.journal_side import AT, SECOND, Journal, no_guard
from tests.postgres import PostgresServer

ROLE = 'liasse "server"'


@pytest.fixture
def server_url(database: Database, database_url: str, postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of the database for a role that has what `grants` gives."""
    name = ROLE.replace('"', '""')
    database_name = make_url(database_url).database
    with postgres_server.connect(str(database_name)) as administrator:
        administrator.execute(f'CREATE ROLE "{name}" LOGIN')
        try:
            administrator.execute(grants(database, ROLE))
            yield make_url(database_url).set(username=ROLE).render_as_string(hide_password=False)
        finally:
            administrator.execute(f'DROP OWNED BY "{name}"')
            administrator.execute(f'DROP ROLE "{name}"')


@pytest.fixture
def database_kind() -> str:
    """PostgreSQL only."""
    return "postgresql"


def run(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))


@pytest.mark.postgres
def test_the_server_works_as_that_role(server_url: str, tmp_path: Path, database: Database) -> None:
    with instance_on(tmp_path / "instance", server_url) as instance:
        provided = instance.deposit("one", "two")
        (first, _) = provided.unique_ids
        assert instance.retrieve(first) == provided.documents[first]
        assert instance.documents(first)
        key = tmp_path / "keys" / "seal.pem"
        assert Sealer(instance.database, key, no_guard, lambda: AT).run() == rows_of(instance)
        assert Journal(database, key, AT + 3600 * SECOND).rules() == []
        instance.database.write(partial(insert_or_repeat, sender="s", message_id="m", at=AT, max_age=1))
        assert purge_message_ids(instance.database, AT + 1) == 1
        for _ in range(2):
            instance.database.write(partial(keep_assertion, digest="d", data=b"<signed/>", at=AT))
        assert KeptAssertions(instance.database).has("d")


def rows_of(instance: Instance) -> int:
    with instance.database.read() as connection:
        return int(connection.execute(text("SELECT count(*) FROM journal_row")).scalar_one())


@pytest.mark.postgres
def test_that_role_cannot_change_the_journal_even_without_triggers(
    server_url: str, journal_of: Journal, postgres_server: PostgresServer
) -> None:
    journal_of.sealed(20)
    with journal_of.database.read() as connection:
        partitions = (
            connection.execute(
                text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'journal_row'::regclass")
            )
            .scalars()
            .all()
        )
    assert len(partitions) == 16
    with postgres_server.connect(str(make_url(server_url).database)) as administrator:
        for table in APPEND_ONLY:
            administrator.execute(f"DROP TRIGGER {table.name}_no_change ON {table.name}")
            administrator.execute(f"DROP TRIGGER {table.name}_no_truncate ON {table.name}")
    with open_database(server_url) as database:
        for name in [*(table.name for table in APPEND_ONLY), *partitions]:
            column = (
                "at" if name.startswith(("journal_row", "journal_head", "journal_key", "journal_assertion")) else "number"
            )
            for statement in (f"UPDATE {name} SET {column} = {column}", f"DELETE FROM {name}", f"TRUNCATE {name}"):
                with pytest.raises(DatabaseError, match="42501"):
                    database.write(partial(run, statement=statement))
        for statement in (
            "DROP TABLE journal_row",
            "ALTER TABLE journal_row DISABLE TRIGGER ALL",
            "CREATE TRIGGER t BEFORE INSERT ON journal_row FOR EACH ROW EXECUTE FUNCTION journal_is_append_only()",
            "UPDATE alembic_version SET version_num = '0'",
        ):
            with pytest.raises(DatabaseError, match="42501"):
                database.write(partial(run, statement=statement))
    assert journal_of.problems() == []
