"""Signed heads: number and hash of the last row of a batch. A head kept elsewhere proves all that was before it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select

from database.prepared import Statement
from journal.keys import PublicKey, RegisteredKey, SealKey, SealKeyError
from journal.line import canonical
from journal.tables import journal_head, journal_key

FORMAT: Final = "liasse-journal-head/1"
NO_HEAD: Final = -1
"""`previous` of the first head."""

HASH_LENGTH: Final = 32
_h = journal_head.c
_HEADS = select(_h.number, _h.count, _h.hash, _h.at, _h.previous, _h.key_id, _h.signature)
_INSERT_HEAD: Final = Statement(lambda _dialect: insert(journal_head))
_INSERT_KEY: Final = Statement(lambda _dialect: insert(journal_key))


class HeadFileError(Exception):
    """A file that is not an exported head."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a batch: `count` rows up to `number`, sealed `at` (microseconds since 1970 UTC).

    `previous` is the number of the head before. Number 0 begins a journal.
    """

    number: int
    count: int
    hash: bytes
    at: int
    previous: int
    key_id: str
    signature: bytes = b""

    def signed_bytes(self) -> bytes:
        """What the signature covers: everything but itself."""
        return canonical((FORMAT, self.number, self.count, self.hash.hex(), self.at, self.previous, self.key_id))

    def signed_with(self, key: SealKey) -> Head:
        """The same head with its signature."""
        return replace(self, signature=key.sign(self.signed_bytes()))

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether this key made the signature."""
        return key.id == self.key_id and key.signed(self.signature, self.signed_bytes())

    def to_json(self) -> dict[str, object]:
        """As in exported files: hash and signature in hexadecimal."""
        return {
            "number": self.number,
            "count": self.count,
            "hash": self.hash.hex(),
            "at": self.at,
            "previous": self.previous,
            "key_id": self.key_id,
            "signature": self.signature.hex(),
        }

    @classmethod
    def from_json(cls, value: Any) -> Head:
        """Read what `to_json` gives. Raises HeadFileError."""
        try:
            numbers = [value[name] for name in ("number", "count", "at", "previous")]
            head = cls(
                number=value["number"],
                count=value["count"],
                hash=bytes.fromhex(value["hash"]),
                at=value["at"],
                previous=value["previous"],
                key_id=value["key_id"],
                signature=bytes.fromhex(value["signature"]),
            )
        except (KeyError, TypeError, ValueError):
            raise HeadFileError("not a head: a member is missing, or is of another kind") from None
        if not all(type(number) is int for number in numbers) or len(head.hash) != HASH_LENGTH:
            raise HeadFileError("not a head: a number or the hash is of another kind")
        return head


@dataclass(frozen=True, slots=True)
class ExportedHead:
    """A head outside its database, with the public keys that are needed to judge it."""

    head: Head
    keys: tuple[RegisteredKey, ...]

    def write(self, path: Path) -> None:
        """Write it as a JSON file. Raises OSError, FileExistsError where there is one."""
        value = {"format": FORMAT, "head": self.head.to_json(), "keys": [key_to_json(key) for key in self.keys]}
        with path.open("x", encoding="ascii") as out:
            out.write(json.dumps(value, indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> ExportedHead:
        """Read a file that `write` made. Raises HeadFileError."""
        try:
            value = json.loads(path.read_bytes())
        except OSError as error:
            raise HeadFileError(f"{path}: {error.strerror}") from None
        except ValueError:
            raise HeadFileError(f"{path}: not JSON") from None
        if not isinstance(value, Mapping) or value.get("format") != FORMAT:
            raise HeadFileError(f"{path}: not an exported head of format {FORMAT}")
        try:
            return cls(Head.from_json(value.get("head")), tuple(key_from_json(key) for key in value.get("keys", ())))
        except (HeadFileError, SealKeyError, TypeError) as error:
            raise HeadFileError(f"{path}: {error}") from None


def key_to_json(key: RegisteredKey) -> dict[str, object]:
    """As in exported files: the public key is DER in base64."""
    return {
        "id": key.public.id,
        "public": base64.b64encode(key.public.der).decode(),
        "at": key.at,
        "endorsed_by": key.endorsed_by,
        "endorsement": key.endorsement.hex(),
    }


def key_from_json(value: Any) -> RegisteredKey:
    """Read what `key_to_json` gives. Raises HeadFileError, SealKeyError."""
    try:
        der = base64.b64decode(value["public"], validate=True)
        endorsement = bytes.fromhex(value["endorsement"])
        return RegisteredKey(PublicKey.of(der), int(value["at"]), str(value["endorsed_by"]), endorsement)
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise HeadFileError("not a public key: a member is missing, or is of another kind") from None


def last_head(connection: Connection) -> Head | None:
    """The newest head; None before the first."""
    row = connection.execute(_HEADS.order_by(_h.number.desc()).limit(1)).first()
    return None if row is None else _head(tuple(row))


def heads_after(connection: Connection, number: int, limit: int) -> list[Head]:
    """The heads after a number, in order."""
    statement = _HEADS.where(_h.number > bindparam("after")).order_by(_h.number).limit(limit)
    return [_head(tuple(row)) for row in connection.execute(statement, {"after": number})]


def _head(row: Sequence[Any]) -> Head:
    number, count, digest, at, previous, key_id, signature = row
    return Head(number, count, bytes(digest), at, previous, key_id, bytes(signature))


def insert_head(connection: Connection, head: Head) -> None:
    """Store a head."""
    values = {"number": head.number, "count": head.count, "hash": head.hash, "at": head.at}
    _INSERT_HEAD.write(
        connection, [{**values, "previous": head.previous, "key_id": head.key_id, "signature": head.signature}]
    )


def insert_key(connection: Connection, key: RegisteredKey) -> None:
    """Store a public key."""
    values = {"id": key.public.id, "public": key.public.der, "at": key.at}
    _INSERT_KEY.write(connection, [{**values, "endorsed_by": key.endorsed_by, "endorsement": key.endorsement}])


def registered_keys(connection: Connection) -> Sequence[RegisteredKey]:
    """Every public key of the journal, oldest first; one that cannot be read is left out, its heads will name it."""
    k = journal_key.c
    found = []
    for row in connection.execute(select(k.public, k.at, k.endorsed_by, k.endorsement).order_by(k.at, k.id)):
        try:
            public = PublicKey.of(bytes(row.public))
        except SealKeyError:
            continue
        found.append(RegisteredKey(public, row.at, row.endorsed_by, bytes(row.endorsement)))
    return found
