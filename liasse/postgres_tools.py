"""PostgreSQL's own programs for copies: pg_dump and pg_restore, which must be installed where `liasse` runs.

The password of a URL travels in the environment, never on a command line.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sqlalchemy import URL, make_url

from database.errors import DatabaseUnavailable

_NEEDED = "install PostgreSQL's client programs (Debian: postgresql-client) of the server's version or newer"


def dump(url: str, target: Path) -> None:
    """Write the whole database, as of one moment, to a new file. Raises DatabaseUnavailable."""
    _run("pg_dump", url, ["--format=custom", "--no-owner", "--no-privileges", f"--file={target}"])
    target.chmod(0o600)


def load(url: str, source: Path) -> None:
    """Fill an empty database with what `dump` wrote, all or nothing. Raises DatabaseUnavailable."""
    options = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges"]
    _run("pg_restore", url, [*options, str(source)])


def _run(program: str, url: str, options: list[str]) -> None:
    parsed = make_url(url)
    password = parsed.password or parsed.query.get("password")
    query = {name: value for name, value in parsed.query.items() if name != "password"}
    where = URL.create("postgresql", parsed.username, None, parsed.host, parsed.port, parsed.database, query)
    place = where.render_as_string(hide_password=False)
    environment = {**os.environ, "LC_ALL": "C", **({"PGPASSWORD": str(password)} if password else {})}
    try:
        done = subprocess.run(  # noqa: S603 our own program name and options, no shell
            [program, f"--dbname={place}", *options], env=environment, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise DatabaseUnavailable(f"{program} is not installed: {_NEEDED}") from None
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise DatabaseUnavailable(f"{program} failed: {lines[0] if lines else 'without a reason'}")
