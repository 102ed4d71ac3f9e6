"""The rights of the server's role on PostgreSQL: everything it needs, and nothing but INSERT and SELECT on the journal.

The tables belong to another role, which runs the migrations. Run again after a migration that makes tables.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text

from database.handle import Database
from journal.tables import APPEND_ONLY


def grants(database: Database, role: str) -> str:
    """SQL that the owner of the tables runs on this database, partitions included. Raises DatabaseError."""
    name = _quoted(role)
    protected = ", ".join(_quoted(table) for table in _with_partitions(database))
    return "\n".join(
        [
            f"GRANT USAGE ON SCHEMA public TO {name};",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name};",
            f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {name};",
            f"REVOKE UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON {protected} FROM {name};",
            f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {name};",
            "",
        ]
    )


def _with_partitions(database: Database) -> Sequence[str]:
    """The append-only tables, each with its partitions."""
    names = [table.name for table in APPEND_ONLY]
    partitions = text(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent "
        "WHERE p.relname = ANY(:names) AND p.relkind = 'p' ORDER BY c.relname"
    )
    with database.read() as connection:
        return [*names, *connection.execute(partitions, {"names": names}).scalars()]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
