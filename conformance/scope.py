"""The state of one case while it runs: variables that steps define and use, and the bytes of the documents sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from conformance import vocabulary as v
from conformance.ids import Ids
from conformance.plan import VARIABLE
from conformance.target import Target

_PATIENT = re.compile(r"patient\d*")


class Undefined(Exception):
    """A variable has no value, because the step that should have captured it did not."""


class Scope:
    """Variables of one case. `$oid.x`, `$uuid.x`, `$code.x.n`, `$type.x` and patients are made on demand."""

    def __init__(self, ids: Ids, target: Target) -> None:
        self.ids = ids
        self.target = target
        self.contents: dict[str, bytes] = {}
        self._values: dict[str, str] = {
            "repository": target.domain.repository_unique_id,
            "stranger": ids.patient("stranger"),
            "Approved": v.APPROVED,
            "Deprecated": v.DEPRECATED,
            "Stable": v.STABLE,
            "OnDemand": v.ON_DEMAND,
        }

    def define(self, name: str, value: str) -> None:
        """Set a variable."""
        self._values[name] = value

    def text(self, value: str) -> str:
        """A string with its variables replaced. Raises Undefined."""
        return VARIABLE.sub(lambda match: self._value(match.group(1) or match.group(2)), value)

    def resolve(self, value: Any) -> Any:
        """The same structure with the variables of every string replaced. Raises Undefined."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key): self.resolve(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.resolve(item) for item in value]
        return value

    def _value(self, name: str) -> str:
        if name in self._values:
            return self._values[name]
        family, _, rest = name.partition(".")
        if family == "oid":
            return self.ids.oid(rest)
        if family == "uuid":
            return self.ids.uuid(rest)
        if family == "type":
            return v.ASSOCIATIONS[rest]
        if family == "code":
            kind, _, number = rest.partition(".")
            codes = self.target.codes[kind]
            if int(number or 1) > len(codes):
                raise Undefined(f"${name}: the target lists only {len(codes)} codes for {kind}")
            code = codes[int(number or 1) - 1]
            return f"{code.code}^^{code.scheme}"
        if _PATIENT.fullmatch(name):
            return self.ids.patient(name)
        raise Undefined(f"${name} has no value")
