"""Authorities that several kinds of assertions share do not let every certificate below them be an identity provider."""

from __future__ import annotations

import pytest

from liasse.trust import Authorities
from pki.errors import CertificateRefused
from pki.rules import Purpose
from tests.unit.pki.world import AT, ROOT, Holder


@pytest.mark.parametrize(("kinds", "accepted"), [(("xua",), True), (("xua", "vihf"), False)])
def test_a_certificate_of_no_kind_below_a_shared_authority(kinds: tuple[str, ...], accepted: bool) -> None:
    seal = Holder("Seal of a journal", ROOT, authority=False, usages=frozenset({"digital_signature"}))
    trust = Authorities(assertions=(ROOT.certificate,)).trust(kinds)
    if accepted:
        assert trust.check(seal.der, [], Purpose.STS, AT).identity.kind == "other"
    else:
        with pytest.raises(CertificateRefused) as refused:
            trust.check(seal.der, [], Purpose.STS, AT)
        assert refused.value.reason == "policy"


def test_a_certificate_that_the_settings_name_speaks_for_itself() -> None:
    sts = Holder("STS", authority=False, usages=None)
    trust = Authorities(assertions=(sts.certificate,)).trust(("xua", "vihf"))
    assert trust.check(sts.der, [], Purpose.STS, AT).identity.kind == "other"
