"""Hand-made messages with everything optional in them.

`samples/shared` holds messages of document sharing; `samples/others` what ebRIM has beyond it, down to objects that only an
xsi:type or a substitution brings in.
"""

from __future__ import annotations

from pathlib import Path

from lxml import etree

from xmlsafe import parse

_FOLDER = Path(__file__).parent / "samples"


def samples(group: str) -> dict[str, etree._Element]:
    """The messages of a group ("shared" or "others") by file name without suffix."""
    return {path.stem: parse(path.read_bytes()) for path in sorted((_FOLDER / group).glob("*.xml"))}
