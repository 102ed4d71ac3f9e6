"""What access rules ask of the entries of a patient is in one index, so that a query does not read the rows of objects.

On SQLite alone: PostgreSQL visits the row whatever an index holds, unless it was vacuumed since.
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.create_index(
            "ix_entry_read",
            "entry",
            ["patient", "registered_at", "status", "withdrawn", "stable", "id", "type_code", "class_code", "unique_id"],
        )
