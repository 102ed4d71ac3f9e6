"""`liasse pki`: a complete test PKI, for laboratories, demonstrations and tests. Nothing is ever written over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from conformance.simulators.ocsp_responder import OcspResponder, answers_of
from conformance.simulators.stopping import until_stopped
from liasse.commands import output
from pki.errors import FilesError
from pki.testca import PROFILES, TestPki

app = typer.Typer(no_args_is_help=True, help="A test PKI of IGC-Santé's shape: authorities, cards, structures, servers.")

_SOON: Final = 30
"""Days before its end from which a certificate is pointed at."""

DirOption = Annotated[Path, typer.Option("--dir", metavar="DIR", help="folder of the PKI")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="letters, digits, dots, hyphens, underscores")]
DaysOption = Annotated[int | None, typer.Option("--days", help="days of validity; else that of the profile")]
_HERE: Final = Path("pki")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except FilesError as error:
        output.complain(str(error))
        raise typer.Exit(1) from error


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="folder to make, absent or empty")] = _HERE,
    keys: Annotated[str, typer.Option("--keys", help="rsa (2048, as IGC-Santé) or ec (P-256)")] = "rsa",
) -> None:
    """Make root, two issuing authorities and their first revocation lists."""
    if keys not in ("rsa", "ec"):
        typer.echo("liasse: --keys: expected rsa or ec", err=True)
        raise typer.Exit(2)
    with _told():
        made = TestPki.create(directory, keys="rsa" if keys == "rsa" else "ec")
    for text in (f"authorities to trust: {made.authorities}", *(f"revocation list: {path}" for path in made.crls)):
        output.console().print(text, soft_wrap=True)


@app.command()
def issue(
    what: Annotated[str, typer.Argument(metavar="WHAT", help=f"card, staff-card, structure, or {', '.join(PROFILES)}")],
    name: NameArgument,
    directory: DirOption = _HERE,
    identifier: Annotated[
        str, typer.Option("--id", help="national id of the person (8 and RPPS…), or id of the structure")
    ] = "",
    profession: Annotated[str, typer.Option("--profession", help="profession code of a card")] = "10",
    speciality: Annotated[str, typer.Option("--speciality", help="speciality code of a card; empty for none")] = "SM26",
    structure: Annotated[str, typer.Option("--structure", help="where the holder of a card works")] = "10B0127189",
    host: Annotated[list[str] | None, typer.Option("--host", help="name or address of a server; may be repeated")] = None,
    days: DaysOption = None,
) -> None:
    """Issue a card (two pairs), a structure's kit (two pairs), or one certificate of a profile."""
    with _told():
        pki = TestPki.open(directory)
        if what in ("card", "staff-card", "structure") and not identifier:
            raise FilesError(f"--id: the identifier of the {what} is needed")
        if what in ("card", "staff-card"):
            staff = what == "staff-card"
            code = "SECRETARIAT_MEDICAL" if staff else profession
            card = pki.issue_card(
                name, identifier, profession=code, speciality=speciality, structure=structure, staff=staff, days=days
            )
            place = card.authentication.certificate.parent
        elif what == "structure":
            place = pki.issue_structure(name, identifier, days=days).authentication.certificate.parent
        else:
            place = pki.issue(what, name, hosts=host or (), days=days).certificate
    output.console().print(f"issued: {place}", soft_wrap=True)


@app.command()
def revoke(
    name: NameArgument,
    directory: DirOption = _HERE,
    reason: Annotated[str, typer.Option("--reason", help="keyCompromise, cessationOfOperation, …")] = "unspecified",
) -> None:
    """Revoke what was issued under a name, and write new revocation lists."""
    with _told():
        found = TestPki.open(directory).revoke(name, reason)
    for row in found:
        output.console().print(f"revoked: {row.path} ({row.serial:x})", soft_wrap=True)


@app.command()
def crl(directory: DirOption = _HERE, days: Annotated[float, typer.Option("--days", help="until nextUpdate")] = 7) -> None:
    """Write the revocation list of each authority, with the next number."""
    with _told():
        for path in TestPki.open(directory).crl(days=days):
            output.console().print(f"revocation list: {path}", soft_wrap=True)


@app.command()
def ocsp(
    directory: DirOption = _HERE,
    host: Annotated[str, typer.Option("--host", help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="TCP port; 0 takes a free one")] = 8889,
) -> None:
    """Answer OCSP questions about what was issued, until it is interrupted."""
    with _told():
        answers = answers_of(directory)
    try:
        responder = OcspResponder(answers, host, port)
    except OSError as error:
        output.complain(f"{host}:{port}: {error.strerror}")
        raise typer.Exit(1) from error
    with responder, until_stopped():
        output.console().print(f"OCSP responder: {responder.url}", soft_wrap=True)
        responder.wait()


@app.command()
def renew(name: NameArgument, directory: DirOption = _HERE) -> None:
    """Make new pairs for a name beside the old ones, which stay valid until they end or are revoked."""
    with _told():
        for path in TestPki.open(directory).renew(name):
            output.console().print(f"issued: {path}", soft_wrap=True)


@app.command()
def show(directory: DirOption = _HERE) -> None:
    """List what was issued, with the days that are left; ends within 30 days are pointed at."""
    with _told():
        pki = TestPki.open(directory)
    now = datetime.now(UTC)
    table = output.table("name", "profile", "file")
    table.add_column("days left", justify="right")
    table.add_column("state", no_wrap=True)
    for row in pki.issued:
        left = (row.not_after - now).days
        state = (
            f"revoked ({row.reason})" if row.revoked else "ended" if left < 0 else "ends soon" if left < _SOON else "valid"
        )
        style = output.GOOD if state == "valid" else output.BAD
        table.add_row(row.name, row.profile, row.path, str(left), output.lines(state, style))
    output.console().print(table)
