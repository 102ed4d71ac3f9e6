"""Why an assertion is refused: a stable word for each check, and the little that its sender is told.

The word and the text go to the security log. The sender gets the subcode of a SOAP fault and a sentence of the table below,
which is the same for all checks of a group: it says whose turn it is, and nothing that helps to try again better.

Source: OASIS WSS SOAP Message Security 1.1.1, section 12 (fault codes); DMP fault codes as seen on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from xmlsafe.namespaces import SOAP12, WSSE

Family = Literal["wsse", "dmp"]
"""Which faults a sender understands: those of WS-Security, or those of the French DMP."""


class Group(StrEnum):
    """What a refusal is about, as far as its sender is told."""

    HEADER = "header"
    ABSENT = "absent"
    UNSUPPORTED = "unsupported"
    ALGORITHM = "algorithm"
    TOKEN = "token"  # noqa: S105
    CERTIFICATE = "certificate"
    SIGNATURE = "signature"
    EXPIRED = "expired"
    AUTHENTICATION = "authentication"
    SPECIALITY = "speciality"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class PublicFault:
    """What the sender is told: the subcode (`namespace`, `local`), and a sentence in `language`."""

    namespace: str
    local: str
    text: str
    language: str = "en"


_WSSE_FAULTS: Final[Mapping[Group, PublicFault]] = {
    group: PublicFault(WSSE, local, text)
    for group, local, text in (
        (Group.HEADER, "InvalidSecurity", "The wsse:Security header is not acceptable"),
        (Group.ABSENT, "SecurityTokenUnavailable", "A signed SAML 2.0 assertion is required in the wsse:Security header"),
        (Group.UNSUPPORTED, "UnsupportedSecurityToken", "This kind of security token is not supported"),
        (Group.ALGORITHM, "UnsupportedAlgorithm", "An algorithm of the signature is not supported"),
        (Group.TOKEN, "InvalidSecurityToken", "The assertion is not acceptable"),
        (Group.CERTIFICATE, "InvalidSecurityToken", "The certificate of the assertion is not acceptable"),
        (Group.SIGNATURE, "FailedCheck", "The signature of the assertion is not acceptable"),
        (Group.EXPIRED, "MessageExpired", "The assertion is not valid at this time"),
        (Group.AUTHENTICATION, "FailedAuthentication", "The caller could not be authenticated"),
        (Group.SPECIALITY, "InvalidSecurityToken", "The assertion is not acceptable"),
        (Group.UNAVAILABLE, "FailedCheck", "The assertion could not be checked"),
    )
}

_DMP_FAULTS: Final[Mapping[Group, PublicFault]] = {
    group: PublicFault(SOAP12, local, text, "fr")
    for group, local, text in (
        (Group.HEADER, "DMPInvalidVIHF", "L'en-tête de sécurité du message est invalide"),
        (Group.ABSENT, "DMPInvalidVIHF", "Le VIHF est absent du message"),
        (Group.UNSUPPORTED, "DMPInvalidVIHF", "La version du VIHF n'est pas prise en charge"),
        (Group.ALGORITHM, "DMPInvalidVIHF", "Un algorithme de la signature du VIHF n'est pas accepté"),
        (Group.TOKEN, "DMPInvalidVIHF", "Le VIHF est invalide"),
        (Group.CERTIFICATE, "DMPInvalidCertificate", "Le certificat ayant signé le VIHF est invalide"),
        (Group.SIGNATURE, "DMPInvalidVIHF", "La signature du VIHF est invalide"),
        (Group.EXPIRED, "DMPInvalidVIHF", "Le VIHF n'est pas valide à cette heure"),
        (Group.AUTHENTICATION, "DMPInvalidVIHF", "L'émetteur du message n'a pas pu être authentifié"),
        (Group.SPECIALITY, "DMPSpecialtyMissing", "La spécialité du professionnel est absente du VIHF"),
        (Group.UNAVAILABLE, "DMPInvalidVIHF", "Le VIHF n'a pas pu être vérifié"),
    )
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One check: what its failure means, and the group that the sender is told of."""

    meaning: str
    group: Group


def _rows(group: Group, **meanings: str) -> dict[str, Reason]:
    return {word.replace("_", "-"): Reason(meaning, group) for word, meaning in meanings.items()}


_CERTIFICATE_PREFIX: Final = "certificate-"

REASONS: Final[Mapping[str, Reason]] = {
    **_rows(
        Group.HEADER,
        security_headers="there is more than one wsse:Security header, for whatever role",
        security_child="wsse:Security holds something beside one assertion and one wsu:Timestamp",
        timestamp="the wsu:Timestamp cannot be read, or it is outside its window",
        annotation="a comment or processing instruction stands in wsse:Security",
        assertions="there is more than one assertion in the message",
        duplicate_id="another element of the message carries the assertion's ID",
    ),
    **_rows(Group.ABSENT, no_assertion="there is no assertion in wsse:Security"),
    **_rows(
        Group.UNSUPPORTED,
        saml_version="the token is an assertion of another version of SAML",
        encrypted="an encrypted assertion, name or attribute",
        unknown_kind="no accepted kind of assertion has this form",
        vihf_version="the version of the VIHF is not one of those supported",
    ),
    **_rows(
        Group.ALGORITHM,
        canonicalization="SignedInfo is not canonicalised exclusively without comments",
        transforms="the transforms are not exactly enveloped-signature and exclusive canonicalisation",
        signature_algorithm="the signature algorithm is not on the list",
        digest_algorithm="the digest algorithm is not on the list",
    ),
    **_rows(
        Group.TOKEN,
        size="the assertion has too many bytes, elements, levels, attributes or namespaces, or a value is too long",
        assertion_id="the ID is missing or not a name",
        assertion_children="the children of the assertion are not those of the profile, in their order",
        content="an element, attribute or text of the assertion has no place there",
        issuer="the issuer does not designate the signing certificate, or is not acceptable",
        name_id="the subject is not named once, by a plain name",
        subject_confirmation="the subject is confirmed by no method that is supported, or its confirmation does not hold",
        time_format="a time is not one in UTC",
        validity="the conditions end before they begin, or last longer than allowed",
        no_conditions="the conditions, their end or their audience are missing",
        audience="the audience is not exactly this server",
        authn_statement="there is not exactly one statement of an authentication before the assertion was issued",
        attribute_missing="a required attribute is missing",
        attribute_repeated="an attribute is given twice, or has more values than it may have",
        attribute_value="the value of an attribute is not one that it may have",
        resource_id="form of resource-id: a patient identifier with its authority is expected",
        code_system="a code has no code system, or one that is not expected there",
        role="the role is not one of the profession tables, or not that of the certificate",
        second_role="a second role that this profession does not have",
        access_mode="the mode of access or its reason is not acceptable",
    ),
    **_rows(Group.SPECIALITY, speciality_missing="this profession needs a second role, its speciality"),
    **_rows(
        Group.SIGNATURE,
        unsigned="the assertion is not signed",
        signature_children="the signature does not consist of SignedInfo, SignatureValue and KeyInfo as expected",
        references="the signature does not have exactly one reference",
        reference="the reference does not point at the assertion",
        key_info="the key is not given as one X509Data of one to four certificates",
        encoding="a digest, signature or certificate is not base64 of an expected length",
        digest_mismatch="the assertion was changed after it was signed",
        signature_mismatch="the signature was not made with the key of the certificate",
        signature="the signature cannot be verified",
        signed_element="what the signature covers is not the assertion",
    ),
    **_rows(
        Group.CERTIFICATE,
        certificate_not_a_certificate="the signing certificate cannot be read",
        certificate_unknown_authority="no trusted authority stands behind the signing certificate",
        certificate_expired="the signing certificate has expired",
        certificate_not_yet_valid="the signing certificate is not valid yet",
        certificate_revoked="the signing certificate was revoked",
        certificate_revocation_unknown="it is not known whether the signing certificate was revoked",
        certificate_key_size="the key of the signing certificate is too short",
        certificate_key_type="the key of the signing certificate is of a kind that is not accepted",
        certificate_key_usage="the signing certificate may not be used to sign",
        certificate_extended_key_usage="the signing certificate is meant for another purpose",
        certificate_policy="the signing certificate was issued under another policy",
        certificate_path_length="the chain of the signing certificate is too long",
        certificate_authority_as_leaf="the signing certificate is that of an authority",
        certificate_signature_hash="the signing certificate or its chain is signed with a hash that is not accepted",
        certificate_critical_extension="the signing certificate has a critical extension that is not understood",
        certificate="the signing certificate is not acceptable",
    ),
    **_rows(
        Group.EXPIRED,
        issued_in_future="the assertion was issued in the future",
        too_old="the assertion was issued too long ago",
        not_yet_valid="the assertion is not valid yet",
        expired="the assertion has expired",
    ),
    **_rows(
        Group.AUTHENTICATION,
        no_client_certificate="the assertion must be bound to a TLS client certificate, the connection has none",
        binding="the TLS client certificate and the signing certificate do not designate the same holder",
        certificate_kind="the certificate is not of the kind that the mode of authentication asks for",
        identity="the identity in the assertion is not that of the certificate",
        role_not_allowed="a role is not one of those that this server accepts",
        purpose_not_allowed="the purpose of use is not one of those that this server accepts",
        authn_context="the authentication context is not one of those that this server accepts",
        replayed="the assertion was first used over another TLS client certificate, or its ID with another content",
        used="the assertion may be used once, and was",
    ),
    **_rows(
        Group.UNAVAILABLE,
        defect="a check failed in a way that nobody foresaw",
    ),
}
"""Every reason with its meaning; `docs/assertions.md` is made from it."""


class AssertionRefused(Exception):
    """An assertion that is not accepted, with the first check that failed.

    `reason` is a key of REASONS; `text` says what was found, for the security log: it names the attribute, and holds no data
    of a patient. `family` says which faults the sender understands.
    """

    def __init__(self, reason: str, text: str, family: Family = "wsse") -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason if reason in REASONS else "defect"
        self.text = text
        self.family: Family = family

    @property
    def public(self) -> PublicFault:
        """The fault to send."""
        return public_fault(self.reason, self.family)


def public_fault(reason: str, family: Family) -> PublicFault:
    """What a sender of `family` is told of `reason`."""
    return (_DMP_FAULTS if family == "dmp" else _WSSE_FAULTS)[REASONS[reason].group]


def certificate_reason(word: str) -> str:
    """The reason for a refusal of the certificate checks, whose own words have no prefix."""
    reason = _CERTIFICATE_PREFIX + word
    return reason if reason in REASONS else "certificate"


def quote(value: str, longest: int = 80) -> str:
    """A value for the log, in quotes, cut, with control characters made visible."""
    shown = value if len(value) <= longest else value[:longest] + "…"
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in shown) + '"'
