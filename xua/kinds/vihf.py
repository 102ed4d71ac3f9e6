"""The VIHF: who uses the French DMP, vouched for by a card or by a structure.

Three modes: DIRECTE, signed with the card of the person who acts; INDIRECTE, signed by a structure that names its user;
INDIRECTE_RENFORCEE, the same where the structure has authenticated the user strongly. The TLS client certificate and the
signing certificate must designate the same holder.

Source: DMP interface of professional software, TD0.1; ANS mapping of the VIHF 4.0; see `vihf_table`.
"""

from __future__ import annotations

import re
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID
from lxml import etree

from access_control.subject import Coded, ProofLevel, Subject
from pki.identity import CertificateIdentity, same_name
from pki.rules import Purpose
from pki.trust import Checked
from xmlsafe.namespaces import SAML2
from xua.attributes import Values, read_values
from xua.kinds.kind import Evidence
from xua.kinds.vihf_table import (
    ATTRIBUTES,
    BREAK_GLASS,
    CLASSES,
    DIRECT,
    EDITIONS,
    INDIRECT,
    PERSON_ID,
    REINFORCED,
    SMARTCARD,
    STAFF_SYSTEM,
    X509_NAME,
    X509_NAME_2,
)
from xua.refusal import AssertionRefused, Family, quote
from xua.roles import check_roles

_S: Final = f"{{{SAML2}}}"
_VERSION: Final = "VIHF_Version"
_PROFESSION: Final = x509.ObjectIdentifier("1.2.250.1.71.1.2.7")
_PROOF: Final[dict[str, ProofLevel]] = {DIRECT: "card", INDIRECT: "structure", REINFORCED: "structure-strong"}


class VIHF:
    """The kind `vihf`, editions 2.0, 3.0 and 4.0."""

    name = "vihf"
    family: Family = "dmp"
    purpose = Purpose.ASSERTION
    strict_conditions = False

    def recognises(self, assertion: etree._Element) -> bool:
        """An assertion with the attribute VIHF_Version; refuses the editions that are not supported."""
        edition = edition_of(assertion)
        if edition is not None and edition not in EDITIONS:
            raise AssertionRefused(
                "vihf-version", f"VIHF_Version is {quote(edition)}, one of {', '.join(EDITIONS)} expected", "dmp"
            )
        return edition is not None

    def check_issuer(self, assertion: etree._Element, checked: Checked) -> str:
        """The Issuer is the subject name of the signing certificate, and says so."""
        issuer = assertion.find(f"{_S}Issuer")
        text = "" if issuer is None else issuer.text or ""
        written = None if issuer is None else issuer.get("Format")
        formats = (X509_NAME, X509_NAME_2) if edition_of(assertion) == "2.0" else (X509_NAME,)
        if written not in formats:
            raise AssertionRefused("issuer", f"the Format of the Issuer is {quote(written or '')}, {X509_NAME} is expected")
        if text != checked.identity.dn and not same_name(text, checked.certificate):
            raise AssertionRefused(
                "issuer", f"the Issuer {quote(text, 200)} is not the name {quote(checked.identity.dn, 200)}"
            )
        return text

    def read(self, evidence: Evidence) -> Subject:
        """The professional, the structure and the mode, from the signed element and the certificates that prove them."""
        edition = edition_of(evidence.assertion) or ""
        values = read_values(evidence.assertion, ATTRIBUTES, edition)
        person = _name_id(evidence.assertion)
        mode = values.text("authentication") or (DIRECT if evidence.checked.identity.kind == "person" else INDIRECT)
        if mode == DIRECT:
            _check_direct(evidence, person)
        else:
            _check_indirect(evidence, values, mode)
        roles = values.codes("roles")
        check_roles(roles)
        if mode == DIRECT:
            _check_profession(evidence.checked.certificate, roles[0])
        _check_access(values, mode)
        purpose = values.codes("purpose")[0]
        return Subject(
            id=person,
            name=values.text("name"),
            issuer=evidence.checked.identity.dn,
            roles=roles,
            structure=values.text("structure"),
            sector=values.text("sector"),
            mode=purpose.code,
            reason=values.text("reason"),
            purpose=str(purpose),
            authentication=mode,
            patient=values.text("patient"),
            confidentiality=values.text("confidentiality"),
            software=" ".join(values.texts("software", "software_version", "approval")),
            proof_level=_PROOF[mode],
        )


def edition_of(assertion: etree._Element) -> str | None:
    """The text of the attribute VIHF_Version; None without that attribute."""
    for statement in assertion.iterchildren(f"{_S}AttributeStatement"):
        for attribute in statement:
            if attribute.get("Name") == _VERSION:
                return (attribute[0].text or "").strip() if len(attribute) else ""
    return None


def _name_id(assertion: etree._Element) -> str:
    found = assertion.findall(f"{_S}Subject/{_S}NameID")
    text = found[0].text or "" if len(found) == 1 else ""
    if not re.fullmatch(PERSON_ID, text):
        raise AssertionRefused("name-id", f"{len(found)} NameID {quote(text)}, one national id of a person is expected")
    return text


def _check_direct(evidence: Evidence, person: str) -> None:
    signer = evidence.checked.identity
    if signer.kind != "person":
        raise AssertionRefused("certificate-kind", f"mode {DIRECT}: {quote(signer.dn, 200)} is no card of a person")
    if person != signer.holder:
        raise AssertionRefused("identity", f"NameID is {quote(person)}, the card is that of {quote(signer.holder)}")
    if evidence.authentication.context != SMARTCARD:
        raise AssertionRefused(
            "authn-context",
            f"mode {DIRECT}: AuthnContextClassRef is {quote(evidence.authentication.context)}, {SMARTCARD} expected",
        )
    _check_peer(evidence.peer, signer)


def _check_indirect(evidence: Evidence, values: Values, mode: str) -> None:
    signer, structure = evidence.checked.identity, values.text("structure")
    if signer.kind != "structure":
        raise AssertionRefused("certificate-kind", f"mode {mode}: {quote(signer.dn, 200)} is no certificate of a structure")
    if structure not in signer.organizational_units:
        raise AssertionRefused(
            "identity", f"Identifiant_Structure is {quote(structure)}, not that of {quote(signer.dn, 200)}"
        )
    if not values.text("name"):
        raise AssertionRefused("attribute-missing", f"mode {mode} needs subject-id, the name of the user")
    authentication = evidence.authentication
    if not authentication.context.startswith(CLASSES):
        raise AssertionRefused(
            "authn-statement", f"AuthnContextClassRef {quote(authentication.context)} is no class of SAML 2.0"
        )
    if mode == REINFORCED and not authentication.declaration:
        raise AssertionRefused("authn-statement", f"mode {mode} needs an AuthnContextDecl")
    _check_peer(evidence.peer, signer)


def _check_peer(peer: CertificateIdentity | None, signer: CertificateIdentity) -> None:
    if peer is None:
        raise AssertionRefused("no-client-certificate", "the connection has no client certificate that was checked")
    if peer.kind != signer.kind or not signer.holder or peer.holder != signer.holder:
        raise AssertionRefused(
            "binding",
            f"the client certificate is that of {quote(peer.dn, 200)}, the assertion is signed by {quote(signer.dn, 200)}",
        )


def _check_profession(certificate: x509.Certificate, role: Coded) -> None:
    """The profession that a card's certificate carries, where it carries one; a card of staff is of none."""
    profession = profession_of(certificate)
    if not profession and role.system != STAFF_SYSTEM and _is_staff(certificate):
        raise AssertionRefused("role", f"the first role is {quote(role.code)}, the card is one of staff")
    if profession and profession != role.code:
        raise AssertionRefused("role", f"the first role is {quote(role.code)}, the card says {quote(profession)}")


def _is_staff(certificate: x509.Certificate) -> bool:
    """Whether the subject's organisational unit, which names the profession on other cards, says that there is none."""
    units = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    return any(str(unit.value).casefold().startswith("personnel") for unit in units)


def profession_of(certificate: x509.Certificate) -> str:
    """The code of the profession in a card's certificate (an INTEGER or a string under the GIP-CPS OID); "" without."""
    try:
        extension = certificate.extensions.get_extension_for_oid(_PROFESSION).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    der = extension.value if isinstance(extension, x509.UnrecognizedExtension) else b""
    if len(der) < 3 or der[1] != len(der) - 2:
        return "?"
    if der[0] == 0x02:
        return str(int.from_bytes(der[2:], "big"))
    return der[2:].decode("ascii", "replace")


def _check_access(values: Values, mode: str) -> None:
    access = values.codes("purpose")[0].code
    if access != BREAK_GLASS:
        return
    if mode == INDIRECT:
        raise AssertionRefused("access-mode", f"{BREAK_GLASS} does not exist in mode {INDIRECT}")
    if not values.text("reason"):
        raise AssertionRefused("access-mode", f"{BREAK_GLASS} needs Mode_Acces_Raison")
