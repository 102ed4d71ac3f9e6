"""Keys that seal the journal: a private key in a file, public keys beside it for as long as the journal is kept.

The private key must be out of reach of those who administer the database. A key is known by the beginning of the SHA-256 of
its public half (DER). A new key is endorsed by the one before, so that whoever trusts the first can trust the last.
Source: RFC 8032 (Ed25519); FIPS 186-5 (ECDSA on P-256, SHA-256).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from journal.line import canonical

KeyKind = Literal["ed25519", "p256"]
PUBLIC_SUFFIX: Final = ".pub.pem"

_ENDORSEMENT = "liasse-journal-key/1"
_ECDSA = ec.ECDSA(hashes.SHA256())
_ID_LENGTH = 32


class SealKeyError(Exception):
    """A key file that cannot be used; the text names the file and says why."""


class SealKeyMissing(SealKeyError):
    """There is no private key where one is expected."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key; `der` is its SubjectPublicKeyInfo."""

    id: str
    der: bytes
    _key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey

    @classmethod
    def of(cls, der: bytes) -> PublicKey:
        """Read DER. Raises SealKeyError for anything but Ed25519 and P-256."""
        try:
            key = load_der_public_key(der)
        except (ValueError, UnsupportedAlgorithm):
            raise SealKeyError("a public key of the journal cannot be read") from None
        return cls(_key_id(der), der, _checked(key, "a public key of the journal"))

    @property
    def kind(self) -> KeyKind:
        """Which algorithm it is for."""
        return "ed25519" if isinstance(self._key, ed25519.Ed25519PublicKey) else "p256"

    def pem(self) -> bytes:
        """The PEM text of the public key."""
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def signed(self, signature: bytes, data: bytes) -> bool:
        """Whether this key made the signature."""
        try:
            if isinstance(self._key, ed25519.Ed25519PublicKey):
                self._key.verify(signature, data)
            else:
                self._key.verify(signature, data, _ECDSA)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SealKey:
    """A private key with its public half."""

    public: PublicKey
    _key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey

    @property
    def id(self) -> str:
        """The id of its public half."""
        return self.public.id

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(data)
        return self._key.sign(data, _ECDSA)

    def pem(self) -> bytes:
        """The PEM text of the private key, not encrypted."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True, slots=True)
class RegisteredKey:
    """A public key as the journal holds it: since when (microseconds since 1970 UTC), and who endorsed it."""

    public: PublicKey
    at: int
    endorsed_by: str = ""
    endorsement: bytes = b""

    def is_endorsed(self, by: Mapping[str, PublicKey]) -> bool:
        """Whether one of these keys endorsed it."""
        key = by.get(self.endorsed_by)
        return key is not None and key.signed(self.endorsement, _endorsed(self.public, self.at))


def endorse(new: PublicKey, old: SealKey, at: int) -> RegisteredKey:
    """The entry of a key that follows another."""
    return RegisteredKey(new, at, old.id, old.sign(_endorsed(new, at)))


def trusted_keys(files: Iterable[PublicKey], registered: Iterable[RegisteredKey]) -> dict[str, PublicKey]:
    """The keys of `files`, and every registered key that one of these, or one endorsed by them, endorsed."""
    trusted = {key.id: key for key in files}
    waiting = {entry.public.id: entry for entry in registered}
    found = True
    while found:
        found = False
        for key_id, entry in list(waiting.items()):
            if key_id not in trusted and entry.is_endorsed(trusted):
                trusted[key_id] = entry.public
                del waiting[key_id]
                found = True
    return trusted


def make_key(kind: KeyKind = "ed25519") -> SealKey:
    """A new key."""
    key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    return _seal_key(key)


def load_key(path: Path) -> SealKey:
    """The private key in a PEM file. Raises SealKeyMissing, SealKeyError."""
    try:
        with path.open("rb") as file:
            mode, data = os.fstat(file.fileno()).st_mode, file.read(65_536)
    except FileNotFoundError:
        raise SealKeyMissing(
            f"journal.key: there is no key at {path}: put it back, or run `liasse journal key init`"
        ) from None
    except OSError as error:
        raise SealKeyError(f"journal.key: {path}: {error.strerror}") from None
    if mode & 0o007:
        raise SealKeyError(f"journal.key: {path} is open to every user (mode {mode & 0o777:o}): chmod 600")
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SealKeyError(f"journal.key: {path} is not an unencrypted private key in PEM") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        raise SealKeyError(f"journal.key: {path}: expected a key for Ed25519 or P-256")
    _checked(key.public_key(), f"journal.key: {path}")
    return _seal_key(key)


def save_key(path: Path, key: SealKey) -> None:
    """Write a new private key (mode 0600) and its public half beside it, durably. Raises SealKeyError where one exists."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            raise SealKeyError(f"{path} exists: a key of the journal is never written over")
        save_public_key(path.parent, key.public)
        _write(path, key.pem(), 0o600)
    except OSError as error:
        raise SealKeyError(f"{path}: {error.strerror}") from None


def replace_key(path: Path, key: SealKey) -> None:
    """Put a key in the place of another, in one step. Raises SealKeyError."""
    aside = path.with_name(path.name + ".new")
    try:
        aside.unlink(missing_ok=True)
        save_public_key(path.parent, key.public)
        _write(aside, key.pem(), 0o600)
        aside.rename(path)
        _sync(path.parent)
    except OSError as error:
        raise SealKeyError(f"{path}: {error.strerror}") from None


def save_public_key(folder: Path, key: PublicKey) -> Path:
    """Write the public half as ID.pub.pem; what is there already is the same key. Raises OSError."""
    path = folder / f"{key.id}{PUBLIC_SUFFIX}"
    if not path.exists():
        _write(path, key.pem(), 0o644)
    return path


def public_keys(folder: Path) -> list[PublicKey]:
    """The keys of all files *.pub.pem of a folder. Raises SealKeyError for one that cannot be read."""
    return [load_public_key(path) for path in sorted(folder.glob(f"*{PUBLIC_SUFFIX}"))]


def load_public_key(path: Path) -> PublicKey:
    """The public key of a PEM file. Raises SealKeyError."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise SealKeyError(f"{path}: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SealKeyError(f"{path} is not a public key in PEM") from None
    checked = _checked(key, str(path))
    return PublicKey.of(checked.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _seal_key(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> SealKey:
    return SealKey(PublicKey.of(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)), key)


def _checked(key: object, what: str) -> ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey:
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise SealKeyError(f"{what}: expected a key for Ed25519 or P-256")


def _key_id(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()[:_ID_LENGTH]


def _endorsed(key: PublicKey, at: int) -> bytes:
    return canonical((_ENDORSEMENT, key.id, key.der.hex(), at))


def _write(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
