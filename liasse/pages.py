"""What a browser or a check gets by GET: a page for people, health, the WSDL and its schemas.

Nothing here reads stored data; `/health` says no more than that the server does its work, or why not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Protocol
from urllib.parse import parse_qs

from liasse.settings import Settings
from liasse.status import Status
from schemas.wsdl import HABILITATIONS, REGISTRY, REPOSITORY, render, schema_file
from soap.transaction import Transaction
from xds_metadata.profile import PROFILES

_HTML, _TEXT, _XML = "text/html; charset=utf-8", "text/plain; charset=utf-8", "text/xml; charset=utf-8"
_SERVICES = {"/registry": REGISTRY, "/repository": REPOSITORY, "/habilitations": HABILITATIONS}
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")
Page = tuple[int, str, bytes]


class Pages(Protocol):
    """Answers GET: (status, content type, bytes), or None where there is nothing."""

    def __call__(self, path: str, query: str, host: str) -> Page | None:
        """The page at `path`; `host` is the request's Host header, empty without one. Must not block."""
        ...


class SitePages:
    """The pages of one instance.

    Addresses in them begin with `server.public_url`, else with the host that the client asked, else with the settings'.
    """

    def __init__(self, settings: Settings, status: Status, transactions: Sequence[Transaction]) -> None:
        self._settings = settings
        self._status = status
        self._transactions = tuple(transactions)
        self._actions = {f"{t.request_actions[0]}Response": t.response_action for t in transactions}

    def __call__(self, path: str, query: str, host: str = "") -> Page | None:
        """The page, or None."""
        if path == "/health":
            return self._health()
        base = self._base(host)
        if path == "/":
            return self._home(base)
        endpoints = PROFILES[self._settings.profile].paths(t.endpoint for t in self._transactions)
        service = _SERVICES.get(endpoints.get(path, ""))
        if service is None:
            return None
        parameters = parse_qs(query, keep_blank_values=True, max_num_fields=5)
        if query.lower() == "wsdl":
            return 200, _XML, render(service, base + path, self._actions)
        if "xsd" in parameters:
            data = schema_file(parameters["xsd"][0])
            return (404, _TEXT, b"no such schema\n") if data is None else (200, _XML, data)
        return None

    def _base(self, host: str) -> str:
        server = self._settings.server
        if server.public_url:
            return server.public_url.rstrip("/")
        if _HOST.fullmatch(host):
            return f"http://{host}"
        name = f"[{server.host}]" if ":" in server.host else server.host
        return f"http://{name}:{server.port}"

    def _health(self) -> Page:
        health = self._status.health()
        if health.ok:
            return 200, _TEXT, b"ok\n"
        return 503, _TEXT, ("; ".join(health.reasons) + "\n").encode()

    def _home(self, base: str) -> Page:
        settings = self._settings
        health = self._status.health()
        rows = "".join(
            f"<tr><td>{escape(t.number)}</td><td>{escape(t.title)}</td><td><code>{escape(base + t.endpoint)}</code></td>"
            f'<td><a href="{escape(t.endpoint)}?wsdl">WSDL</a></td></tr>'
            for t in self._transactions
        )
        facts = (
            ("Profile", settings.profile),
            ("repositoryUniqueId", settings.repository.unique_id),
            ("homeCommunityId", settings.affinity_domain.home_community_id or "none"),
            ("Access policy", settings.access.policy),
            ("Health", "ok" if health.ok else "; ".join(health.reasons)),
        )
        table = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts)
        return 200, _HTML, _PAGE.format(table=table, rows=rows).encode()


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Liasse</title>
<meta name="viewport" content="width=device-width">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}}
table{{border-collapse:collapse;margin:1em 0}}th,td{{text-align:left;padding:.3em .8em;border-bottom:1px solid #ddd}}</style>
</head><body><h1>Liasse</h1>
<p>An IHE XDS.b Document Registry and Document Repository. It speaks SOAP 1.2: hospital systems send documents with ITI-41,
practice software finds them with ITI-18 and reads them with ITI-43.</p>
<table>{table}</table>
<table><tr><th>Transaction</th><th>Name</th><th>Address</th><th></th></tr>{rows}</table>
</body></html>
"""
