"""The command that runs the audit receiver and prints what arrives, one line a message, and the totals at the end."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from conformance.findings import Level
from conformance.simulators.audit_receiver import AuditReceiver, Received, server_context
from conformance.simulators.stopping import until_stopped

_OUTCOMES: Final = {"0": "success", "4": "minor", "8": "serious", "12": "major"}
_LOOK: Final = 0.1


def receive(
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    tls: Annotated[int | None, typer.Option(help="TCP port for syslog over TLS (6514 by custom)", metavar="PORT")] = None,
    udp: Annotated[int | None, typer.Option(help="UDP port (514 by custom)", metavar="PORT")] = None,
    certificate: Annotated[Path | None, typer.Option(help="our certificate, PEM, for --tls", metavar="FILE")] = None,
    key: Annotated[Path | None, typer.Option(help="its key, PEM", metavar="FILE")] = None,
    client_ca: Annotated[
        Path | None, typer.Option(help="authority of the client certificates, PEM; they are then required", metavar="FILE")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="write each message into this folder", metavar="DIR")] = None,
    count: Annotated[int, typer.Option(help="end after this many messages; 0: at Ctrl-C")] = 0,
) -> None:
    """Receive audit messages (ITI-20), judge each, print a line for each. Ends with 1 when one was wrong."""
    console = Console()
    if tls is None and udp is None:
        raise _usage("--tls PORT or --udp PORT is needed")
    if tls is not None and certificate is None:
        raise _usage("--tls needs --certificate FILE")

    def show(one: Received) -> None:
        _print(console, one)
        if keep is not None:
            (keep / f"{one.number:06d}.syslog").write_bytes(one.message)

    try:
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
        context = None if certificate is None else server_context(certificate, key, client_ca)
        receiver = AuditReceiver(tls, udp, host, context, notify=show).open()
    except OSError as error:
        raise _usage(str(error)) from error
    ports = [f"{name} {port}" for name, port in (("tls", receiver.tcp), ("udp", receiver.udp)) if port is not None]
    console.print(f"listening on {host}: {', '.join(ports)}")
    try:
        with until_stopped():
            while not count or len(receiver.received) < count:
                time.sleep(_LOOK)
    finally:
        receiver.close()
    console.print(_totals(receiver))
    for failure in receiver.failures:
        console.print(f"[red]connection[/] {escape(failure)}")
    if any(finding.level is Level.MUST for one in receiver.received for finding in one.findings):
        raise typer.Exit(1)


def _print(console: Console, one: Received) -> None:
    audit = one.audit
    what = f"{audit.type:<8} {_OUTCOMES.get(audit.outcome, audit.outcome):<8} {audit.time}" if audit else "no audit message"
    repeated = "  [yellow]repeated[/]" if one.repeated else ""
    style = "red" if any(finding.level is Level.MUST for finding in one.findings) else "green"
    line = f"[{style}]{one.number:>6}[/]  {one.transport}  {escape(what)}  {escape(one.peer)}{repeated}"
    console.print(line, soft_wrap=True)
    for finding in one.findings:
        console.print(f"        [{style}]{finding.level}[/] {escape(str(finding))}", soft_wrap=True)


def _totals(receiver: AuditReceiver) -> Table:
    table = Table("event", "outcome", "messages", "wrong", "repeated")
    counted: Counter[tuple[str, str]] = Counter()
    wrong: Counter[tuple[str, str]] = Counter()
    repeated: Counter[tuple[str, str]] = Counter()
    for one in receiver.received:
        kind = (one.audit.type, _OUTCOMES.get(one.audit.outcome, one.audit.outcome)) if one.audit else ("none", "")
        counted[kind] += 1
        wrong[kind] += any(finding.level is Level.MUST for finding in one.findings)
        repeated[kind] += one.repeated
    for kind in sorted(counted):
        table.add_row(*(escape(text) for text in kind), *(str(each[kind]) for each in (counted, wrong, repeated)))
    return table


def _usage(text: str) -> typer.Exit:
    typer.echo(f"audit receive: {text}", err=True)
    return typer.Exit(2)


app = typer.Typer(help="Audit messages (ITI-20).", no_args_is_help=True)
app.command("receive")(receive)


@app.callback()
def _audit() -> None:
    """Audit messages (ITI-20)."""


if __name__ == "__main__":
    typer.run(receive)
