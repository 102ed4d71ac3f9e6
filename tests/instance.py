"""A whole instance in the process of the test: settings file, database, document store and actors, without HTTP."""

from __future__ import annotations

import base64
import hashlib
import itertools
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lxml import etree

from access_control.open import OpenPolicy
from database.handle import Database
from ebrim.model import AdhocQuery, Slot
from ebrim.read import read_registry_errors, read_status
from ebrim.rs import write_adhoc_query_request, write_submit_objects_request
from liasse.settings_file import load_settings
from liasse.wiring import Actors, Ready, open_actors
from soap.transaction import Body, Call, Incoming, Transaction
from tests import samples
from tests.registry_side import IDS, schema
from xds_metadata.codes import load_codes
from xds_metadata.model import DocumentEntry, Submission
from xds_metadata.profile import IHE
from xds_repository.file_store import FileStore
from xds_repository.messages import DocumentRequest, write_retrieve_request
from xmlsafe import parse
from xmlsafe.namespaces import RIM, XDS

_messages = itertools.count(1)


@dataclass(frozen=True)
class Outcome:
    """An ebRS answer: its status, its error codes and their texts."""

    status: str
    codes: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Provided:
    """A submission that was sent, with the bytes of its documents by uniqueId."""

    submission: Submission
    documents: Mapping[str, bytes]

    @property
    def set_unique_id(self) -> str:
        """SubmissionSet.uniqueId."""
        return self.submission.submission_sets[0].unique_id or ""

    @property
    def unique_ids(self) -> tuple[str, ...]:
        """The documents' uniqueIds in the order of the entries."""
        return tuple(e.unique_id or "" for e in self.submission.entries)


def document(text: str) -> bytes:
    """An XML document that says `text`."""
    return f"<report>{text}</report>".encode()


def described(text: str, **changes: object) -> tuple[DocumentEntry, bytes]:
    """An entry, ready for ITI-41, and its document."""
    data = document(text)
    fields = {
        "hash": hashlib.sha1(data).hexdigest(),
        "size": str(len(data)),
        "repository_unique_id": None,
        **changes,
    }
    return samples.entry(**fields), data


class Instance:
    """See the module. `config` is the settings file; commands may be run on it."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.settings = load_settings(config)
        ready = Ready(self.settings, IHE, load_codes("any"), schema(), lambda _database: OpenPolicy())
        self.actors: Actors = open_actors(ready)
        self.transactions = {one.number: one for one in self.actors.transactions()}

    @property
    def database(self) -> Database:
        """The open database."""
        return self.actors.database

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        return self.settings.storage.directory / "liasse.sqlite"

    @property
    def store(self) -> FileStore:
        """The document store."""
        return self.actors.store

    def send(self, number: str, body: bytes) -> Body:
        """What the server does with a body: decode, handle, or refuse."""
        transaction: Transaction = self.transactions[number]
        call = Call(
            transaction,
            Incoming(path=transaction.endpoint, mtom=False, peer="192.0.2.1"),
            f"urn:uuid:message-{next(_messages)}",
            transaction.request_actions[0],
            None,
            parse(body),
        )
        try:
            call.request = transaction.decode(call)
            return transaction.handle(call)
        except Exception as error:
            refused = transaction.refuse(call, error)
            if refused is None:
                raise
            return refused

    def provide(self, value: Submission, documents: Mapping[str, bytes]) -> Outcome:
        """ITI-41 with inline documents, by entryUUID."""
        items = "".join(
            f'<xds:Document id="{entry_uuid}">{base64.b64encode(data).decode()}</xds:Document>'
            for entry_uuid, data in documents.items()
        )
        root = f'<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds="{XDS}">'.encode()
        request = write_submit_objects_request(samples.objects(value))
        body = root + request + items.encode() + b"</xds:ProvideAndRegisterDocumentSetRequest>"
        return _outcome(parse(b"".join(self.send("ITI-41", body).pieces)))

    def deposit(self, *texts: str, patient: str = samples.PATIENT, **more: object) -> Provided:
        """Provide a submission of documents that say `texts`; it must succeed. `more`: of `samples.submission`."""
        pairs = [described(text, patient_id=patient) for text in texts]
        return self.deposit_pairs(pairs, **more)

    def deposit_pairs(self, pairs: list[tuple[DocumentEntry, bytes]], **more: object) -> Provided:
        """Provide a submission of these entries and documents; it must succeed."""
        value = with_uuids(samples.submission(*(entry for entry, _ in pairs), **more))  # type: ignore[arg-type]
        documents = {entry.entry_uuid: data for entry, (_, data) in zip(value.entries, pairs, strict=True)}
        outcome = self.provide(value, documents)
        assert outcome.status == "Success", outcome.text
        return Provided(value, {e.unique_id or "": documents[e.entry_uuid] for e in value.entries})

    def retrieve(self, unique_id: str) -> bytes | None:
        """ITI-43 of one document; None when it is not given."""
        answer = self.send(
            "ITI-43", write_retrieve_request([DocumentRequest(self.settings.repository.unique_id, unique_id)])
        )
        if not answer.attachments:
            return None
        return b"".join(answer.attachments[0].chunks())

    def query(self, name: str, *parameters: tuple[str, str], leaves: bool = True) -> bytes:
        """ITI-18: the whole answer."""
        slots = tuple(Slot(key, (value,)) for key, value in parameters)
        query = AdhocQuery(IDS[name], "LeafClass" if leaves else "ObjectRef", None, slots)
        return b"".join(self.send("ITI-18", write_adhoc_query_request(query)).pieces)

    def found(self, name: str, *parameters: tuple[str, str]) -> set[str]:
        """ITI-18: the ids of all objects of the answer."""
        held = next(parse(self.query(name, *parameters)).iter(f"{{{RIM}}}RegistryObjectList"))
        return {item.get("id", "") for item in held}

    def documents(self, unique_id: str) -> set[str]:
        """The entryUUIDs that GetDocuments finds."""
        return self.found("GetDocuments", ("$XDSDocumentEntryUniqueId", f"('{unique_id}')"))

    def status(self, unique_id: str) -> str:
        """The last word of the availabilityStatus of the only entry of a uniqueId."""
        held = parse(self.query("GetDocuments", ("$XDSDocumentEntryUniqueId", f"('{unique_id}')")))
        (entry,) = held.iter(f"{{{RIM}}}ExtrinsicObject")
        return (entry.get("status") or "").rpartition(":")[2]

    def close(self) -> None:
        """Give everything back."""
        self.actors.close()


def with_uuids(value: Submission) -> Submission:
    """The same submission with entryUUIDs of the sender's instead of symbolic ids."""
    ids: dict[str, str] = {}

    def uuid_of(old: str) -> str:
        return old if old.startswith("urn:uuid:") else ids.setdefault(old, samples.new_uuid())

    return Submission(
        tuple(replace(s, entry_uuid=uuid_of(s.entry_uuid)) for s in value.submission_sets),
        tuple(replace(e, entry_uuid=uuid_of(e.entry_uuid)) for e in value.entries),
        tuple(replace(f, entry_uuid=uuid_of(f.entry_uuid)) for f in value.folders),
        tuple(
            replace(a, entry_uuid=uuid_of(a.entry_uuid), source=uuid_of(a.source), target=uuid_of(a.target))
            for a in value.associations
        ),
    )


def _outcome(element: etree._Element) -> Outcome:
    errors = read_registry_errors(element)
    return Outcome(read_status(element), tuple(e.code for e in errors), "\n".join(e.context for e in errors))


def write_settings(directory: Path, database: str = "", **tables: Mapping[str, object]) -> Path:
    """A settings file in `directory`; its storage is the folder `data` beside it."""
    directory.mkdir(parents=True, exist_ok=True)
    values: dict[str, dict[str, object]] = {
        "storage": {"directory": "data", "database": database},
        "limits": {"free_space": 0},
        "affinity_domain": {"codes": "any"},
    }
    for name, table in tables.items():
        values.setdefault(name, {}).update(table)
    lines: list[str] = []
    for name, items in values.items():
        lines.append(f"[{name}]")
        lines += [f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in items.items()]
    config = directory / "config.toml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config


@contextmanager
def instance_on(directory: Path, database_url: str) -> Iterator[Instance]:
    """An instance below `directory` on a fresh, migrated database: a file, which is moved there, or a URL."""
    url = database_url if "://" in database_url else ""
    config = write_settings(directory, url)
    FileStore(directory / "data").init()
    if not url:
        shutil.move(database_url, directory / "data" / "liasse.sqlite")
    instance = Instance(config)
    try:
        yield instance
    finally:
        instance.close()
