"""The attacks on signatures and assertions (class B) as data: a message, the server's settings, and the reason expected.

`python -O -m tests.attacks.assertion_cases FOLDER` prints the verdict of each case as JSON: with optimisation on, no check
may vanish. It uses no assert statement.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.assertion_world import OTHER_PERSON, PERSON, World, make_world
from tests.assertions import (
    AUDIENCE,
    DEFAULT_FORM,
    ENVELOPE,
    PATIENT,
    PURPOSE,
    PURPOSE_SYSTEM,
    RESOURCE_ID,
    ROLE,
    SECOND,
    SUBJECT_ID,
    TIMESTAMP,
    Draft,
    Form,
    Signer,
    base64_of,
    coded_attribute,
    conditions,
    message,
    text_attribute,
)
from xmlsafe.namespaces import DS, SAML2, SOAP12
from xua.times import write_time

RSA_SHA = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha"
ACCEPTED = "accepted"


@dataclass(frozen=True)
class Case:
    """`row` of the catalogue and a few words; `build` gives the message; `peer` names the client of the world.

    `expected` is a reason, or two with " or " between them where libraries differ.
    """

    row: str
    words: str
    expected: str
    build: Callable[[World], bytes]
    peer: str = "card"
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.row} {self.words}"

    def allows(self, verdict: str) -> bool:
        return verdict in self.expected.split(" or ")


# --- pieces ---------------------------------------------------------------------------------------------------------------


def genuine(world: World, form: Form = DEFAULT_FORM, **changes: Any) -> bytes:
    return message(replace(world.vihf(), **changes), world.card, form)


def xua(world: World, form: Form = DEFAULT_FORM, **changes: Any) -> bytes:
    return message(replace(world.xua(), **changes), world.sts, form)


def assertion_in(data: bytes) -> str:
    text = data.decode()
    return text[text.index("<saml2:Assertion") : text.index("</saml2:Assertion>") + len("</saml2:Assertion>")]


def signature_in(assertion: str) -> str:
    return assertion[assertion.index("<ds:Signature") : assertion.index("</ds:Signature>") + len("</ds:Signature>")]


def in_envelope(*assertions: str) -> bytes:
    return ENVELOPE.replace("{assertion}", "".join(assertions)).encode()


def forged(assertion: str, *, same_id: bool = False) -> str:
    """The same assertion for another person, without signature."""
    plain = assertion.replace(signature_in(assertion), "")
    text = plain.replace(f"<saml2:NameID>{PERSON}", f"<saml2:NameID>{OTHER_PERSON}")
    return text if same_id else re.sub(' ID="[^"]*"', ' ID="_evil"', text)


def with_signature(assertion: str, signature: str) -> str:
    return assertion.replace("</saml2:Issuer>", "</saml2:Issuer>" + signature, 1)


def wrapping(build: Callable[[str, str, str], tuple[str, ...]], *, same_id: bool = False) -> Callable[[World], bytes]:
    """From the genuine assertion, its signature and a forged one to the header's content."""

    def made(world: World) -> bytes:
        original = assertion_in(genuine(world))
        return in_envelope(*build(original, signature_in(original), forged(original, same_id=same_id)))

    return made


def changed(old: str, new: str, count: int = 1) -> Callable[[World], bytes]:
    """The genuine message with a text changed after signing."""

    def made(world: World) -> bytes:
        text = genuine(world).decode()
        if old not in text:
            raise ValueError(f"{old} does not occur")
        return text.replace(old, new, count).encode()

    return made


def pattern(old: str, new: str) -> Callable[[World], bytes]:
    """The genuine message with the first match of a pattern replaced after signing."""

    def made(world: World) -> bytes:
        text, number = re.subn(old, lambda _match: new, genuine(world).decode(), count=1, flags=re.DOTALL)
        if not number:
            raise ValueError(f"{old} does not occur")
        return text.encode()

    return made


def draft(**changes: Any) -> Callable[[World], bytes]:
    """A VIHF signed in another state."""
    return lambda world: genuine(world, **changes)


def attribute(name: str, xml: str | None) -> Callable[[World], bytes]:
    """A VIHF signed with another attribute."""
    return lambda world: message(world.vihf().changed(name, xml), world.card)


def xua_attribute(name: str, xml: str | None) -> Callable[[World], bytes]:
    return lambda world: message(world.xua().changed(name, xml), world.sts)


def form(**changes: Any) -> Callable[[World], bytes]:
    """The genuine VIHF with another form of signature."""
    return lambda world: genuine(world, replace(DEFAULT_FORM, **changes))


def signed_by(pick: Callable[[World], Signer], **changes: Any) -> Callable[[World], bytes]:
    """A VIHF that names its signer as issuer."""

    def made(world: World) -> bytes:
        signer = pick(world)
        return message(replace(world.vihf(), issuer=signer.name, **changes), signer)

    return made


def timed(start: int, end: int, **changes: Any) -> Callable[[World], bytes]:
    """An XUA assertion with these conditions, in seconds from now."""
    return lambda world: xua(world, conditions=conditions(world.at + start * SECOND, world.at + end * SECOND), **changes)


def condition_times(start: str, end: str) -> Callable[[World], bytes]:
    def made(world: World) -> bytes:
        whole = conditions(world.at, world.at + 600 * SECOND)
        whole = re.sub('NotBefore="[^"]*"', f'NotBefore="{start}"' if start else "", whole)
        return xua(world, conditions=re.sub('NotOnOrAfter="[^"]*"', f'NotOnOrAfter="{end}"' if end else "", whole))

    return made


def instants(seconds: float, **changes: Any) -> Callable[[World], bytes]:
    """A VIHF issued at another time, in seconds from now."""
    return lambda world: genuine(world, at=world.at + int(seconds * SECOND), **changes)


def audiences(*names: str) -> Callable[[World], bytes]:
    def made(world: World) -> bytes:
        return xua(world, conditions=conditions(world.at, world.at + 600 * SECOND, *names))

    return made


def key_info(build: Callable[[World], str]) -> Callable[[World], bytes]:
    return lambda world: genuine(world, Form(key_info=build(world)))


def fixed_key_info(xml: str) -> Callable[[World], bytes]:
    return key_info(lambda _world: xml)


def data_of(*certificates: str) -> str:
    inner = "".join(f"<ds:X509Certificate>{one}</ds:X509Certificate>" for one in certificates)
    return f"<ds:X509Data>{inner}</ds:X509Data>"


def own(world: World) -> str:
    return base64_of(world.card.leaf)


def victim(world: World) -> str:
    return base64_of(world.other_card.leaf)


def transforms(*algorithms: str) -> str:
    return "".join(f'<ds:Transform Algorithm="{one}"/>' for one in algorithms)


ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
AUTHN = "urn:oasis:names:tc:SAML:2.0:ac:classes:"


def coded(name: str, element: str, *codes: tuple[str, str]) -> str:
    return coded_attribute(name, element, *codes)


# --- the rows -------------------------------------------------------------------------------------------------------------


def wrapping_cases() -> Iterator[Case]:
    def case(row: str, words: str, expected: str, build: Callable[[str, str, str], tuple[str, ...]]) -> Iterator[Case]:
        yield Case(row, words, expected, wrapping(build))
        yield Case(row, words + ", same ID", expected, wrapping(build, same_id=True))

    def inside(outer: str, inner: str) -> str:
        return outer.replace("</saml2:Assertion>", inner + "</saml2:Assertion>")

    def plain(original: str, signature: str) -> str:
        return original.replace(signature, "")

    yield from case(
        "B1",
        "evil carries the signature and the original",
        "assertions",
        lambda o, s, e: (inside(with_signature(e, s), plain(o, s)),),
    )
    yield from case("B2", "original detached before", "assertions", lambda o, s, e: (plain(o, s), with_signature(e, s)))
    yield from case("B3", "evil sibling first", "assertions", lambda o, s, e: (e, o))
    yield from case("B4", "evil parent", "assertions", lambda o, s, e: (inside(e, o),))
    yield from case("B5", "original appended", "assertions", lambda o, s, e: (with_signature(e, s), plain(o, s)))
    yield from case(
        "B6",
        "original inside the signature",
        "assertions",
        lambda o, s, e: (with_signature(e, s.replace("</ds:Signature>", plain(o, s) + "</ds:Signature>")),),
    )
    yield from case("B7", "original in a wrapper", "security-child", lambda o, s, e: (f"<x>{o}</x>", with_signature(e, s)))
    yield from case(
        "B8",
        "original in ds:Object",
        "assertions",
        lambda o, s, e: (
            with_signature(e, s.replace("</ds:Signature>", f"<ds:Object>{plain(o, s)}</ds:Object></ds:Signature>")),
        ),
    )
    yield Case("B8", "an empty ds:Object", "signature-children", changed("</ds:Signature>", "<ds:Object/></ds:Signature>"))
    security = f'<wsse:Security soap:role="{SOAP12}/role/next">'
    for words, place in (("before", "<soap:Header>"), ("after", "</wsse:Security>")):
        yield Case(
            "B9",
            f"a second header for another role {words}",
            "security-headers",
            changed(place, f"{place}{security}<x/></wsse:Security>"),
        )
    yield Case("B10", "genuine in the body, forged in the header", "assertions", _moved_to_body)
    yield Case("B10", "genuine in the body only", "no-assertion", _only_in_body)
    yield Case(
        "B11",
        "the ID on another element of the header",
        "duplicate-id",
        lambda w: genuine(w).replace(b"<soap:Body/>", f'<soap:Body><x ID="{w.vihf().id}"/></soap:Body>'.encode()),
    )
    yield Case(
        "B11",
        "the ID as wsu:Id",
        "duplicate-id",
        lambda w: genuine(w).replace(b"<soap:Body/>", f'<soap:Body xmlns:u="urn:u" u:Id="{w.vihf().id}"/>'.encode()),
    )
    yield Case(
        "B11",
        "the ID hidden in references",
        "duplicate-id",
        lambda w: genuine(w).replace(
            b"<soap:Body/>", f'<soap:Body><x ID="&#{ord(w.vihf().id[0])};{w.vihf().id[1:]}"/></soap:Body>'.encode()
        ),
    )
    yield Case("B11", "an ID inside the assertion", "content", changed("<saml2:NameID>", '<saml2:NameID ID="x">'))


def _moved_to_body(world: World) -> bytes:
    original = assertion_in(genuine(world))
    evil = with_signature(forged(original), signature_in(original))
    return in_envelope(evil).replace(b"<soap:Body/>", f"<soap:Body>{original}</soap:Body>".encode())


def _only_in_body(world: World) -> bytes:
    return in_envelope().replace(b"<soap:Body/>", f"<soap:Body>{assertion_in(genuine(world))}</soap:Body>".encode())


def signature_cases() -> Iterator[Case]:
    yield Case("B12", "no signature", "unsigned", pattern("<ds:Signature.*</ds:Signature>", ""))
    yield Case("B12", "empty SignatureValue", "encoding", pattern("<ds:SignatureValue>[^<]*", "<ds:SignatureValue>"))
    yield Case("B12", "empty DigestValue", "encoding", pattern("<ds:DigestValue>[^<]*", "<ds:DigestValue>"))
    yield Case("B12", "another SignatureValue", "signature-mismatch", _other_value)
    yield Case(
        "B12",
        "an empty signature",
        "signature-children",
        pattern("<ds:Signature[^>]*>.*</ds:Signature>", f'<ds:Signature xmlns:ds="{DS}"/>'),
    )
    yield Case(
        "B12",
        "changed after signing",
        "digest-mismatch",
        changed(f"<saml2:NameID>{PERSON}", f"<saml2:NameID>{OTHER_PERSON}"),
    )
    yield Case(
        "B12", "an attribute changed after signing", "digest-mismatch", changed('code="normal"', 'code="bris_de_glace"')
    )
    for words, old, new in (
        ("comment in NameID", f"<saml2:NameID>{PERSON[:5]}", f"<saml2:NameID>{PERSON[:5]}<!-- x -->"),
        ("comment in a value", ">DIRECTE<", ">DIRECTE<!----><"),
        ("comment in SignedInfo", "<ds:SignedInfo>", "<ds:SignedInfo><!-- x -->"),
        ("comment in DigestValue", "<ds:DigestValue>", "<ds:DigestValue><!-- x -->"),
        ("instruction in NameID", f"<saml2:NameID>{PERSON[:5]}", f"<saml2:NameID>{PERSON[:5]}<?x y?>"),
        ("instruction before the assertion", "<saml2:Assertion", "<?x y?><saml2:Assertion"),
    ):
        yield Case("B13", words, "annotation", changed(old, new))
    yield Case("B13", "comment signed with comments", "canonicalization", form(c14n=EXCLUSIVE + "WithComments"))
    yield Case(
        "B13", "CDATA says the same", ACCEPTED, changed(f"<saml2:NameID>{PERSON}", f"<saml2:NameID><![CDATA[{PERSON}]]>")
    )
    yield Case(
        "B13", "a comment outside wsse:Security", ACCEPTED, changed("<soap:Body/>", "<soap:Body><!-- x --></soap:Body>")
    )
    yield Case("B14", "a self-signed look-alike", "certificate-unknown-authority", signed_by(lambda w: w.look_alike))
    yield Case(
        "B15",
        "the victim's certificate last",
        "identity",
        _victim_named(lambda w: data_of(own(w), victim(w), base64_of(w.issuing.certificate))),
    )
    yield Case(
        "B15",
        "the victim's certificate first",
        "signature-mismatch",
        _victim_named(lambda w: data_of(victim(w), own(w), base64_of(w.issuing.certificate))),
    )
    yield Case("B15", "a second X509Data", "key-info", key_info(lambda w: data_of(own(w)) + data_of(victim(w))))
    yield Case("B15", "a KeyName", "key-info", key_info(lambda w: "<ds:KeyName>x</ds:KeyName>" + data_of(own(w))))
    yield Case(
        "B15",
        "an X509SubjectName",
        "key-info",
        key_info(
            lambda w: data_of(own(w)).replace(
                "</ds:X509Data>", "<ds:X509SubjectName>CN=x</ds:X509SubjectName></ds:X509Data>"
            )
        ),
    )
    for words, inner in (
        ("KeyValue", "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus></ds:RSAKeyValue></ds:KeyValue>"),
        ("RetrievalMethod", '<ds:RetrievalMethod URI="http://127.0.0.1:9/key"/>'),
        ("X509IssuerSerial", "<ds:X509Data><ds:X509IssuerSerial/></ds:X509Data>"),
        (
            "DEREncodedKeyValue",
            '<d:DEREncodedKeyValue xmlns:d="http://www.w3.org/2009/xmldsig11#">AQAB</d:DEREncodedKeyValue>',
        ),
        ("SecurityTokenReference", "<wsse:SecurityTokenReference/>"),
        ("nothing", " "),
        ("X509Data without certificate", "<ds:X509Data/>"),
    ):
        yield Case("B16", words, "key-info", fixed_key_info(inner))
    yield Case(
        "B16",
        "HMAC with the public key",
        "signature-algorithm",
        pattern(
            '<ds:SignatureMethod Algorithm="[^"]*"',
            '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"',
        ),
    )
    yield Case("B17", "rsa-sha1", "signature-algorithm", form(signature=f"{DS}rsa-sha1"))
    yield Case("B17", "SHA-1 digest", "digest-algorithm", form(digest=f"{DS}sha1"))
    yield Case("B17", "rsa-sha512", "signature-algorithm", form(signature=f"{RSA_SHA}512"))
    for words, uri in (
        ("md5", "http://www.w3.org/2001/04/xmldsig-more#rsa-md5"),
        ("dsa", f"{DS}dsa-sha1"),
        ("hmac", f"{DS}hmac-sha1"),
        ("PSS", "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"),
        ("none", ""),
    ):
        yield Case(
            "B17",
            words,
            "signature-algorithm",
            pattern('<ds:SignatureMethod Algorithm="[^"]*"', f'<ds:SignatureMethod Algorithm="{uri}"'),
        )
    yield Case(
        "B17",
        "the name of another algorithm",
        "signature-mismatch",
        pattern('<ds:SignatureMethod Algorithm="[^"]*"', f'<ds:SignatureMethod Algorithm="{RSA_SHA}384"'),
    )
    yield Case(
        "B17",
        "an elliptic algorithm for an RSA key",
        "signature",
        pattern(
            '<ds:SignatureMethod Algorithm="[^"]*"',
            '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"',
        ),
    )


def _other_value(world: World) -> bytes:
    text = genuine(world).decode()
    value = re.search("<ds:SignatureValue>([^<]*)", text)
    if value is None:
        raise ValueError("no SignatureValue")
    return text.replace(
        value[1], value[1][4:] + value[1][:4] if not value[1].endswith("=") else "AAAA" + value[1][4:]
    ).encode()


def _victim_named(build: Callable[[World], str]) -> Callable[[World], bytes]:
    """Signed with our own card, in the victim's name, the victim's certificate beside ours."""
    return lambda world: genuine(world, Form(key_info=build(world)), subject=OTHER_PERSON)


def shape_cases() -> Iterator[Case]:
    yield Case("B32", "canonicalisation bomb", "canonicalization", _bomb)
    yield Case("B32", "inclusive C14N of SignedInfo", "canonicalization", form(c14n=INCLUSIVE))
    yield Case("B33", "five certificates", "key-info", key_info(lambda w: data_of(*[own(w)] * 5)))
    yield Case("B33", "a flood of certificates", "size", key_info(lambda w: data_of(*[own(w)] * 2000)))
    yield Case("B33", "one large certificate", "size", key_info(lambda w: data_of(own(w), "A" * 20_000)))
    again = '<ds:Reference URI="#x"><ds:Transforms/><ds:DigestMethod Algorithm="x"/><ds:DigestValue/></ds:Reference>'
    yield Case("B34", "two references", "references", form(after_references=again))
    yield Case("B34", "a flood of references", "size", form(after_references=again * 1000))
    for words, listed in (
        ("XSLT", (ENVELOPED, "http://www.w3.org/TR/1999/REC-xslt-19991116")),
        ("XPath", (ENVELOPED, "http://www.w3.org/TR/1999/REC-xpath-19991116")),
        ("XPath filter 2", (ENVELOPED, "http://www.w3.org/2002/06/xmldsig-filter2")),
        ("base64", (ENVELOPED, f"{DS}base64")),
        ("enveloped twice", (ENVELOPED, ENVELOPED)),
        ("enveloped alone", (ENVELOPED,)),
        ("C14N alone", (EXCLUSIVE,)),
        ("other order", (EXCLUSIVE, ENVELOPED)),
        ("inclusive", (ENVELOPED, INCLUSIVE)),
        ("with comments", (ENVELOPED, EXCLUSIVE + "WithComments")),
        ("a third one", (ENVELOPED, EXCLUSIVE, EXCLUSIVE)),
    ):
        yield Case("B35", words, "transforms", form(transforms=transforms(*listed)))
    yield Case("B35", "none", "transforms", pattern("<ds:Transforms>.*</ds:Transforms>", ""))
    yield Case("B35", "an empty list", "transforms", pattern("<ds:Transforms>.*</ds:Transforms>", "<ds:Transforms/>"))
    yield Case(
        "B35", "10 000 prefixes", "transforms", form(transform_prefixes=" ".join(f"p{n}" for n in range(10_000))[:50_000])
    )
    for words, uri in (
        ("empty", '""'),
        ("external", '"http://127.0.0.1:9/x"'),
        ("cid", '"cid:x@example.org"'),
        ("other ID", '"#_other"'),
        ("xpointer", '"#xpointer(/)"'),
        ("percent-encoded", '"#%5F5f1e8c3a-1111-4222-8333-9c0ffee00001"'),
        ("without #", '"_5f1e8c3a-1111-4222-8333-9c0ffee00001"'),
    ):
        yield Case("B36", words, "reference", pattern('URI="[^"]*"', f"URI={uri}"))
    yield Case("B36", "absent", "reference", pattern(' URI="[^"]*"', ""))
    yield Case("B36", "a Type", "content", pattern("<ds:Reference ", '<ds:Reference Type="x" '))
    yield Case("B37", "a relative namespace", "signature", _void)
    yield Case(
        "B38",
        "an encrypted assertion",
        "encrypted",
        pattern("<saml2:Assertion.*</saml2:Assertion>", f'<saml2:EncryptedAssertion xmlns:saml2="{SAML2}"/>'),
    )
    yield Case(
        "B38",
        "SAML 1.1",
        "saml-version",
        pattern("<saml2:Assertion.*</saml2:Assertion>", '<a:Assertion xmlns:a="urn:oasis:names:tc:SAML:1.0:assertion"/>'),
    )
    yield Case("B38", "version 1.1", "saml-version", draft(version="1.1"))
    yield Case("B38", "two assertions", "assertions", lambda w: in_envelope(*[assertion_in(genuine(w))] * 2))
    yield Case(
        "B38",
        "advice with an assertion",
        "assertions",
        lambda w: genuine(w, conditions=f"<saml2:Advice>{assertion_in(genuine(w))}</saml2:Advice>"),
    )
    yield Case("B38", "empty advice", "assertion-children", draft(conditions="<saml2:Advice/>"))
    yield Case(
        "B38",
        "a signed message, an unsigned assertion",
        "security-child",
        lambda w: in_envelope(signature_in(assertion_in(genuine(w))), forged(assertion_in(genuine(w)))),
    )
    yield Case("B38", "an encrypted name", "encrypted", pattern("<saml2:NameID>.*</saml2:NameID>", "<saml2:EncryptedID/>"))
    yield Case("B38", "an authorisation decision", "assertion-children", draft(extra="<saml2:AuthzDecisionStatement/>"))
    yield Case("B38", "no assertion", "no-assertion", lambda _w: in_envelope())
    yield Case("B38", "too many elements", "size", _many)


def _bomb(_world: World) -> bytes:
    """Finding 1 of the research, as far as the parser lets it through: 60 prefixes, 500 references, inclusive C14N."""
    prefixes = " ".join(f'xmlns:p{n}="urn:p{n}"' for n in range(50))
    references = '<ds:Reference URI="#_a"><ds:DigestValue/></ds:Reference>' * 500
    return in_envelope(
        f'<saml2:Assertion xmlns:saml2="{SAML2}" {prefixes} ID="_a" Version="2.0" IssueInstant="2020-01-01T00:00:00Z">'
        f'<saml2:Issuer/><ds:Signature xmlns:ds="{DS}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{INCLUSIVE}"/>'
        f'<ds:SignatureMethod Algorithm="x"/><ds:Reference/></ds:SignedInfo><ds:SignatureValue/>'
        f"<ds:KeyInfo>{references}</ds:KeyInfo></ds:Signature><saml2:Subject/></saml2:Assertion>"
    )


def _void(world: World) -> bytes:
    """A relative namespace name: canonicalisation fails, its result must not be taken for the empty text."""
    empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    text = genuine(world).decode()
    text = text.replace("<saml2:Assertion ", '<saml2:Assertion xmlns:e="1" ')
    return re.sub("<ds:DigestValue>[^<]*", f"<ds:DigestValue>{empty}", text).encode()


def _many(world: World) -> bytes:
    draft_ = world.vihf()
    for number in range(10_000):
        draft_ = replace(draft_, attributes=draft_.attributes | {f"a{number}": f'<saml2:Attribute Name="a{number}"/>'})
    return message(draft_, world.card)


def certificate_cases() -> Iterator[Case]:
    for row, words, expected, pick in (
        ("B18", "RSA-1024", "certificate-key-size", lambda w: w.odd("rsa-1024")),
        ("B18", "P-192 or another curve", "certificate-key-type", lambda w: w.odd("secp521r1")),
        ("B19", "expired", "certificate-expired", lambda w: w.odd("expired")),
        ("B19", "not valid yet", "certificate-not-yet-valid", lambda w: w.odd("future")),
        ("B19", "unknown authority", "certificate-unknown-authority", lambda w: w.look_alike),
        ("B19", "an intermediate is missing", "certificate-unknown-authority", lambda w: w.without_chain),
        ("B19", "an authority as leaf", "certificate-authority-as-leaf", lambda w: w.odd("authority")),
        ("B19", "serverAuth only", "certificate-extended-key-usage", lambda w: w.odd("server-auth")),
        ("B19", "without digitalSignature", "certificate-key-usage", lambda w: w.odd("key-encipherment")),
        ("B19", "unknown critical extension", "certificate-critical-extension", lambda w: w.odd("critical")),
        ("B19", "signed with SHA-1", "certificate-signature-hash or certificate-unknown-authority", lambda w: w.odd("sha1")),
        ("B21", "the TLS pair of a card signs", "certificate-key-usage", lambda w: w.card_tls_signer),
        ("B21", "another policy", "certificate-policy", lambda w: w.odd("policy")),
        ("B22", "revoked", "certificate-revoked", lambda w: w.revoked),
    ):  # fmt: skip
        yield Case(row, words, expected, signed_by(pick))
    yield Case("B21", "a structure signs as a person", "certificate-kind", signed_by(lambda w: w.structure))
    yield Case("B21", "a card signs as an identity provider", "certificate-policy", lambda w: message(w.xua(), w.card))
    yield Case("B21", "an identity provider signs as a card", "certificate-policy", signed_by(lambda w: w.sts))
    yield Case("B25", "issuer is another name", "issuer", lambda w: genuine(w, issuer=w.other_card.name))
    yield Case("B25", "NameID of another person", "identity", draft(subject=OTHER_PERSON))
    yield Case(
        "B25",
        "the structure of others",
        "identity",
        lambda w: message(w.indirect(Identifiant_Structure="10B0999999"), w.structure),
        peer="structure",
    )
    yield Case("B25", "the client is another card", "binding", genuine, peer="other_card")
    yield Case("B25", "the client is a structure", "binding", genuine, peer="structure")
    yield Case("B25", "no client certificate", "no-client-certificate", genuine, peer="")


def time_cases() -> Iterator[Case]:
    yield Case("B23", "valid", ACCEPTED, timed(-60, 600), peer="")
    yield Case("B23", "expired by 1 s", "expired", timed(-600, -1), peer="")
    yield Case("B23", "not before in 10 minutes", "not-yet-valid", timed(600, 1200), peer="")
    yield Case("B23", "not before in 90 s", "not-yet-valid", timed(90, 600), peer="")
    yield Case("B23", "not before in 20 s", ACCEPTED, timed(20, 600), peer="")
    yield Case("B23", "valid for 10 years", "validity", timed(0, 315_360_000), peer="")
    yield Case("B23", "no conditions", "no-conditions", lambda w: xua(w, conditions=""), peer="")
    yield Case("B23", "ends before it begins", "validity", timed(30, 10), peer="")
    yield Case("B23", "no end", "no-conditions", lambda w: condition_times(write_time(w.at), "")(w), peer="")
    for end in (
        "tomorrow", "", "2030-01-01T00:00:00", "2030-01-01T00:00:00+01:00", "2030-01-01T00:00:60Z", "2030-02-30T00:00:00Z",
        "2030-01-01T24:00:00Z", "12030-01-01T00:00:00Z", "-0001-01-01T00:00:00Z", "2030-01-01", " 2030-01-01T00:00:00Z",
        "2030-01-01T00:00:00.1234567890Z", "２０30-01-01T00:00:00Z", "0000-01-01T00:00:00Z",
    ):  # fmt: skip
        if end:
            yield Case("B23", f"time {end}", "time-format", condition_times("2020-01-01T00:00:00Z", end), peer="")
    yield Case(
        "B23", "year 9999", "validity", condition_times("2020-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"), peer=""
    )
    yield Case(
        "B23",
        "fractional seconds",
        ACCEPTED,
        lambda w: condition_times(write_time(w.at), write_time(w.at + 60 * SECOND)[:-1] + "123456Z")(w),
        peer="",
    )
    yield Case(
        "B23",
        "authentication in the future",
        "authn-statement",
        lambda w: xua(w, authn_instant=write_time(w.at + 120 * SECOND)),
        peer="",
    )
    yield Case("B23", "issued in the future", "issued-in-future", instants(120))
    yield Case("B23", "issued within the skew", ACCEPTED, instants(30))
    yield Case("B23", "issued too long ago", "too-old", instants(-3601))
    yield Case("B23", "issued 59 minutes ago, no conditions", ACCEPTED, instants(-3540))
    yield Case("B23", "unreadable IssueInstant", "time-format", draft(issue_instant="now"))
    yield Case("B23", "two statements of authentication", "authn-statement", _two_statements, peer="")
    yield Case("B23", "no statement of authentication", "authn-statement", _no_statement, peer="")
    yield Case("B23", "the session has ended", "authn-statement", _ended_session, peer="")
    yield Case("B24", "right", ACCEPTED, audiences(AUDIENCE), peer="")
    yield Case("B24", "other", "audience", audiences("https://other.example.org/"), peer="")
    yield Case("B24", "two", "audience", audiences(AUDIENCE, "https://other.example.org/"), peer="")
    yield Case(
        "B24",
        "two in one restriction",
        "audience",
        audiences(f"{AUDIENCE}</saml2:Audience><saml2:Audience>https://other.example.org/"),
        peer="",
    )
    yield Case("B24", "case", "audience", audiences(AUDIENCE.upper()), peer="")
    yield Case("B24", "trailing slash", "audience", audiences(AUDIENCE.rstrip("/")), peer="")
    yield Case("B24", "blank", "audience", audiences(AUDIENCE + " "), peer="")
    yield Case(
        "B24",
        "absent",
        "no-conditions",
        lambda w: xua(
            w,
            conditions=re.sub(
                "<saml2:AudienceRestriction>.*</saml2:AudienceRestriction>", "", conditions(w.at, w.at + 600 * SECOND)
            ),
        ),
        peer="",
    )
    yield Case(
        "B24",
        "a VIHF for another server",
        "audience",
        lambda w: genuine(w, conditions=conditions(w.at, w.at + 600 * SECOND, "https://other.example.org/")),
    )


def _two_statements(world: World) -> bytes:
    text = world.xua().text
    found = re.search("<saml2:AuthnStatement.*</saml2:AuthnStatement>", text)
    return message(text.replace(found[0], found[0] * 2) if found else text, world.sts)


def _no_statement(world: World) -> bytes:
    return message(re.sub("<saml2:AuthnStatement.*</saml2:AuthnStatement>", "", world.xua().text), world.sts)


def _ended_session(world: World) -> bytes:
    ended = f'<saml2:AuthnStatement SessionNotOnOrAfter="{write_time(world.at - SECOND)}" '
    return message(world.xua().text.replace("<saml2:AuthnStatement ", ended), world.sts)


def attribute_cases() -> Iterator[Case]:
    role = ("112247003", "2.16.840.1.113883.6.96")
    named = {"roles": (f"{role[0]}^{role[1]}",), "purposes": ("TREAT",)}
    yield Case("B26", "the role that is named", ACCEPTED, xua, peer="", settings=named)
    yield Case(
        "B26",
        "two roles",
        "role-not-allowed",
        xua_attribute(ROLE, coded(ROLE, "Role", role, ("46255001", role[1]))),
        peer="",
        settings=named,
    )
    yield Case(
        "B26",
        "another role",
        "role-not-allowed",
        xua_attribute(ROLE, coded(ROLE, "Role", ("46255001", role[1]))),
        peer="",
        settings=named,
    )
    yield Case("B26", "role absent", "role-not-allowed", xua_attribute(ROLE, None), peer="", settings=named)
    yield Case("B26", "purpose absent", "purpose-not-allowed", xua_attribute(PURPOSE, None), peer="", settings=named)
    yield Case(
        "B26",
        "two purposes",
        "attribute-repeated",
        xua_attribute(PURPOSE, coded(PURPOSE, "PurposeOfUse", ("TREAT", "1.2.3"), ("ETREAT", "1.2.3"))),
        peer="",
    )
    yield Case(
        "B26", "the role twice", "attribute-repeated", attribute("again", coded(ROLE, "Role", ("40", "1.2.250.1.71.1.2.7")))
    )
    yield Case(
        "B26",
        "the purpose twice",
        "attribute-repeated",
        attribute("again", coded(PURPOSE, "PurposeOfUse", ("bris_de_glace", PURPOSE_SYSTEM))),
    )
    yield Case(
        "B26",
        "both spellings of the mode",
        "attribute-repeated",
        attribute("again", text_attribute("Authentification_Mode", "INDIRECTE_RENFORCEE")),
    )
    yield Case(
        "B26",
        "three roles",
        "attribute-repeated",
        attribute(
            ROLE,
            coded(
                ROLE, "Role", ("10", "1.2.250.1.71.1.2.7"), ("SM26", "1.2.250.1.71.4.2.5"), ("SM25", "1.2.250.1.71.4.2.5")
            ),
        ),
    )
    yield Case("B26", "role absent from a VIHF", "attribute-missing", attribute(ROLE, None))
    yield Case(
        "B26",
        "a role that does not fit the profession",
        "role",
        attribute(ROLE, coded(ROLE, "Role", ("10", "1.2.250.1.71.1.2.7"), ("G", "1.2.250.1.71.4.2.6"))),
    )
    yield Case(
        "B26",
        "a profession that is not the card's",
        "role",
        attribute(ROLE, coded(ROLE, "Role", ("21", "1.2.250.1.71.1.2.7"), ("G", "1.2.250.1.71.4.2.6"))),
    )
    yield Case(
        "B26", "speciality missing", "speciality-missing", attribute(ROLE, coded(ROLE, "Role", ("10", "1.2.250.1.71.1.2.7")))
    )
    yield Case(
        "B26",
        "a second role for a nurse's aide",
        "second-role",
        attribute(ROLE, coded(ROLE, "Role", ("35", "1.2.250.1.71.1.2.7"), ("SM26", "1.2.250.1.71.4.2.5"))),
    )
    yield Case("B26", "unknown code system", "code-system", attribute(ROLE, coded(ROLE, "Role", ("10", "1.2.3.4"))))
    yield Case("B26", "no code system", "code-system", changed_draft('codeSystem="1.2.250.1.213.1.1.4.248" ', ""))
    yield Case("B26", "10 000 attributes", "size", _many)
    yield Case("B26", "65 attributes", "size", _sixty_five)
    yield Case("B26", "an empty value", "attribute-value", attribute("LPS_Nom", text_attribute("LPS_Nom", "")))
    yield Case("B26", "no value", "attribute-value", attribute("LPS_Nom", '<saml2:Attribute Name="LPS_Nom"/>'))
    yield Case(
        "B26",
        "another xsi:type",
        "attribute-value",
        attribute("LPS_Nom", text_attribute("LPS_Nom", "x").replace("xs:string", "xs:QName")),
    )
    yield Case(
        "B26",
        "xsi:nil",
        "content",
        attribute("LPS_Nom", text_attribute("LPS_Nom", "x").replace('xsi:type="xs:string"', 'xsi:nil="true"')),
    )
    yield Case("B26", "an element in a text", "content", attribute("LPS_Nom", text_attribute("LPS_Nom", "<x/>")))
    yield Case(
        "B26",
        "HL7 in a text",
        "attribute-value",
        attribute("Ressource_URN", text_attribute("Ressource_URN", '<Role xmlns="urn:hl7-org:v3"/>')),
    )
    yield Case("B26", "text beside an element", "content", changed_draft("<PurposeOfUse", "normal<PurposeOfUse"))
    yield Case("B26", "text in place of a code", "code-system", attribute(PURPOSE, text_attribute(PURPOSE, "normal")))
    yield Case(
        "B26",
        "mode in other letters",
        "attribute-value",
        attribute("Authentification_mode", text_attribute("Authentification_mode", "Directe")),
    )
    yield Case(
        "B26",
        "an assertion for the ROR",
        "attribute-value",
        attribute("Ressource_URN", text_attribute("Ressource_URN", "urn:ROR")),
    )
    yield Case(
        "B26", "a bare patient number", "resource-id", attribute(RESOURCE_ID, text_attribute(RESOURCE_ID, "207000000000001"))
    )
    yield Case(
        "B26",
        "a patient of another authority",
        "resource-id",
        attribute(RESOURCE_ID, text_attribute(RESOURCE_ID, PATIENT.replace("213.1.4.10", "213.1.4.99"))),
    )
    yield Case(
        "B26",
        "break-glass without reason",
        "access-mode",
        attribute(PURPOSE, coded(PURPOSE, "PurposeOfUse", ("bris_de_glace", PURPOSE_SYSTEM))),
    )
    yield Case(
        "B26",
        "an edition that does not exist",
        "vihf-version",
        attribute("VIHF_Version", text_attribute("VIHF_Version", "9.9")),
    )
    yield Case(
        "B26",
        "no name of the user in indirect mode",
        "attribute-missing",
        lambda w: message(w.indirect().changed(SUBJECT_ID, None), w.structure),
        peer="structure",
    )


def changed_draft(old: str, new: str) -> Callable[[World], bytes]:
    """A VIHF whose text is changed before it is signed."""

    def made(world: World) -> bytes:
        text = world.vihf().text
        if old not in text:
            raise ValueError(f"{old} does not occur")
        return message(text.replace(old, new), world.card)

    return made


def _sixty_five(world: World) -> bytes:
    draft_: Draft = world.vihf()
    for number in range(65 - len(draft_.attributes)):
        draft_ = draft_.changed(f"a{number}", text_attribute(f"a{number}", "x"))
    return message(draft_, world.card)


def header_cases() -> Iterator[Case]:
    def stamped(created: int, expires: int) -> Callable[[World], bytes]:
        def made(world: World) -> bytes:
            stamp = TIMESTAMP.format(
                created=write_time(world.at + created * SECOND), expires=write_time(world.at + expires * SECOND)
            )
            return genuine(world).replace(b"<saml2:Assertion", stamp.encode() + b"<saml2:Assertion", 1)

        return made

    yield Case("B30", "a timestamp that holds", ACCEPTED, stamped(-5, 300))
    yield Case("B30", "a timestamp that has expired", "timestamp", stamped(-600, -300))
    yield Case("B30", "a timestamp of the future", "timestamp", stamped(600, 900))
    yield Case("B30", "a timestamp that is inside out", "timestamp", stamped(30, 10))
    yield Case(
        "B30",
        "a BinarySecurityToken",
        "security-child",
        changed("<saml2:Assertion", "<wsse:BinarySecurityToken>AA==</wsse:BinarySecurityToken><saml2:Assertion"),
    )
    yield Case("B30", "text in the header", "security-child", changed("<saml2:Assertion", "x<saml2:Assertion"))


def cases() -> list[Case]:
    """All of them, by name once."""
    made: dict[str, Case] = {}
    for group in (
        wrapping_cases,
        signature_cases,
        shape_cases,
        certificate_cases,
        time_cases,
        attribute_cases,
        header_cases,
    ):
        for case in group():
            if case.name in made:
                raise ValueError(f"the case {case.name} is given twice")
            made[case.name] = case
    return list(made.values())


def verdict(world: World, case: Case) -> str:
    """The reason of the refusal, or ACCEPTED."""
    return world.verdict(case.build(world), case.peer, **case.settings)


def main() -> None:
    """Print all verdicts as JSON."""
    world = make_world(Path(sys.argv[1]))
    json.dump({case.name: verdict(world, case) for case in cases()}, sys.stdout)


if __name__ == "__main__":
    main()
