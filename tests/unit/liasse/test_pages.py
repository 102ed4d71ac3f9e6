"""The pages: addresses as the client knows them, nothing of a hostile Host header."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from liasse.pages import SitePages
from liasse.settings import Settings
from liasse.status import Status
from soap.transaction import Body, Transaction

TRANSACTION = Transaction(
    "ITI-18",
    "Registry Stored Query",
    "/registry",
    ("urn:a",),
    "urn:b",
    "{c}d",
    lambda _: None,
    lambda _: Body(()),
    lambda *_: None,
)


def pages(tmp_path: Path, profile: str = "ihe", **server: object) -> SitePages:
    given = {
        "profile": profile,
        "access": {"policy": "open"},
        "storage": {"directory": tmp_path},
        "server": {"port": 8080, **server},
    }
    settings = Settings.model_validate(given)
    return SitePages(settings, Status(1), [TRANSACTION])


def test_the_wsdl_names_the_actions_that_are_answered(tmp_path: Path) -> None:
    action = "urn:ihe:iti:2010:UpdateDocumentSet"
    update = replace(TRANSACTION, request_actions=(action,), response_action=f"{action}-Response")
    settings = Settings.model_validate({"storage": {"directory": tmp_path}})
    page = SitePages(settings, Status(1), [update])("/registry", "wsdl", "h.example")
    assert page is not None
    assert f'"{action}-Response"'.encode() in page[2]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("registry.example:8443", b"http://registry.example:8443/registry"),
        ("[2001:db8::1]:80", b"http://[2001:db8::1]:80/registry"),
        ("", b"http://127.0.0.1:8080/registry"),
        ('x"><script>', b"http://127.0.0.1:8080/registry"),
        ("a/b", b"http://127.0.0.1:8080/registry"),
    ],
)
def test_addresses_begin_with_the_host_that_was_asked(tmp_path: Path, host: str, expected: bytes) -> None:
    for path, query in (("/", ""), ("/registry", "wsdl")):
        page = pages(tmp_path)(path, query, host)
        assert page is not None
        assert page[0] == 200
        assert expected in page[2]
        assert b"script" not in page[2]


def test_the_public_url_wins(tmp_path: Path) -> None:
    page = pages(tmp_path, public_url="https://dmp.example/xds/")("/registry", "wsdl", "inside:1")
    assert page is not None
    assert b'"https://dmp.example/xds/registry"' in page[2]


def test_health_says_why_not(tmp_path: Path) -> None:
    page = pages(tmp_path)("/health", "", "")
    assert page is not None
    assert page[0] == 503


def test_schemas_are_served_by_name_only(tmp_path: Path) -> None:
    site = pages(tmp_path)
    found = site("/registry", "xsd=rim.xsd", "")
    assert found is not None
    assert found[0] == 200
    missing = site("/registry", "xsd=../../etc/passwd", "")
    assert missing is not None
    assert missing[0] == 404
    assert site("/elsewhere", "", "") is None
    assert site("/repository", "wsdl", "") is None


def test_the_dmp_finds_its_addresses(tmp_path: Path) -> None:
    assert pages(tmp_path, profile="dmp")("/si-dmp-server/v2/services/registry", "wsdl", "h.example") is not None
    assert pages(tmp_path)("/si-dmp-server/v2/services/registry", "wsdl", "h.example") is None
