"""The registry of this process, as the repository sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from access_control.context import RequestContext
from database.prepared import Prepared
from xds_metadata.errors import Finding
from xds_metadata.registration import Registration
from xds_registry.actor import Registry
from xds_registry.tables import document_locator

_PATIENTS_OF_ONE = select(document_locator.c.patient).where(document_locator.c.unique_id == bindparam("unique_id"))


@dataclass(frozen=True)
class LocalRegistry:
    """RegistryPort over a Registry of this process: effects run in its transaction."""

    registry: Registry
    patients_of_one: Prepared
    in_process: bool = True

    @classmethod
    def of(cls, registry: Registry) -> LocalRegistry:
        """The port of `registry`."""
        return cls(registry, registry.database.prepare(_PATIENTS_OF_ONE))

    def register(self, ctx: RequestContext, request: Registration) -> tuple[Finding, ...]:
        """Register in this process; a registration that succeeds has no warnings."""
        self.registry.register(ctx, request)
        return ()

    def patients_of(self, unique_ids: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """By uniqueId, the patients who have an entry of it."""
        found: dict[str, tuple[str, ...]] = {}
        with self.registry.database.read_raw() as cursor:
            for unique_id in dict.fromkeys(unique_ids):
                rows = self.patients_of_one.execute(cursor, {"unique_id": unique_id}).fetchall()
                found[unique_id] = tuple(row[0] for row in rows)
        return found
