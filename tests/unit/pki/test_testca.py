"""The test PKI: what it makes, that nothing is written over, and what `liasse pki` says."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.errors import CertificateRefused, FilesError
from pki.identity import identity_of, same_name
from pki.revocation import judge_list
from pki.testca import Card, Credentials, TestPki
from pki.trust import Purpose, Trust, read_anchors


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> TestPki:
    return TestPki.create(tmp_path_factory.mktemp("pki") / "kit", keys="ec")


def verdicts(pki: TestPki, credentials: Credentials) -> set[Purpose]:
    """The purposes that the trust in the root takes a certificate for."""
    certificate, _, chain = credentials.load()
    trust = Trust({purpose: read_anchors([("root", pki.anchors.read_bytes())]) for purpose in Purpose})
    taken = set()
    for purpose in Purpose:
        try:
            trust.check(
                certificate.public_bytes(Encoding.DER),
                [one.public_bytes(Encoding.DER) for one in chain],
                purpose,
                datetime.now(UTC),
            )
        except CertificateRefused:
            continue
        taken.add(purpose)
    return taken


def test_each_pair_of_a_card_and_of_a_structure_has_one_purpose(pki: TestPki) -> None:
    for holder in (
        pki.issue_card("doctor", "899700000001"),
        pki.issue_card("secretary", "899700000009", profession="SECRETARIAT_MEDICAL", staff=True),
        pki.issue_structure("hospital", "10B0127189"),
    ):
        assert verdicts(pki, holder.authentication) == {Purpose.TLS_CLIENT}
        assert verdicts(pki, holder.signature) == {Purpose.ASSERTION}


def test_a_server_is_no_client_and_names_its_hosts(pki: TestPki) -> None:
    pair = pki.issue("server", "server", hosts=["localhost", "127.0.0.1"])
    assert verdicts(pki, pair) == set()
    names = pair.load()[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["localhost", "127.0.0.1"]


def test_a_card_is_read_back_as_it_was_issued(pki: TestPki) -> None:
    card = pki.issue_card("nurse", "899700000002", profession="60", speciality="")
    assert Card.load(card.authentication.certificate.parent) == card
    assert card.roles == (("60", "1.2.250.1.71.1.2.7"),)
    found = identity_of(card.signature.load()[0].public_bytes(Encoding.DER))
    assert (found.kind, found.holder) == ("person", "899700000002")
    assert same_name(found.dn, card.signature.load()[0])


def test_keys_are_for_their_owner_only(pki: TestPki) -> None:
    pair = pki.issue("client", "node")
    assert pair.key.stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_over(pki: TestPki) -> None:
    with pytest.raises(FilesError, match="nothing is written over"):
        TestPki.create(pki.directory)
    pki.issue("client", "twice")
    with pytest.raises(FilesError, match="nothing is written over"):
        pki.issue("client", "twice")


def test_renewed_pairs_lie_beside_the_old_ones(pki: TestPki) -> None:
    card = pki.issue_card("renewed", "899700000003")
    made = pki.renew("renewed")
    assert sorted(path.name for path in made) == ["authentication.2.pem", "signature.2.pem"]
    assert [path.name for path in pki.renew("renewed") if "signature" in path.name] == ["signature.3.pem"]
    old = card.signature.load()[0]
    new = x509.load_pem_x509_certificate(next(path for path in made if "signature" in path.name).read_bytes())
    assert (new.subject, new.serial_number == old.serial_number) == (old.subject, False)


def test_what_is_revoked_is_on_the_next_list_and_lists_rise(pki: TestPki) -> None:
    card = pki.issue_card("lost", "899700000004")
    authorities = read_anchors([("all", pki.authorities.read_bytes())])
    now = datetime.now(UTC) + timedelta(minutes=1)
    persons = next(path for path in pki.crls if path.name == "persons.crl")
    before = judge_list(persons.read_bytes(), authorities, now)
    assert len(pki.revoke("lost", "keyCompromise")) == 2
    after = judge_list(persons.read_bytes(), authorities, now, newest=before.this_update)
    assert after.number == before.number + 1
    assert card.signature.load()[0].serial_number in after.serials - before.serials
    assert {row.reason for row in TestPki.open(pki.directory).issued if row.name == "lost"} == {"keyCompromise"}


def test_mistakes_are_named(pki: TestPki, tmp_path: Path) -> None:
    for call in (
        lambda: pki.issue("nothing", "x"),
        lambda: pki.issue("client", "../x"),
        lambda: pki.revoke("nobody"),
        lambda: pki.revoke("doctor", "boredom"),
        lambda: pki.renew("nobody"),
        lambda: TestPki.open(tmp_path),
        lambda: Card.load(tmp_path),
        lambda: Credentials(tmp_path / "a", tmp_path / "b", tmp_path / "c").load(),
    ):
        with pytest.raises(FilesError):
            call()


def test_the_command_makes_issues_revokes_renews_and_shows(tmp_path: Path) -> None:
    kit = str(tmp_path / "kit")

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "liasse.cli", "pki", *arguments], capture_output=True, text=True, timeout=60
        )
        return done.returncode, done.stdout + done.stderr

    assert run("init", kit, "--keys", "ec")[0] == 0
    assert run("init", kit)[0] == 1
    assert run("init", kit, "--keys", "dsa")[0] == 2
    assert run("issue", "card", "doctor", "--dir", kit)[0] == 1
    assert run("issue", "card", "doctor", "--id", "899700000001", "--dir", kit)[0] == 0
    assert run("issue", "structure", "hospital", "--id", "10B0127189", "--dir", kit)[0] == 0
    assert run("issue", "server", "srv", "--host", "localhost", "--days", "5", "--dir", kit)[0] == 0
    assert run("renew", "srv", "--dir", kit)[0] == 0
    assert run("revoke", "doctor", "--reason", "keyCompromise", "--dir", kit)[0] == 0
    assert run("crl", "--dir", kit)[0] == 0
    code, text = run("show", "--dir", kit)
    assert code == 0
    assert "ends soon" in text
    assert "revoked" in text
