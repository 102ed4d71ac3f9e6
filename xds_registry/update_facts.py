"""Stored facts that a metadata update refers to: latest versions, targets of a change of status, and what is linked to them.

Plain data: `update.plan` decides on it without a database. Rows are locked where the engine locks rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, or_, select
from sqlalchemy.sql import ColumnElement

from ebrim import model as rim
from ebrim.read import read_object_list
from ebrim.write import leaf_prefix
from xds_metadata.associations import HAS_MEMBER, RELATIONSHIPS
from xds_metadata.from_ebrim import from_ebrim
from xds_metadata.model import APPROVED, DocumentEntry
from xds_metadata.profile import IHE
from xds_registry import tables as t
from xds_registry.conditions import TABLES
from xds_registry.references import Facts
from xds_registry.vocabulary import ASSOCIATION_TYPE, Kind, Status
from xmlsafe.namespaces import RIM
from xmlsafe.parse import parse

Visible = Callable[[Kind], ColumnElement[bool]]
MEMBERSHIP = ASSOCIATION_TYPE[HAS_MEMBER]
_CARRIED = (MEMBERSHIP, *(ASSOCIATION_TYPE[name] for name in sorted(RELATIONSHIPS)))


@dataclass(frozen=True, slots=True)
class Version:
    """A stored version of an entry. Ids are bare; `patient` is a key; `status` as in `vocabulary.Status`."""

    id: str
    lid: str
    version: int
    latest: bool
    patient: str
    status: int
    stable: bool
    unique_id: str


@dataclass(frozen=True, slots=True)
class StoredLink:
    """An Approved association: a relationship, or a folder's membership. `type` as in `vocabulary.ASSOCIATION_TYPE`."""

    id: str
    type: int
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class End:
    """What stands at an end of a link."""

    patient: str
    kind: Kind
    status: int


@dataclass(frozen=True, slots=True)
class UpdateFacts:
    """Everything stored that bears on one update.

    `identifiers`: as for a registration. `latest`: by logical id, the latest version, of entries where that is visible.
    `named`: by id, the visible entries whose status is to change; `others`: what else is visible under these ids.
    `links`: around all of these; `ends`: by id, what is at their ends.
    """

    identifiers: Facts = field(default_factory=Facts)
    latest: dict[str, Version] = field(default_factory=dict)
    named: dict[str, Version] = field(default_factory=dict)
    others: dict[str, Kind] = field(default_factory=dict)
    links: tuple[StoredLink, ...] = ()
    ends: dict[str, End] = field(default_factory=dict)

    def relationships(self) -> tuple[str, ...]:
        """The ids of the links that are no memberships and touch a latest version."""
        latest = {version.id for version in self.latest.values()}
        touching = (link for link in self.links if link.source in latest or link.target in latest)
        return tuple(link.id for link in touching if link.type != MEMBERSHIP)


@dataclass(frozen=True, slots=True)
class Contents:
    """What leaves say, read before the transaction that writes: of latest versions and of relationships, by bare id."""

    entries: dict[str, DocumentEntry] = field(default_factory=dict)
    links: dict[str, rim.Association] = field(default_factory=dict)

    def cover(self, facts: UpdateFacts) -> bool:
        """Whether nothing of what an update needs came into being since."""
        versions = {version.id for version in facts.latest.values()}
        return versions <= self.entries.keys() and self.links.keys() >= set(facts.relationships())


def lock_versions(connection: Connection, lids: Sequence[str], ids: Sequence[str]) -> None:
    """Wait for whoever updates the entries of these logical ids, or of which these are versions, and keep others away.

    A statement that waited would miss the version that came meanwhile: what counts is read by the statements after this one.
    The order is the same for everybody, so that two who want the same entries wait for each other and no more.
    """
    v = t.object_version.c
    named = connection.execute(select(v.lid).where(v.id.in_(ids))).scalars() if ids else ()
    wanted = sorted({*lids, *named})
    if wanted:
        every = select(v.id).where(v.lid.in_(wanted)).order_by(v.lid, v.version)
        connection.execute(every.with_for_update()).all()


def load_latest(connection: Connection, lids: Sequence[str], visible: Visible, *, lock: bool) -> dict[str, Version]:
    """By logical id, the latest version of the entries among `lids` that are `visible`."""
    v = t.object_version.c
    found = _versions(connection, _version_rows(visible).where(v.lid.in_(lids), v.latest == 1), lock=lock) if lids else []
    return {version.lid: version for version in found}


def load_named(connection: Connection, ids: Sequence[str], visible: Visible, *, lock: bool) -> dict[str, Version]:
    """By id, whichever versions of entries among `ids` are `visible`."""
    found = _versions(connection, _version_rows(visible).where(t.entry.c.id.in_(ids)), lock=lock) if ids else []
    return {version.id: version for version in found}


def load_others(connection: Connection, ids: Iterable[str], visible: Visible) -> dict[str, Kind]:
    """The kinds of objects other than entries among `ids` that are `visible`."""
    wanted = list(ids)
    kinds = (Kind.SUBMISSION_SET, Kind.FOLDER, Kind.ASSOCIATION) if wanted else ()
    found: dict[str, Kind] = {}
    for kind in kinds:
        table = TABLES[kind]
        rows = connection.execute(select(table.c.id).where(table.c.id.in_(wanted), visible(kind)))
        found.update(dict.fromkeys(rows.scalars(), kind))
    return found


def _version_rows(visible: Visible) -> Select[Any]:
    e, v = t.entry.c, t.object_version.c
    columns = (e.id, v.lid, v.version, v.latest, e.patient, e.status, e.stable, e.unique_id)
    return select(*columns).select_from(t.entry.join(t.object_version, v.id == e.id)).where(visible(Kind.ENTRY))


def _versions(connection: Connection, rows: Select[Any], *, lock: bool) -> list[Version]:
    rows = rows.order_by(t.object_version.c.lid, t.object_version.c.version)
    if lock:
        rows = rows.with_for_update(of=t.entry)
    return [
        Version(row[0], row[1], row[2], row[3] == 1, row[4], row[5], row[6] == 1, row[7]) for row in connection.execute(rows)
    ]


def load_links(connection: Connection, ids: Sequence[str]) -> tuple[tuple[StoredLink, ...], dict[str, End]]:
    """The Approved relationships and folder memberships that touch entries, and what is at their ends."""
    a = t.association.c
    touching = or_(a.source.in_(ids), a.target.in_(ids))
    rows = connection.execute(
        select(a.id, a.type, a.source, a.target)
        .where(touching, a.type.in_(_CARRIED), a.status == int(Status.APPROVED), a.withdrawn == 0)
        .order_by(a.registered_at, a.id)
    )
    links = [StoredLink(*row) for row in rows]
    ends = _load_ends(connection, {end for link in links for end in (link.source, link.target)})
    return tuple(link for link in links if _is_carried(link, ends)), ends


def _is_carried(link: StoredLink, ends: dict[str, End]) -> bool:
    """Whether both ends are there, and the source of a membership is a folder."""
    source = ends.get(link.source)
    if source is None or link.target not in ends:
        return False
    return link.type != MEMBERSHIP or source.kind is Kind.FOLDER


def _load_ends(connection: Connection, ids: Iterable[str]) -> dict[str, End]:
    wanted = sorted(ids)
    found: dict[str, End] = {}
    if wanted:
        for kind in (Kind.ENTRY, Kind.FOLDER, Kind.SUBMISSION_SET):
            c = TABLES[kind].c
            rows = connection.execute(select(c.id, c.patient, c.status).where(c.id.in_(wanted), c.withdrawn == 0))
            found.update({row[0]: End(row[1], kind, row[2]) for row in rows})
    return found


def load_contents(connection: Connection, facts: UpdateFacts) -> Contents:
    """What the leaves of latest versions and of links say. Parses: not for the transaction that writes."""
    entries = _leaves(connection, Kind.ENTRY, [version.id for version in facts.latest.values()])
    links = _leaves(connection, Kind.ASSOCIATION, facts.relationships())
    submission, _ = from_ebrim(_read(rim.ExtrinsicObject, entries.values()), IHE)  # values do not depend on the profile
    return Contents(
        dict(zip(entries, submission.entries, strict=True)),
        dict(zip(links, _read(rim.Association, links.values()).associations, strict=True)),
    )


def _leaves(connection: Connection, kind: Kind, ids: Sequence[str]) -> dict[str, bytes]:
    c = TABLES[kind].c
    return {row[0]: row[1] for row in connection.execute(select(c.id, c.leaf).where(c.id.in_(ids)))} if ids else {}


def _read(kind: type[rim.RegistryObject], leaves: Iterable[bytes]) -> rim.RegistryObjectList:
    prefix = leaf_prefix(kind, APPROVED)
    document = b"".join(
        (f'<RegistryObjectList xmlns="{RIM}">'.encode(), *(prefix + x for x in leaves), b"</RegistryObjectList>")
    )
    return read_object_list(parse(document))
