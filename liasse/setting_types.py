"""The kinds of values that settings hold, and how their text is read."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_CX_AUTHORITY = re.compile(r"&([0-9.]+)&ISO")


def read_oid(value: str) -> str:
    """An OID of at most 64 characters."""
    if not _OID.fullmatch(value) or len(value) > 64:
        raise ValueError("expected an OID of at most 64 characters, such as 1.2.250.1.213.1.4.8")
    return value


def read_authority(value: str) -> str:
    """An assigning authority is an OID; the form it has in a CX, `&OID&ISO`, is understood too."""
    inside = _CX_AUTHORITY.fullmatch(value)
    return read_oid(inside[1] if inside else value)


def read_home_community(value: str) -> str:
    """homeCommunityId as urn:oid:, which may be left out; empty stays empty."""
    return value and "urn:oid:" + read_oid(value.removeprefix("urn:oid:"))


def read_path(value: object, info: ValidationInfo) -> object:
    """Text becomes a path below the folder of the settings file (the working directory where there is no file)."""
    if not isinstance(value, str | Path) or value == "":
        return None if value == "" else value
    base = (info.context or {}).get("base") or Path.cwd()
    return Path(os.path.normpath(base / Path(value).expanduser()))


def read_codes(value: str, info: ValidationInfo) -> str:
    """A built-in name stays a name; what looks like a file becomes an absolute path."""
    return str(read_path(value, info)) if "/" in value or value.endswith(".json") else value


def read_loopback(value: str) -> str:
    """An address of this machine that nobody else reaches."""
    if value != "localhost":
        try:
            inside = ipaddress.ip_address(value).is_loopback
        except ValueError:
            inside = False
        if not inside:
            raise ValueError("expected a loopback address: readiness and metrics are for this machine only")
    return value


def read_texts(value: object) -> object:
    """A list, or one text in its place; an empty text is an empty list."""
    if isinstance(value, str | Path):
        return (value,) if value else ()
    return read_tuple(value)


def read_tuple(value: object) -> object:
    """A list of the file is a tuple here."""
    return tuple(value) if isinstance(value, list) else value


Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
Size = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
OidText = Annotated[str, AfterValidator(read_oid)]
Authorities = Annotated[tuple[Annotated[str, AfterValidator(read_authority)], ...], BeforeValidator(read_tuple)]
Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(read_texts)]


def read_places(value: object, info: ValidationInfo) -> object:
    """A list of URLs and files; files become absolute paths, everything is text."""
    found = read_texts(value)
    if not isinstance(found, tuple):
        return found
    return tuple(
        each if not isinstance(each, str) or each.startswith(("http://", "https://")) else str(read_path(each, info))
        for each in found
    )


Places = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(read_places)]
FilePath = Annotated[Path, BeforeValidator(read_path)]
FilePaths = Annotated[tuple[FilePath, ...], BeforeValidator(read_texts)]
OptionalPath = Annotated[Path | None, BeforeValidator(read_path)]


class Table(BaseModel):
    """A table of the file: frozen, typed strictly (text is never read as a number), unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)
