"""Assertions full of the person, damaged in every place: what the security log says of their refusals names nobody.

An assertion is signed by a card that the client has; then one value after the other is replaced, before and behind the point
where the signature is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lxml import etree

from database.tables import now_micros
from liasse.caller import client_context, security_header
from liasse.client import DocumentClient, Endpoints, ExchangeFailed
from pki.testca import Card, TestPki
from tests.e2e.failing import comes_true
from tests.e2e.sentinel import NAME, sentinels
from tests.e2e.server import RunningServer, merged, running
from tests.e2e.test_callers import settings
from xua.cards import Told, vihf_of

PATIENT = f"{NAME}^^^&1.2.250.1.213.1.4.10&ISO^NH"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> TestPki:
    return TestPki.create(tmp_path_factory.mktemp("pki"), keys="ec")


@pytest.fixture(scope="module")
def card(pki: TestPki) -> Card:
    return pki.issue_card("doctor", "899700000001")


@pytest.fixture(scope="module")
def asking(pki: TestPki, card: Card, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that asks who calls, at debug level."""
    told = merged(settings(pki), {"log": {"level": "debug"}, "server": {"workers": 1}})
    folder = tmp_path_factory.mktemp("asking")
    with running(folder, told, tls=client_context(pki.authorities, card)) as server:
        yield server


TECHNICAL = frozenset({"Version", "Algorithm", "URI", "VIHF_Version"})
"""Attributes whose values the log may quote: they choose versions and algorithms, nothing of a person belongs there."""


def damaged(token: bytes) -> Iterator[tuple[str, bytes]]:
    """The assertion with each of its texts and attributes replaced by the person, in part and as a whole; one a time.

    With each the name of what was replaced: of the XML attribute, or of the SAML attribute whose value it was.
    """
    count = sum(1 + len(element.attrib) for element in etree.fromstring(token).iter("*"))
    for number in range(count):
        for form in ("{0}", "{1}{0}"):
            root = etree.fromstring(token)
            places = [(element, name) for element in root.iter("*") for name in (None, *element.attrib)]
            element, name = places[number]
            before = (element.text if name is None else element.get(name)) or ""
            value = form.format(NAME, before)
            if name is None:
                element.text = value
            else:
                element.set(name, value)
            parent = element.getparent()
            yield str(name or (parent.get("Name") if parent is not None else "") or element.tag), etree.tostring(root)


def ask(server: RunningServer, pki: TestPki, card: Card, header: bytes) -> str:
    """ "" for an answer, else what the client is told."""
    endpoints = Endpoints(server.registry_url, server.repository_url)
    tls = client_context(pki.authorities, card)
    try:
        with DocumentClient(endpoints, tls=tls, sign=lambda _patient: header) as client:
            client.find(PATIENT)
    except ExchangeFailed as failed:
        return str(failed)
    return ""


def test_a_refused_assertion_is_logged_with_its_reason_and_without_its_values(
    asking: RunningServer, pki: TestPki, card: Card
) -> None:
    token = vihf_of(card, Told(patient=PATIENT.replace(NAME, "279035121518989")), now_micros())
    assert ask(asking, pki, card, security_header(token)) == ""
    refused = 0
    for what, each in damaged(token):
        before = asking.log_text()
        said = ask(asking, pki, card, security_header(each))
        refused += bool(said)
        assert sentinels(said) == []
        assert what in TECHNICAL or sentinels(asking.log_text().removeprefix(before)) == [], what
    lines = [line for line in asking.log_text().splitlines() if '"a caller was refused"' in line]
    assert len(lines) == refused > 150
    assert len({line.split('"rule": ')[1].split(",")[0] for line in lines}) > 8


@pytest.mark.parametrize(
    ("told", "accepted"),
    [
        (Told(patient=PATIENT, name=NAME, reason=NAME), True),
        (Told(patient=NAME), False),
        (Told(patient=f"{NAME}^^^&1.2&ISO"), False),
        (Told(patient=f"1^^^&{NAME}&ISO"), False),
        (Told(patient=PATIENT, structure="nobody"), False),
    ],
)
def test_who_is_named_by_a_signed_assertion_is_not_logged(
    told: Told, accepted: bool, asking: RunningServer, pki: TestPki, card: Card
) -> None:
    before = asking.log_text()
    token = vihf_of(card, told, now_micros())
    assert sentinels(token.decode())
    said = ask(asking, pki, card, security_header(token))
    assert (said == "", sentinels(said)) == (accepted, [])
    assert comes_true(lambda: '"event": "POST /registry"' in asking.log_text().removeprefix(before))
    assert sentinels(asking.log_text().removeprefix(before)) == []
