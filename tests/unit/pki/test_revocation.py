"""Revocation lists: which are taken, how long they count, and where they are kept (B22, C3 of the attack catalogue)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from database.engine import open_database
from database.handle import Database
from database.migrate import migrate
from pki.errors import CertificateRefused, RevocationRefused
from pki.revocation import MAX_LIST, Revocations, judge_list
from pki.stored_lists import load_lists, store_list, stored_version
from tests.unit.pki.world import AT, ISSUING, ROOT, Holder, card

AUTHORITIES = [ROOT.certificate, ISSUING.certificate]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = open_database(str(tmp_path / "lists.sqlite"), create=True)
    migrate(made)
    return made


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: b"nothing", "not-a-list"),
        (lambda: b"\0" * (MAX_LIST + 1), "not-a-list"),
        (lambda: Holder("Stranger").crl(), "unknown-authority"),
        (lambda: Holder("Issuing").crl(), "signature"),
        (lambda: ISSUING.crl(critical=True), "extension"),
        (lambda: ISSUING.crl(this=AT + timedelta(hours=1)), "future"),
    ],
)
def test_a_list_that_cannot_count_is_refused(make: Callable[[], bytes], reason: str) -> None:
    with pytest.raises(RevocationRefused) as refused:
        judge_list(make(), AUTHORITIES, AT)
    assert refused.value.reason == reason


def test_a_list_in_pem_form_is_taken() -> None:
    der = ISSUING.crl(number=7)
    pem = x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)
    assert judge_list(pem, AUTHORITIES, AT) == judge_list(der, AUTHORITIES, AT)
    assert judge_list(der, AUTHORITIES, AT).number == 7


@pytest.mark.parametrize("earlier", [0, 1])
def test_this_update_must_rise(earlier: int) -> None:
    with pytest.raises(RevocationRefused) as refused:
        judge_list(ISSUING.crl(this=AT - timedelta(seconds=earlier)), AUTHORITIES, AT, newest=AT)
    assert refused.value.reason == "not-newer"


def test_after_its_end_a_list_counts_for_the_time_of_grace_and_no_longer() -> None:
    leaf = card()
    view = Revocations([judge_list(ISSUING.crl(days=1), AUTHORITIES, AT)], timedelta(hours=1))
    end = AT + timedelta(days=1)
    view.check(leaf.certificate, ISSUING.certificate, end + timedelta(minutes=59))
    with pytest.raises(CertificateRefused) as refused:
        view.check(leaf.certificate, ISSUING.certificate, end + timedelta(minutes=61))
    assert refused.value.reason == "revocation-unknown"
    assert view.ends() == end + timedelta(hours=1)
    assert Revocations().ends() is None


def test_a_newer_list_takes_the_place_of_its_authoritys() -> None:
    leaf = card()
    before = Revocations([judge_list(ISSUING.crl(), AUTHORITIES, AT), judge_list(ROOT.crl(), AUTHORITIES, AT)])
    after = before.replaced([judge_list(ISSUING.crl(leaf), AUTHORITIES, AT)])
    assert len(after.lists) == 2
    before.check(leaf.certificate, ISSUING.certificate, AT)
    with pytest.raises(CertificateRefused):
        after.check(leaf.certificate, ISSUING.certificate, AT)


def test_an_authority_without_a_list_above_it_is_not_asked_about() -> None:
    Revocations().check(ISSUING.certificate, ROOT.certificate, AT)


def test_lists_are_stored_by_version_and_loaded_again(database: Database) -> None:
    with database:
        assert stored_version(database) == 0
        first = ISSUING.crl(this=AT - timedelta(hours=2))
        store_list(database, first, AUTHORITIES, AT)
        store_list(database, ROOT.crl(), AUTHORITIES, AT)
        version, lists, data = load_lists(database, AUTHORITIES, AT)
        assert (version, len(lists), data[0]) == (2, 2, first)
        newer = ISSUING.crl(card(), this=AT - timedelta(hours=1))
        store_list(database, newer, AUTHORITIES, AT)
        assert [len(each.serials) for each in load_lists(database, AUTHORITIES, AT, since=version)[1]] == [1]
        assert stored_version(database) == 3


def test_a_list_replaced_by_an_older_one_stays(database: Database) -> None:
    with database:
        store_list(database, ISSUING.crl(card()), AUTHORITIES, AT)
        for data, reason in ((ISSUING.crl(this=AT - timedelta(hours=1)), "not-newer"), (ISSUING.crl(), "not-newer")):
            with pytest.raises(RevocationRefused) as refused:
                store_list(database, data, AUTHORITIES, AT)
            assert refused.value.reason == reason
        assert len(load_lists(database, AUTHORITIES, AT)[1][0].serials) == 1


def test_the_stored_list_itself_is_no_news(database: Database) -> None:
    with database:
        data = ISSUING.crl()
        store_list(database, data, AUTHORITIES, AT)
        with pytest.raises(RevocationRefused) as refused:
            store_list(database, data, AUTHORITIES, AT)
        assert refused.value.reason == "unchanged"


def test_a_stored_list_of_an_authority_that_is_no_longer_trusted_is_left_out(database: Database) -> None:
    with database:
        store_list(database, ISSUING.crl(), AUTHORITIES, AT)
        assert load_lists(database, [ROOT.certificate], AT) == (1, (), ())
