"""`liasse withdraw`: an operator takes back a wrong deposit."""

from __future__ import annotations

from typing import Annotated

import typer

from liasse.commands import output
from liasse.commands.peers import ConfigOption
from liasse.commands.stores import open_stores
from liasse.wiring import wall_clock
from liasse.withdraw import Operator, Withdrawal, operator, purge, reinstate
from liasse.withdraw import withdraw as take_back


def withdraw(
    identifier: Annotated[
        str,
        typer.Argument(
            metavar="UNIQUEID|SUBMISSION",
            help="uniqueId or entryUUID of a document, or entryUUID or uniqueId of a submission set with all it brought",
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="why; it is journaled with your user name")],
    config: ConfigOption = None,
    undo: Annotated[bool, typer.Option("--undo", help="bring back what was withdrawn")] = False,
    remove: Annotated[bool, typer.Option("--purge", help="delete for good what was withdrawn before")] = False,
) -> None:
    """Take back a deposit: it is never found or retrieved again, unless --undo brings it back before --purge."""
    if undo and remove:
        raise typer.BadParameter("give --undo or --purge, not both")
    with open_stores(config) as stores:
        who = Operator(operator(), wall_clock(), reason)
        if undo:
            _tell("brought back", reinstate(stores.database, identifier, who, stores.following))
        elif remove:
            _tell("purged", purge(stores.database, stores.store, identifier, who, stores.following))
        else:
            _tell("withdrawn", take_back(stores.database, identifier, who, stores.following))


def _tell(what: str, done: Withdrawal) -> None:
    parts = [
        f"{count} {name}"
        for count, name in (
            (done.entries, "entries"),
            (done.sets, "submission sets"),
            (done.folders, "folders"),
            (done.associations, "associations"),
        )
        if count
    ]
    text = f"{what}: {', '.join(parts) or 'nothing in this registry'}"
    if done.documents:
        text += f"; documents {', '.join(done.documents)}"
    if done.status:
        text += f"; {done.status} entries that had been replaced changed status"
    if done.removed or done.later:
        text += f"; {done.removed} blobs removed, {done.later} to be removed by `liasse fsck --collect` a day after storing"
    output.errors().print(output.lines(text, output.GOOD), soft_wrap=True)
