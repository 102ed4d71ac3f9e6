"""From a card or a structure's kit to a VIHF: what the card knows is taken from it, the rest is told."""

from __future__ import annotations

from dataclasses import dataclass

from access_control.subject import Coded
from pki.testca import Card, Credentials
from xua.issue import SigningKey, VihfRequest, issue_vihf
from xua.kinds.vihf_table import CLASSES, DIRECT, INDIRECT, NORMAL, REINFORCED, SECTOR_SYSTEM, SMARTCARD


class CardError(ValueError):
    """A card cannot say what was asked for."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a card does not know. `user`, `name` and `roles` are those of the person that a structure declares.

    `mode` is DIRECTE for a card and INDIRECTE for a structure unless it is given; `patient` is a CX.
    """

    mode: str = ""
    access: str = NORMAL
    reason: str = ""
    patient: str = ""
    edition: str = "3.0"
    secret: bool = False
    user: str = ""
    name: str = ""
    roles: tuple[Coded, ...] = ()
    structure: str = ""
    sector: str = ""


def signing_key(credentials: Credentials) -> SigningKey:
    """The key in PEM files; authorities are sent along, the root is not. Raises FilesError."""
    certificate, key, chain = credentials.load()
    return SigningKey(key, certificate, tuple(one for one in chain if one.subject != one.issuer))


def vihf_request(card: Card, told: Told) -> VihfRequest:
    """What a VIHF of `card` says. Raises CardError for a mode that the card does not have."""
    mode = told.mode or (DIRECT if card.kind == "person" else INDIRECT)
    if (mode == DIRECT) != (card.kind == "person"):
        raise CardError(f"the mode {mode} needs a {'card of a person' if mode == DIRECT else 'kit of a structure'}")
    if mode == DIRECT:
        if told.user and told.user != card.identifier:
            raise CardError(f"the mode {mode} names the holder of the card, {card.identifier}")
        roles = told.roles or tuple(Coded(code, system) for code, system in card.roles)
        person, structure = card.identifier, told.structure or card.structure
    else:
        if not told.user or not told.roles or not told.name:
            raise CardError(f"the mode {mode} needs the user's national id, name and roles")
        roles, person, structure = told.roles, told.user, card.identifier
    return VihfRequest(
        person=person,
        structure=structure,
        sector=told.sector or card.sector or f"SA01^{SECTOR_SYSTEM}",
        roles=roles,
        mode=mode,
        access=told.access,
        reason=told.reason,
        patient=told.patient,
        edition=told.edition,
        secret=told.secret,
        name=told.name or (card.name if told.edition == "2.0" else ""),
        context=f"{CLASSES}PasswordProtectedTransport" if mode == INDIRECT else SMARTCARD,
        declaration=SMARTCARD if mode == REINFORCED else "",
    )


def vihf_of(card: Card, told: Told, at: int) -> bytes:
    """A VIHF signed with the signature pair of `card`, issued `at` (microseconds). Raises CardError and FilesError."""
    return issue_vihf(vihf_request(card, told), signing_key(card.signature), at)
