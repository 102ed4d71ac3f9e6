"""Faults that tripped other products with assertions and signatures (class J of the field reports), each as a message."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.assertion_world import PERSON, World
from tests.assertions import (
    ENVELOPE,
    PURPOSE,
    RESOURCE_ID,
    SECOND,
    TIMESTAMP,
    Form,
    conditions,
    message,
    text_attribute,
    wrapped,
)
from xmlsafe.namespaces import DS
from xua.times import write_time

XS, XSI = "http://www.w3.org/2001/XMLSchema", "http://www.w3.org/2001/XMLSchema-instance"
NAMES_OUTSIDE = ENVELOPE.replace("<soap:Envelope ", f'<soap:Envelope xmlns:xs="{XS}" xmlns:xsi="{XSI}" xmlns:ds="{DS}" ')


def bare(world: World) -> str:
    """A VIHF that declares nothing but its own prefix: the others are the envelope's."""
    text = world.vihf().text.replace(f' xmlns:xsi="{XSI}"', "").replace(f' xmlns:xs="{XS}"', "")
    assert "xmlns:xs" not in text
    return text


def test_f90_prefixes_of_the_envelope_are_kept_when_the_assertion_is_cut_out(world: World) -> None:
    verified = world.verify(message(bare(world), world.card, envelope=NAMES_OUTSIDE), "card")
    assert verified.subject.id == PERSON


def test_f91_a_comment_never_cuts_a_name(world: World) -> None:
    data = message(replace(world.vihf(), subject=f"{PERSON}.x"), world.card)
    assert world.verdict(data, "card") == "name-id"
    commented = data.replace(f"{PERSON}.x".encode(), f"{PERSON}<!-- -->.x".encode())
    assert world.verdict(commented, "card") == "annotation"


@pytest.mark.parametrize(
    "written",
    ["urn:oasis:names:tc:SAML:2.0:nameid-format:persistent ", "urn:oasis:names:tc:SAML:2.1:nameid-format:persistent"],
)
def test_f92_a_format_is_compared_as_it_is_written(world: World, written: str) -> None:
    text = world.xua().text.replace("<saml2:NameID>", f'<saml2:NameID Format="{written}">')
    data = message(text, world.sts)
    assert world.verdict(data, "") == "name-id"
    with pytest.raises(Exception, match=re.escape(f'"{written}"')):
        world.verify(data, "")
    right = text.replace(written, "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent")
    assert world.verdict(message(right, world.sts), "") == "accepted"


def test_f93_a_signature_in_the_default_namespace(world: World) -> None:
    data = message(world.vihf(), world.card, Form(prefix=""))
    assert f'<Signature xmlns="{DS}">'.encode() in data
    assert world.verdict(data, "card") == "accepted"


def test_f94_an_expiry_that_is_missing_or_unreadable(world: World) -> None:
    whole = conditions(world.at, world.at + 600 * SECOND)
    no_end = re.sub(' NotOnOrAfter="[^"]*"', "", whole)
    assert world.verdict(message(replace(world.xua(), conditions=no_end), world.sts), "") == "no-conditions"
    bounded = message(
        replace(world.vihf(), conditions=no_end.replace(whole[whole.index("<saml2:Aud") :], "</saml2:Conditions>")),
        world.card,
    )
    assert world.verdict(bounded, "card") == "accepted"
    assert world.verdict_of(world.verifier(at=world.at + 3600 * SECOND), bounded, "card") == "too-old"
    for end in ("tomorrow", write_time(world.at + 600 * SECOND)[:-1]):
        unreadable = re.sub('NotOnOrAfter="[^"]*"', f'NotOnOrAfter="{end}"', whole)
        assert world.verdict(message(replace(world.xua(), conditions=unreadable), world.sts), "") == "time-format"


def test_f95_an_indented_signed_info(world: World) -> None:
    assert world.verdict(message(world.vihf(), world.card, Form(indent="\n    ")), "card") == "accepted"


def test_f96_windows_line_ends(world: World) -> None:
    data = message(replace(world.vihf(), between="&#13;\n"), world.card, Form(indent="&#13;\n"))
    assert world.verdict(data, "card") == "accepted"
    assert world.verdict(data.replace(b"&#13;", b""), "card") in ("digest-mismatch", "signature-mismatch")


def test_f97_a_purpose_without_code_system(world: World) -> None:
    value = '<saml2:AttributeValue><PurposeOfUse xmlns="urn:hl7-org:v3" code="normal"/></saml2:AttributeValue>'
    xml = f'<saml2:Attribute Name="{PURPOSE}">{value}</saml2:Attribute>'
    assert world.verdict(message(world.vihf().changed(PURPOSE, xml), world.card), "card") == "code-system"
    assert world.verdict(message(world.xua().changed(PURPOSE, xml), world.sts), "") == "code-system"


@pytest.mark.parametrize("listed", ["xs saml2 xsi", "ds saml2 #default xsi", "xs"])
def test_f98_a_prefix_list_of_prefixes_of_the_envelope(world: World, listed: str) -> None:
    data = message(bare(world), world.card, Form(transform_prefixes=listed), NAMES_OUTSIDE)
    assert world.verdict(data, "card") == "accepted"
    assert world.verdict(data.replace(b"xmlns:xs=", b"xmlns:xt="), "card") in ("accepted", "digest-mismatch")


def test_f98_what_a_prefix_list_covers_is_signed(world: World) -> None:
    data = message(bare(world), world.card, Form(transform_prefixes="xs saml2 xsi"), NAMES_OUTSIDE)
    assert world.verdict(data.replace(f'"{XS}"'.encode(), b'"urn:other"'), "card") == "digest-mismatch"


def test_f99_the_identifier_in_lower_case(world: World) -> None:
    draft = replace(world.vihf(), id_name="id", id="IDCard")
    assert world.verdict(message(draft, world.card), "card") == "assertion-id"


@pytest.mark.parametrize(
    "number", ["207000000000001", "207000000000001^^^", "^^^&amp;1.2.250.1.213.1.4.10&amp;ISO", "x^^^&amp;1.2&amp;DNS"]
)
def test_f100_a_bare_patient_number(world: World, number: str) -> None:
    for made in (
        message(world.vihf(**{RESOURCE_ID: number}), world.card),
        message(world.xua().changed(RESOURCE_ID, text_attribute(RESOURCE_ID, number)), world.sts),
    ):
        assert world.verdict(made, "card") == "resource-id"
        with pytest.raises(Exception, match="form of resource-id") as refused:
            world.verify(made, "card")
        assert number[:9] not in str(refused.value) or number.startswith("^")


def test_f101_the_prefix_of_signatures_on_the_envelope(world: World) -> None:
    data = message(bare(world), world.card, Form(declare=False), NAMES_OUTSIDE)
    assert data.count(f'"{DS}"'.encode()) == 1
    assert world.verdict(data, "card") == "accepted"


@pytest.mark.parametrize(("ahead", "verdict"), [(20, "accepted"), (90, "not-yet-valid")])
def test_f102_a_clock_that_is_ahead(world: World, ahead: int, verdict: str) -> None:
    told = conditions(world.at + ahead * SECOND, world.at + 600 * SECOND)
    assert world.verdict(message(replace(world.xua(), conditions=told), world.sts), "") == verdict


def test_f103_a_prefix_list_in_the_canonicalisation_of_signed_info(world: World) -> None:
    data = message(world.vihf(), world.card, Form(c14n_prefixes="soap"))
    assert b'PrefixList="soap"' in data
    assert world.verdict(data, "card") == "accepted"
    assert world.verdict(data.replace(b'PrefixList="soap"', b'PrefixList="wsse"'), "card") == "signature-mismatch"


def test_f104_carriage_returns_in_a_certificate(world: World) -> None:
    data = message(world.vihf(), world.card, Form(certificates=lambda text: wrapped(text, "&#13;\n")))
    assert b"&#13;" in data
    assert world.verdict(data, "card") == "accepted"


def test_f105_another_signature_is_never_taken_for_the_assertions(world: World) -> None:
    stamp = TIMESTAMP.format(created=write_time(world.at), expires=write_time(world.at + 60 * SECOND))
    data = message(world.vihf(), world.card).decode()
    signature = data[data.index("<ds:Signature") : data.index("</ds:Signature>") + len("</ds:Signature>")]
    signed = data.replace("<saml2:Assertion", stamp + signature + "<saml2:Assertion", 1)
    assert world.verdict(signed.encode(), "card") == "security-child"
    unsigned = data.replace(signature, "").replace("<saml2:Assertion", stamp + signature + "<saml2:Assertion", 1)
    assert world.verdict(unsigned.encode(), "card") == "security-child"
