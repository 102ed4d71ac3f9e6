"""The registry of this process, as the repository sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from access_control.context import RequestContext
from access_control.policy import Action
from access_control.scope import EVERYTHING
from xds_metadata.errors import Finding
from xds_metadata.registration import Registration
from xds_registry.actor import Registry
from xds_repository.ports import Holders


@dataclass(frozen=True)
class LocalRegistry:
    """RegistryPort over a Registry of this process: effects run in its transaction."""

    registry: Registry
    in_process: bool = True

    def register(self, ctx: RequestContext, request: Registration) -> tuple[Finding, ...]:
        """Register in this process; a registration that succeeds has no warnings."""
        self.registry.register(ctx, request)
        return ()

    def holders(self, ctx: RequestContext, unique_ids: Sequence[str]) -> Holders:
        """Who has these documents, for this caller."""
        scope = self.registry.policy.scope(ctx, Action.RETRIEVE, ())
        with self.registry.database.read_raw() as cursor:
            found = self.registry.selector.holders(cursor, unique_ids, scope)
        return Holders(found, scope != EVERYTHING, scope.patients or ())
