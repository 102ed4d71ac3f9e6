"""Keys of the journal: files, endorsements, and what is no key."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from journal.keys import (
    KeyKind,
    PublicKey,
    RegisteredKey,
    SealKeyError,
    SealKeyMissing,
    endorse,
    load_key,
    load_public_key,
    make_key,
    public_keys,
    replace_key,
    save_key,
    trusted_keys,
)
from tests.journal_side import AT


@pytest.mark.parametrize("kind", ["ed25519", "p256"])
def test_a_key_is_saved_loaded_and_signs(tmp_path: Path, kind: KeyKind) -> None:
    path = tmp_path / "made" / "seal.pem"
    key = make_key(kind)
    save_key(path, key)
    loaded = load_key(path)
    (public,) = public_keys(path.parent)
    assert (loaded.id, public.id, public.kind) == (key.id, key.id, kind)
    assert public.signed(loaded.sign(b"text"), b"text")
    assert not public.signed(loaded.sign(b"text"), b"other")
    assert not public.signed(b"", b"text")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_key_is_never_written_over_but_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "seal.pem"
    first, second = make_key(), make_key()
    save_key(path, first)
    with pytest.raises(SealKeyError, match="never written over"):
        save_key(path, second)
    assert load_key(path).id == first.id
    (tmp_path / "seal.pem.new").write_text("left by a rotation that was killed")
    replace_key(path, second)
    assert load_key(path).id == second.id
    assert {key.id for key in public_keys(tmp_path)} == {first.id, second.id}


def test_trust_goes_from_key_to_key_by_endorsement() -> None:
    first, second, third, stranger = (make_key() for _ in range(4))
    entries = [
        endorse(third.public, second, AT),
        endorse(second.public, first, AT),
        RegisteredKey(stranger.public, AT, first.id, stranger.sign(b"anything")),
        RegisteredKey(first.public, AT),
    ]
    assert set(trusted_keys([first.public], entries)) == {first.id, second.id, third.id}
    assert set(trusted_keys([third.public], entries)) == {third.id}
    assert trusted_keys([], entries) == {}


def test_what_is_no_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "seal.pem"
    with pytest.raises(SealKeyMissing):
        load_key(path)
    path.mkdir()
    with pytest.raises(SealKeyError, match="Is a directory"):
        load_key(path)
    path.rmdir()
    for data, reason in (
        (b"text", "not an unencrypted private key"),
        (pem(rsa.generate_private_key(65537, 2048)), "Ed25519 or P-256"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "Ed25519 or P-256"),
    ):
        path.write_bytes(data)
        path.chmod(0o600)
        with pytest.raises(SealKeyError, match=reason):
            load_key(path)
    with pytest.raises(SealKeyError, match="No such file"):
        load_public_key(tmp_path / "none.pem")
    with pytest.raises(SealKeyError, match="not a public key"):
        load_public_key(path)
    with pytest.raises(SealKeyError, match="cannot be read"):
        PublicKey.of(b"no DER")
    blocked = tmp_path / "file"
    blocked.touch()
    for write in (save_key, replace_key):
        with pytest.raises(SealKeyError, match=r"directory|exists"):
            write(blocked / "seal.pem", make_key())


def test_a_public_key_of_another_kind_is_refused() -> None:
    public = rsa.generate_private_key(65537, 2048).public_key()
    with pytest.raises(SealKeyError, match="Ed25519 or P-256"):
        PublicKey.of(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
