"""When, for whom and how often an assertion holds, and how its subject had been authenticated.

A sender's clock may be ahead of ours by the skew; the ends of validity are taken as they are written. Whatever an assertion
says, it lives no longer than `max_age` from its IssueInstant.

Source: SAML 2.0 core, 2.5 and 2.7.2; the DMP's VIHF, which need not have conditions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lxml import etree

from xmlsafe.namespaces import SAML2
from xua.refusal import AssertionRefused, quote
from xua.settings import AssertionSettings
from xua.times import SECOND, read_time

_S: Final = f"{{{SAML2}}}"


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` (the skew is allowed) to before `end`, microseconds; `one_time` where the assertion says so."""

    start: int
    end: int
    one_time: bool = False

    def check(self, at: int, skew: int) -> None:
        """Refuse at a time outside the window; `skew` in microseconds."""
        if at + skew < self.start:
            raise AssertionRefused("not-yet-valid", f"valid in {(self.start - at) / SECOND:.1f} s")
        if at >= self.end:
            raise AssertionRefused("expired", f"it ended {(at - self.end) / SECOND:.1f} s ago")


@dataclass(frozen=True, slots=True)
class Authentication:
    """What the AuthnStatement says: the context class, the declaration, and when the session ends (microseconds, 0: not)."""

    context: str
    declaration: str
    session_end: int


def check_conditions(assertion: etree._Element, at: int, settings: AssertionSettings, *, strict: bool) -> Window:
    """The window of `assertion`, which `at` (microseconds) is in. Raises AssertionRefused.

    `strict` asks for Conditions with an end and an audience; otherwise IssueInstant and `max_age` are the bounds, and
    conditions hold when they are there. An audience that is given must be this server's in any case.
    """
    skew, longest = int(settings.skew * SECOND), int(settings.max_age * SECOND)
    issued = read_time(assertion.get("IssueInstant", ""), "IssueInstant")
    if issued > at + skew:
        raise AssertionRefused("issued-in-future", f"IssueInstant is {(issued - at) / SECOND:.1f} s ahead")
    if at >= issued + longest:
        raise AssertionRefused("too-old", f"IssueInstant was {(at - issued) / SECOND:.1f} s ago")
    conditions = assertion.find(f"{_S}Conditions")
    if conditions is None:
        if strict:
            raise AssertionRefused("no-conditions", "the assertion has no Conditions")
        return Window(issued, issued + longest)
    _check_audience(conditions, settings.audience, strict=strict)
    window = _window(conditions, issued, longest, skew, strict=strict)
    window.check(at, skew)
    return window


def _window(conditions: etree._Element, issued: int, longest: int, skew: int, *, strict: bool) -> Window:
    start = _optional_time(conditions, "NotBefore", issued)
    end = _optional_time(conditions, "NotOnOrAfter", 0)
    if not end and strict:
        raise AssertionRefused("no-conditions", "Conditions has no NotOnOrAfter")
    if end and end <= start:
        raise AssertionRefused("validity", "NotOnOrAfter is not after NotBefore")
    if end and end - issued > longest + skew:
        raise AssertionRefused(
            "validity", f"it is valid for {(end - issued) / SECOND:.0f} s, at most {longest // SECOND} are accepted"
        )
    last = issued + longest
    return Window(start, min(end, last) if end else last, conditions.find(f"{_S}OneTimeUse") is not None)


def _check_audience(conditions: etree._Element, ours: tuple[str, ...], *, strict: bool) -> None:
    restrictions = conditions.findall(f"{_S}AudienceRestriction")
    if not restrictions:
        if strict:
            raise AssertionRefused("no-conditions", "Conditions has no AudienceRestriction")
        return
    audiences = [audience.text or "" for restriction in restrictions for audience in restriction]
    if len(audiences) != 1 or audiences[0] not in ours:
        shown = ", ".join(quote(one) for one in audiences[:3])
        raise AssertionRefused("audience", f"{len(audiences)} audiences {shown}; exactly one, this server's, is expected")


def check_authentication(assertion: etree._Element, at: int, skew: float) -> Authentication:
    """The one AuthnStatement. Raises AssertionRefused. `skew` in seconds."""
    statements = assertion.findall(f"{_S}AuthnStatement")
    if len(statements) != 1:
        raise AssertionRefused("authn-statement", f"{len(statements)} AuthnStatement, exactly one is expected")
    statement = statements[0]
    allowed = int(skew * SECOND)
    instant = read_time(statement.get("AuthnInstant", ""), "AuthnInstant")
    issued = read_time(assertion.get("IssueInstant", ""), "IssueInstant")
    if instant > issued + allowed or instant > at + allowed:
        raise AssertionRefused("authn-statement", "AuthnInstant is after IssueInstant or in the future")
    session_end = _optional_time(statement, "SessionNotOnOrAfter", 0)
    if session_end and session_end <= at:
        raise AssertionRefused("authn-statement", "the session of the AuthnStatement has ended")
    context = statement.find(f"{_S}AuthnContext")
    reference = None if context is None else context.find(f"{_S}AuthnContextClassRef")
    text = "" if reference is None else reference.text or ""
    if context is None or not text or text != "".join(text.split()):
        raise AssertionRefused("authn-statement", f"AuthnContextClassRef is {quote(text)}, a URI is expected")
    declaration = context.find(f"{_S}AuthnContextDecl")
    return Authentication(text, "" if declaration is None else (declaration.text or "").strip(), session_end)


def _optional_time(element: etree._Element, name: str, default: int) -> int:
    text = element.get(name)
    return default if text is None else read_time(text, name)
