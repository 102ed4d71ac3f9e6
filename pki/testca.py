"""A complete test PKI of IGC-Sante's shape: root, two issuing authorities, cards, structures, servers. Not for patients.

One folder holds it: `authorities/`, `cards/NAME/`, `structures/NAME/`, `others/NAME/`, `crl/`, `pki.json` (what was issued
and revoked). Nothing is ever written over; private keys have mode 0600. The folder of a card or a structure holds
`authentication.{pem,key}`, `signature.{pem,key}`, `chain.pem` and `card.toml`.

Source: certificate profiles of IGC-Sante as in `rules.toml`; policies under 2.999, the arc for examples.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from pki.errors import FilesError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
KeyKind = Literal["rsa", "ec"]

PROFESSION_EXTENSION: Final = ObjectIdentifier("1.2.250.1.71.1.2.7")
PROFESSIONS: Final = "1.2.250.1.71.1.2.7"
SECTORS: Final = "1.2.250.1.71.4.2.4"

_STATE: Final = "pki.json"
_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAIL, _CLIENT, _SERVER, _OCSP = (
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.OCSP_SIGNING,
)
_SIGNS: Final = frozenset({"digital_signature", "content_commitment"})
_CONNECTS: Final = frozenset({"digital_signature"})
_ROOT, _PERSONS, _STRUCTURES = "root", "persons", "structures"

AUTHORITIES: Final = (_ROOT, _PERSONS, _STRUCTURES)
"""The names of the authorities."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What one kind of certificate holds, which authority issues it, and for how many days."""

    authority: str
    policy: str
    key_usage: frozenset[str]
    extended_key_usage: tuple[ObjectIdentifier, ...]
    days: int = 1095


PROFILES: Final[Mapping[str, Profile]] = {
    "cps-authentication": Profile(_PERSONS, "2.999.250.213.7.1.1", _CONNECTS, (_CLIENT,)),
    "cps-signature": Profile(_PERSONS, "2.999.250.213.7.1.2", _SIGNS, (_MAIL,)),
    "cpe-authentication": Profile(_PERSONS, "2.999.250.213.7.1.1", _CONNECTS, (_CLIENT,)),
    "cpe-signature": Profile(_PERSONS, "2.999.250.213.7.1.2", _SIGNS, (_MAIL,)),
    "structure-client": Profile(_STRUCTURES, "2.999.250.213.7.2.1", _CONNECTS, (_CLIENT,)),
    "structure-seal": Profile(_STRUCTURES, "2.999.250.213.7.2.2", _SIGNS, (_MAIL,)),
    "sts": Profile(_STRUCTURES, "2.999.250.213.7.3.1", _SIGNS, (_MAIL,)),
    "server": Profile(_STRUCTURES, "2.999.250.213.7.4.1", frozenset({"digital_signature", "key_encipherment"}), (_SERVER,)),
    "client": Profile(_STRUCTURES, "2.999.250.213.7.4.2", _CONNECTS, (_CLIENT,)),
    "journal": Profile(_STRUCTURES, "2.999.250.213.7.5.1", _SIGNS, ()),
    "ocsp-persons": Profile(_PERSONS, "2.999.250.213.7.6.1", _CONNECTS, (_OCSP,), 90),
    "ocsp-structures": Profile(_STRUCTURES, "2.999.250.213.7.6.1", _CONNECTS, (_OCSP,), 90),
    "audit-client": Profile(_STRUCTURES, "2.999.250.213.7.4.2", _CONNECTS, (_CLIENT,)),
}
"""The profiles by name."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files in PEM form: a certificate, its private key, and the authorities above it."""

    certificate: Path
    key: Path
    chain: Path

    def load(self) -> tuple[x509.Certificate, PrivateKey, tuple[x509.Certificate, ...]]:
        """Certificate, key and chain (issuing authority first, root last). Raises FilesError."""
        key = _load(self.key, lambda data: serialization.load_pem_private_key(data, None))
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise FilesError(f"{self.key}: an RSA or elliptic-curve key is expected")
        certificate = _load(self.certificate, x509.load_pem_x509_certificate)
        return certificate, key, tuple(_load(self.chain, x509.load_pem_x509_certificates))


@dataclass(frozen=True, slots=True)
class Card:
    """A card or a structure's kit: two pairs, and what their holder is.

    `identifier` is the national id of the person (8 and RPPS…) or the id of the structure; `roles` (code, system):
    profession, then speciality; `structure` and `sector` where the person works.
    """

    kind: Literal["person", "structure"]
    name: str
    identifier: str
    authentication: Credentials
    signature: Credentials
    roles: tuple[tuple[str, str], ...] = ()
    structure: str = ""
    sector: str = ""

    @classmethod
    def load(cls, folder: Path) -> Card:
        """The card in `folder`. Raises FilesError."""
        place = folder / "card.toml"
        try:
            table = tomllib.loads(place.read_text(encoding="utf-8"))
            kind = table["kind"]
            if kind not in ("person", "structure"):
                raise FilesError(f"{place}: kind is {kind!r}, person or structure is expected")
            return cls(
                kind=kind,
                name=str(table["name"]),
                identifier=str(table["identifier"]),
                authentication=_pair(folder, "authentication"),
                signature=_pair(folder, "signature"),
                roles=tuple((str(role["code"]), str(role["system"])) for role in table.get("roles", ())),
                structure=str(table.get("structure", "")),
                sector=str(table.get("sector", "")),
            )
        except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
            raise FilesError(f"{place}: no card can be read: {error}") from error


@dataclass(frozen=True, slots=True)
class Issued:
    """A line of the register: what was issued, and whether and why it was revoked."""

    name: str
    profile: str
    serial: int
    authority: str
    path: str
    not_after: datetime
    revoked: datetime | None = None
    reason: str = ""


@dataclass(slots=True)
class TestPki:
    """A test PKI in a folder. Use `create` and `open`. One process at a time writes to it."""

    __test__ = False

    directory: Path
    key_kind: KeyKind
    issued: list[Issued] = field(default_factory=list)
    crl_numbers: dict[str, int] = field(default_factory=dict)

    # -- making and opening ----------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, directory: Path, *, name: str = "Liasse Test", keys: KeyKind = "rsa", years: int = 10) -> TestPki:
        """Make the authorities and first, empty revocation lists in `directory`, which must be absent or empty.

        Raises FilesError.
        """
        try:
            if directory.exists() and any(directory.iterdir()):
                raise FilesError(f"{directory}: not empty; nothing is written over")
            (directory / "authorities").mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise FilesError(f"{directory}: {error.strerror}") from error
        pki = cls(directory, keys)
        pki._make_authority(_ROOT, f"{name} Root", None, years * 365)
        pki._make_authority(_PERSONS, f"{name} Issuing Persons", _ROOT, years * 365 - 1)
        pki._make_authority(_STRUCTURES, f"{name} Issuing Structures", _ROOT, years * 365 - 1)
        pki._write_anchors()
        pki._save()
        pki.crl()
        return pki

    @classmethod
    def open(cls, directory: Path) -> TestPki:
        """The PKI in `directory`. Raises FilesError."""
        place = directory / _STATE
        try:
            state = json.loads(place.read_text(encoding="utf-8"))
            return cls(directory, state["keys"], [_read_issued(row) for row in state["issued"]], dict(state["crls"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FilesError(f"{place}: no test PKI can be read: {error}") from error

    @property
    def anchors(self) -> Path:
        """The root, in PEM form: the authority to trust."""
        return self.directory / "root.pem"

    @property
    def authorities(self) -> Path:
        """Root and issuing authorities in one PEM file, for servers that want the whole chain."""
        return self.directory / "authorities.pem"

    @property
    def crls(self) -> tuple[Path, ...]:
        """The newest revocation list of each authority."""
        return tuple(self.directory / "crl" / f"{name}.crl" for name in AUTHORITIES)

    def authority(self, name: str) -> tuple[x509.Certificate, PrivateKey]:
        """Certificate and key of an authority: one of AUTHORITIES. Raises FilesError."""
        folder = self.directory / "authorities"
        certificate, key, _ = Credentials(folder / f"{name}.pem", folder / f"{name}.key", folder / f"{name}.pem").load()
        return certificate, key

    # -- issuing ---------------------------------------------------------------------------------------------------------

    def issue(
        self,
        profile: str,
        name: str,
        *,
        subject: Sequence[tuple[ObjectIdentifier, str]] = (),
        hosts: Sequence[str] = (),
        folder: Path | None = None,
        stem: str = "",
        profession: str = "",
        days: int | None = None,
        starts: timedelta = timedelta(minutes=-5),
    ) -> Credentials:
        """A certificate of a profile with a key of its own. Without `subject` the common name is `name`.

        `hosts`: DNS names and addresses of a server. `folder` and `stem`: where the files go, `others/NAME/` otherwise.
        `days` of validity, negative for one that is over. Raises FilesError.
        """
        rules = _profile(profile)
        if not _SAFE_NAME.fullmatch(name):
            raise FilesError(f"name {name!r}: letters, digits, dots, hyphens and underscores are expected")
        folder = folder or self.directory / "others" / name
        pair = _pair(folder, stem or profile)
        authority, authority_key = self.authority(rules.authority)
        key = _new_key(self.key_kind)
        now = datetime.now(UTC).replace(microsecond=0)
        begin, end = now + starts, now + timedelta(days=rules.days if days is None else days)
        if end <= begin:
            begin = end - timedelta(days=30)
        names = subject or ((NameOID.COUNTRY_NAME, "FR"), (NameOID.ORGANIZATION_NAME, "TEST"), (NameOID.COMMON_NAME, name))
        builder = _builder(names, key, authority, begin, end)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(rules.key_usage), critical=True)
        policy = x509.PolicyInformation(ObjectIdentifier(rules.policy), None)
        builder = builder.add_extension(x509.CertificatePolicies([policy]), critical=False)
        if rules.extended_key_usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage(rules.extended_key_usage), critical=False)
        if _OCSP in rules.extended_key_usage:
            builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        if profession:
            value = b"\x02\x01" + bytes((int(profession),))
            builder = builder.add_extension(x509.UnrecognizedExtension(PROFESSION_EXTENSION, value), critical=False)
        certificate = builder.sign(authority_key, hashes.SHA256())
        _make_folder(folder)
        _write(pair.key, _key_pem(key), secret=True)
        _write(pair.certificate, _pem(certificate))
        if not pair.chain.exists():
            _write(pair.chain, _pem(authority) + _pem(self.authority(_ROOT)[0]))
        where = os.path.relpath(pair.certificate, self.directory)
        self.issued.append(Issued(name, profile, certificate.serial_number, rules.authority, where, end))
        self._save()
        return pair

    def issue_card(
        self,
        name: str,
        identifier: str,
        *,
        profession: str = "10",
        speciality: str = "SM26",
        speciality_system: str = "1.2.250.1.71.4.2.5",
        structure: str = "10B0127189",
        sector: str = f"SA07^{SECTORS}",
        staff: bool = False,
        days: int | None = None,
    ) -> Card:
        """A card with its two pairs: of a professional (CPS), or of staff (CPE) with `staff`.

        `identifier` is the national id. Without a speciality there is one role only. Raises FilesError.
        """
        folder = self.directory / "cards" / name
        prefix = "cpe" if staff else "cps"
        subject = (
            (NameOID.COUNTRY_NAME, "FR"),
            (NameOID.ORGANIZATION_NAME, "TEST"),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, "Personnel" if staff else "Professionnel"),
            (NameOID.COMMON_NAME, identifier),
            (NameOID.SURNAME, "TEST"),
            (NameOID.GIVEN_NAME, name.upper()),
        )
        code = profession if profession.isdigit() and not staff else ""
        for stem in ("authentication", "signature"):
            self.issue(f"{prefix}-{stem}", name, subject=subject, folder=folder, stem=stem, profession=code, days=days)
        system = "1.2.250.1.213.1.1.4.6" if staff else PROFESSIONS
        roles = [(profession, system), *([(speciality, speciality_system)] if speciality and not staff else [])]
        self._describe(folder, "person", f"TEST {name.upper()}", identifier, roles, structure, sector)
        return Card.load(folder)

    def issue_structure(
        self, name: str, identifier: str, *, sector: str = f"SA01^{SECTORS}", days: int | None = None
    ) -> Card:
        """The kit of a structure: AUTH_CLI for TLS, SIGN for assertions. Raises FilesError."""
        folder = self.directory / "structures" / name
        subject = (
            (NameOID.COUNTRY_NAME, "FR"),
            (NameOID.STATE_OR_PROVINCE_NAME, "Test (00)"),
            (NameOID.ORGANIZATION_NAME, name.upper()),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, identifier),
            (NameOID.COMMON_NAME, f"{name}.example"),
        )
        for profile, stem in (("structure-client", "authentication"), ("structure-seal", "signature")):
            self.issue(profile, name, subject=subject, folder=folder, stem=stem, days=days)
        self._describe(folder, "structure", name.upper(), identifier, (), identifier, sector)
        return Card.load(folder)

    def renew(self, name: str) -> list[Path]:
        """New pairs for every certificate of `name` that is not revoked, beside the old ones, which stay valid.

        Returns the new certificates: `STEM.2.pem`, `STEM.3.pem`, … Raises FilesError.
        """
        newest = {row.path.split(".")[0]: row for row in self.issued if row.name == name and row.revoked is None}
        if not newest:
            raise FilesError(f"{name}: nothing that is valid was issued under this name")
        made = []
        for row in newest.values():
            old = _load(self.directory / row.path, x509.load_pem_x509_certificate)
            folder = (self.directory / row.path).parent
            stem = Path(row.path).name.split(".")[0]
            number = 2
            while (folder / f"{stem}.{number}.pem").exists():
                number += 1
            subject = [(pair.oid, str(pair.value)) for pair in old.subject]
            hosts = _hosts_of(old)
            pair = self.issue(
                row.profile, name, subject=subject, hosts=hosts, folder=folder, stem=f"{stem}.{number}",
                profession=_profession_of(old),
            )  # fmt: skip
            made.append(pair.certificate)
        return made

    # -- revoking --------------------------------------------------------------------------------------------------------

    def revoke(self, name: str, reason: str = "unspecified", *, profile: str | None = None) -> list[Issued]:
        """Revoke every certificate of `name` (of one profile only, with `profile`) and write new lists.

        Returns what was revoked now. `reason` is one of RFC 5280: keyCompromise, cessationOfOperation… Raises FilesError.
        """
        try:
            x509.ReasonFlags(reason)
        except ValueError:
            known = ", ".join(flag.value for flag in x509.ReasonFlags)
            raise FilesError(f"reason {reason!r}: expected one of {known}") from None
        now = datetime.now(UTC).replace(microsecond=0)
        found = []
        for at, row in enumerate(self.issued):
            if row.name == name and row.revoked is None and profile in (None, row.profile):
                self.issued[at] = replace(row, revoked=now, reason=reason)
                found.append(self.issued[at])
        if not found:
            raise FilesError(f"{name}: nothing that is valid was issued under this name")
        self._save()
        self.crl()
        return found

    def crl(self, *, days: float = 7, this_update: datetime | None = None) -> tuple[Path, ...]:
        """Write a revocation list of each authority (DER), with the next number; the newest replaces `crl/AUTHORITY.crl`.

        Each list is kept as `crl/AUTHORITY-NUMBER.crl` too. thisUpdate rises even within a second. Raises FilesError.
        """
        _make_folder(self.directory / "crl")
        for name in AUTHORITIES:
            number = self.crl_numbers.get(name, 0) + 1
            data = self._crl(name, number, days, this_update)
            _write(self.directory / "crl" / f"{name}-{number}.crl", data)
            newest = self.directory / "crl" / f"{name}.crl"
            aside = newest.with_suffix(".new")
            aside.write_bytes(data)
            aside.replace(newest)
            self.crl_numbers[name] = number
        self._save()
        return self.crls

    def _crl(self, name: str, number: int, days: float, this_update: datetime | None) -> bytes:
        authority, key = self.authority(name)
        now = (this_update or datetime.now(UTC)).replace(microsecond=0)
        before = self.directory / "crl" / f"{name}.crl"
        if this_update is None and before.exists():
            last = x509.load_der_x509_crl(before.read_bytes()).last_update_utc
            now = max(now, last + timedelta(seconds=1))
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(authority.subject)
            .last_update(now)
            .next_update(now + timedelta(days=days))
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(_key_identifier(authority), critical=False)
        )
        for row in self.issued:
            if row.authority == name and row.revoked is not None:
                revoked = x509.RevokedCertificateBuilder().serial_number(row.serial).revocation_date(row.revoked)
                if row.reason != "unspecified":
                    revoked = revoked.add_extension(x509.CRLReason(x509.ReasonFlags(row.reason)), critical=False)
                builder = builder.add_revoked_certificate(revoked.build())
        return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    # -- authorities and files -------------------------------------------------------------------------------------------

    def _make_authority(self, name: str, common_name: str, above: str | None, days: int) -> None:
        key = _new_key(self.key_kind)
        now = datetime.now(UTC).replace(microsecond=0)
        subject = ((NameOID.COUNTRY_NAME, "FR"), (NameOID.ORGANIZATION_NAME, "TEST"), (NameOID.COMMON_NAME, common_name))
        issuer, issuer_key = self.authority(above) if above else (None, key)
        builder = _builder(subject, key, issuer, now - timedelta(days=1), now + timedelta(days=days))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0 if above else 1), critical=True)
        builder = builder.add_extension(_usage(frozenset({"key_cert_sign", "crl_sign"})), critical=True)
        certificate = builder.sign(issuer_key, hashes.SHA256())
        _write(self.directory / "authorities" / f"{name}.key", _key_pem(key), secret=True)
        _write(self.directory / "authorities" / f"{name}.pem", _pem(certificate))

    def _write_anchors(self) -> None:
        root, persons, structures = (_pem(self.authority(name)[0]) for name in AUTHORITIES)
        _write(self.anchors, root)
        _write(self.authorities, persons + structures + root)

    def _describe(
        self,
        folder: Path,
        kind: str,
        name: str,
        identifier: str,
        roles: Sequence[tuple[str, str]],
        structure: str,
        sector: str,
    ) -> None:
        texts = {"kind": kind, "name": name, "identifier": identifier, "structure": structure, "sector": sector}
        lines = [f"{key} = {json.dumps(value)}" for key, value in texts.items()]
        for code, system in roles:
            lines += ["", "[[roles]]", f"code = {json.dumps(code)}", f"system = {json.dumps(system)}"]
        _write(folder / "card.toml", "\n".join(lines).encode() + b"\n")

    def _save(self) -> None:
        state: dict[str, Any] = {
            "keys": self.key_kind,
            "crls": self.crl_numbers,
            "issued": [_issued_row(row) for row in self.issued],
        }
        aside = self.directory / f"{_STATE}.new"
        aside.write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
        aside.replace(self.directory / _STATE)


def _profile(name: str) -> Profile:
    if name not in PROFILES:
        raise FilesError(f"profile {name!r}: expected one of {', '.join(sorted(PROFILES))}")
    return PROFILES[name]


def _pair(folder: Path, stem: str) -> Credentials:
    return Credentials(folder / f"{stem}.pem", folder / f"{stem}.key", folder / "chain.pem")


def _new_key(kind: KeyKind) -> PrivateKey:
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)


def _builder(
    names: Sequence[tuple[ObjectIdentifier, str]],
    key: PrivateKey,
    issuer: x509.Certificate | None,
    begin: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder if issuer is None else builder.add_extension(_key_identifier(issuer), critical=False)


def _key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    found = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found)


def _usage(names: frozenset[str]) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in names for name in every})


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _hosts_of(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]


def _profession_of(certificate: x509.Certificate) -> str:
    for extension in certificate.extensions:
        if extension.oid == PROFESSION_EXTENSION and isinstance(extension.value, x509.UnrecognizedExtension):
            return str(extension.value.value[-1])
    return ""


def _issued_row(row: Issued) -> dict[str, Any]:
    return {
        "name": row.name,
        "profile": row.profile,
        "serial": f"{row.serial:x}",
        "authority": row.authority,
        "path": row.path,
        "not_after": row.not_after.isoformat(),
        "revoked": row.revoked.isoformat() if row.revoked else None,
        "reason": row.reason,
    }


def _read_issued(row: Mapping[str, Any]) -> Issued:
    revoked = datetime.fromisoformat(row["revoked"]) if row["revoked"] else None
    not_after = datetime.fromisoformat(row["not_after"])
    return Issued(
        row["name"], row["profile"], int(row["serial"], 16), row["authority"], row["path"], not_after, revoked, row["reason"]
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _load(path: Path, read: Any) -> Any:
    try:
        return read(path.read_bytes())
    except OSError as error:
        raise FilesError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise FilesError(f"{path}: not the PEM that is expected: {error}") from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FilesError(f"{folder}: {error.strerror}") from error


def _write(path: Path, data: bytes, *, secret: bool = False) -> None:
    """A new file; an existing one is an error."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    except FileExistsError:
        raise FilesError(f"{path}: exists already; nothing is written over") from None
    except OSError as error:
        raise FilesError(f"{path}: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
