"""The database: one interface over SQLite and PostgreSQL, group commit, migrations, a fenced lease."""

from database.engine import open_database
from database.errors import (
    ConstraintViolated,
    DatabaseBusy,
    DatabaseError,
    DatabaseFull,
    DatabaseUnavailable,
    LeaseLost,
    OutcomeUnknown,
    SchemaMismatch,
)
from database.handle import Database
from database.prepared import Prepared

__all__ = [
    "ConstraintViolated",
    "Database",
    "DatabaseBusy",
    "DatabaseError",
    "DatabaseFull",
    "DatabaseUnavailable",
    "LeaseLost",
    "OutcomeUnknown",
    "Prepared",
    "SchemaMismatch",
    "open_database",
]
