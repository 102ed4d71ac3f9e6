"""How a record is shown to an operator: a page of tables, or JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table

from dmp.record import Standing, is_minor, needs_own_consent
from dmp.record_rows import Change, Everything
from liasse.commands import output
from liasse.commands.journal_times import moment_text
from xds_metadata.patients import key_text


def print_record(whole: Everything, at: int, adult_age: int) -> None:
    """The page, on standard output."""
    console = output.console()
    console.print(_sheet(_facts(whole, at, adult_age)))
    parts = (
        (("professional or structure", "name", "role", "authorisation", "attending", "blocked"), _standings(whole, at)),
        (("person", "name", "is", "status", "until"), _people(whole, at, adult_age)),
        (("channel", "of", "address", "language", "each document"), _contacts(whole)),
        (("time (UTC)", "done", "by", "to", "because"), _history(whole)),
    )
    for columns, rows in parts:
        if rows:
            console.print(_filled(columns, rows))


def as_json(whole: Everything, at: int) -> dict[str, Any]:
    """The same, for programs. Times are UTC."""
    record, holder, oppositions = whole.record, whole.record.holder, whole.record.oppositions
    return {
        "patient": key_text(record.patient),
        "state": record.state,
        "since": moment_text(record.since),
        "motive": record.motive,
        "created": moment_text(record.created_at),
        "consent": _moment(record.consent_at),
        "holder": {
            "family": holder.family,
            "used": holder.used,
            "given": holder.given,
            "birthDate": holder.birth_date,
            "sex": holder.sex,
        },
        "oppositions": {"breakGlass": oppositions.break_glass, "regulation": oppositions.regulation},
        "maskedInEmergency": oppositions.masked_in_emergency,
        "standings": [_standing_json(each, at) for each in whole.standings],
        "representatives": [
            {"identity": each.identity, "ground": each.ground, "link": each.link, "family": each.family,
             "given": each.given, "since": moment_text(each.since), "until": _moment(each.until)}
            for each in whole.representatives
        ],
        "delegates": [
            {"identity": each.identity, "kind": each.kind, "status": each.status(at), "family": each.family,
             "given": each.given, "since": moment_text(each.since), "until": _moment(each.until)}
            for each in whole.delegates
        ],
        "contacts": [
            {"channel": each.channel, "value": each.value, "owner": each.owner, "language": each.language,
             "documents": each.documents}
            for each in whole.contacts
        ],
        "history": [
            {"at": moment_text(each.at), "act": each.act, "subject": each.subject, "reason": each.reason,
             "party": None if each.party is None else each.party.identity, "detail": dict(each.detail)}
            for each in whole.history
        ],
    }  # fmt: skip


def _standing_json(standing: Standing, at: int) -> dict[str, Any]:
    named = standing.named
    return {
        "id": standing.party.id,
        "kind": standing.party.kind,
        "family": named.family,
        "given": named.given,
        "role": named.role,
        "authorisation": standing.authorisation(at),
        "declared": _moment(standing.declared_at),
        "expires": _moment(standing.expires_at),
        "removed": _moment(standing.removed_at),
        "attending": standing.attends(at),
        "blocked": _moment(standing.blocked_since),
    }


def _facts(whole: Everything, at: int, adult_age: int) -> list[tuple[str, str]]:
    record, holder, oppositions = whole.record, whole.record.holder, whole.record.oppositions
    name = " ".join(each for each in (holder.given, holder.used or holder.family) if each)
    born = output.time_text(holder.birth_date)
    minor = ", a minor" if is_minor(holder.birth_date, at, adult_age) else ""
    consent = _moment(record.consent_at) or ""
    if needs_own_consent(record, at, adult_age):
        consent += " (before majority: the holder has to be asked himself)"
    state = f"{record.state} since {moment_text(record.since)}"
    return [
        ("patient", key_text(record.patient)),
        ("holder", f"{name}{f', born {holder.family}' if holder.used and holder.family else ''}"),
        ("born", f"{born}{minor} {holder.sex}".strip()),
        ("state", f"{state}: {record.motive}" if record.motive else state),
        ("consent to opening", consent),
        ("break-glass", "opposed" if oppositions.break_glass else "not opposed"),
        ("regulation", "opposed" if oppositions.regulation else "not opposed"),
        ("masked in emergency", "open" if oppositions.masked_in_emergency else "hidden"),
    ]


def _standings(whole: Everything, at: int) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for each in whole.standings:
        status = each.authorisation(at)
        end = f" until {_moment(each.expires_at)}" if status == "valid" else ""
        attending = moment_text(each.attending_since) if each.attends(at) and each.attending_since is not None else ""
        name = " ".join(part for part in (each.named.given, each.named.family) if part)
        role = each.named.role_text or each.named.role
        party = each.party.id if each.party.kind == "person" else f"{each.party.id} (structure)"
        rows.append((party, name, role, status + end, attending, _moment(each.blocked_since) or ""))
    return rows


def _people(whole: Everything, at: int, adult_age: int) -> list[Sequence[str]]:
    minor = is_minor(whole.record.holder.birth_date, at, adult_age)
    rows: list[Sequence[str]] = []
    for person in whole.representatives:
        status = "acts" if person.acts(at, minor=minor) else "does not act"
        kind = f"representative ({person.ground}{f', {person.link}' if person.link else ''})"
        name = f"{person.given} {person.family}".strip()
        rows.append((person.identity, name, kind, status, _moment(person.until) or ""))
    for delegate in whole.delegates:
        name, kind = f"{delegate.given} {delegate.family}".strip(), f"delegate ({delegate.kind})"
        rows.append((delegate.identity, name, kind, delegate.status(at), _moment(delegate.until) or ""))
    return rows


def _contacts(whole: Everything) -> list[Sequence[str]]:
    return [
        (each.channel, each.owner or "holder", each.value, each.language, "yes" if each.documents else "no")
        for each in whole.contacts
    ]


def _history(whole: Everything) -> list[Sequence[str]]:
    return [
        (moment_text(each.at), each.act, _who(each), "" if each.party is None else each.party.id, each.reason)
        for each in whole.history
    ]


def _who(change: Change) -> str:
    return f"{change.subject} for {change.detail['by']}" if "by" in change.detail else change.subject


def _moment(at: int | None) -> str | None:
    return None if at is None else moment_text(at)


def _sheet(rows: Iterable[tuple[str, str]]) -> Table:
    table = output.table("record", "")
    for name, value in rows:
        table.add_row(name, output.lines(value, ""))
    return table


def _filled(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = output.table(*columns)
    for row in rows:
        table.add_row(*(output.lines(value, "") for value in row))
    return table
