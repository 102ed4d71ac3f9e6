"""Times of the journal, as operators write and read them. UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import typer


def moment_text(at: int) -> str:
    """Microseconds since 1970 UTC for people."""
    return f"{datetime.fromtimestamp(at / 1_000_000, UTC):%Y-%m-%d %H:%M:%S}"


def read_moment(text: str) -> int:
    """ISO 8601, UTC where no zone is given; microseconds since 1970 UTC. Raises typer.BadParameter."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"found {text!r}, expected a time such as 2026-01-31 or 2026-01-31T12:00") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1_000_000)
