"""The VIHF: modes, editions, attributes, roles, access."""

from __future__ import annotations

from dataclasses import replace

import pytest

from access_control.subject import Coded
from tests.assertion_world import PERSON, STRUCTURE, World
from tests.assertions import (
    CONFIDENTIALITY,
    PURPOSE,
    PURPOSE_SYSTEM,
    RESOURCE_ID,
    ROLE,
    SECOND,
    SUBJECT_ID,
    Draft,
    coded_attribute,
    conditions,
    message,
    text_attribute,
)
from xua.kinds.vihf_table import ATTRIBUTES, EDITIONS
from xua.roles import ROLES

REASON = "Mode_Acces_Raison"
DECLARED = "urn:oasis:names:tc:SAML:2.0:ac:classes:SmartcardPKI"


def verdict(world: World, draft: Draft, peer: str = "card") -> str:
    return world.verdict(message(draft, world.structure if peer == "structure" else world.card), peer)


def with_text(draft: Draft, name: str, text: str) -> Draft:
    return draft.changed(name, text_attribute(name, text))


def with_purpose(draft: Draft, code: str, system: str = PURPOSE_SYSTEM) -> Draft:
    return draft.changed(PURPOSE, coded_attribute(PURPOSE, "PurposeOfUse", (code, system)))


def reinforced(world: World) -> Draft:
    return replace(world.indirect(Authentification_mode="INDIRECTE_RENFORCEE"), declaration=DECLARED)


def test_a_card_in_direct_mode(world: World) -> None:
    verified = world.verify(message(world.vihf(), world.card), "card")
    subject = verified.subject
    assert (subject.id, subject.authentication, subject.proof_level) == (PERSON, "DIRECTE", "card")
    assert subject.roles == (Coded("10", "1.2.250.1.71.1.2.7"), Coded("SM26", "1.2.250.1.71.4.2.5"))
    assert (subject.structure, subject.sector) == ("499900063480001", "SA07^1.2.250.1.71.4.2.4")
    assert (subject.mode, subject.purpose, subject.reason) == ("normal", f"normal^{PURPOSE_SYSTEM}", "")
    assert subject.patient == "279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH"
    assert subject.software == "Software of tests 1 T-000"
    assert subject.issuer == world.card.name
    peer = world.peer("card")
    assert peer is not None
    assert (subject.certificate, subject.digest) == (peer.fingerprint, verified.digest)
    assert verified.not_after == world.at - world.at % 1000 + 3600 * SECOND
    assert verified.assertion_id == world.vihf().id


def test_a_structure_in_indirect_mode(world: World) -> None:
    subject = world.verify(message(world.indirect(), world.structure), "structure").subject
    assert (subject.id, subject.name, subject.structure) == (PERSON, "ESSAI Camille", STRUCTURE)
    assert (subject.authentication, subject.proof_level) == ("INDIRECTE", "structure")


def test_a_structure_in_reinforced_mode(world: World) -> None:
    subject = world.verify(message(reinforced(world), world.structure), "structure").subject
    assert (subject.authentication, subject.proof_level) == ("INDIRECTE_RENFORCEE", "structure-strong")
    assert verdict(world, replace(reinforced(world), declaration=""), "structure") == "authn-statement"


@pytest.mark.parametrize("mode", ["INDIRECTE", "INDIRECTE_RENFORCEE"])
def test_a_card_does_not_sign_in_indirect_modes(world: World, mode: str) -> None:
    assert verdict(world, with_text(world.vihf(), "Authentification_mode", mode)) == "certificate-kind"


@pytest.mark.parametrize("peer", ["card", "other_card"])
def test_a_structure_connects_with_its_own_certificate(world: World, peer: str) -> None:
    assert world.verdict(message(world.indirect(), world.structure), peer) == "binding"


def test_the_direct_mode_is_with_a_smart_card(world: World) -> None:
    assert verdict(world, replace(world.vihf(), context=DECLARED.replace("SmartcardPKI", "Password"))) == "authn-context"
    assert verdict(world, replace(world.indirect(), context="Password"), "structure") == "authn-statement"


@pytest.mark.parametrize("edition", ["3.0", "4.0"])
def test_editions_with_a_mode(world: World, edition: str) -> None:
    draft = with_text(world.vihf(), "VIHF_Version", edition)
    assert verdict(world, draft) == "accepted"
    second = draft.changed("Authentification_mode", None)
    assert verdict(world, with_text(second, "Authentification_Mode", "DIRECTE")) == "accepted"


def test_edition_2_0_has_no_mode_and_another_format(world: World) -> None:
    old = with_text(world.vihf(), "VIHF_Version", "2.0").changed("Authentification_mode", None)
    old = old.changed("LPS_ID_HOMOLOGATION_DMP", None)
    assert verdict(world, old) == "accepted"
    other = ' Format="urn:oasis:names:tc:SAML:2.0:nameid-format:X509SubjectName"'
    assert verdict(world, replace(old, issuer_format=other)) == "accepted"
    assert verdict(world, replace(world.vihf(), issuer_format=other)) == "issuer"
    assert verdict(world, replace(world.vihf(), issuer_format="")) == "issuer"
    indirect = with_text(world.indirect(), "VIHF_Version", "2.0").changed("Authentification_mode", None)
    assert world.verify(message(indirect, world.structure), "structure").subject.authentication == "INDIRECTE"


@pytest.mark.parametrize("edition", ["", "1.0", "3", "3.0.0", "5.0"])
def test_editions_that_are_not_supported(world: World, edition: str) -> None:
    assert verdict(world, with_text(world.vihf(), "VIHF_Version", edition)) == "vihf-version"


@pytest.mark.parametrize("edition", EDITIONS)
@pytest.mark.parametrize("row", [row for row in ATTRIBUTES if row.key != "version"], ids=lambda row: row.key)
def test_what_is_required_is_missed(world: World, edition: str, row: object) -> None:
    """Each attribute removed from each edition: refused exactly where the table requires it."""
    attribute = next(one for one in ATTRIBUTES if one is row)
    draft = with_text(world.vihf(), "VIHF_Version", edition).changed(attribute.names[0], None)
    expected = "attribute-missing" if attribute.needed_in(edition) else "accepted"
    assert verdict(world, draft) == expected


@pytest.mark.parametrize("system", ["1.2.250.1.213.1.1.4.248", "1.2.250.1.213.1.1.4.336"])
def test_both_systems_of_purposes(world: World, system: str) -> None:
    assert world.verify(message(with_purpose(world.vihf(), "normal", system), world.card), "card").subject.mode == "normal"
    assert verdict(world, with_purpose(world.vihf(), "normal", "1.2.3")) == "code-system"
    assert verdict(world, with_purpose(world.vihf(), "NORMAL", system)) == "attribute-value"


def test_break_glass_needs_a_reason(world: World) -> None:
    broken = with_purpose(world.vihf(), "bris_de_glace")
    assert verdict(world, broken) == "access-mode"
    assert verdict(world, with_text(broken, REASON, " ")) == "attribute-value"
    subject = world.verify(message(with_text(broken, REASON, "Coma, aucun proche"), world.card), "card").subject
    assert (subject.mode, subject.reason) == ("bris_de_glace", "Coma, aucun proche")
    assert verdict(world, with_text(broken, REASON, "x" * 2001)) == "attribute-value"


def test_no_break_glass_in_indirect_mode(world: World) -> None:
    broken = with_text(with_purpose(world.indirect(), "bris_de_glace"), REASON, "Coma")
    assert verdict(world, broken, "structure") == "access-mode"
    strong = with_text(with_purpose(reinforced(world), "bris_de_glace"), REASON, "Coma")
    assert verdict(world, strong, "structure") == "accepted"


def test_the_regulation_centre_needs_no_reason(world: World) -> None:
    assert world.verify(message(with_purpose(world.vihf(), "centre_15"), world.card), "card").subject.mode == "centre_15"


def test_the_secret_connection_of_a_minor(world: World) -> None:
    secret = "INVISIBLE_REPRESENTANTS_LEGAUX^1.2.250.1.213.1.1.4.13"
    subject = world.verify(message(with_text(world.vihf(), CONFIDENTIALITY, secret), world.card), "card").subject
    assert subject.confidentiality == secret
    assert (
        verdict(world, with_text(world.vihf(), CONFIDENTIALITY, secret.replace("REPRESENTANTS", "X"))) == "attribute-value"
    )
    assert verdict(world, with_text(world.vihf(), CONFIDENTIALITY, secret.partition("^")[0])) == "code-system"


def test_a_transaction_without_patient(world: World) -> None:
    assert world.verify(message(world.vihf().changed(RESOURCE_ID, None), world.card), "card").subject.patient == ""


def roles(world: World, *codes: tuple[str, str]) -> str:
    """In indirect mode: no card says another profession."""
    draft = world.indirect().changed(ROLE, coded_attribute(ROLE, "Role", *codes))
    return verdict(world, draft, "structure")


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((("10", "1.2.250.1.71.1.2.7"), ("SM54", "1.2.250.1.71.4.2.5")), "accepted"),
        ((("10", "1.2.250.1.71.1.2.7"),), "speciality-missing"),
        ((("21", "1.2.250.1.71.1.2.7"),), "speciality-missing"),
        ((("21", "1.2.250.1.71.1.2.7"), ("A", "1.2.250.1.71.4.2.6")), "accepted"),
        ((("21", "1.2.250.1.71.1.2.7"), ("SM54", "1.2.250.1.71.4.2.5")), "role"),
        ((("60", "1.2.250.1.71.1.2.7"),), "accepted"),
        ((("60", "1.2.250.1.71.1.2.7"), ("SI01", "1.2.250.1.71.4.2.5")), "accepted"),
        ((("60", "1.2.250.1.71.1.2.7"), ("SM54", "1.2.250.1.71.4.2.5")), "role"),
        ((("70", "1.2.250.1.71.1.2.7"), ("SM54", "1.2.250.1.71.4.2.5")), "second-role"),
        ((("10", "1.2.250.1.71.1.2.8"),), "accepted"),
        ((("99", "1.2.250.1.213.1.6.1.140"),), "speciality-missing"),
        ((("99", "1.2.250.1.213.1.6.1.140"), ("316", "1.2.250.1.213.1.6.1.107")), "accepted"),
        ((("SECRETARIAT_MEDICAL", "1.2.250.1.213.1.1.4.6"),), "accepted"),
        ((("SECRETARIAT_MEDICAL", "1.2.250.1.71.1.2.7"),), "role"),
        ((("SM54", "1.2.250.1.71.4.2.5"), ("10", "1.2.250.1.71.1.2.7")), "role"),
        ((("11", "1.2.250.1.71.1.2.7"),), "role"),
    ],
)
def test_roles(world: World, codes: tuple[tuple[str, str], ...], expected: str) -> None:
    assert roles(world, *codes) == expected


def test_the_table_of_roles_is_complete() -> None:
    assert len(ROLES.first) == 59
    assert {profession: len(second) for profession, second in ROLES.second.items()} == {
        "10": 237,
        "21": 16,
        "40": 3,
        "60": 4,
        "99": 78,
    }


@pytest.mark.parametrize(
    "name", ["89970000000", "8997000000012", "8997000000x1", "", " 899700000001", "899700000001\n", "urn:x", "8" * 100]
)
def test_a_name_that_is_no_national_id(world: World, name: str) -> None:
    assert verdict(world, replace(world.vihf(), subject=name)) == "name-id"


def test_conditions_hold_when_they_are_there(world: World) -> None:
    told = conditions(world.at, world.at + 60 * SECOND)
    verified = world.verify(message(replace(world.vihf(), conditions=told), world.card), "card")
    assert verified.not_after == world.at - world.at % 1000 + 60 * SECOND
    over = conditions(world.at - 60 * SECOND, world.at - SECOND)
    assert verdict(world, replace(world.vihf(), conditions=over)) == "expired"


@pytest.mark.parametrize("sector", ["SA07", "SA07^1.2.3", "SA99^1.2.250.1.71.4.2.4", "^1.2.250.1.71.4.2.4", "SA07^x"])
def test_a_sector_that_is_none(world: World, sector: str) -> None:
    assert verdict(world, with_text(world.vihf(), "Secteur_Activite", sector)) in ("code-system", "attribute-value")


def test_attributes_that_nobody_knows_are_ignored(world: World) -> None:
    draft = with_text(world.vihf(), "Acces_Regulation_Medicale", "VRAI")
    assert verdict(world, draft) == "accepted"
    assert SUBJECT_ID not in draft.attributes


def test_the_issuer_may_be_written_in_another_order(world: World) -> None:
    reversed_name = ",".join(reversed(world.card.name.split(",")))
    assert reversed_name != world.card.name
    assert verdict(world, replace(world.vihf(), issuer=reversed_name)) == "accepted"
