"""The WSDL of each service and the schemas it refers to, as files for generated clients.

The object model served here is the client view of `wsdl/rim.xsd`; the other schemas are those that validate. A file refers
to another by the query `?xsd=NAME`, so that one address serves them all; in a bundle, by its plain name.

Source: WSDL 1.1; WS-Addressing 1.0 WSDL Binding; IHE ITI TF-2 appendix V and W (names of services and operations).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final
from xml.sax.saxutils import quoteattr

REGISTRY: Final = "registry"
REPOSITORY: Final = "repository"
HABILITATIONS: Final = "habilitations"

_WSDLS: Final = {
    REGISTRY: "wsdl/registry.wsdl",
    REPOSITORY: "wsdl/repository.wsdl",
    HABILITATIONS: "wsdl/habilitations.wsdl",
}
_SCHEMAS: Final = {
    "rim.xsd": "wsdl/rim.xsd",
    "rs.xsd": "ebrim/rs.xsd",
    "lcm.xsd": "ebrim/lcm.xsd",
    "query.xsd": "ebrim/query.xsd",
    "xdsb.xsd": "ihe/xdsb.xsd",
    "xml.xsd": "soap/xml.xsd",
    "habilitations.xsd": "dmp/habilitations.xsd",
}
_ADDRESS: Final = b'location="urn:address"'
_LOCATION = re.compile(rb'schemaLocation="(?:[^"]*/)?([^"/]+)"')


def render(service: str, address: str, actions: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """The WSDL of `service` (REGISTRY, REPOSITORY or HABILITATIONS) with `address` as its endpoint.

    `actions`: what a profile says instead of an action of IHE. Raises KeyError for another service.
    """
    text = _wsdl(service, address, b"?xsd=")
    for published, ours in actions.items():
        text = text.replace(f'wsaw:Action="{published}"'.encode(), f'wsaw:Action="{ours}"'.encode())
    return text


def schema_file(name: str) -> bytes | None:
    """The schema that a served WSDL or schema names by `?xsd=name`; None for any other name."""
    return _schema(name, b"?xsd=") if name in _SCHEMAS else None


def bundle(service: str, address: str) -> dict[str, bytes]:
    """The WSDL and its schemas by file name, to be kept in one folder. Raises KeyError for another service."""
    return {f"{service}.wsdl": _wsdl(service, address, b""), **{name: _schema(name, b"") for name in _SCHEMAS}}


def _wsdl(service: str, address: str, link: bytes) -> bytes:
    text = _linked(_WSDLS[service], link)
    return text.replace(_ADDRESS, b"location=" + quoteattr(address).encode())


def _schema(name: str, link: bytes) -> bytes:
    return _linked(_SCHEMAS[name], link)


def _linked(path: str, link: bytes) -> bytes:
    text = files("schemas").joinpath(path).read_bytes()
    return _LOCATION.sub(lambda found: b'schemaLocation="' + link + found[1] + b'"', text)
