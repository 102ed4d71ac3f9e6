"""The commands that keep a store: for the program's command line."""

from __future__ import annotations

import typer

from liasse.commands import assertion, backup, due, fsck, journal, maintenance, pki, withdraw


def mount_upkeep(app: typer.Typer) -> None:
    """Add fsck, scrub, reindex, backup, restore, withdraw, run-due, notices, journal, assertion and pki to `app`."""
    app.command("fsck")(fsck.fsck)
    app.command("scrub")(maintenance.scrub)
    app.command("reindex")(maintenance.reindex)
    app.command("backup")(backup.backup)
    app.command("restore")(backup.restore)
    app.command("withdraw")(withdraw.withdraw)
    app.command("run-due")(due.run_due_)
    app.command("notices")(due.notices)
    app.add_typer(journal.app, name="journal")
    app.add_typer(assertion.app, name="assertion")
    app.add_typer(pki.app, name="pki")
