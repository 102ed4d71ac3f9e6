"""The assertion of IHE XUA: an identity provider or STS that is trusted by name says who the user is.

Source: IHE ITI TF-2 3.40 (Provide X-User Assertion); SAML 2.0 profiles, 3.1 and 3.2 (holder of key, bearer).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Final

from lxml import etree

from access_control.subject import Subject
from pki.identity import CertificateIdentity, same_name
from pki.rules import Purpose
from pki.trust import Checked
from xmlsafe.namespaces import DS, SAML2
from xua.attributes import Attribute, Form, read_values
from xua.kinds.kind import Evidence
from xua.kinds.vihf import edition_of
from xua.kinds.vihf_table import X509_NAME
from xua.refusal import AssertionRefused, Family, quote
from xua.times import read_time

_S: Final = f"{{{SAML2}}}"
_XSPA: Final = "urn:oasis:names:tc:xspa:1.0:subject:"
_CONFIRMATION: Final = "urn:oasis:names:tc:SAML:2.0:cm:"
BEARER: Final = f"{_CONFIRMATION}bearer"
HOLDER_OF_KEY: Final = f"{_CONFIRMATION}holder-of-key"
_ENTITY: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:"
_OID_PATTERN: Final = r"(?:urn:oid:)?[0-2](?:\.[0-9]+)+"
_FORMAT: Final = re.compile(
    r"urn:oasis:names:tc:SAML:(?:1\.1|2\.0):nameid-format:[A-Za-z0-9]+|(?!urn:oasis:names:tc:SAML)[^\s]{1,200}"
)
_LONGEST_NAME: Final = 256

ATTRIBUTES: Final[tuple[Attribute, ...]] = (
    Attribute("name", (f"{_XSPA}subject-id",), Form.TEXT, "name of the user"),
    Attribute("organization", (f"{_XSPA}organization",), Form.TEXT, "name of the organisation"),
    Attribute("structure", (f"{_XSPA}organization-id",), Form.WORD, "id of the organisation", check="an OID or another URI"),
    Attribute(
        "home",
        ("urn:ihe:iti:xca:2010:homeCommunityId",),
        Form.WORD,
        "home community",
        pattern=_OID_PATTERN,
        check="urn:oid: and an OID",
    ),
    Attribute("npi", (f"{_XSPA}npi",), Form.WORD, "national provider identifier"),
    Attribute(
        "provider",
        ("urn:ihe:iti:xua:2017:subject:provider-identifier",),
        Form.II,
        "identifier of the provider",
        element=("id",),
        most=4,
    ),
    Attribute(
        "roles",
        ("urn:oasis:names:tc:xacml:2.0:subject:role",),
        Form.CE,
        "roles of the user",
        element=("Role",),
        most=4,
        condition="required where the setting `roles` names some",
        check="each one is in the setting `roles`, where it names some",
    ),
    Attribute(
        "patient",
        ("urn:oasis:names:tc:xacml:2.0:resource:resource-id",),
        Form.CX,
        "the patient concerned",
        check="a CX; compared with the message by those who serve it",
    ),
    Attribute(
        "purpose",
        (f"{_XSPA}purposeofuse",),
        Form.CE,
        "purpose of use",
        element=("PurposeOfUse",),
        condition="required where the setting `purposes` names some",
        check="in the setting `purposes`, where it names some",
    ),
    Attribute("consent", ("urn:ihe:iti:bppc:2007:docid",), Form.WORD, "document of consent", most=4),
    Attribute("policy", ("urn:ihe:iti:xua:2012:acp",), Form.WORD, "policy of consent", most=4),
)


class XUA:
    """The kind `xua`."""

    name = "xua"
    family: Family = "wsse"
    purpose = Purpose.STS
    strict_conditions = True

    def recognises(self, assertion: etree._Element) -> bool:
        """Any assertion without an edition of the VIHF."""
        return edition_of(assertion) is None

    def check_issuer(self, assertion: etree._Element, checked: Checked) -> str:
        """The Issuer is named; where it says that it is the name of the certificate, it is."""
        issuer = assertion.find(f"{_S}Issuer")
        text = "" if issuer is None else issuer.text or ""
        if issuer is None or not text or text != text.strip() or len(text) > 1024:
            raise AssertionRefused("issuer", f"the Issuer is {quote(text)}, a name without blanks around it is expected")
        written = issuer.get("Format")
        if written == X509_NAME and not same_name(text, checked.certificate):
            raise AssertionRefused(
                "issuer", f"the Issuer {quote(text, 200)} is not the name {quote(checked.identity.dn, 200)}"
            )
        if written not in (None, X509_NAME, f"{_ENTITY}entity", "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"):
            raise AssertionRefused("issuer", f"the Format of the Issuer is {quote(written)}")
        return text

    def read(self, evidence: Evidence) -> Subject:
        """The user, as the trusted issuer describes them."""
        values = read_values(evidence.assertion, ATTRIBUTES)
        name = _name_id(evidence.assertion)
        _check_confirmation(evidence)
        purpose = values.codes("purpose")
        return Subject(
            id=name,
            name=values.text("name"),
            issuer=(evidence.assertion.findtext(f"{_S}Issuer") or ""),
            roles=values.codes("roles"),
            structure=values.text("structure") or values.text("organization"),
            purpose=str(purpose[0]) if purpose else "",
            authentication=evidence.authentication.context,
            patient=values.text("patient"),
            consents=values.texts("consent", "policy"),
            proof_level="sts",
        )


def _name_id(assertion: etree._Element) -> str:
    found = assertion.findall(f"{_S}Subject/{_S}NameID")
    text = found[0].text or "" if len(found) == 1 else ""
    if not text.strip() or text != text.strip() or len(text) > _LONGEST_NAME or not text.isprintable():
        raise AssertionRefused(
            "name-id", f"{len(found)} NameID {quote(text)}, one name without blanks around it is expected"
        )
    written = found[0].get("Format")
    if written is not None and not _FORMAT.fullmatch(written):
        raise AssertionRefused(
            "name-id", f"the Format of NameID is {quote(written)}, a format of SAML 1.1 or 2.0 is expected"
        )
    return text


def _check_confirmation(evidence: Evidence) -> None:
    """One confirmation that holds, where any is given."""
    confirmations = evidence.assertion.findall(f"{_S}Subject/{_S}SubjectConfirmation")
    if len(confirmations) > 1:
        raise AssertionRefused("subject-confirmation", f"{len(confirmations)} confirmations, at most one is accepted")
    for confirmation in confirmations:
        method = confirmation.get("Method", "")
        data = confirmation.find(f"{_S}SubjectConfirmationData")
        if data is not None:
            _check_window(data, evidence)
        if method == HOLDER_OF_KEY:
            _check_key(data, evidence.peer)
        elif method != BEARER:
            raise AssertionRefused(
                "subject-confirmation", f"the method is {quote(method)}, bearer or holder-of-key expected"
            )


def _check_window(data: etree._Element, evidence: Evidence) -> None:
    start, end = data.get("NotBefore"), data.get("NotOnOrAfter")
    if (
        start is not None
        and read_time(start, "SubjectConfirmationData/NotBefore") > evidence.at + evidence.settings.skew * 1e6
    ):
        raise AssertionRefused("subject-confirmation", "the confirmation does not hold yet")
    if end is not None and read_time(end, "SubjectConfirmationData/NotOnOrAfter") <= evidence.at:
        raise AssertionRefused("subject-confirmation", "the confirmation has expired")


def _check_key(data: etree._Element | None, peer: CertificateIdentity | None) -> None:
    """Holder of key: the first certificate of the confirmation is the TLS client's."""
    path = f"{{{DS}}}KeyInfo/{{{DS}}}X509Data/{{{DS}}}X509Certificate"
    text = "" if data is None else data.findtext(path) or ""
    try:
        certificate = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        certificate = b""
    if not certificate:
        raise AssertionRefused("subject-confirmation", "holder of key without a readable X509Certificate")
    if peer is None:
        raise AssertionRefused("no-client-certificate", "holder of key needs a TLS client certificate")
    if hashlib.sha256(certificate).hexdigest() != peer.fingerprint:
        raise AssertionRefused("binding", f"the key is not that of the client certificate {quote(peer.dn, 200)}")
