"""What a stored query is: its id, its parameters, and a plan that turns bound parameters into a selection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xds_registry.stored_queries.parameters import Bound, Parameter
from xds_registry.stored_queries.selection import Anchor, Selection


@dataclass(frozen=True, slots=True)
class Plan:
    """What to select; `anchor` says whose patients are concerned where no patient parameter does."""

    selection: Selection
    anchor: Anchor | None = None


@dataclass(frozen=True, slots=True)
class StoredQuery:
    """One stored query. `single_patient`: a LeafClass answer over several patients is refused."""

    id: str
    name: str
    parameters: tuple[Parameter, ...]
    plan: Callable[[Bound], Plan]
    single_patient: bool = False
