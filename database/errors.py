"""What can go wrong with the database, in our own words: no driver exception leaves this package.

Messages name no stored value: a driver's text may quote row contents, so it is never passed on.
"""

from __future__ import annotations


class DatabaseError(Exception):
    """Any failure of the database. `code` is the driver's symbolic reason (SQLSTATE or SQLite's name), for logs."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(f"{message} [{code}]" if code else message)
        self.code = code


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached or used now. Nothing of this call was stored."""


class DatabaseBusy(DatabaseError):
    """The work did not get its turn in time and was withdrawn. Nothing of this call was stored; a retry may succeed."""


class DatabaseFull(DatabaseError):
    """No space is left for the database. Nothing of this call was stored; reading goes on."""


class ConstraintViolated(DatabaseError):
    """A statement broke a unique, foreign key, check or not-null rule. Nothing of this call was stored."""


class OutcomeUnknown(DatabaseError):
    """The commit was under way when the answer was lost: all of this call is stored, or nothing is.

    The caller finds out by reading what the call would have written.
    """


class SchemaMismatch(DatabaseError):
    """The database has another schema version than this program. The message says what to run."""


class LeaseLost(DatabaseError):
    """The lease is no longer ours: somebody else may do its work now."""
