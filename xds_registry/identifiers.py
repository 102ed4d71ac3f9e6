"""Identifiers of a submission: UUIDs for symbolic ids, first versions, and the objects as the registry keeps them.

Source: IHE ITI TF-2 3.42.4.1.3.7 (symbolic ids); TF-3 4.2.3.2 (entryUUID, logicalID, version).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ebrim import model as rim
from xds_metadata.attributes import FOLDER_NODE
from xds_metadata.model import Submission
from xds_metadata.registration import Registration
from xds_registry.vocabulary import UUID_PREFIX

T = TypeVar("T", bound=rim.RegistryObject)
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
_UUID = re.compile(r"urn:uuid:[0-9a-f-]{36}")


def new_uuid() -> str:
    """A fresh entryUUID."""
    return next(new_uuids(1))


def new_uuids(at_once: int = 32) -> Iterator[str]:
    """Fresh entryUUIDs (random, version 4), without end; so many are made at once. For one thread."""
    while True:
        digits = os.urandom(16 * at_once).hex()
        for start in range(0, len(digits), 32):
            part = digits[start : start + 32]
            variant = _VARIANTS[part[16]]
            yield f"{UUID_PREFIX}{part[:8]}-{part[8:12]}-4{part[13:16]}-{variant}{part[17:20]}-{part[20:]}"


@dataclass(frozen=True, slots=True)
class Assigned:
    """A submission in which every id is an entryUUID.

    `submitted_uuids`: those the sender chose for objects; `part_uuids`: (id, owner) of those it chose for Classifications
    and ExternalIdentifiers; `symbolic`: by assigned UUID, the symbolic id that the sender used.
    """

    submission: Submission
    objects: rim.RegistryObjectList
    submitted_uuids: tuple[str, ...]
    part_uuids: tuple[tuple[str, str], ...]
    symbolic: dict[str, str]

    def in_sender_words(self, sentence: str) -> str:
        """`sentence` with the sender's symbolic ids instead of the UUIDs made for them."""
        return _UUID.sub(lambda match: self.symbolic.get(match[0], match[0]), sentence)


class _Assigner:
    def __init__(self, home: str | None, fresh: Callable[[], str]) -> None:
        self.home = home
        self.fresh = fresh
        self.ids: dict[str, str] = {}
        self.parts: list[tuple[str, str]] = []

    def object_id(self, submitted: str) -> str:
        """The entryUUID of an object of the message: its own, or one for its symbolic id."""
        if submitted.startswith(UUID_PREFIX):
            return submitted
        known = self.ids.get(submitted)
        if known is None:
            known = self.ids[submitted] = self.fresh()
        return known

    def part_id(self, submitted: str, owner: str) -> str:
        """As `object_id` for a part: a symbolic id of a part is never a reference, and may repeat between objects."""
        if submitted.startswith(UUID_PREFIX):
            self.parts.append((submitted, owner))
            return submitted
        return self.fresh()

    def classification(self, item: rim.Classification, owner: str) -> rim.Classification:
        return rim.Classification(
            self.part_id(item.id, owner),
            owner,
            item.scheme,
            item.node,
            item.node_representation,
            item.slots,
            item.name,
            item.description,
        )

    def identifier(self, item: rim.ExternalIdentifier, owner: str) -> rim.ExternalIdentifier:
        return rim.ExternalIdentifier(self.part_id(item.id, owner), owner, item.scheme, item.value, item.name)

    def common(self, item: T, loose: tuple[rim.Classification, ...], **more: Any) -> T:
        owner = self.object_id(item.id)
        fields: dict[str, Any] = {
            "id": owner,
            "lid": owner,
            "home": self.home,
            "status": None,
            "version": "1",
            "classifications": tuple(self.classification(c, owner) for c in (*item.classifications, *loose)),
            "external_identifiers": tuple(self.identifier(e, owner) for e in item.external_identifiers),
        }
        return replace(item, **fields | more)


def chosen_uuids(objects: rim.RegistryObjectList) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The UUIDs that the sender chose: for objects, and for their Classifications and ExternalIdentifiers."""
    items: tuple[rim.RegistryObject, ...] = (*objects.extrinsic_objects, *objects.packages, *objects.associations)
    parts = [part.id for item in items for part in item.classifications]
    parts += [part.id for item in items for part in item.external_identifiers]
    parts += [part.id for part in objects.classifications]
    return (
        tuple(item.id for item in items if item.id.startswith(UUID_PREFIX)),
        tuple(part for part in parts if part.startswith(UUID_PREFIX)),
    )


def _without_last_update(item: rim.RegistryPackage) -> rim.RegistryPackage:
    if any(c.node == FOLDER_NODE for c in item.classifications):
        return replace(item, slots=tuple(s for s in item.slots if s.name != "lastUpdateTime"))
    return item


def assign(request: Registration, home: str | None = None, fresh: Callable[[], str] | None = None) -> Assigned:
    """Give every object its entryUUID, logical id and version 1; `home` replaces what was submitted, except on an
    association, which belongs to no community.

    A folder's lastUpdateTime is taken out: the registry splices its own in.
    """
    assigner = _Assigner(home, fresh or new_uuids().__next__)
    loose: dict[str, list[rim.Classification]] = {}
    for part in request.objects.classifications:
        loose.setdefault(part.classified_object or "", []).append(part)
    objects = rim.RegistryObjectList(
        extrinsic_objects=tuple(
            assigner.common(item, tuple(loose.get(item.id, ()))) for item in request.objects.extrinsic_objects
        ),
        packages=tuple(
            _without_last_update(assigner.common(item, tuple(loose.get(item.id, ())))) for item in request.objects.packages
        ),
        associations=tuple(
            assigner.common(
                item,
                tuple(loose.get(item.id, ())),
                home=None,
                source=assigner.object_id(item.source),
                target=assigner.object_id(item.target),
            )
            for item in request.objects.associations
        ),
    )
    old = request.submission
    submission = Submission(
        submission_sets=tuple(replace(s, entry_uuid=assigner.object_id(s.entry_uuid)) for s in old.submission_sets),
        entries=tuple(replace(e, entry_uuid=assigner.object_id(e.entry_uuid)) for e in old.entries),
        folders=tuple(replace(f, entry_uuid=assigner.object_id(f.entry_uuid)) for f in old.folders),
        associations=tuple(
            replace(
                a,
                entry_uuid=assigner.object_id(a.entry_uuid),
                source=assigner.object_id(a.source),
                target=assigner.object_id(a.target),
            )
            for a in old.associations
        ),
    )
    submitted = tuple(
        item.id
        for item in (*request.objects.extrinsic_objects, *request.objects.packages, *request.objects.associations)
        if item.id.startswith(UUID_PREFIX)
    )
    symbolic = {made: known for known, made in assigner.ids.items()}
    return Assigned(submission, objects, submitted, tuple(assigner.parts), symbolic)
