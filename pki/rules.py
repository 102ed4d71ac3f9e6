"""The rules for certificates, which are data: `rules.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pki.errors import TrustError


class Purpose(StrEnum):
    """What a certificate is shown for."""

    TLS_CLIENT = "tls-client"
    ASSERTION = "assertion"
    STS = "sts"
    RESPONDER = "ocsp-responder"


@dataclass(frozen=True, slots=True)
class KeyRules:
    """Keys, hashes of signatures and lengths of chains. Sizes in bits; hashes by the names of hashlib."""

    rsa_min: int
    rsa_max: int
    rsa_exponent_min: int
    curves: frozenset[str]
    hashes: frozenset[str]
    legacy_hashes: frozenset[str]
    max_authorities: int
    max_certificates: int


@dataclass(frozen=True, slots=True)
class KindRules:
    """How a card of a person and a certificate of a structure are recognised; dotted OIDs, a regular expression."""

    person_attributes: frozenset[str]
    person_extensions: frozenset[str]
    structure_attributes: frozenset[str]
    structure_id: str


@dataclass(frozen=True, slots=True)
class UseRules:
    """What one purpose asks of the leaf of one kind of holder.

    `key_usage` must all be there, unless the extension is absent and optional.
    One of `extended_key_usage` must be there, unless the extension is absent and optional.
    One of `policies` must be there; none is asked for when the set is empty.
    """

    key_usage: frozenset[str]
    key_usage_forbidden: frozenset[str]
    key_usage_optional: bool
    extended_key_usage: frozenset[str]
    extended_key_usage_forbidden: frozenset[str]
    extended_key_usage_optional: bool
    policies: frozenset[str]


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules; `uses` by purpose and kind: a purpose without a kind refuses it."""

    keys: KeyRules
    kinds: KindRules
    uses: Mapping[tuple[Purpose, str], UseRules]


def read_rules(text: str) -> Rules:
    """Read a table of the shape of `rules.toml`. Raises TrustError."""
    try:
        table = tomllib.loads(text)
        return Rules(
            keys=KeyRules(**_frozen(table["keys"])),
            kinds=KindRules(**_frozen(table["kinds"])),
            uses={
                (purpose, kind): UseRules(**_frozen(use))
                for purpose in Purpose
                for kind, use in table[purpose.value].items()
            },
        )
    except (KeyError, TypeError, tomllib.TOMLDecodeError) as error:
        raise TrustError(f"the rules for certificates cannot be read: {error}") from error


def _frozen(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: frozenset(value) if isinstance(value, list) else value for key, value in table.items()}


RULES = read_rules(Path(__file__).with_name("rules.toml").read_text())
"""The rules that this program applies."""

KINDS = RULES.kinds
