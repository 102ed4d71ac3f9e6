"""Checks of `liasse doctor` on certificates, keys, authorities and revocation lists that the settings name.

What time brings about is a warning, here and at the start of the server: it must be able to start to be repaired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from liasse.checks import Check
from liasse.settings import Settings
from liasse.tls import TlsError, registry_context, server_context
from pki.errors import RevocationRefused, TrustError
from pki.revocation import judge_list
from pki.trust import read_anchors

_SOON: Final = timedelta(days=30)


def check_tls(settings: Settings, now: datetime | None = None) -> list[Check]:
    """Everything that TLS needs; nothing where the settings do not use it. `now` is the time, UTC."""
    at = now or datetime.now(UTC)
    found = []
    tls, repository = settings.tls, settings.repository
    if tls.certificate is not None and tls.key is not None:
        found.append(_check_pair("tls", lambda: server_context(tls)))
        found.append(_check_validity("tls.certificate", (tls.certificate,), at))
        found.append(_check_mode("tls.key", tls.key))
    if tls.client_ca:
        found.append(_check_validity("tls.client_ca", tls.client_ca, at))
    if tls.ocsp:
        found.append(_check_validity("tls.ocsp", tuple(each.issuer for each in tls.ocsp), at))
    if repository.registry.startswith("https://"):
        found.append(_check_pair("tls to the registry", lambda: registry_context(repository)))
    if repository.registry_certificate is not None and repository.registry_key is not None:
        found.append(_check_validity("repository.registry_certificate", (repository.registry_certificate,), at))
        found.append(_check_mode("repository.registry_key", repository.registry_key))
    if settings.assertions.anchors:
        found.append(_check_validity("assertions.anchors", settings.assertions.anchors, at))
    found += _check_lists(settings, at)
    return found


def _check_pair(name: str, load: Callable[[], object]) -> Check:
    try:
        load()
    except TlsError as error:
        return Check(name, "fail", str(error))
    return Check(name, "ok", "certificate, key and authorities fit together")


def _check_validity(setting: str, paths: tuple[Path, ...], at: datetime) -> Check:
    """Every certificate of the files is in its time; the first end is told."""
    try:
        certificates = read_anchors([(str(path), path.read_bytes()) for path in paths])
    except OSError as error:
        return Check(setting, "fail", f"{error.filename}: {error.strerror}")
    except TrustError as error:
        return Check(setting, "fail", str(error))
    first = min(certificates, key=lambda each: each.not_valid_after_utc)
    text = f"{first.subject.rfc4514_string()} is valid until {first.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    late = [each for each in certificates if each.not_valid_before_utc > at]
    if late:
        begins = f"{late[0].not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        return Check(setting, "warn", f"{late[0].subject.rfc4514_string()} is valid from {begins} only: is the clock right?")
    if first.not_valid_after_utc < at:
        return Check(setting, "warn", f"{text}: it is over")
    return Check(setting, "warn" if first.not_valid_after_utc < at + _SOON else "ok", text)


def _check_mode(setting: str, path: Path) -> Check:
    """A private key is read by the server's user, or by its group, alone."""
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        return Check(setting, "fail", f"{path}: {error.strerror}")
    if mode & 0o027:
        return Check(setting, "warn", f"{path} has mode {mode:04o}: others than its owner may use it, use 0600 or 0640")
    return Check(setting, "ok", f"{path} has mode {mode:04o}")


def _check_lists(settings: Settings, at: datetime) -> Iterator[Check]:
    """Lists in files are judged as the server judges them; what is behind a URL is fetched by the server only."""
    try:
        authorities = read_anchors([
            (str(path), path.read_bytes()) for path in (*settings.tls.client_ca, *settings.assertions.anchors)
        ])  # fmt: skip
    except (OSError, TrustError):
        return  # told above
    for place in settings.tls.crl:
        if place.startswith(("http://", "https://")):
            continue
        try:
            found = judge_list(Path(place).read_bytes(), authorities, at)
        except OSError as error:
            yield Check("tls.crl", "warn", f"{place}: {error.strerror}")
            continue
        except RevocationRefused as refused:
            yield Check("tls.crl", "warn", f"{place}: {refused}")
            continue
        ends = found.next_update
        text = f"{place}: {len(found.serials)} revoked, to be renewed before {ends:%Y-%m-%d %H:%M} UTC"
        yield Check("tls.crl", "warn" if at > ends else "ok", text)
