"""What a repository hands to a registry, in-process or over ITI-42: the one thing both actors know.

Source: IHE ITI TF-2 3.42.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ebrim.model import RegistryObjectList, Slot
from ebrim.write import write_object_list
from xds_metadata.model import Submission

Effect = Callable[[Any], None]
"""Statements of another owner (journal row, document state) run in the registry's own transaction, on its connection."""

_REPOSITORY_SLOTS = frozenset({"hash", "size", "repositoryUniqueId"})


@dataclass(frozen=True, slots=True)
class Registration:
    """One submission, complete and checked against the metadata rules.

    `digest` recognises a retry; `sender` says whose. `effects` are run with the registration or not at all;
    `replay_effects` in their place when it turns out to be a retry, which is answered as the first time was.
    """

    objects: RegistryObjectList
    submission: Submission
    digest: str
    sender: str
    effects: tuple[Effect, ...] = field(default=())
    replay_effects: tuple[Effect, ...] = field(default=())


def _without_repository_slots(slots: Iterable[Slot]) -> tuple[Slot, ...]:
    return tuple(slot for slot in slots if slot.name not in _REPOSITORY_SLOTS)


def submission_digest(objects: RegistryObjectList, documents: Iterable[tuple[str, str]] = ()) -> str:
    """SHA-256, lower-case hex, of what a sender means: the objects without the slots that a repository fills in, and the
    documents as (id, SHA-256), in any order.

    It is taken over our own written form, so that prefixes, white space and attribute order do not count.
    """
    bare = replace(
        objects,
        extrinsic_objects=tuple(replace(o, slots=_without_repository_slots(o.slots)) for o in objects.extrinsic_objects),
    )
    digest = hashlib.sha256(write_object_list(bare))
    for document_id, sha256 in sorted(documents):
        digest.update(f"\n{document_id}\0{sha256}".encode())
    return digest.hexdigest()
