"""The [audit] table of the settings: where audit messages go (ITI-20)."""

from __future__ import annotations

import re
from typing import Self

from pydantic import Field, field_validator, model_validator

from liasse.setting_types import OptionalPath, Seconds, Table

_COLLECTOR = re.compile(r"(tls|udp)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?/?")
_PORTS = {"tls": 6514, "udp": 514}


class AuditTable(Table):
    """Audit messages (ITI-20): one for each transaction and each refusal, kept until the collector has taken them."""

    collector: str = Field(
        default="",
        description="The audit record repository: tls://HOST:PORT (6514), or udp://HOST:PORT (514), where messages may be "
        "lost and read by others. Empty: no audit messages are made.",
    )
    ca: OptionalPath = Field(
        default=None, description="PEM file of the authorities that the collector's certificate is traced back to."
    )
    certificate: OptionalPath = Field(
        default=None, description="PEM file of our client certificate and its chain. Read anew for each connection."
    )
    key: OptionalPath = Field(default=None, description="PEM file of its private key.")
    source_id: str = Field(default="", description="AuditSourceID, the name of this system. Empty: the machine's name.")
    site_id: str = Field(default="", description="AuditEnterpriseSiteID, the name of the site. Empty: none is given.")
    timeout: Seconds = Field(default=30.0, description="Seconds that the collector has to take a batch of messages.")
    late_after: Seconds = Field(
        default=3600.0, description="The server is not ready when a message has waited for more seconds than this."
    )
    datagram: int = Field(
        default=65_507, ge=4096, le=65_507, description="Bytes of the largest UDP datagram. Messages are never cut to fit."
    )

    @field_validator("collector")
    @classmethod
    def _place(cls, value: str) -> str:
        found = _COLLECTOR.fullmatch(value)
        if value and (found is None or not 0 < int(found[3] or 1) <= 65_535):
            raise ValueError("expected tls://HOST:PORT, udp://HOST:PORT, or an empty text")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key: both are needed, or neither")
        if self.collector.startswith("tls:") and self.ca is None:
            raise ValueError("ca: the authorities of the collector's certificate are needed")
        return self

    @property
    def place(self) -> tuple[str, str, int]:
        """Scheme, host and port of the collector, which must be set."""
        found = _COLLECTOR.fullmatch(self.collector)
        if found is None:
            raise ValueError("no collector is set")
        return found[1], found[2].strip("[]"), int(found[3] or _PORTS[found[1]])

    def cautions(self) -> list[str]:
        """What an operator should know about these choices."""
        if not self.collector:
            return ["audit.collector: none is set, no audit messages are sent (ITI-20)"]
        if self.collector.startswith("udp:"):
            return ["audit.collector: over UDP audit messages travel in clear, and nobody notices one that is lost"]
        if self.certificate is None:
            return ["audit.certificate: none is set, the collector cannot tell who sends audit messages"]
        return []
