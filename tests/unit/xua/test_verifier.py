"""The verifier as a whole: settings, cache, changes after a first use, kinds of others, refusals."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest
from lxml import etree

from access_control.subject import Subject
from database import DatabaseUnavailable
from pki.rules import Purpose
from pki.trust import Checked
from tests.assertion_world import World, make_trust
from tests.assertions import AUDIENCE, SECOND, message, security_of
from xmlsafe.namespaces import SAML2, SOAP12, WSSE
from xua.kinds.kind import Evidence, load_kinds
from xua.kinds.vihf import VIHF
from xua.kinds.xua import XUA
from xua.refusal import REASONS, AssertionRefused, Family
from xua.replay import Use
from xua.settings import AssertionSettings, AssertionSettingsError
from xua.verify import Verifier


class Recording:
    """Counts what is asked of the store of first uses."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.uses: list[tuple[Use, bool]] = []
        self.failure = failure

    def record(self, use: Use, *, once: bool) -> None:
        if self.failure is not None:
            raise self.failure
        self.uses.append((use, once))


def test_a_verifier_needs_an_audience_for_xua_and_a_kind(world: World) -> None:
    """B20: without its own configuration nothing is accepted by chance."""
    with pytest.raises(AssertionSettingsError, match="audience"):
        Verifier(world.trust, AssertionSettings(), (XUA(), VIHF()), Recording())
    with pytest.raises(AssertionSettingsError, match="kind"):
        Verifier(world.trust, AssertionSettings(audience=(AUDIENCE,)), (), Recording())
    assert Verifier(world.trust, AssertionSettings(), (VIHF(),), Recording())


def test_a_second_use_costs_no_store_and_gives_the_same(world: World) -> None:
    recording, data = Recording(), message(world.vihf(), world.card)
    verifier = Verifier(world.trust, AssertionSettings(audience=(AUDIENCE,)), (VIHF(),), recording, lambda: world.at)
    answers = {verifier.verify(security_of(data), data, world.peer("card")) for _ in range(3)}
    assert len(answers) == 1
    assert len(recording.uses) == 1
    use, once = recording.uses[0]
    assert not once
    assert use.expires == next(iter(answers)).not_after + 60 * SECOND


def test_an_assertion_for_one_use_says_so(world: World) -> None:
    told = world.xua().conditions.replace("<saml2:AudienceRestriction>", "<saml2:OneTimeUse/><saml2:AudienceRestriction>")
    data = message(replace(world.xua(), conditions=told), world.sts)
    verifier = world.verifier()
    assert [world.verdict_of(verifier, data, "") for _ in range(2)] == ["accepted", "used"]


class Moving:
    """A trust and a clock that change."""

    def __init__(self, world: World) -> None:
        self.trust = world.trust
        self.at = world.at

    def check(self, leaf: bytes, others: object, purpose: Purpose, at: object, legacy: bool = False) -> Checked:
        return self.trust.check(leaf, others, purpose, at, legacy)  # type: ignore[arg-type]


def test_a_cached_assertion_is_judged_again(world: World) -> None:
    moving, data = Moving(world), message(world.vihf(), world.card)
    verifier = Verifier(moving, AssertionSettings(), (VIHF(),), Recording(), lambda: moving.at)
    assert world.verdict_of(verifier, data, "card") == "accepted"
    assert world.verdict_of(verifier, data, "other_card") == "replayed"
    assert world.verdict_of(verifier, data, "") == "replayed"
    moving.trust = make_trust(world, stale=True)
    assert world.verdict_of(verifier, data, "card") == "certificate-revocation-unknown"
    moving.trust = world.trust
    assert world.verdict_of(verifier, data, "card") == "accepted"
    moving.at += 3600 * SECOND
    assert world.verdict_of(verifier, data, "card") == "expired"
    assert world.verdict_of(verifier, data, "card") == "too-old"


def test_a_certificate_revoked_after_the_first_use(world: World) -> None:
    moving, data = Moving(world), message(world.vihf(), world.card)
    verifier = Verifier(moving, AssertionSettings(), (VIHF(),), Recording(), lambda: moving.at)
    assert world.verdict_of(verifier, data, "card") == "accepted"
    moving.trust = make_trust(world, revoked=(world.card.leaf,))
    assert world.verdict_of(verifier, data, "card") == "certificate-revoked"


def test_the_cache_is_bounded(world: World) -> None:
    verifier = world.verifier(cached=3)
    messages = [message(replace(world.vihf(), id=f"_bounded{number}"), world.card) for number in range(6)]
    assert [world.verdict_of(verifier, data, "card") for data in messages * 2] == ["accepted"] * 12
    assert len(verifier.cache) == 3


def test_a_duplicate_id_is_seen_for_a_cached_assertion(world: World) -> None:
    verifier, data = world.verifier(), message(world.vihf(), world.card)
    assert world.verdict_of(verifier, data, "card") == "accepted"
    twice = data.replace(b"<soap:Body/>", f'<soap:Body><x ID="{world.vihf().id}"/></soap:Body>'.encode())
    assert world.verdict_of(verifier, twice, "card") == "duplicate-id"


def test_what_fails_in_an_unforeseen_way_is_a_refusal(world: World) -> None:
    data = message(world.vihf(), world.card)
    verifier = Verifier(world.trust, AssertionSettings(), (VIHF(),), Recording(RecursionError()), lambda: world.at)
    with pytest.raises(AssertionRefused) as refused:
        verifier.verify(security_of(data), data, world.peer("card"))
    assert (refused.value.reason, refused.value.family) == ("defect", "dmp")


def test_a_store_that_does_not_answer_is_not_the_senders_fault(world: World) -> None:
    data = message(world.vihf(), world.card)
    failure = DatabaseUnavailable("closed")
    verifier = Verifier(world.trust, AssertionSettings(), (VIHF(),), Recording(failure), lambda: world.at)
    with pytest.raises(DatabaseUnavailable):
        verifier.verify(security_of(data), data, world.peer("card"))


def test_no_header_at_all(world: World) -> None:
    for kinds, subcode in (((VIHF(),), "DMPInvalidVIHF"), ((XUA(),), "SecurityTokenUnavailable")):
        with pytest.raises(AssertionRefused) as refused:
            world.verifier(kinds=kinds).verify(None, None, None)
        assert refused.value.reason == "no-assertion"
        assert refused.value.public.local == subcode


def test_a_sender_is_told_in_its_own_faults(world: World) -> None:
    data = message(replace(world.vihf(), subject="899700000002"), world.card)
    with pytest.raises(AssertionRefused) as refused:
        world.verify(data, "card")
    assert (refused.value.public.namespace, refused.value.public.local) == (SOAP12, "DMPInvalidVIHF")
    assert refused.value.public.language == "fr"
    data = message(world.vihf().changed("VIHF_Version", None), world.card)
    with pytest.raises(AssertionRefused) as refused:
        world.verify(data, "card")
    assert (refused.value.public.namespace, refused.value.public.local) == (WSSE, "InvalidSecurityToken")


def test_a_bad_certificate_is_told_as_the_dmp_tells_it(world: World) -> None:
    data = message(replace(world.vihf(), issuer=world.card.name), world.card_tls_signer)
    with pytest.raises(AssertionRefused) as refused:
        world.verify(data, "card")
    assert refused.value.reason == "certificate-key-usage"
    assert refused.value.public.local == "DMPInvalidCertificate"


def test_kinds_that_are_not_accepted(world: World) -> None:
    assert world.verdict(message(world.vihf(), world.card), "card", kinds=(XUA(),)) == "unknown-kind"
    assert world.verdict(message(world.xua(), world.sts), "card", kinds=(VIHF(),)) == "unknown-kind"


def test_a_certificate_with_an_extension_twice(world: World) -> None:
    """What a damaged certificate makes the library raise is a refusal of the certificate."""
    assert world.verdict(message(world.vihf(), world.twice_extended()), "card") in (
        "certificate",
        "certificate-not-a-certificate",
    )


class Badge:
    """A third kind: an assertion of a structure, whose NameID is a badge."""

    name = "badge"
    family: Family = "wsse"
    purpose = Purpose.ASSERTION
    strict_conditions = False

    def recognises(self, assertion: etree._Element) -> bool:
        return (assertion.findtext(f"{{{SAML2}}}Subject/{{{SAML2}}}NameID") or "").startswith("badge:")

    def check_issuer(self, assertion: etree._Element, checked: Checked) -> str:
        return checked.identity.dn

    def read(self, evidence: Evidence) -> Subject:
        return Subject(evidence.assertion.findtext(f"{{{SAML2}}}Subject/{{{SAML2}}}NameID") or "", proof_level="structure")


def test_a_third_kind_is_added_by_entry_point(world: World) -> None:
    point = EntryPoint("badge", f"{__name__}:Badge", "liasse.assertion_kinds")
    ours = [EntryPoint("xua", "xua.kinds.xua:XUA", ""), EntryPoint("vihf", "xua.kinds.vihf:VIHF", "")]
    kinds = load_kinds(("badge", "vihf", "xua"), [point, *ours])
    draft = replace(world.indirect(), subject="badge:17", attributes={"x": '<saml2:Attribute Name="x"/>'})
    verified = world.verify(message(draft, world.structure), "", kinds=kinds)
    assert (verified.subject.id, verified.subject.digest) == ("badge:17", verified.digest)
    assert world.verdict(message(world.vihf(), world.card), "card", kinds=kinds) == "accepted"


def test_the_installed_kinds() -> None:
    assert [kind.name for kind in load_kinds(("xua", "vihf"))] == ["xua", "vihf"]
    with pytest.raises(AssertionSettingsError, match="'badge' is not installed; installed: vihf, xua"):
        load_kinds(("badge",))


def test_a_reason_that_nobody_declared_is_a_defect() -> None:
    assert AssertionRefused("no such reason", "x").reason == "defect"
    assert all(REASONS[reason].meaning for reason in REASONS)
