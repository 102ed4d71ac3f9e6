"""A whole repository on a real store and database, driven at the bodies of its transactions, without HTTP.

Its registry is in the same process unless a test gives another port.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from database import Database
from ebrim import model as rim
from ebrim.read import read_registry_errors, read_status
from journal.tables import journal_row
from liasse.local_registry import LocalRegistry
from soap.transaction import Attachment, Body, Call, Incoming, Outcome, Part, Transaction
from tests import samples
from tests.e2e import wire
from tests.registry_side import Side, schema
from xds_metadata.profile import IHE, Profile
from xds_registry.actor import RegistrySettings
from xds_repository import iti41, iti43
from xds_repository.actor import Repository
from xds_repository.content import content_check
from xds_repository.documents import ONE_DOCUMENT, StoredDocument, find_documents
from xds_repository.file_store import FileStore
from xds_repository.messages import DocumentRequest, write_retrieve_request
from xds_repository.ports import RegistryPort
from xmlsafe import parse
from xmlsafe.namespaces import RS, XDS, XOP

_messages = itertools.count(1)


@dataclass(frozen=True)
class Document:
    """One DocumentResponse with its bytes."""

    repository: str
    unique_id: str
    mime_type: str
    home: str | None
    attachment: Attachment
    data: bytes


@dataclass(frozen=True)
class Answer:
    """An answer: the last word of its status, its errors, its documents in order, what it tells counters."""

    status: str
    errors: tuple[rim.RegistryError, ...]
    outcome: Outcome
    documents: tuple[Document, ...]
    element: etree._Element

    @property
    def codes(self) -> list[str]:
        """The error codes, sorted."""
        return sorted(e.code for e in self.errors)

    @property
    def text(self) -> str:
        """All codeContexts."""
        return "\n".join(e.context for e in self.errors)


class RepositorySide:
    """The repository of one test, with the registry side that shares its database, clock and policy."""

    def __init__(
        self,
        database: Database,
        directory: Path,
        *,
        port: RegistryPort | None = None,
        profile: Profile = IHE,
        content: str = "off",
        settings: RegistrySettings | None = None,
        store: FileStore | None = None,
    ) -> None:
        self.database = database
        self.registry = Side(database, settings, profile)
        self.store = store or FileStore(directory / "documents", free_space=0)
        self.store.init()
        self.store.start()
        self.repository = Repository(
            unique_id=samples.REPOSITORY,
            database=database,
            store=self.store,
            registry=port or LocalRegistry(self.registry.registry),
            policy=self.registry.policy,
            profile=profile,
            codes=self.registry.registry.codes,
            schema=schema(),
            clock=self.registry.clock,
            find_one=database.prepare(ONE_DOCUMENT),
            content_check=content_check(content),
            most_documents=5,
        )
        self.iti41 = iti41.transaction(self.repository)
        self.iti43 = iti43.transaction(self.repository)

    def send(
        self,
        transaction: Transaction,
        body: bytes,
        parts: Mapping[str, Part] | None = None,
        message_id: str | None = None,
    ) -> Answer:
        """What the server does with a message: decode, handle, or refuse; what was not taken over is then discarded."""
        parts = parts or {}
        incoming = Incoming(path=transaction.endpoint, mtom=bool(parts), peer="192.0.2.1")
        message_id = message_id or f"urn:uuid:message-{next(_messages)}"
        call = Call(transaction, incoming, message_id, transaction.request_actions[0], None, parse(body))
        try:
            call.request = transaction.decode(call)
            call.parts = parts
            answer = transaction.handle(call)
        except Exception as error:
            refused = transaction.refuse(call, error)
            if refused is None:
                raise
            answer = refused
        finally:
            for part in parts.values():
                part.staged.discard()
        return _read(answer)

    def staged(self, data: bytes, content_id: str, media_type: str = "application/pdf") -> Part:
        """A received part."""
        file = self.store.stage()
        file.write(data)
        file.close()
        return Part(content_id, media_type, file)

    def provide(self, sent: wire.Deposit) -> Answer:
        """ITI-41 of a deposit whose documents came as parts."""
        pairs = list(zip(sent.submission.entries, sent.cids(), strict=True))
        body = wire.provide_body(sent.submission, *((e.entry_uuid, wire.include(f"cid:{cid}")) for e, cid in pairs))
        parts = {cid: self.staged(data, cid) for cid, data in zip(sent.cids(), sent.documents, strict=True)}
        return self.send(self.iti41, body, parts)

    def accept(self, sent: wire.Deposit) -> wire.Deposit:
        """`provide` that must succeed."""
        answer = self.provide(sent)
        assert answer.status == "Success", answer.text
        return sent

    def retrieve(self, *unique_ids: str, repository: str = samples.REPOSITORY, home: str | None = None) -> Answer:
        """ITI-43."""
        requests = [DocumentRequest(repository, unique_id, home) for unique_id in unique_ids]
        return self.ask(requests)

    def ask(self, requests: Sequence[DocumentRequest]) -> Answer:
        """ITI-43 of whole requests."""
        return self.send(self.iti43, write_retrieve_request(requests))

    def rows(self, *unique_ids: str) -> dict[str, StoredDocument]:
        """The repository's rows by uniqueId."""
        with self.database.read() as connection:
            return {row.unique_id: row for row in find_documents(connection, unique_ids)}

    def journal(self) -> list[tuple[str, str, str, str]]:
        """The journal so far: (action, outcome, decision, objects), in the order of writing."""
        j = journal_row.c
        with self.database.read() as connection:
            rows = connection.execute(journal_row.select().order_by(j.at, j.id)).all()
        return [(row.action, row.outcome, row.decision, row.objects) for row in rows]

    def left(self) -> list[str]:
        """Files that are still written aside."""
        return [name for name in os.listdir(self.store.directory / "staging") if not name.endswith(".lock")]

    def blobs(self) -> list[str]:
        """The SHA-256 of every stored document."""
        return list(self.store.walk())

    def blob(self, sha256: str) -> Path:
        """The file of a stored document."""
        return self.store.directory / "blobs" / sha256[:2] / sha256

    def close(self) -> None:
        """Give the store back."""
        self.store.close()


@contextmanager
def repository_side(database: Database, directory: Path, **more: object) -> Iterator[RepositorySide]:
    """A repository for the length of a block."""
    side = RepositorySide(database, directory, **more)  # type: ignore[arg-type]
    try:
        yield side
    finally:
        side.close()


def _read(answer: Body) -> Answer:
    element = parse(b"".join(answer.pieces))
    parts = {attachment.content_id: attachment for attachment in answer.attachments}
    documents = []
    for item in element.iterfind(f"{{{XDS}}}DocumentResponse"):
        include = item.find(f"{{{XDS}}}Document/{{{XOP}}}Include")
        assert include is not None
        attachment = parts.pop(str(include.get("href")).removeprefix("cid:"))
        documents.append(
            Document(
                item.findtext(f"{{{XDS}}}RepositoryUniqueId") or "",
                item.findtext(f"{{{XDS}}}DocumentUniqueId") or "",
                item.findtext(f"{{{XDS}}}mimeType") or "",
                item.findtext(f"{{{XDS}}}HomeCommunityId"),
                attachment,
                b"".join(attachment.chunks()),
            )
        )
    assert not parts
    assert schema().is_valid(element), schema().findings(element)
    held = element if element.tag == f"{{{RS}}}RegistryResponse" else element.find(f"{{{RS}}}RegistryResponse")
    assert held is not None
    return Answer(read_status(held), read_registry_errors(held), answer.outcome, tuple(documents), element)
