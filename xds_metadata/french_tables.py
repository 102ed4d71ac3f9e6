"""What the French tables derive: the class of a document type, the format code of a CDA model or body.

Source: Agence du Numérique en Santé, ASS_X04 / ASS_X16 (classes), ASS_A11 and ASS_A12 (format codes), as `schemas/codes`.
"""

from __future__ import annotations

from functools import cache

from xds_metadata.codes import read_table
from xds_metadata.model import Code


def class_of_type(code: str, scheme: str) -> Code | None:
    """The classCode that belongs to a typeCode, None for a type that no table lists."""
    return _classes().get((code, scheme.removeprefix("urn:oid:")))


def format_of_template(root: str) -> Code | None:
    """The formatCode of the CDA model with the templateId `root`."""
    return _formats().get(("template", root))


def format_of_body(media_type: str) -> Code | None:
    """The formatCode of a CDA document whose body is not structured and has this media type."""
    return _formats().get(("media", media_type.lower()))


def format_of_other_models() -> Code:
    """The formatCode of a structured document of no listed model."""
    return _formats()["other", "*"]


@cache
def _classes() -> dict[tuple[str, str], Code]:
    return {
        (row["type"], row["type_scheme"]): Code(row["class"], row["class_scheme"], row["class_display"])
        for row in read_table("type_classes.csv")
    }


@cache
def _formats() -> dict[tuple[str, str], Code]:
    return {
        (row["kind"], row["key"]): Code(row["code"], row["scheme"], row["display"]) for row in read_table("cda_formats.csv")
    }
