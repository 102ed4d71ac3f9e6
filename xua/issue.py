"""Building and signing assertions: VIHF of all editions and modes, and XUA. What is built is what the tables say.

Source: as the tables; XML Signature 1.1 (enveloped, exclusive C14N, RSA or ECDSA with SHA-256).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

from access_control.subject import Coded
from xmlsafe.namespaces import DS, SAML2
from xua.attributes import NSMAP, Attribute, Value, write_attribute
from xua.kinds import vihf_table, xua
from xua.times import SECOND, write_time

_S: Final = f"{{{SAML2}}}"
PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What signs: a private key, its certificate, and the certificates of authorities to send along."""

    key: PrivateKey
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class VihfRequest:
    """What a VIHF is to say. Texts that are empty are left out; nothing is checked here.

    `person`: national id (NameID); `structure`: Identifiant_Structure; `sector`: SAxx^OID; `roles`: profession, speciality;
    `mode`: DIRECTE, INDIRECTE or INDIRECTE_RENFORCEE; `access`: normal, bris_de_glace or centre_15; `patient`: a CX.
    """

    person: str
    structure: str
    roles: tuple[Coded, ...]
    sector: str = f"SA07^{vihf_table.SECTOR_SYSTEM}"
    mode: str = vihf_table.DIRECT
    access: str = vihf_table.NORMAL
    edition: str = "3.0"
    name: str = ""
    patient: str = ""
    reason: str = ""
    secret: bool = False
    software: str = "Liasse"
    software_version: str = "1"
    software_id: str = ""
    approval: str = "none"
    context: str = vihf_table.SMARTCARD
    declaration: str = ""


@dataclass(frozen=True, slots=True)
class XuaRequest:
    """What an XUA assertion is to say; `values` by the keys of `xua.kinds.xua.ATTRIBUTES`. `lifetime` in seconds."""

    user: str
    issuer: str
    audience: str
    values: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    context: str = f"{vihf_table.CLASSES}X509"
    lifetime: int = 3600


def issue_vihf(request: VihfRequest, key: SigningKey, at: int) -> bytes:
    """A signed VIHF, serialised (UTF-8, without declaration). `at` is the IssueInstant, microseconds since 1970."""
    values = _vihf_values(request)
    old = request.edition == "2.0"
    name_format = vihf_table.X509_NAME_2 if old else vihf_table.X509_NAME
    assertion = _assertion(at, key.certificate.subject.rfc4514_string(), name_format)
    _subject(assertion, request.person)
    _authentication(assertion, at, request.context, request.declaration)
    _attributes(assertion, [row for row in vihf_table.ATTRIBUTES if row.known_in(request.edition)], values)
    return sign(assertion, key)


def issue_xua(request: XuaRequest, key: SigningKey, at: int) -> bytes:
    """A signed XUA assertion, serialised (UTF-8, without declaration). `at` is the IssueInstant, microseconds."""
    assertion = _assertion(at, request.issuer, None)
    subject = _subject(assertion, request.user)
    etree.SubElement(subject, f"{_S}SubjectConfirmation", Method=xua.BEARER)
    conditions = etree.SubElement(assertion, f"{_S}Conditions")
    conditions.set("NotBefore", write_time(at))
    conditions.set("NotOnOrAfter", write_time(at + request.lifetime * SECOND))
    restriction = etree.SubElement(conditions, f"{_S}AudienceRestriction")
    etree.SubElement(restriction, f"{_S}Audience").text = request.audience
    _authentication(assertion, at, request.context, "")
    _attributes(assertion, xua.ATTRIBUTES, request.values)
    return sign(assertion, key)


def sign(assertion: etree._Element, key: SigningKey) -> bytes:
    """Sign an assertion (an element with the attribute ID whose first child is Issuer), and serialise it."""
    placeholder = etree.Element(f"{{{DS}}}Signature", nsmap={"ds": DS}, Id="placeholder")
    assertion.insert(1, placeholder)
    method = SignatureMethod.RSA_SHA256 if isinstance(key.key, RSAPrivateKey) else SignatureMethod.ECDSA_SHA256
    signer = XMLSigner(
        signature_algorithm=method,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    signed = signer.sign(
        assertion,
        key=key.key,
        cert=[key.certificate, *key.chain],
        reference_uri=assertion.get("ID"),
        id_attribute="ID",
    )
    return bytes(etree.tostring(signed))


def _assertion(at: int, issuer: str, name_format: str | None) -> etree._Element:
    assertion = etree.Element(f"{_S}Assertion", nsmap=NSMAP)
    assertion.set("ID", f"_{secrets.token_hex(16)}")
    assertion.set("IssueInstant", write_time(at))
    assertion.set("Version", "2.0")
    element = etree.SubElement(assertion, f"{_S}Issuer")
    element.text = issuer
    if name_format is not None:
        element.set("Format", name_format)
    return assertion


def _subject(assertion: etree._Element, name: str) -> etree._Element:
    subject = etree.SubElement(assertion, f"{_S}Subject")
    etree.SubElement(subject, f"{_S}NameID").text = name
    return subject


def _authentication(assertion: etree._Element, at: int, context: str, declaration: str) -> None:
    statement = etree.SubElement(assertion, f"{_S}AuthnStatement", AuthnInstant=write_time(at))
    element = etree.SubElement(statement, f"{_S}AuthnContext")
    etree.SubElement(element, f"{_S}AuthnContextClassRef").text = context
    if declaration:
        etree.SubElement(element, f"{_S}AuthnContextDecl").text = declaration


def _attributes(assertion: etree._Element, rows: Sequence[Attribute], values: Mapping[str, tuple[Value, ...]]) -> None:
    told = [(row, values[row.key]) for row in rows if values.get(row.key)]
    if told:
        statement = etree.SubElement(assertion, f"{_S}AttributeStatement")
        for row, some in told:
            write_attribute(statement, row, some)


def _vihf_values(request: VihfRequest) -> dict[str, tuple[Value, ...]]:
    texts = {
        "version": request.edition,
        "structure": request.structure,
        "sector": request.sector,
        "name": request.name,
        "authentication": "" if request.edition == "2.0" else request.mode,
        "patient": request.patient,
        "resource": "urn:dmp",
        "reason": request.reason,
        "confidentiality": "^".join(vihf_table.RESTRICTION) if request.secret else "",
        "software_id": request.software_id,
        "software": request.software,
        "software_version": request.software_version,
        "approval": request.approval,
    }
    values: dict[str, tuple[Value, ...]] = {key: (text,) for key, text in texts.items() if text}
    values["roles"] = request.roles
    values["purpose"] = (Coded(request.access, vihf_table.PURPOSE_SYSTEM),)
    return values
