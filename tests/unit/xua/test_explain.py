"""What is said of an assertion, check by check."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.assertion_world import World
from tests.assertions import AUDIENCE, Form, message
from xmlsafe.namespaces import DS
from xua.explain import Inspector, Step
from xua.kinds.vihf import VIHF
from xua.kinds.xua import XUA
from xua.settings import AssertionSettings

CHECKS = [
    *("document", "header", "size", "shape", "kind", "certificate", "signature", "issuer", "times"),
    *("authentication", "identity", "lists"),
]


def explain(world: World, data: bytes, peer: str = "card", **settings: object) -> tuple[Step, ...]:
    told = AssertionSettings(audience=(AUDIENCE,), **settings)  # type: ignore[arg-type]
    return Inspector(world.trust, told, (XUA(), VIHF()), world.at, world.peer(peer)).explain(data)


def failed(steps: tuple[Step, ...]) -> dict[str, str]:
    return {step.check: step.reason for step in steps if step.outcome == "failed"}


def test_all_that_passes(world: World) -> None:
    steps = explain(world, message(world.vihf(), world.card))
    assert [step.check for step in steps] == CHECKS
    assert {step.outcome for step in steps} == {"passed"}
    assert "899700000001" in next(step.words for step in steps if step.check == "identity")


def test_a_bare_assertion_is_judged_like_one_in_a_message(world: World) -> None:
    data = message(world.vihf(), world.card)
    bare = data[data.index(b"<saml2:Assertion") : data.index(b"</wsse:Security>")]
    for form in (bare, b'<?xml version="1.0" encoding="UTF-8"?>\n' + bare, b"\xef\xbb\xbf" + bare + b"\n"):
        assert failed(explain(world, form)) == {}


def test_without_a_client_the_binding_is_not_judged(world: World) -> None:
    steps = explain(world, message(world.vihf(), world.card), peer="")
    assert failed(steps) == {}
    assert [step.check for step in steps if step.outcome == "skipped"] == ["binding"]


def test_every_fault_is_told_and_not_the_first_one_only(world: World) -> None:
    draft = replace(world.vihf(), subject="899700000002", issue_instant="2019-01-01T00:00:00Z", issuer="CN=x")
    data = message(draft, world.look_alike, Form(signature=f"{DS}rsa-sha1"))
    assert failed(explain(world, re.sub(b"<ds:DigestValue>....", b"<ds:DigestValue>AAAA", data))) == {
        "shape": "signature-algorithm",
        "certificate": "certificate-unknown-authority",
        "signature": "signature-mismatch",
        "issuer": "issuer",
        "times": "too-old",
        "identity": "identity",
    }


def test_what_cannot_be_looked_at_is_skipped(world: World) -> None:
    steps = explain(world, message(world.vihf(), world.card, Form(key_info="<ds:KeyName/>")))
    assert failed(steps) == {"shape": "key-info"}
    assert [step.check for step in steps if step.outcome == "skipped"] == CHECKS[5:]


@pytest.mark.parametrize(
    ("data", "check", "reason"),
    [
        (b"not xml", "document", "xml"),
        (b"<x/>", "header", "no-assertion"),
        (b"<!DOCTYPE x><x/>", "document", "xml"),
        (b"<x>\xe9</x>", "document", "xml"),
    ],
)
def test_what_is_no_assertion(world: World, data: bytes, check: str, reason: str) -> None:
    assert failed(explain(world, data)) == {check: reason}


def test_a_certificate_that_cannot_be_read(world: World) -> None:
    info = "<ds:X509Data><ds:X509Certificate>AAAA</ds:X509Certificate></ds:X509Data>"
    steps = explain(world, message(world.vihf(), world.card, Form(key_info=info)))
    assert failed(steps) == {"certificate": "certificate-not-a-certificate"}
    assert {step.check for step in steps if step.outcome == "skipped"} == {"signature", "issuer", "identity", "lists"}
