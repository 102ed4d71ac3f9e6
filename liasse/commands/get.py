"""`liasse get`: one document into a file, by ITI-43, compared with its entry in the registry."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Final, cast

import typer

from liasse.client import DocumentClient, ExchangeFailed, Retrieved
from liasse.commands import output
from liasse.commands.peers import (
    AuthoritiesOption,
    CardOption,
    CertificateOption,
    ConfigOption,
    KeyOption,
    ModeOption,
    Peers,
    ReasonOption,
    RegistryOption,
    RepositoryOption,
    find_peers,
    usage,
)
from xds_metadata.datatypes import check_oid
from xds_metadata.model import APPROVED, DocumentEntry
from xds_repository.messages import DocumentRequest
from xua.kinds.vihf_table import NORMAL

_IN_MEMORY: Final = 4_000_000


def get(
    unique_id: Annotated[str, typer.Argument(metavar="UNIQUEID")],
    into: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="where to write; - is standard output")],
    repository: RepositoryOption = None,
    registry: RegistryOption = None,
    repository_id: Annotated[
        str | None, typer.Option("--repository-id", metavar="OID", help="repositoryUniqueId; else the registry is asked")
    ] = None,
    config: ConfigOption = None,
    card: CardOption = None,
    mode: ModeOption = NORMAL,
    reason: ReasonOption = "",
    authorities: AuthoritiesOption = None,
    certificate: CertificateOption = None,
    key: KeyOption = None,
    patient: Annotated[
        str, typer.Option("--patient", metavar="CX", help="the patient that the assertion of --card names")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="overwrite the file if it exists")] = False,
) -> None:
    """Retrieve a document (ITI-43), into a file that only its owner may read.

    Size and hash are compared with the registry's entry. With --repository-id and --repository, and no --registry, the
    registry is not asked and nothing is compared.
    """
    peers = find_peers(config, registry, repository)
    peers = peers.called_by(card, mode, reason, authorities, certificate, key)
    if repository_id is not None and (wrong := check_oid(repository_id)) is not None:
        raise usage(f"--repository-id: {wrong}")
    if into != "-" and not force and Path(into).exists():
        raise usage(f"{into} exists: give --force to overwrite it")
    ask = repository_id is None or repository is None or registry is not None
    notes = output.errors()
    try:
        with peers.client() as client:
            entry = _entry(client, peers, unique_id, patient) if ask else None
            wanted = repository_id or _repository_of(entry, peers)
            with _target(into) as file:
                found = client.retrieve(DocumentRequest(wanted, unique_id), file, entry)
    except ExchangeFailed as error:
        output.complain(str(error))
        raise typer.Exit(1) from error
    except OSError as error:
        output.complain(f"{into}: cannot be written: {error.strerror}")
        raise typer.Exit(1) from error
    notes.print(output.lines(_summary(found, into, entry), output.GOOD), soft_wrap=True)


def _entry(client: DocumentClient, peers: Peers, unique_id: str, patient: str) -> DocumentEntry:
    """The entry of the document; the approved one, should there be several. Raises ExchangeFailed."""
    entries = sorted(client.entries([unique_id], patient), key=lambda entry: entry.availability_status != APPROVED)
    if not entries:
        raise ExchangeFailed(f"the registry {peers.endpoints.registry} has no document {unique_id}")
    return entries[0]


def _repository_of(entry: DocumentEntry | None, peers: Peers) -> str:
    """The repositoryUniqueId to ask for. Raises ExchangeFailed where nobody says it."""
    found = (entry.repository_unique_id if entry is not None else None) or peers.repository_id
    if found is None:
        raise ExchangeFailed("the registry's entry has no repositoryUniqueId: give --repository-id")
    return found


@contextmanager
def _target(into: str) -> Iterator[BinaryIO]:
    """A file that gets its name, or goes to standard output, when the block ends well."""
    if into == "-":
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spooled:
            yield cast("BinaryIO", spooled)
            spooled.seek(0)
            shutil.copyfileobj(spooled, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        return
    path = Path(into)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _summary(found: Retrieved, into: str, entry: DocumentEntry | None) -> str:
    compared = [name for name in ("size", "hash") if entry is not None and getattr(entry, name) is not None]
    how = f"{' and '.join(compared)} as registered" if compared else "not compared with a registry"
    return f"{output.size_text(found.size)} of {found.mime_type or 'unknown type'} to {into}: {how}, SHA-1 {found.sha1}"
