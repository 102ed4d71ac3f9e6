"""Where the schema files are: our own beside this module, or the published ones in a directory of the operator."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

_OURS: Final = Path(str(files(__package__)))

MESSAGES: Final = "messages"
ENVELOPE: Final = "envelope"
AUDIT: Final = "audit"
HABILITATIONS: Final = "habilitations"

_SETS: Final = {
    MESSAGES: ("ebrim/rim.xsd", "ebrim/rs.xsd", "ebrim/lcm.xsd", "ebrim/query.xsd", "ihe/xdsb.xsd", "ihe/rmd.xsd"),
    ENVELOPE: ("soap/envelope.xsd",),
    AUDIT: ("dicom/audit-message.xsd",),
    HABILITATIONS: ("dmp/habilitations.xsd",),
}
_PUBLISHED: Final = {"xdsb.xsd": "XDS.b_DocumentRepository.xsd"}


def schema_files(name: str, directory: Path | None = None) -> tuple[Path, ...]:
    """The XSD files of the set `name`: MESSAGES (all message bodies of IHE), ENVELOPE (SOAP 1.2), AUDIT (DICOM) or
    HABILITATIONS (TD0.3 and TD1.6).

    With `directory` the bodies of MESSAGES are those of the published files there, under their published names (`rim.xsd`,
    `XDS.b_DocumentRepository.xsd`...); the others are always ours. Raises KeyError for another name and FileNotFoundError
    for a file that is missing.
    """
    relative = _SETS[name]
    if directory is None or name != MESSAGES:
        paths = tuple(_OURS / one for one in relative)
    else:
        names = (Path(one).name for one in relative)
        paths = tuple(directory / _PUBLISHED.get(one, one) for one in names)
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"the schema file {path} is missing")
    return paths
