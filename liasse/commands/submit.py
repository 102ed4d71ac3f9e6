"""`liasse submit`: provide documents, by ITI-41, with metadata from their CDA headers.

Each file is a submission set of its own unless `--together` is said. A file that fails does not stop the others.
"""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ebrim.model import RegistryError
from liasse.client import DocumentClient, ExchangeFailed, error_line
from liasse.commands import output
from liasse.commands.peers import (
    AuthoritiesOption,
    CardOption,
    CertificateOption,
    ConfigOption,
    JsonOption,
    KeyOption,
    ModeOption,
    Peers,
    ReasonOption,
    RegistryOption,
    RepositoryOption,
    check_patient,
    find_peers,
    usage,
)
from liasse.submission import FileRefused, Given, Prepared, content_type, prepare, read_code, submission_of
from xds_metadata.codes import CodeSets
from xds_metadata.datatypes import check_dtm, check_language, check_mime_type, check_oid, check_xcn
from xds_metadata.model import APPROVED, Code
from xds_metadata.profile import DMP
from xua.kinds.vihf_table import NORMAL

_MASK_SCHEME: Final = "1.2.250.1.213.1.1.4.13"
_MASKS: Final = {
    "professionals": "MASQUE_PS",
    "patient": "INVISIBLE_PATIENT",
    "legal-representatives": "INVISIBLE_REPRESENTANTS_LEGAUX",
}


@dataclass(slots=True)
class Result:
    """What became of one file."""

    path: Path
    prepared: Prepared | None = None
    submission_set: str = ""
    reasons: tuple[str, ...] = ()
    errors: tuple[RegistryError, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    unknown: bool = field(default=False)

    @property
    def ok(self) -> bool:
        """Whether the file was accepted."""
        return self.prepared is not None and not self.reasons

    def fail(self, error: Exception) -> None:
        """Note why the file was not accepted."""
        self.reasons = tuple(str(error).splitlines()) or (type(error).__name__,)
        if isinstance(error, ExchangeFailed):
            self.errors, self.unknown = error.errors, error.outcome_unknown


@dataclass(frozen=True, slots=True)
class Job:
    """Everything a submission needs beside its files."""

    peers: Peers
    given: Given
    source_id: str
    content: Code
    replace: bool


def submit(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", exists=True, dir_okay=False)],
    patient: Annotated[
        str | None, typer.Option("--patient", metavar="CX", help="patient id; goes before that of CDA headers")
    ] = None,
    repository: RepositoryOption = None,
    registry: RegistryOption = None,
    config: ConfigOption = None,
    card: CardOption = None,
    mode: ModeOption = NORMAL,
    reason: ReasonOption = "",
    authorities: AuthoritiesOption = None,
    certificate: CertificateOption = None,
    key: KeyOption = None,
    profile: Annotated[str | None, typer.Option("--profile", help="ihe or dmp: the dialect of the metadata")] = None,
    codes: Annotated[
        str | None,
        typer.Option("--codes", metavar="NAME|PATH", help="codes of the affinity domain: dmp, toolkit, any, a file"),
    ] = None,
    class_code: Annotated[str | None, typer.Option("--class", metavar="CODE[^^SCHEME]", help="classCode")] = None,
    type_code: Annotated[str | None, typer.Option("--type", metavar="CODE[^^SCHEME]", help="typeCode")] = None,
    format_code: Annotated[str | None, typer.Option("--format", metavar="CODE[^^SCHEME]", help="formatCode")] = None,
    facility: Annotated[
        str | None, typer.Option("--facility", metavar="CODE[^^SCHEME]", help="healthcareFacilityTypeCode")
    ] = None,
    practice: Annotated[str | None, typer.Option("--practice", metavar="CODE[^^SCHEME]", help="practiceSettingCode")] = None,
    confidentiality: Annotated[
        list[str] | None,
        typer.Option("--confidentiality", metavar="CODE[^^SCHEME]", help="added confidentialityCode; may be repeated"),
    ] = None,
    mask: Annotated[
        list[str] | None, typer.Option("--mask", help="hide from professionals, patient or legal-representatives (DMP)")
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="title of the documents")] = None,
    language: Annotated[str | None, typer.Option("--language", metavar="TAG", help="such as fr-FR")] = None,
    mime_type: Annotated[str | None, typer.Option("--mime", metavar="TYPE", help="media type")] = None,
    created: Annotated[str | None, typer.Option("--created", metavar="TIME", help="creationTime, a DTM in UTC")] = None,
    author: Annotated[str | None, typer.Option("--author", metavar="XCN", help="authorPerson")] = None,
    content: Annotated[
        str | None, typer.Option("--content-type", metavar="CODE[^^SCHEME]", help="contentTypeCode of the submission")
    ] = None,
    source_id: Annotated[
        str | None, typer.Option("--source-id", metavar="OID", help="sourceId; else one derived from the host name")
    ] = None,
    together: Annotated[bool, typer.Option("--together", help="all files in one submission set: all or none")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="replace the document that a CDA header says it replaces")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Provide documents to a repository (ITI-41).

    The metadata of CDA documents come from their headers; of other files every code has to be given.
    """
    peers = find_peers(config, registry, repository, profile=profile, codes=codes)
    peers = peers.called_by(card, mode, reason, authorities, certificate, key)
    texts = {
        "class_code": class_code,
        "type_code": type_code,
        "format_code": format_code,
        "healthcare_facility_type_code": facility,
        "practice_setting_code": practice,
    }
    for option, text, check in (
        ("--language", language, check_language),
        ("--mime", mime_type, check_mime_type),
        ("--created", created, check_dtm),
        ("--author", author, check_xcn),
        ("--source-id", source_id, check_oid),
    ):
        if text is not None and (wrong := check(text, DMP.datatypes)) is not None:
            raise usage(f"{option}: {wrong}")
    try:
        given = Given(
            patient=None if patient is None else check_patient(patient),
            confidentiality=_confidentiality(confidentiality or [], mask or [], peers.codes),
            title=title,
            language=language,
            mime_type=mime_type,
            created=created,
            author=author,
            **{name: read_code(text, name, peers.codes) for name, text in texts.items() if text is not None},
        )
        job = Job(peers, given, source_id or own_source_id(), content_type(content, peers.codes), replace)
    except ValueError as error:
        raise usage(str(error)) from error
    notes = output.errors()
    with peers.client() as client, _progress(len(files), notes) as step:
        results = _together(client, job, files, step) if together else [_one(client, job, path, step) for path in files]
    if json:
        output.print_json(_as_json(results, peers))
    else:
        _report(results, peers, notes)
    if not all(result.ok for result in results):
        raise typer.Exit(1)


def own_source_id() -> str:
    """The sourceId of this machine: an OID derived from its name."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_DNS, socket.gethostname()).int}"


def _confidentiality(texts: Sequence[str], masks: Sequence[str], codes: CodeSets) -> tuple[Code, ...]:
    found = [read_code(text, "confidentiality_code", codes) for text in texts]
    for mask in masks:
        if mask not in _MASKS:
            raise ValueError(f"--mask {mask}: expected one of {', '.join(_MASKS)}")
        found.append(read_code(f"{_MASKS[mask]}^^{_MASK_SCHEME}", "confidentiality_code", codes))
    return tuple(found)


class _Step:
    """What moves the progress bar."""

    def __init__(self, progress: Progress, count: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=count)

    def begin(self, name: str) -> None:
        self._progress.update(self._task, description=name[:50])

    def done(self, count: int = 1) -> None:
        self._progress.advance(self._task, count)


@contextmanager
def _progress(count: int, console: Console) -> Iterator[_Step]:
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    hidden = count < 2 or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        yield _Step(progress, count)


def _one(client: DocumentClient, job: Job, path: Path, step: _Step) -> Result:
    result = Result(path)
    step.begin(path.name)
    started = time.monotonic()
    try:
        result.prepared = prepare(path, job.given, job.peers.codes, job.peers.profile)
        _send(client, job, [result])
    except (FileRefused, ExchangeFailed, OSError) as error:
        result.fail(error)
    result.seconds = time.monotonic() - started
    step.done()
    return result


def _together(client: DocumentClient, job: Job, files: Sequence[Path], step: _Step) -> list[Result]:
    results = [Result(path) for path in files]
    started = time.monotonic()
    for number, result in enumerate(results, 1):
        step.begin(result.path.name)
        try:
            result.prepared = prepare(result.path, job.given, job.peers.codes, job.peers.profile, f"Document{number:02}")
        except (FileRefused, OSError) as error:
            result.fail(error)
    wrong = [result for result in results if not result.ok]
    if wrong:
        for result in results:
            result.reasons = result.reasons or ("not sent, because another file of the submission cannot be",)
    else:
        try:
            _send(client, job, results)
        except (FileRefused, ExchangeFailed, OSError) as error:
            for result in results:
                result.fail(error)
    for result in results:
        result.seconds = time.monotonic() - started
    step.done(len(results))
    return results


def _send(client: DocumentClient, job: Job, results: Sequence[Result]) -> None:
    """One submission with the prepared documents. Raises FileRefused, ExchangeFailed, OSError."""
    prepared = [result.prepared for result in results if result.prepared is not None]
    replaced = _replaced(client, prepared) if job.replace else {}
    submission = submission_of(
        prepared, source_id=job.source_id, content=job.content, now=datetime.now(UTC), replaced=replaced
    )
    warnings = client.submit(submission, [each.deposit for each in prepared])
    for result, each in zip(results, prepared, strict=True):
        result.submission_set = submission.submission_sets[0].unique_id or ""
        result.warnings = (*each.warnings, *(error_line(warning) for warning in warnings))
        if each.replaces and each.replaces not in replaced:
            result.warnings += (f"it says that it replaces {each.replaces}, which was left as it is; see --replace",)


def _replaced(client: DocumentClient, prepared: Sequence[Prepared]) -> dict[str, str]:
    """The entryUUIDs of the documents to be replaced. Raises FileRefused where one is not there to be replaced."""
    wanted = sorted({each.replaces for each in prepared if each.replaces})
    if not wanted:
        return {}
    found = {entry.unique_id: entry.entry_uuid for entry in client.entries(wanted) if entry.availability_status == APPROVED}
    missing = [unique_id for unique_id in wanted if unique_id not in found]
    if missing:
        raise FileRefused(f"the registry has no approved document {', '.join(missing)} that could be replaced")
    return {unique_id: found[unique_id] for unique_id in wanted}


def _report(results: Sequence[Result], peers: Peers, notes: Console) -> None:
    table = output.table("file", "title", "type")
    table.add_column("uniqueId", overflow="fold", style="cyan")
    table.add_column("result", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    for result in results:
        entry = result.prepared.entry if result.prepared else None
        type_code = entry.type_code if entry else None
        mark = output.lines("accepted", output.GOOD) if result.ok else output.lines("failed", output.BAD)
        texts = (result.path.name, (entry.title or "") if entry else "", type_code.code if type_code else "")
        unique_id = output.lines((entry.unique_id or "") if entry else "", "")
        table.add_row(*(output.lines(text, "") for text in texts), unique_id, mark, f"{result.seconds * 1000:.0f}")
    output.console().print(table)
    for result in results:
        for line in result.reasons:
            output.complain(f"{result.path.name}: {line}")
        for line in result.warnings:
            notes.print(output.lines(f"{result.path.name}: {line}", output.NOTE), soft_wrap=True)
    failed = sum(not result.ok for result in results)
    notes.print(f"{len(results) - failed} accepted, {failed} failed at {peers.endpoints.repository}")


def _as_json(results: Sequence[Result], peers: Peers) -> dict[str, Any]:
    return {
        "repository": peers.endpoints.repository,
        "accepted": sum(result.ok for result in results),
        "failed": sum(not result.ok for result in results),
        "files": [
            {
                "file": str(result.path),
                "accepted": result.ok,
                "outcomeUnknown": result.unknown,
                "uniqueId": result.prepared.entry.unique_id if result.prepared else None,
                "patientId": result.prepared.entry.patient_id if result.prepared else None,
                "submissionSet": result.submission_set or None,
                "reasons": list(result.reasons),
                "errors": [
                    {"code": error.code, "context": error.context, "severity": error.severity} for error in result.errors
                ],
                "warnings": list(result.warnings),
                "milliseconds": round(result.seconds * 1000),
            }
            for result in results
        ],
    }
