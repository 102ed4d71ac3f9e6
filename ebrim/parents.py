"""Parent ids that a sender left out: a part of an object belongs to the object that holds it.

The schema requires them; some senders leave them out of parts that stand inside their object, where they say nothing new.
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from xmlsafe.namespaces import RIM

_RIM: Final = f"{{{RIM}}}"
_OBJECTS: Final = (f"{_RIM}ExtrinsicObject", f"{_RIM}RegistryPackage", f"{_RIM}Association")
_PARENT: Final = {f"{_RIM}Classification": "classifiedObject", f"{_RIM}ExternalIdentifier": "registryObject"}


def fill_parent_ids(body: etree._Element) -> None:
    """Give each Classification and ExternalIdentifier of an object in `body` the parent id that it lacks.

    One that is there stays as it is, be it wrong; so does a part that stands beside the objects.
    """
    for item in body.iter(*_OBJECTS):
        owner = item.get("id")
        if owner is None:
            continue
        for part in item.iterchildren(*_PARENT):
            name = _PARENT[str(part.tag)]
            if part.get(name) is None:
                part.set(name, owner)
