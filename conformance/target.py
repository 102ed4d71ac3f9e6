"""The system under test: where it listens, what its affinity domain is, what it claims to do.

Read from a TOML file; every capability is stated, none is assumed (a missing key is an error that shows the line to add).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from conformance import vocabulary
from conformance.tables import PlanError, nearest, read_file, read_table

CAPABILITIES: Final = ("registry", "repository", "folders", "reference_id")
SAMPLE: Final = Path(__file__).parent / "targets" / "liasse.toml"
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {"patients": ("any", "known"), "retry": ("replay", "refuse")}


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM: `ca` to trust (empty: the system's trust), `certificate` and `key` to present (empty: none)."""

    ca: str = ""
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """`registry` and `repository` are URLs; `urls` overrides one transaction; `feed` is host:port (MLLP); `timeout` in s."""

    registry: str = ""
    repository: str = ""
    urls: Mapping[str, str] = field(default_factory=dict)
    feed: str = ""
    timeout: int = 30
    tls: Tls = field(default_factory=Tls)


@dataclass(frozen=True, slots=True)
class Domain:
    """The affinity domain: OIDs, the languages and MIME types it allows, and how test patients are named."""

    assigning_authority: str
    repository_unique_id: str
    source_id: str
    patient_prefix: str = "LT"
    id_root: str = "2.25"
    language: str = "en-US"
    mime_type: str = "text/xml"


@dataclass(frozen=True, slots=True)
class Code:
    """A code of the affinity domain."""

    code: str
    scheme: str
    display: str


@dataclass(frozen=True, slots=True)
class Product:
    """What is tested, for the reports."""

    name: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Everything the tester knows of the system under test."""

    product: Product
    connection: Connection
    domain: Domain
    codes: Mapping[str, tuple[Code, ...]]
    capabilities: Mapping[str, bool]
    choices: Mapping[str, str]

    def url(self, transaction: str) -> str:
        """Where a transaction is sent. Raises PlanError when the target names no URL for it."""
        actor = vocabulary.ACTORS[transaction]
        url = self.connection.urls.get(transaction) or (
            self.connection.registry if actor == "registry" else self.connection.repository
        )
        if not url:
            raise PlanError(f'[connection] names no URL for {transaction}: add {actor} = "https://…"')
        return url

    def unmet(self, need: str) -> str | None:
        """Why a need of a case is not met, in words; None when it is met.

        Forms: `folders` (a capability), `retry=replay` (a choice), `codes.typeCode.2` (so many codes of one kind).
        """
        if "=" in need:
            name, _, value = need.partition("=")
            return None if self.choices[name] == value else f"[choices] {name} is {self.choices[name]!r}, not {value!r}"
        if need.startswith("codes."):
            _, kind, count = need.split(".")
            have = len(self.codes.get(kind, ()))
            return None if have >= int(count) else f"[codes] {kind} lists {have}, {count} are needed"
        return None if self.capabilities[need] else f"[capabilities] {need} is false"


def check_need(need: str, where: str) -> None:
    """A need written in a case is of a known form. Raises PlanError."""
    name, _, value = need.partition("=")
    if value:
        if value not in CHOICES.get(name, ()):
            raise PlanError(f"{where}: unknown choice {need!r}; known: {dict(CHOICES)}")
    elif need.startswith("codes."):
        parts = need.split(".")
        if len(parts) != 3 or parts[1] not in vocabulary.CODE_SCHEMES or not parts[2].isdigit():
            raise PlanError(f"{where}: expected codes.ATTRIBUTE.COUNT, found {need!r}")
    elif need not in CAPABILITIES:
        raise PlanError(f"{where}: unknown capability {need!r}{nearest(need, CAPABILITIES)}")


@dataclass(frozen=True, slots=True)
class _File:
    product: Product
    connection: Connection
    domain: Domain
    codes: dict[str, tuple[tuple[str, ...], ...]]
    capabilities: dict[str, bool]
    choices: dict[str, str]


def load_target(path: Path) -> Target:
    """The target file. Raises PlanError, which names the key and what is expected."""
    try:
        table = tomllib.loads(read_file(path).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{path.name}: not TOML: {error}") from error
    read = read_table(_File, table, path.name)
    _check_keys(read.capabilities, dict.fromkeys(CAPABILITIES, "true"), f"{path.name} [capabilities]")
    _check_keys(read.choices, {name: f'"{values[0]}"' for name, values in CHOICES.items()}, f"{path.name} [choices]")
    for name, value in read.choices.items():
        if value not in CHOICES[name]:
            raise PlanError(f"{path.name} [choices]: {name} is one of {', '.join(CHOICES[name])}, found {value!r}")
    codes = {kind: tuple(_code(path, kind, triple) for triple in rows) for kind, rows in read.codes.items()}
    _check_keys(codes, dict.fromkeys(vocabulary.CODE_SCHEMES, '[["CODE", "SCHEME", "display"]]'), f"{path.name} [codes]")
    for kind, rows in codes.items():
        if not rows:
            raise PlanError(f"{path.name} [codes]: {kind} needs at least one code")
    return Target(read.product, read.connection, read.domain, codes, read.capabilities, read.choices)


def _code(path: Path, kind: str, triple: tuple[str, ...]) -> Code:
    if len(triple) != 3 or not all(triple):
        raise PlanError(f"{path.name} [codes]: {kind}: expected [code, scheme, display], found {list(triple)!r}")
    return Code(*triple)


def _check_keys(table: Mapping[str, object], expected: Mapping[str, str], where: str) -> None:
    for key in table:
        if key not in expected:
            raise PlanError(f"{where}: unknown key {key!r}{nearest(key, expected)}")
    for key, example in expected.items():
        if key not in table:
            raise PlanError(f"{where}: missing key {key!r}; add the line: {key} = {example}")
