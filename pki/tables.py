"""What is known of revocations, as it was fetched. Times are microseconds since 1970 UTC."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, Table

from database.tables import code_text, metadata

revocation_list = Table(
    "revocation_list",
    metadata,
    Column("authority", code_text(), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("this_update", BigInteger, nullable=False),
    Column("next_update", BigInteger, nullable=False),
    Column("stored_at", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
"""One list of each authority, the newest.

`authority` is the SHA-256 of `pki.revocation.authority_key` in hexadecimal; `version` grows with every list stored, of
whatever authority, so that processes see with one number whether anything is new.
"""

certificate_status = Table(
    "certificate_status",
    metadata,
    Column("key", code_text(), primary_key=True),
    Column("asked_at", BigInteger, nullable=False),
    Column("this_update", BigInteger, nullable=False),
    Column("produced_at", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
"""One OCSP response for each certificate, the newest; `key` is the SHA-256 of issuer and serial number in hexadecimal."""
