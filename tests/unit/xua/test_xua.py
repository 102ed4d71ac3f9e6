"""The assertion of IHE XUA: what it says, who may say it, what a lab's settings accept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from access_control.subject import Coded
from tests.assertion_world import World
from tests.assertions import PURPOSE, ROLE, SECOND, Draft, Form, base64_of, coded_attribute, message, text_attribute
from xua.times import write_time

SNOMED = "2.16.840.1.113883.6.96"
HOLDER = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"
XSPA = "urn:oasis:names:tc:xspa:1.0:subject:"
LAB: dict[str, Any] = {
    "roles": (f"112247003^{SNOMED}",),
    "purposes": ("TREAT",),
    "authn_contexts": ("urn:oasis:names:tc:SAML:2.0:ac:classes:X509",),
}


def verdict(world: World, draft: Draft, peer: str = "", **settings: Any) -> str:
    return world.verdict(message(draft, world.sts), peer, **settings)


def test_what_an_assertion_says(world: World) -> None:
    draft = world.xua()
    for name, text in (
        (f"{XSPA}organization", "Clinic"),
        (f"{XSPA}organization-id", "urn:oid:1.2.3"),
        ("urn:ihe:iti:xca:2010:homeCommunityId", "urn:oid:1.2.4"),
        (f"{XSPA}npi", "1234567890"),
        ("urn:oasis:names:tc:xacml:2.0:resource:resource-id", "543797436^^^&amp;1.2.840.113619.6.197&amp;ISO"),
    ):
        draft = draft.changed(name, text_attribute(name, text))
    provider = "urn:ihe:iti:xua:2017:subject:provider-identifier"
    value = (
        '<saml2:AttributeValue><id xmlns="urn:hl7-org:v3" xsi:type="II" root="1.2.5" extension="7"/></saml2:AttributeValue>'
    )
    draft = draft.changed(provider, f'<saml2:Attribute Name="{provider}">{value}</saml2:Attribute>')
    verified = world.verify(message(draft, world.sts), "")
    subject = verified.subject
    assert (subject.id, subject.name, subject.issuer) == ("user@example.org", "A User", "urn:example:sts")
    assert subject.roles == (Coded("112247003", SNOMED),)
    assert subject.purpose == "TREAT^2.16.840.1.113883.1.11.20448"
    assert (subject.structure, subject.patient) == ("urn:oid:1.2.3", "543797436^^^&1.2.840.113619.6.197&ISO")
    assert (subject.proof_level, subject.mode) == ("sts", "")
    assert verified.issuer == "urn:example:sts"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("urn:ihe:iti:xca:2010:homeCommunityId", "not an oid"),
        ("urn:ihe:iti:xca:2010:homeCommunityId", "urn:oid:x"),
        (f"{XSPA}npi", "1 2"),
        (f"{XSPA}subject-id", "   "),
        (f"{XSPA}subject-id", "x" * 257),
    ],
)
def test_values_of_a_wrong_form(world: World, name: str, text: str) -> None:
    assert verdict(world, world.xua().changed(name, text_attribute(name, text))) == "attribute-value"


def test_an_identifier_without_root(world: World) -> None:
    name = "urn:ihe:iti:xua:2017:subject:provider-identifier"
    value = '<saml2:AttributeValue><id xmlns="urn:hl7-org:v3" extension="7"/></saml2:AttributeValue>'
    draft = world.xua().changed(name, f'<saml2:Attribute Name="{name}">{value}</saml2:Attribute>')
    assert verdict(world, draft) == "attribute-value"


def test_an_assertion_that_points_at_a_consent(world: World) -> None:
    draft = world.xua()
    for name, text in (("urn:ihe:iti:bppc:2007:docid", "urn:oid:1.2.3.4"), ("urn:ihe:iti:xua:2012:acp", "urn:oid:1.2.3.5")):
        draft = draft.changed(name, text_attribute(name, text))
    subject = world.verify(message(draft, world.sts), "", **LAB).subject
    assert subject.consents == ("urn:oid:1.2.3.4", "urn:oid:1.2.3.5")


def test_a_lab_accepts_one_role_purpose_and_context(world: World) -> None:
    assert verdict(world, world.xua(), **LAB) == "accepted"
    role = coded_attribute(ROLE, "Role", ("46255001", SNOMED))
    assert verdict(world, world.xua().changed(ROLE, role), **LAB) == "role-not-allowed"
    both = coded_attribute(ROLE, "Role", ("112247003", SNOMED), ("46255001", SNOMED))
    assert verdict(world, world.xua().changed(ROLE, both), **LAB) == "role-not-allowed"
    assert verdict(world, world.xua().changed(ROLE, both)) == "accepted"
    same_code = coded_attribute(ROLE, "Role", ("112247003", "1.2.3"))
    assert verdict(world, world.xua().changed(ROLE, same_code), **LAB) == "role-not-allowed"
    purpose = coded_attribute(PURPOSE, "PurposeOfUse", ("PUBLICHEALTH", "2.16.840.1.113883.1.11.20448"))
    assert verdict(world, world.xua().changed(PURPOSE, purpose), **LAB) == "purpose-not-allowed"
    context = "urn:oasis:names:tc:SAML:2.0:ac:classes:InternetProtocol"
    assert verdict(world, replace(world.xua(), context=context), **LAB) == "authn-context"


def test_methods_of_confirmation(world: World) -> None:
    for confirmation, expected in (
        ("", "accepted"),
        ('<saml2:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"/>', "subject-confirmation"),
        ('<saml2:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/>' * 2, "subject-confirmation"),
        (f'<saml2:SubjectConfirmation Method="{HOLDER}"/>', "subject-confirmation"),
    ):
        assert verdict(world, replace(world.xua(), confirmation=confirmation)) == expected


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ((-60, 60), "accepted"),
        ((-60, -1), "subject-confirmation"),
        ((90, 100), "subject-confirmation"),
    ],
)
def test_the_window_of_a_confirmation(world: World, window: tuple[int, int], expected: str) -> None:
    start, end = (write_time(world.at + seconds * SECOND) for seconds in window)
    data = f'<saml2:SubjectConfirmationData NotBefore="{start}" NotOnOrAfter="{end}"/>'
    method = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
    confirmation = f'<saml2:SubjectConfirmation Method="{method}">{data}</saml2:SubjectConfirmation>'
    assert verdict(world, replace(world.xua(), confirmation=confirmation)) == expected


def test_holder_of_key(world: World) -> None:
    def draft(certificate: str) -> Draft:
        info = (
            '<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>'
            f"{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
        )
        data = f"<saml2:SubjectConfirmationData>{info}</saml2:SubjectConfirmationData>"
        confirmation = f'<saml2:SubjectConfirmation Method="{HOLDER}">{data}</saml2:SubjectConfirmation>'
        return replace(world.xua(), confirmation=confirmation)

    tls_certificate = world.tls_certificate("card")
    assert verdict(world, draft(base64_of(tls_certificate)), "card") == "accepted"
    assert verdict(world, draft(base64_of(tls_certificate)), "other_card") == "binding"
    assert verdict(world, draft(base64_of(tls_certificate)), "") == "no-client-certificate"
    assert verdict(world, draft("????"), "card") == "subject-confirmation"


def test_the_issuer_where_it_is_the_name_of_a_certificate(world: World) -> None:
    x509 = ' Format="urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"'
    assert verdict(world, replace(world.xua(), issuer_format=x509)) == "issuer"
    assert verdict(world, replace(world.xua(), issuer_format=x509, issuer=world.sts.name)) == "accepted"
    assert verdict(world, replace(world.xua(), issuer="")) == "issuer"
    assert verdict(world, replace(world.xua(), issuer_format=' Format="urn:x"')) == "issuer"


def test_other_accepted_algorithms(world: World) -> None:
    form = Form(
        signature="http://www.w3.org/2001/04/xmldsig-more#rsa-sha384", digest="http://www.w3.org/2001/04/xmldsig-more#sha384"
    )
    assert world.verdict(message(world.xua(), world.sts, form), "") == "accepted"


@pytest.mark.parametrize("curve", ["p256", "p384"])
def test_elliptic_curves(world: World, curve: str) -> None:
    signer = world.elliptic_sts(curve)
    for bits in ("256", "384"):
        form = Form(signature=f"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha{bits}")
        assert world.verdict(message(world.xua(), signer, form), "") == "accepted"


@pytest.mark.parametrize("name", [" user", "user ", "us\u200ber", "", "x" * 257])
def test_a_name_that_is_none(world: World, name: str) -> None:
    assert verdict(world, replace(world.xua(), subject=name)) == "name-id"
