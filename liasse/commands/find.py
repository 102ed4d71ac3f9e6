"""`liasse find`: the documents of a patient, by ITI-18 FindDocuments."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer
from rich.table import Table

from liasse.client import ExchangeFailed, Filters
from liasse.commands import output
from liasse.commands.peers import (
    AuthoritiesOption,
    CardOption,
    CertificateOption,
    ConfigOption,
    JsonOption,
    KeyOption,
    ModeOption,
    PatientOption,
    ReasonOption,
    RegistryOption,
    check_patient,
    find_peers,
    usage,
)
from liasse.submission import read_code
from xds_metadata.datatypes import DatatypeError, check_dtm, read_xcn, read_xon
from xds_metadata.model import APPROVED, DEPRECATED, Author, Code, DocumentEntry
from xds_metadata.profile import DMP
from xua.kinds.vihf_table import NORMAL

_STATUSES: Final = {
    "approved": (APPROVED,),
    "deprecated": (DEPRECATED,),
    "archived": ("urn:asip:ci-sis:2010:StatusType:Archived",),
    "all": (APPROVED, DEPRECATED),
}


def find(
    patient: PatientOption,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", help="approved (default), deprecated, archived, all, or a URN; may be repeated"),
    ] = None,
    type_code: Annotated[
        list[str] | None, typer.Option("--type", metavar="CODE^^SCHEME", help="typeCode; may be repeated")
    ] = None,
    created_from: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="created at or after, as YYYY[MM[DD[hhmm[ss]]]] in UTC")
    ] = None,
    created_to: Annotated[str | None, typer.Option("--to", metavar="TIME", help="created before")] = None,
    registry: RegistryOption = None,
    config: ConfigOption = None,
    card: CardOption = None,
    mode: ModeOption = NORMAL,
    reason: ReasonOption = "",
    authorities: AuthoritiesOption = None,
    certificate: CertificateOption = None,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List the documents of a patient (ITI-18)."""
    peers = find_peers(config, registry, None, repository_needed=False)
    peers = peers.called_by(card, mode, reason, authorities, certificate, key)
    check_patient(patient)
    for name, time in (("--from", created_from), ("--to", created_to)):
        if time is not None and (wrong := check_dtm(time)) is not None:
            raise usage(f"{name}: {wrong}")
    try:
        types = tuple(read_code(text, "type_code", peers.codes).pair for text in type_code or ())
        filters = Filters(_statuses(status or ["approved"]), types, (), created_from, created_to)
    except ValueError as error:
        raise usage(str(error)) from error
    try:
        with peers.client() as client:
            entries = client.find(patient, filters)
    except ExchangeFailed as error:
        output.complain(str(error))
        raise typer.Exit(1) from error
    entries = tuple(sorted(entries, key=lambda entry: entry.creation_time or "", reverse=True))
    if json:
        output.print_json([as_json(entry) for entry in entries])
        return
    if entries:
        output.console().print(_table(entries))
    output.errors().print(f"{len(entries)} document{'' if len(entries) == 1 else 's'} at {peers.endpoints.registry}")


def _statuses(names: list[str]) -> tuple[str, ...]:
    found: list[str] = []
    for name in names:
        if name not in _STATUSES and not name.startswith("urn:"):
            raise ValueError(f"--status {name}: expected one of {', '.join(_STATUSES)}, or a URN")
        found += _STATUSES.get(name, (name,))
    return tuple(dict.fromkeys(found))


def _table(entries: tuple[DocumentEntry, ...]) -> Table:
    table = output.table("title", "type", "created (UTC)", "author")
    table.add_column("uniqueId", overflow="fold", style="cyan")
    table.add_column("status")
    table.add_column("size", justify="right", no_wrap=True)
    for entry in entries:
        status = short_status(entry)
        table.add_row(
            *(
                output.lines(text, "")
                for text in (
                    entry.title or "",
                    _code_text(entry.type_code),
                    output.time_text(entry.creation_time),
                    author_text(entry.authors[0]) if entry.authors else "",
                    entry.unique_id or "",
                )
            ),
            output.lines(status, output.GOOD if status == "Approved" else output.DIM),
            output.size_text(int(entry.size)) if entry.size and entry.size.isdigit() else "",
        )
    return table


def short_status(entry: DocumentEntry) -> str:
    """The last word of the status URN."""
    return (entry.availability_status or "").rpartition(":")[2]


def author_text(author: Author) -> str:
    """Person and first institution of an author, for people; as sent where they cannot be read."""
    parts = [_person(author.person)] if author.person else []
    parts += [_institution(author.institutions[0])] if author.institutions else []
    return ", ".join(part for part in parts if part)


def _person(text: str) -> str:
    try:
        person = read_xcn(text, DMP.datatypes)
    except DatatypeError:
        return text
    return " ".join(part for part in (person.prefix, person.given, person.family) if part) or (person.id or text)


def _institution(text: str) -> str:
    try:
        return read_xon(text, DMP.datatypes).name
    except DatatypeError:
        return text


def _code_text(code: Code | None) -> str:
    if code is None:
        return ""
    return f"{code.display} ({code.code})" if code.display and code.display != code.code else code.code


def as_json(entry: DocumentEntry) -> dict[str, Any]:
    """An entry as JSON values: the attributes a program asks for, under their names on the wire."""

    def code(value: Code | None) -> dict[str, str] | None:
        return None if value is None else {"code": value.code, "scheme": value.scheme, "display": value.display}

    return {
        "entryUUID": entry.entry_uuid,
        "uniqueId": entry.unique_id,
        "repositoryUniqueId": entry.repository_unique_id,
        "patientId": entry.patient_id,
        "title": entry.title,
        "availabilityStatus": entry.availability_status,
        "classCode": code(entry.class_code),
        "typeCode": code(entry.type_code),
        "formatCode": code(entry.format_code),
        "confidentialityCode": [code(value) for value in entry.confidentiality_codes],
        "mimeType": entry.mime_type,
        "creationTime": entry.creation_time,
        "serviceStartTime": entry.service_start_time,
        "author": [
            {"authorPerson": author.person, "authorInstitution": list(author.institutions)} for author in entry.authors
        ],
        "size": int(entry.size) if entry.size and entry.size.isdigit() else None,
        "hash": entry.hash,
    }
