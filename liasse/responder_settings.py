"""The settings of one OCSP responder."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator

from liasse.setting_types import FilePath, Table, read_tuple

_URL = re.compile(r"https?://[^/\s?#@]+(/[^\s#]*)?")


class ResponderTable(Table):
    """Whom to ask about the certificates of an authority. What a certificate itself names is never asked."""

    issuer: FilePath = Field(description="PEM file of the authority, or of several.")
    url: str = Field(description="http(s) URL of the responder.")

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        if not _URL.fullmatch(value) or not _has_place(value):
            raise ValueError("expected a URL that begins with http:// or https://, without user and fragment")
        return value


def _has_place(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


Responders = Annotated[tuple[ResponderTable, ...], BeforeValidator(read_tuple)]
