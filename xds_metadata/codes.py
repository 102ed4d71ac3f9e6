"""The codes of an affinity domain: which code of which scheme an attribute may carry, and who assigns patient identifiers.

A domain is data: a CSV file of `schemas/codes`, or a JSON file of the kind the IHE XDS Toolkit uses. An attribute that the
domain does not list is free. Source: IHE ITI TF-3 4.2.3.1.2 (coded attributes), TF-1 10.4.2 (affinity domain).
"""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import schemas
from xds_metadata.datatypes import DatatypeError, shown
from xds_metadata.datatypes.hl7 import read_authority

BUILT_IN = ("dmp", "connectathon", "any")
_ALIASES = {"toolkit": "connectathon"}
_MAX_FILE = 16_000_000
_WHOLE_SCHEME = "*"
_SHOWN_CODES = 6

WIRE_NAMES = {
    "class_code": "classCode",
    "type_code": "typeCode",
    "format_code": "formatCode",
    "confidentiality_code": "confidentialityCode",
    "healthcare_facility_type_code": "healthcareFacilityTypeCode",
    "practice_setting_code": "practiceSettingCode",
    "event_code": "eventCodeList",
    "content_type_code": "contentTypeCode",
    "folder_code": "folderCodeList",
    "association_documentation": "associationDocumentation",
    "mime_type": "mimeType",
}
"""The attributes whose values a domain can list, and their names in files and messages."""

_ATTRIBUTES = {wire: attribute for attribute, wire in WIRE_NAMES.items()} | {
    "codeList": "folder_code",
    "eventCode": "event_code",
}


class CodesError(Exception):
    """A code file that cannot be used; the text names the file, the place in it and what is expected there."""


@dataclass(frozen=True, slots=True)
class Row:
    """One allowed code of `attribute`; code `*` stands for every code of the scheme. MIME types have the scheme ''."""

    attribute: str
    code: str
    scheme: str
    display: str = ""


@dataclass(frozen=True, slots=True)
class CodeSets:
    """The codes of one affinity domain. `authorities` are OIDs; none means that the domain does not say."""

    name: str
    authorities: tuple[str, ...] = ()
    _displays: dict[tuple[str, str, str], str] = field(default_factory=dict, repr=False)
    _schemes: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict, repr=False)

    def allows(self, attribute: str, code: str, scheme: str = "") -> bool:
        """Whether `attribute` may carry `code` of `scheme` (with or without `urn:oid:`). Codes are compared in NFC."""
        schemes = self._schemes.get(attribute)
        if schemes is None:
            return True
        scheme = scheme.removeprefix("urn:oid:")
        return (attribute, _nfc(code), scheme) in self._displays or (
            bool(code) and (attribute, _WHOLE_SCHEME, scheme) in self._displays
        )

    def knows_scheme(self, attribute: str, scheme: str) -> bool:
        """Whether the domain lists any code of `scheme` for `attribute`."""
        return scheme.removeprefix("urn:oid:") in self._schemes.get(attribute, {})

    def restricts(self, attribute: str) -> bool:
        """Whether the domain lists the values of `attribute`."""
        return attribute in self._schemes

    def display(self, attribute: str, code: str, scheme: str = "") -> str | None:
        """The display name that the domain's list gives to a code, if it lists it."""
        return self._displays.get((attribute, _nfc(code), scheme.removeprefix("urn:oid:")))

    def codes(self, attribute: str) -> tuple[tuple[str, str], ...]:
        """All listed (code, scheme) pairs of `attribute`; `*` stands for a whole scheme."""
        return tuple((code, scheme) for scheme, codes in self._schemes.get(attribute, {}).items() for code in codes)

    def explain(self, attribute: str, code: str, scheme: str = "") -> str:
        """The sentence for a code that `allows` refused: what was found, what the domain lists instead."""
        name = WIRE_NAMES.get(attribute, attribute)
        bare = scheme.removeprefix("urn:oid:")
        found = f"{shown(code)} of the scheme {shown(scheme)}" if bare or attribute != "mime_type" else shown(code)
        hint = self._hint(attribute, code, bare)
        return f"{name}: expected a code of the affinity domain {self.name} ({hint}), found {found}"

    def _hint(self, attribute: str, code: str, scheme: str) -> str:
        schemes = self._schemes.get(attribute, {})
        homes = [home for home, codes in schemes.items() if _nfc(code) in codes and home != scheme]
        if homes:
            return f"that code belongs to the scheme {' or '.join(homes)}"
        if set(schemes) == {""}:
            return _some(schemes[""])
        if scheme in schemes:
            return f"the scheme has {_some(schemes[scheme])}"
        return f"its schemes are {_some(tuple(schemes))}" if schemes else "none is listed"


def _some(values: tuple[str, ...]) -> str:
    rest = len(values) - _SHOWN_CODES
    return ", ".join(values[:_SHOWN_CODES]) + (f" and {rest} more" if rest > 0 else "")


def _nfc(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def code_sets(name: str, rows: Iterable[Row], authorities: Iterable[str] = ()) -> CodeSets:
    """The domain `name` with these rows."""
    displays: dict[tuple[str, str, str], str] = {}
    listed: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        key = (row.attribute, _nfc(row.code), row.scheme.removeprefix("urn:oid:"))
        if key not in displays:
            displays[key] = row.display
            listed.setdefault(row.attribute, {}).setdefault(key[2], []).append(key[1])
    schemes = {
        attribute: {scheme: tuple(codes) for scheme, codes in by_scheme.items()} for attribute, by_scheme in listed.items()
    }
    return CodeSets(name, tuple(dict.fromkeys(authorities)), displays, schemes)


def load_codes(name_or_path: str | Path) -> CodeSets:
    """The domain of a built-in name (`dmp`, `connectathon` or `toolkit`, `any`) or of a JSON file.

    Raises CodesError for a name that is neither, and for a file that cannot be read or understood.
    """
    name = _ALIASES.get(str(name_or_path), str(name_or_path))
    if name in BUILT_IN:
        return _built_in(name)
    path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(BUILT_IN)
        raise CodesError(
            f"affinity domain codes: expected one of {known}, or the path of a JSON file, found {shown(str(name_or_path))}"
        )
    return _read_json(path)


@cache
def _built_in(name: str) -> CodeSets:
    if name == "any":
        return CodeSets(name)
    rows = [Row(row["attribute"], row["code"], row["scheme"], row["display"]) for row in read_table(f"{name}.csv")]
    return code_sets(
        name,
        (row for row in rows if row.attribute != "authority"),
        (row.code for row in rows if row.attribute == "authority"),
    )


def read_table(file: str) -> Iterator[dict[str, str]]:
    """The rows of a CSV file of `schemas/codes` by column name, without its comment lines."""
    text = resources.files(schemas).joinpath("codes", file).read_text(encoding="utf-8")
    yield from csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))


def _read_json(path: Path) -> CodeSets:
    try:
        if path.stat().st_size > _MAX_FILE:
            raise CodesError(f"{path}: expected at most {_MAX_FILE} bytes, found {path.stat().st_size}")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CodesError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise CodesError(f"{path}: expected JSON in UTF-8, {error}") from None
    top = _typed(content, dict, f"{path}: top level")
    rows = [
        row
        for index, item in enumerate(_list(top, "codeTypes", str(path)))
        for row in _json_rows(item, f"{path}: codeTypes[{index}]")
    ]
    if not rows:
        raise CodesError(f"{path}: expected at least one code in codeTypes, found none")
    authorities = _list(top, "assigningAuthorities", str(path)) if "assigningAuthorities" in top else []
    return code_sets(
        path.name,
        rows,
        [_json_authority(item, f"{path}: assigningAuthorities[{index}]") for index, item in enumerate(authorities)],
    )


def _json_rows(item: object, place: str) -> Iterator[Row]:
    kind = _typed(item, dict, place)
    name = _text(kind, "name", place)
    if name not in _ATTRIBUTES:
        raise CodesError(f"{place}.name: expected one of {', '.join(_ATTRIBUTES)}, found {shown(name)}")
    attribute = _ATTRIBUTES[name]
    for index, code in enumerate(_list(kind, "codes", place)):
        where = f"{place}.codes[{index}]"
        entry = _typed(code, dict, where)
        scheme = "" if attribute == "mime_type" else _text(entry, "codingScheme", where)
        display = entry.get("display") or ""
        yield Row(attribute, _text(entry, "code", where), scheme, str(display))


def _json_authority(item: object, place: str) -> str:
    text = _text(_typed(item, dict, place), "id", place)
    try:
        return read_authority(text, "an assigning authority").oid or ""
    except DatatypeError as error:
        raise CodesError(f"{place}.id: {error.reason}") from None


def _typed(value: object, kind: type[dict[str, Any]], place: str) -> dict[str, Any]:
    if not isinstance(value, kind):
        raise CodesError(f"{place}: expected an object, found {type(value).__name__}")
    return value


def _list(parent: dict[str, Any], key: str, place: str) -> list[object]:
    value = parent.get(key)
    if not isinstance(value, list):
        raise CodesError(f"{place}.{key}: expected a list, found {type(value).__name__}")
    return value


def _text(parent: dict[str, Any], key: str, place: str) -> str:
    value = parent.get(key)
    if not isinstance(value, str) or not value:
        raise CodesError(f"{place}.{key}: expected a text, found {shown(str(value)) if value else 'nothing'}")
    return value
