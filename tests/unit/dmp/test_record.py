"""The rules of the record's states and standings, without a database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmp import record as rules
from dmp.ins import NIA, NIR, TEST, check_ins, key_of
from dmp.record import DAY, Delegate, Holder, Named, Party, Record, RecordRefused, Representative, Standing
from xds_metadata.datatypes import PatientKey

AT = 1_790_000_000_000_000
YEAR = 365 * DAY
DOCTOR, HOSPITAL = Party("899700000001"), Party("10B0127189", "structure")
RECORD = Record(PatientKey("279035121518989", TEST), since=AT, created_at=AT, consent_at=AT)


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def refused(rule: str, call: object, *arguments: object, **named: object) -> None:
    assert callable(call)
    with pytest.raises(RecordRefused) as caught:
        call(*arguments, **named)
    assert caught.value.rule == rule


def test_an_identity_is_read_back_as_the_party_that_it_names() -> None:
    assert DOCTOR.identity == "899700000001^1.2.250.1.71.4.2.1"
    assert HOSPITAL.identity == "10B0127189^1.2.250.1.71.4.2.2"
    assert [Party.of(each.identity) for each in (DOCTOR, HOSPITAL)] == [DOCTOR, HOSPITAL]


def test_an_authorisation_is_none_then_valid_then_expired() -> None:
    before = Standing(DOCTOR)
    after = rules.authorised(before, AT, YEAR)
    assert before.authorisation(AT) == "none"
    assert [after.authorisation(at) for at in (AT, AT + YEAR - 1, AT + YEAR)] == ["valid", "valid", "expired"]


def test_a_valid_authorisation_is_not_made_longer_by_declaring_it_again() -> None:
    standing = rules.authorised(Standing(DOCTOR), AT, YEAR)
    assert rules.authorised(standing, AT + DAY, YEAR, Named("X")) is standing


def test_an_expired_authorisation_is_declared_again_and_an_attending_doctor_is_one_again() -> None:
    standing = rules.attending(Standing(DOCTOR), AT, YEAR)
    assert not standing.attends(AT + YEAR)
    again = rules.authorised(standing, AT + YEAR, YEAR)
    assert (again.declared_at, again.expires_at, again.attends(AT + YEAR)) == (AT + YEAR, AT + 2 * YEAR, True)


def test_a_removed_authorisation_is_removed_whenever_it_is_looked_at_and_can_be_declared_again() -> None:
    removed = rules.unauthorised(rules.attending(Standing(DOCTOR), AT, YEAR), AT + DAY)
    assert [removed.authorisation(AT + at) for at in (DAY, 2 * YEAR)] == ["removed", "removed"]
    assert removed.attending_since is None
    assert rules.unauthorised(removed, AT + 2 * DAY) is removed
    again = rules.authorised(removed, AT + 2 * DAY, YEAR)
    assert (again.authorisation(AT + 2 * DAY), again.attends(AT + 2 * DAY)) == ("valid", False)


def test_who_leaves_the_quality_of_attending_doctor_keeps_his_authorisation() -> None:
    standing = rules.not_attending(rules.attending(Standing(DOCTOR), AT, YEAR), AT + DAY)
    assert (standing.authorisation(AT + DAY), standing.attends(AT + DAY)) == ("valid", False)
    assert rules.not_attending(standing, AT + DAY) is standing


def test_who_is_authorised_becomes_attending_within_the_authorisation_that_he_has() -> None:
    standing = rules.attending(rules.authorised(Standing(DOCTOR), AT, YEAR), AT + DAY, YEAR)
    assert (standing.expires_at, standing.attending_since) == (AT + YEAR, AT + DAY)
    assert rules.attending(standing, AT + 2 * DAY, YEAR) is standing


def test_a_structure_attends_nobody() -> None:
    refused("dmp-attending", rules.attending, Standing(HOSPITAL), AT, YEAR)


def test_a_block_ends_the_authorisation_and_its_end_brings_none_back() -> None:
    standing = rules.blocked(rules.attending(Standing(DOCTOR), AT, YEAR), AT + DAY)
    assert (standing.authorisation(AT + DAY), standing.attending_since, standing.blocked_since) == (
        "removed",
        None,
        AT + DAY,
    )
    refused("dmp-blocked", rules.authorised, standing, AT + DAY, YEAR)
    refused("dmp-blocked", rules.attending, standing, AT + DAY, YEAR)
    refused("dmp-consent", rules.unblocked, standing, AT + DAY, consent=False)
    free = rules.unblocked(standing, AT + 2 * DAY, consent=True)
    assert (free.blocked_since, free.authorisation(AT + 2 * DAY)) == (None, "removed")
    assert rules.authorised(free, AT + 3 * DAY, YEAR).authorisation(AT + 3 * DAY) == "valid"


def test_blocking_and_unblocking_twice_change_nothing() -> None:
    standing = rules.blocked(Standing(DOCTOR), AT)
    assert rules.blocked(standing, AT + DAY) is standing
    assert rules.unblocked(Standing(DOCTOR), AT, consent=False) == Standing(DOCTOR)


def test_a_record_is_closed_with_a_motive_reopened_with_consent_and_destroyed_once_closed() -> None:
    closed = rules.closed(RECORD, "  the patient asks ", AT + DAY)
    assert (closed.state, closed.motive, closed.since) == ("closed", "the patient asks", AT + DAY)
    reopened = rules.reopened(closed, AT + 2 * DAY, consent=True)
    assert (reopened.state, reopened.motive, reopened.consent_at) == ("active", "", AT + 2 * DAY)
    destroyed = rules.destroyed(replace(closed, holder=Holder("A", "B", "C", "20000101", "F")), AT + 3 * DAY)
    assert (destroyed.state, destroyed.holder) == ("destroyed", Holder())


@pytest.mark.parametrize("motive", ["", "  ", "x" * 501])
def test_a_motive_is_needed_to_close(motive: str) -> None:
    refused("dmp-motive", rules.closed, RECORD, motive, AT)


def test_what_a_state_does_not_allow_is_refused_by_its_rule() -> None:
    closed = rules.closed(RECORD, "m", AT)
    destroyed = rules.destroyed(closed, AT)
    refused("dmp-record-closed", rules.check_active, closed)
    refused("dmp-record-closed", rules.closed, closed, "m", AT)
    refused("dmp-record-active", rules.reopened, RECORD, AT, consent=True)
    refused("dmp-record-active", rules.destroyed, RECORD, AT)
    refused("dmp-consent", rules.reopened, closed, AT, consent=False)
    for nothing in (None, destroyed):
        refused("dmp-record-missing", rules.check_active, nothing)
        refused("dmp-record-missing", rules.closed, nothing, "m", AT)
        refused("dmp-record-missing", rules.reopened, nothing, AT, consent=True)
        refused("dmp-record-missing", rules.destroyed, nothing, AT)


@pytest.mark.parametrize(
    ("birth", "at", "minor"),
    [
        ("20080229", "2026-02-28T23:59:59", True),
        ("20080229", "2026-03-01T00:00:00", False),
        ("20081126", "2026-11-25T23:59:59", True),
        ("20081126", "2026-11-26T00:00:00", False),
        ("", "2026-11-26T00:00:00", False),
        ("20081332", "2026-11-26T00:00:00", False),
    ],
)
def test_majority_begins_with_the_birthday(birth: str, at: str, minor: bool) -> None:
    assert rules.is_minor(birth, moment(at), 18) is minor


def test_who_came_of_age_since_the_consent_is_asked_himself() -> None:
    record = replace(RECORD, holder=Holder(birth_date="20081126"), consent_at=moment("2020-01-01T00:00:00"))
    assert not rules.needs_own_consent(record, moment("2026-11-25T00:00:00"), 18)
    assert rules.needs_own_consent(record, moment("2026-11-26T00:00:00"), 18)
    again = replace(record, consent_at=moment("2026-11-26T00:00:00"))
    assert not rules.needs_own_consent(again, moment("2027-01-01T00:00:00"), 18)


def test_a_representative_of_a_minor_acts_until_majority_others_until_their_last_day() -> None:
    parent = Representative("1^1.2.3", "minor", since=AT)
    assert [parent.acts(AT, minor=minor) for minor in (True, False)] == [True, False]
    guardian = Representative("1^1.2.3", "protected", since=AT, until=AT + DAY)
    assert [guardian.acts(AT + at, minor=False) for at in (-1, 0, DAY - 1, DAY)] == [False, True, True, False]


def test_a_delegation_acts_once_accepted_and_within_its_dates() -> None:
    delegate = Delegate("1^1.2.3", answer="ACCEPTED", since=AT, until=AT + DAY)
    assert [delegate.acts(AT + at) for at in (-1, 0, DAY)] == [False, True, False]
    assert [delegate.status(AT + at) for at in (0, DAY)] == ["ACCEPTED", "EXPIRED"]
    pending, no = replace(delegate, answer="PENDING"), replace(delegate, answer="REFUSED")
    assert [(each.status(AT), each.status(AT + DAY), each.acts(AT)) for each in (pending, no)] == [
        ("PENDING", "EXPIRED", False),
        ("REFUSED", "REFUSED", False),
    ]


@pytest.mark.parametrize(
    ("identifier", "authority", "why"),
    [
        ("279035121518989", NIR, None),
        ("221042545611404", TEST, None),
        ("221042545611404", NIR, "not the key"),
        ("27903512151898", TEST, "15 characters"),
        ("279035121518989^", TEST, "15 characters"),
        ("279035121518989", "1.2.3", "authority"),
    ],
)
def test_an_ins_has_an_authority_a_form_and_outside_tests_a_key(identifier: str, authority: str, why: str | None) -> None:
    found = check_ins(PatientKey(identifier, authority))
    assert (found is None) if why is None else (found is not None and why in found and identifier not in found)


def test_corsican_numbers_have_keys() -> None:
    assert check_ins(PatientKey("190012A123456" + key_of("190012A123456"), NIA)) is None
    assert check_ins(PatientKey("190012B123456" + key_of("190012A123456"), NIA)) is not None


Act = Callable[[Standing, int], Standing]
_ACTS: dict[str, Act] = {
    "authorise": lambda standing, at: rules.authorised(standing, at, 10 * DAY),
    "attend": lambda standing, at: rules.attending(standing, at, 10 * DAY),
    "leave": rules.not_attending,
    "unauthorise": rules.unauthorised,
    "block": rules.blocked,
    "unblock": lambda standing, at: rules.unblocked(standing, at, consent=True),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(_ACTS)), st.integers(0, 20)), max_size=30))
def test_whatever_is_done_who_is_blocked_is_not_authorised_and_who_attends_is(acts: list[tuple[str, int]]) -> None:
    standing, at = Standing(DOCTOR), AT
    for act, days in acts:
        at += days * DAY
        if standing.blocked_since is not None and act in ("authorise", "attend"):
            refused("dmp-blocked", _ACTS[act], standing, at)
            continue
        after = _ACTS[act](standing, at)
        assert after.changed_at == at or after is standing
        standing = after
        if standing.blocked_since is not None:
            assert standing.authorisation(at) in ("none", "removed")
        if standing.attends(at):
            assert standing.authorisation(at) == "valid"
        assert _ACTS[act](standing, at) is standing
