"""Messages with signed assertions, put together by hand: templates of text, canonicalised and signed step by step.

It shares nothing with `xua.issue`. `Draft` is one valid sample; a test changes one thing before signing (`replace`) or after
(bytes of the message).
"""

from __future__ import annotations

import base64
import hashlib
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

from xmlsafe import parse
from xmlsafe.namespaces import DS, SAML2, SOAP12, WSSE, WSU
from xua.times import write_time

EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
AUDIENCE = "https://xds.example.org/"
PATIENT = "279035121518989^^^&amp;1.2.250.1.213.1.4.10&amp;ISO^NH"
DOCTOR = (("10", "1.2.250.1.71.1.2.7"), ("SM26", "1.2.250.1.71.4.2.5"))
SECOND = 1_000_000

ENVELOPE = (
    f'<soap:Envelope xmlns:soap="{SOAP12}" xmlns:wsse="{WSSE}"><soap:Header><wsse:Security soap:mustUnderstand="true">'
    "{assertion}</wsse:Security></soap:Header><soap:Body/></soap:Envelope>"
)
SIGNATURE_MARK = "{signature}"


@dataclass(frozen=True)
class Signer:
    """A private key and the certificates that are sent, leaf first."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    certificates: tuple[x509.Certificate, ...]

    @property
    def leaf(self) -> x509.Certificate:
        return self.certificates[0]

    @property
    def name(self) -> str:
        return self.leaf.subject.rfc4514_string().replace("&", "&amp;")


@dataclass(frozen=True)
class Form:
    """How a signature is written."""

    signature: str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
    digest: str = "http://www.w3.org/2001/04/xmlenc#sha256"
    c14n: str = EXCLUSIVE
    prefix: str = "ds"
    declare: bool = True
    indent: str = ""
    transform_prefixes: str = ""
    c14n_prefixes: str = ""
    transforms: str = ""
    uri: str = ""
    certificates: Callable[[str], str] = field(default=lambda text: text)
    after_references: str = ""
    key_info: str = ""


DEFAULT_FORM = Form()
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def text_attribute(name: str, value: str) -> str:
    return (
        f'<saml2:Attribute Name="{name}"><saml2:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" '
        f'xsi:type="xs:string">{value}</saml2:AttributeValue></saml2:Attribute>'
    )


def coded_attribute(name: str, element: str, *codes: tuple[str, str]) -> str:
    values = "".join(
        f'<saml2:AttributeValue><{element} xmlns="urn:hl7-org:v3" code="{code}" codeSystem="{system}" xsi:type="CE"/>'
        "</saml2:AttributeValue>"
        for code, system in codes
    )
    return f'<saml2:Attribute Name="{name}">{values}</saml2:Attribute>'


ROLE = "urn:oasis:names:tc:xacml:2.0:subject:role"
PURPOSE = "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse"
RESOURCE_ID = "urn:oasis:names:tc:xacml:2.0:resource:resource-id"
SUBJECT_ID = "urn:oasis:names:tc:xspa:1.0:subject:subject-id"
CONFIDENTIALITY = "urn:oasis:names:tc:xspa:1.0:resource:patient:hl7:confidentiality-code"
PURPOSE_SYSTEM = "1.2.250.1.213.1.1.4.248"


@dataclass(frozen=True)
class Draft:
    """An assertion before it is signed. `attributes` by wire name, as XML; `at` in microseconds."""

    at: int
    issuer: str
    subject: str
    attributes: dict[str, str]
    issuer_format: str = ' Format="urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"'
    id: str = "_5f1e8c3a-1111-4222-8333-9c0ffee00001"
    id_name: str = "ID"
    version: str = "2.0"
    issue_instant: str = ""
    authn_instant: str = ""
    context: str = "urn:oasis:names:tc:SAML:2.0:ac:classes:SmartcardPKI"
    declaration: str = ""
    confirmation: str = ""
    conditions: str = ""
    extra: str = ""
    declare: str = (
        'xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    )
    between: str = ""

    def changed(self, name: str, xml: str | None) -> Draft:
        """With another attribute of this name, or without it."""
        attributes = {key: value for key, value in self.attributes.items() if key != name or xml is not None}
        if xml is not None:
            attributes[name] = xml
        return replace(self, attributes=attributes)

    @property
    def text(self) -> str:
        """The assertion with a mark where the signature goes."""
        instant = self.issue_instant or write_time(self.at)
        declaration = f"<saml2:AuthnContextDecl>{self.declaration}</saml2:AuthnContextDecl>" if self.declaration else ""
        attributes = self.between.join(self.attributes.values())
        parts = (
            f'<saml2:Assertion {self.declare} {self.id_name}="{self.id}" IssueInstant="{instant}" Version="{self.version}">',
            f"<saml2:Issuer{self.issuer_format}>{self.issuer}</saml2:Issuer>",
            SIGNATURE_MARK,
            f"<saml2:Subject><saml2:NameID>{self.subject}</saml2:NameID>{self.confirmation}</saml2:Subject>",
            self.conditions,
            f'<saml2:AuthnStatement AuthnInstant="{self.authn_instant or instant}"><saml2:AuthnContext>'
            f"<saml2:AuthnContextClassRef>{self.context}</saml2:AuthnContextClassRef>{declaration}</saml2:AuthnContext>"
            "</saml2:AuthnStatement>",
            f"<saml2:AttributeStatement>{attributes}</saml2:AttributeStatement>",
            self.extra,
        )
        return self.between.join(part for part in parts if part) + "</saml2:Assertion>"


def vihf_attributes(**texts: str) -> dict[str, str]:
    """The attributes of a VIHF 3.0 in direct mode, with some other texts; the keys are wire names."""
    plain = {
        "Identifiant_Structure": "499900063480001",
        "Secteur_Activite": "SA07^1.2.250.1.71.4.2.4",
        "VIHF_Version": "3.0",
        "Authentification_mode": "DIRECTE",
        RESOURCE_ID: PATIENT,
        "Ressource_URN": "urn:dmp",
        "LPS_ID": "01.01",
        "LPS_Nom": "Software of tests",
        "LPS_Version": "1",
        "LPS_ID_HOMOLOGATION_DMP": "T-000",
    } | texts
    made = {name: text_attribute(name, text) for name, text in plain.items()}
    made[ROLE] = coded_attribute(ROLE, "Role", *DOCTOR)
    made[PURPOSE] = coded_attribute(PURPOSE, "PurposeOfUse", ("normal", PURPOSE_SYSTEM))
    return made


def xua_draft(at: int, **attributes: str) -> Draft:
    """A valid XUA assertion for AUDIENCE."""
    made = {
        SUBJECT_ID: text_attribute(SUBJECT_ID, "A User"),
        ROLE: coded_attribute(ROLE, "Role", ("112247003", "2.16.840.1.113883.6.96")),
        PURPOSE: coded_attribute(PURPOSE, "PurposeOfUse", ("TREAT", "2.16.840.1.113883.1.11.20448")),
    } | attributes
    return Draft(
        at=at,
        issuer="urn:example:sts",
        issuer_format="",
        subject="user@example.org",
        attributes=made,
        confirmation='<saml2:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/>',
        conditions=conditions(at, at + 600 * SECOND),
        context="urn:oasis:names:tc:SAML:2.0:ac:classes:X509",
    )


def conditions(start: int, end: int, *audiences: str) -> str:
    """Conditions with one AudienceRestriction for each audience; AUDIENCE unless others are given."""
    listed = "".join(
        f"<saml2:AudienceRestriction><saml2:Audience>{one}</saml2:Audience></saml2:AudienceRestriction>"
        for one in audiences or (AUDIENCE,)
    )
    return f'<saml2:Conditions NotBefore="{write_time(start)}" NotOnOrAfter="{write_time(end)}">{listed}</saml2:Conditions>'


def message(draft: Draft | str, signer: Signer, form: Form = DEFAULT_FORM, envelope: str = ENVELOPE) -> bytes:
    """The envelope with the signed assertion."""
    text = draft.text if isinstance(draft, Draft) else draft
    unsigned = envelope.replace("{assertion}", text.replace(SIGNATURE_MARK, ""))
    root = parse(unsigned.encode())
    assertion = next(root.iter(f"{{{SAML2}}}Assertion"))
    digest = _digest(canonical(assertion, form.transform_prefixes, form.c14n), form.digest)
    uri = form.uri or "#" + str(assertion.get("ID") or assertion.get("id"))
    signature = _signature(form, signer, uri, digest)
    whole = envelope.replace("{assertion}", text.replace(SIGNATURE_MARK, signature))
    info = next(parse(whole.replace("VALUE", "").encode()).iter(f"{{{DS}}}SignedInfo"))
    value = _sign(canonical(info, form.c14n_prefixes, form.c14n), signer, form.signature)
    return whole.replace("VALUE", value).encode()


def canonical(element: etree._Element, prefixes: str = "", algorithm: str = EXCLUSIVE) -> bytes:
    """Canonical bytes; exclusive unless the algorithm says otherwise."""
    names = prefixes.split() or None
    return bytes(
        etree.tostring(
            element,
            method="c14n",
            exclusive=algorithm.startswith(EXCLUSIVE),
            with_comments=algorithm.endswith("WithComments"),
            inclusive_ns_prefixes=names,
            with_tail=False,
        )
    )


def _inclusive(prefixes: str) -> str:
    if not prefixes:
        return ""
    return f'<ec:InclusiveNamespaces xmlns:ec="{EXCLUSIVE}" PrefixList="{prefixes}"/>'


def _signature(form: Form, signer: Signer, uri: str, digest: str) -> str:
    p = f"{form.prefix}:" if form.prefix else ""
    name = f":{form.prefix}" if form.prefix else ""
    declared = f' xmlns{name}="{DS}"' if form.declare else ""
    transforms = form.transforms or (
        f'<{p}Transform Algorithm="{ENVELOPED}"/>'
        f'<{p}Transform Algorithm="{form.c14n}">{_inclusive(form.transform_prefixes)}</{p}Transform>'
    )
    reference = (
        f'<{p}Reference URI="{uri}"><{p}Transforms>{transforms}</{p}Transforms>'
        f'<{p}DigestMethod Algorithm="{form.digest}"/><{p}DigestValue>{digest}</{p}DigestValue></{p}Reference>'
    )
    certificates = "".join(
        f"<{p}X509Certificate>{form.certificates(base64_of(one))}</{p}X509Certificate>" for one in signer.certificates
    )
    key_info = form.key_info or f"<{p}X509Data>{certificates}</{p}X509Data>"
    i = form.indent
    return (
        f"<{p}Signature{declared}>{i}<{p}SignedInfo>{i}"
        f'<{p}CanonicalizationMethod Algorithm="{form.c14n}">{_inclusive(form.c14n_prefixes)}</{p}CanonicalizationMethod>{i}'
        f'<{p}SignatureMethod Algorithm="{form.signature}"/>{i}{reference}{form.after_references}{i}</{p}SignedInfo>{i}'
        f"<{p}SignatureValue>VALUE</{p}SignatureValue>{i}<{p}KeyInfo>{key_info}</{p}KeyInfo></{p}Signature>"
    )


def base64_of(certificate: x509.Certificate) -> str:
    """The DER of a certificate in one line of base64."""
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()


def wrapped(text: str, end: str = "\n") -> str:
    """Base64 in lines of 76 characters."""
    return end.join(textwrap.wrap(text, 76)) + end


def _digest(data: bytes, algorithm: str) -> str:
    name = algorithm.rpartition("#")[2]
    return base64.b64encode(hashlib.new(name, data).digest()).decode()


def _sign(data: bytes, signer: Signer, algorithm: str) -> str:
    chosen = _HASHES[algorithm.rpartition("-")[2]]
    key = signer.key
    if isinstance(key, rsa.RSAPrivateKey):
        return base64.b64encode(key.sign(data, padding.PKCS1v15(), chosen)).decode()
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(chosen)))
    size = (key.key_size + 7) // 8
    return base64.b64encode(r.to_bytes(size, "big") + s.to_bytes(size, "big")).decode()


def security_of(data: bytes) -> etree._Element:
    """The first wsse:Security header of a message."""
    return next(parse(data).iter(f"{{{WSSE}}}Security"))


TIMESTAMP = (
    f'<wsu:Timestamp xmlns:wsu="{WSU}"><wsu:Created>{{created}}</wsu:Created>'
    "<wsu:Expires>{expires}</wsu:Expires></wsu:Timestamp>"
)
