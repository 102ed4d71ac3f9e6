"""What an operator may set about assertions. Each value is a check that is made; none turns a check off."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class AssertionSettings:
    """The table `[assertions]`.

    `required`: a message without assertion is refused. `kinds`: names of the kinds accepted, tried in this order. `anchors`:
    PEM files of the authorities that assertions may be signed under, read by whoever builds the trust. `audience`: the names
    under which this server is addressed, one of which an XUA assertion must give exactly. `roles` and `purposes`:
    code or "code^OID"; `authn_contexts`: URIs; where one is not empty, every value of an assertion must be in it. `max_age`:
    seconds that an assertion lives at most, from its IssueInstant. `skew`: seconds that the sender's clock may be ahead.
    `legacy`: signatures with SHA-1 are accepted (recorded messages of 2019 and 2020). `one_time`: an assertion serves one
    call.
    """

    required: bool = False
    kinds: tuple[str, ...] = ("xua", "vihf")
    anchors: tuple[Path, ...] = ()
    audience: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    authn_contexts: tuple[str, ...] = ()
    max_age: float = 3600.0
    skew: float = 60.0
    legacy: bool = False
    one_time: bool = False


class AssertionSettingsError(ValueError):
    """Settings under which no assertion of an accepted kind could be checked."""
