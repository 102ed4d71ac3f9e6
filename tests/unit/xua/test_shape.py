"""Shapes that no attack of the catalogue has, and the small readers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree

from pki.errors import REASONS as CERTIFICATE_REASONS
from tests.assertion_world import World
from tests.assertions import Form, message
from xmlsafe import parse
from xmlsafe.namespaces import SAML2
from xua import signature
from xua.refusal import REASONS, AssertionRefused, certificate_reason, quote
from xua.shape import Shape, check_shape
from xua.times import read_time, to_datetime, write_time


def assertion_of(data: bytes) -> etree._Element:
    return next(parse(data).iter(f"{{{SAML2}}}Assertion"))


def test_the_reasons_of_the_certificate_checks_are_ours() -> None:
    assert {certificate_reason(word) for word in CERTIFICATE_REASONS} <= set(REASONS) - {"certificate"}
    assert certificate_reason("something new") == "certificate"


def test_a_shape_says_what_will_be_verified(world: World) -> None:
    shape = check_shape(assertion_of(message(world.vihf(), world.card)), legacy=False)
    assert (shape.id, shape.signature_method, shape.digest_method) == (world.vihf().id, "RSA_SHA256", "SHA256")
    assert len(shape.certificates) == 2


def test_a_signature_over_something_else(world: World) -> None:
    """Were the shape not checked, what the signature covers would still have to be the assertion."""
    data = message(world.vihf(), world.card)
    cut = etree.tostring(assertion_of(data), with_tail=False)
    shape = check_shape(parse(cut), legacy=False)
    for wrong in (replace(shape, id="_other"),):
        with pytest.raises(AssertionRefused) as refused:
            signature.verify_signature(cut, wrong, world.card.leaf, to_datetime(world.at))
        assert refused.value.reason == "signed-element"


def test_an_algorithm_that_is_not_the_one_of_the_shape(world: World) -> None:
    data = message(world.vihf(), world.card)
    cut = etree.tostring(assertion_of(data), with_tail=False)
    shape: Shape = replace(check_shape(parse(cut), legacy=False), signature_method="RSA_SHA384")
    with pytest.raises(AssertionRefused):
        signature.verify_signature(cut, shape, world.card.leaf, to_datetime(world.at))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("<saml2:NameID>", "<saml2:NameID><saml2:NameID>x</saml2:NameID>", "content"),
        ("<saml2:Subject>", "<saml2:Subject x='1'>", "content"),
        ("<saml2:Subject>", "<saml2:Subject>text", "content"),
        ("<saml2:AuthnStatement", "text<saml2:AuthnStatement", "content"),
        ("</saml2:AuthnContext>", "<saml2:AuthnContext/></saml2:AuthnContext>", "content"),
        ("<saml2:AttributeStatement>", "<saml2:AttributeStatement/><saml2:AttributeStatement>", "content"),
        ('Version="2.0"', 'Version="2.0" Extra="1"', "content"),
        ("<saml2:Issuer", "<saml2:Subject/><saml2:Issuer", "assertion-children"),
        ("<ds:SignedInfo>", '<ds:SignedInfo Id="x">', "content"),
        ("<ds:Transforms>", '<ds:Transforms x="1">', "content"),
        ("<ds:SignatureValue>", '<ds:SignatureValue Id="x">', "content"),
        ("<ds:X509Data>", '<ds:X509Data Id="x">', "content"),
        ("<ds:DigestValue>", "<ds:DigestValue><x/>", "content"),
        ("</ds:DigestValue>", "<x/></ds:DigestValue>", "content"),
        ("<ds:DigestValue>", "<ds:DigestValue>é", "encoding"),
        ("<ds:DigestValue>", "<ds:DigestValue>AAAA", "encoding"),
        ("<saml2:AuthnContextClassRef>", "<saml2:AuthnContextClassRef>" + "x" * 5000, "size"),
        ('Name="LPS_Nom"', 'Nome="LPS_Nom"', "content"),
    ],
)
def test_what_has_no_place(world: World, old: str, new: str, reason: str) -> None:
    text = message(world.vihf(), world.card).decode()
    assert old in text
    assert world.verdict(text.replace(old, new, 1).encode(), "card") == reason


@pytest.mark.parametrize("listed", ["xs  xsi", " xs", "xs ", "x:s", "1x", "x" * 1001])
def test_prefix_lists_that_are_none(world: World, listed: str) -> None:
    for form in (Form(transform_prefixes=listed), Form(c14n_prefixes=listed)):
        assert world.verdict(message(world.vihf(), world.card, form), "card") in ("transforms", "canonicalization")


def test_too_many_statements_and_names(world: World) -> None:
    statement = '<saml2:AttributeStatement><saml2:Attribute Name="x"/></saml2:AttributeStatement>'
    assert world.verdict(message(replace(world.vihf(), extra=statement * 9), world.card), "card") == "size"
    declared = "".join(f'<saml2:Attribute xmlns:n{n % 40}="urn:{n % 40}" Name="a{n}"/>' for n in range(300))
    draft = replace(world.vihf(), extra=f"<saml2:AttributeStatement>{declared}</saml2:AttributeStatement>")
    assert world.verdict(message(draft, world.card), "card") == "size"


def test_several_statements_of_attributes(world: World) -> None:
    text = world.vihf().text.replace(
        '<saml2:Attribute Name="LPS_Nom"',
        '</saml2:AttributeStatement><saml2:AttributeStatement><saml2:Attribute Name="LPS_Nom"',
    )
    assert world.verdict(message(text, world.card), "card") == "accepted"


@pytest.mark.parametrize(
    ("text", "micros"),
    [("1970-01-01T00:00:00Z", 0), ("1970-01-01T00:00:01.5Z", 1_500_000), ("1970-01-02T00:00:00.123456789Z", 86_400_123_456)],
)
def test_times(text: str, micros: int) -> None:
    assert read_time(text, "x") == micros
    assert read_time(write_time(micros), "x") == micros - micros % 1000


def test_what_is_quoted_in_a_log_is_cut_and_plain() -> None:
    assert quote("a\nb\x1b[31m\u202e") == '"a\\u000ab\\u001b[31m\\u202e"'
    assert len(quote("x" * 1000)) < 100
