"""`liasse run-due` and `liasse notices`: what comes due by itself, done now; and what could not be told to anybody.

The server's background process does the same by itself. Both may run at once: nothing is done twice, but a message that the
other is sending just then, which comes with the same Message-ID.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from liasse.announcing import Moment
from liasse.commands import output
from liasse.commands.journal_times import moment_text, read_moment
from liasse.commands.peers import ConfigOption, JsonOption
from liasse.commands.stores import open_database_of
from liasse.due import Due, run_due
from liasse.notifying import Outbox, kept, outbox, try_again
from liasse.wiring import wall_clock
from liasse.withdraw import operator


def run_due_(
    at: Annotated[
        str, typer.Option("--at", metavar="TIME", help="what is due at another time; what is done is dated now and says so")
    ] = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Do what is due: recall announcements, make documents visible, send notices. Exit code 1 where something failed."""
    now = wall_clock()
    moment = Moment(now, now)
    if at:
        moment = Moment(read_moment(at), now, f"run-due --at {moment_text(read_moment(at))} UTC, {operator().id}")
    with open_database_of(config) as (settings, database):
        done = run_due(settings, database, moment)
        state = outbox(database)
    if json:
        told = {"announcements": asdict(done.announced), "notices": asdict(done.delivered), "outbox": asdict(state)}
        output.print_json(told)
    else:
        _print(done, state, sent=bool(settings.notifications.host))
    for failure in done.announced.failures:
        output.complain(f"a document could not be made visible: {failure}")
    if done.delivered.failure:
        output.complain(f"the mail server took nothing more: {done.delivered.failure}")
    if done.announced.failures or done.delivered.failure:
        raise typer.Exit(1)


def _print(done: Due, state: Outbox, *, sent: bool) -> None:
    table = output.table("what was due", "done")
    announced, delivered = done.announced, done.delivered
    table.add_row("announcements recalled", f"{announced.reminders} (to {announced.addresses} addresses)")
    table.add_row("documents made visible to their patients", str(announced.releases))
    if sent:
        table.add_row("notices sent", str(delivered.sent))
        table.add_row("notices put off", str(delivered.put_off))
        table.add_row("notices given up", str(delivered.given_up))
    else:
        table.add_row("notices sent", "no mail server is set: notifications.host")
    table.add_section()
    table.add_row("notices that wait", str(state.waiting))
    table.add_row("notices given up in all", str(state.dead))
    table.add_row("notices without an address", str(state.unaddressed))
    output.console().print(table)


def notices(
    again: Annotated[bool, typer.Option("--again", help="let those that were given up wait anew")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List the notices that were given up, and those that had no address to go to."""
    with open_database_of(config) as (_settings, database):
        if again:
            output.errors().print(f"{try_again(database, wall_clock())} notices wait again")
            return
        rows = kept(database)
    if json:
        output.print_json([asdict(row) for row in rows])
        return
    table = output.table("time (UTC)", "event", "patient", "address", "state", "attempts", "why")
    for row in rows:
        where = row.address or "none"
        table.add_row(moment_text(row.at), row.event, row.patient, where, row.state, str(row.attempts), row.error)
    output.console().print(table)
