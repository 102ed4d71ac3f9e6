"""The documentation page of the metadata attributes, generated from the attribute table: `python -m xds_metadata.docs`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from xds_metadata.attributes import TABLES, Attribute, ObjectTable, Place

PAGE = Path("docs/metadata-attributes.md")
_NEEDS = {
    "R": "required",
    "R2": "if known",
    "O": "optional",
    "X": "not allowed",
    "registry": "set by the registry",
}
_HEAD = """# Metadata attributes

Made from the attribute table (`xds_metadata/attributes.py`) by `python -m xds_metadata.docs`; do not edit by hand.

The table decides how each attribute is read, written and checked. *ITI-41* and *ITI-42* say what a document source and a
repository must send for a stable document, *ITI-57* what a metadata update must; *on-demand* what an on-demand entry
does. *Set by the registry*: what is submitted is ignored. Data types: IHE ITI TF-3 4.2.3.1.7. A length is counted in
characters; a Slot value, an identifier or a code has at most 256. A code set is a list of the affinity
domain; where the domain has none, any code is accepted.
"""


def page() -> str:
    """The page, in Markdown."""
    return "\n".join([_HEAD, *(line for rows in TABLES for line in _section(rows))])


def _section(rows: ObjectTable) -> Iterator[str]:
    yield f"## {rows.kind}\n"
    yield "| Attribute | Encoding | Type | Values | ITI-41 | ITI-42 | ITI-57 | On-demand | Code set |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in sorted(rows.rows, key=lambda row: row.name.lower()):
        yield "| " + " | ".join(_cells(row)) + " |"
    yield ""


def _cells(row: Attribute) -> Iterator[str]:
    yield f"`{row.name}`"
    yield _encoding(row)
    yield row.type.value.replace("|", "\\|") + (f", at most {row.longest}" if row.longest else "")
    yield "several" if row.many else "one"
    for need in (row.provide, row.register, row.update or row.register, row.on_demand):
        yield _NEEDS[need]
    yield f"`{row.codes}`" if row.codes else ""


def _encoding(row: Attribute) -> str:
    if row.place is Place.XML:
        return f"attribute `{row.key}`"
    return f"{row.place.value} `{row.key}`" if row.key else row.place.value


def main(arguments: list[str] | None = None) -> int:
    """Write the page; with `--check`, only say whether it is in step (exit code 1 when it is not)."""
    parser = argparse.ArgumentParser(prog="python -m xds_metadata.docs", description=main.__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("path", nargs="?", type=Path, default=PAGE)
    options = parser.parse_args(arguments)
    if options.check:
        return 0 if options.path.is_file() and options.path.read_text(encoding="utf-8") == page() else 1
    options.path.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
