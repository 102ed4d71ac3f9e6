"""What an assertion costs: verified anew, out of the cache, and refused when it is hostile. Beside a bare signxml call."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lxml import etree
from signxml.verifier import SignatureConfiguration, XMLVerifier

from benchmarks.report import Budget, Report
from benchmarks.yardsticks import REFERENCE_PARSE, bare_parse
from tests.assertion_world import World, make_world
from tests.assertions import Form, base64_of, message, security_of
from tests.attacks.assertion_cases import cases
from xmlsafe import XmlError, parse
from xmlsafe.namespaces import SAML2, WSSE
from xua.refusal import AssertionRefused

_HOSTILE = 256_000


def run(report: Report, directory: Path) -> None:
    """The part `assertions`."""
    world = make_world(directory / "assertions")
    peer = world.peer("card")
    data = message(world.vihf(), world.card)
    security = security_of(data)
    cut = etree.tostring(next(security.iter(f"{{{SAML2}}}Assertion")), with_tail=False)
    config = SignatureConfiguration(location="./")
    bare = least(lambda: _bare(cut, world, config), 200)
    cached_by = world.verifier()
    cached_by.verify(security, data, peer)
    cached = least(lambda: cached_by.verify(security, data, peer), 2000)
    fresh_by = world.verifier(cached=0)
    fresh_by.verify(security, data, peer)
    fresh = least(lambda: fresh_by.verify(security, data, peer), 200)
    report.say(f"assertion of {len(cut)} bytes; bare signxml call with a pinned certificate: {bare:.3f} ms of CPU")
    scale = REFERENCE_PARSE / bare_parse()
    for name, measured, limit in (
        ("an assertion verified anew, known to the store", fresh, 0.8),
        ("an assertion out of the cache", cached, 0.1),
    ):
        note = f"{measured:.2f} measured, {measured / bare:.2f} x bare"
        report.add(Budget(name, measured * scale, limit, "ms CPU *", note=note))
    report.say(f"an assertion used first, with its durable write: {_first_uses(world):.2f} ms of CPU")
    worst, name = max((_cost_of(world, text), name) for name, text in hostile(world))
    note = f"{worst:.1f} measured; dearest: {name}"
    report.add(Budget("a hostile header of 256 kB", worst * scale, 20, "ms CPU *", note=note))


def _bare(cut: bytes, world: World, config: SignatureConfiguration) -> None:
    XMLVerifier().verify(cut, x509_cert=world.card.leaf, validate_schema=False, id_attribute="ID", expect_config=config)


def least(work: Callable[[], object], count: int, rounds: int = 7) -> float:
    """Milliseconds of CPU for one call; the least of some rounds."""
    found = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(count):
            work()
        found = min(found, (time.process_time() - began) / count)
    return found * 1000


def _first_uses(world: World) -> float:
    peer = world.peer("card")
    verifier = world.verifier()
    messages = []
    for number in range(150):
        data = message(replace(world.vihf(), id=f"_first{number}"), world.card)
        messages.append((security_of(data), data))
    began = time.process_time()
    for security, data in messages:
        verifier.verify(security, data, peer)
    return (time.process_time() - began) / len(messages) * 1000


def hostile(world: World) -> list[tuple[str, bytes]]:
    """Messages of at most 256 kB whose header is all attack, by name."""
    wanted = ("B32 canonicalisation bomb", "B34 a flood of references")
    made = [(case.name, _filled(case.build(world))) for case in cases() if case.name in wanted]
    good = message(world.vihf(), world.card).decode()

    def before_assertion(xml: str) -> bytes:
        return good.replace("<saml2:Assertion", xml + "<saml2:Assertion").encode()

    def in_body(xml: str) -> bytes:
        return good.replace("<soap:Body/>", f"<soap:Body>{xml}</soap:Body>").encode()

    certificates = f"<ds:X509Certificate>{base64_of(world.card.leaf)}</ds:X509Certificate>" * 180
    flood = Form(key_info=f"<ds:X509Data>{certificates}</ds:X509Data>")
    made.append(("a flood of certificates", message(world.vihf(), world.card, flood)[:_HOSTILE]))
    attributes = "".join(f'<saml2:Attribute Name="a{n}"/>' for n in range(8_000))
    crowded = replace(world.vihf(), attributes={"all": attributes})
    made.append(("8000 attributes", message(crowded, world.card)))
    made.append(("comments", before_assertion("<!-- -->" * 30_000)))
    made.append(("elements of wsse:Security", before_assertion("<x/>" * 60_000)))
    made.append(("IDs", in_body('<x ID="a"/>' * 22_000 + "&#32;")))
    made.append(("namespaces", in_body("".join(f'<x xmlns:p{n % 50}="urn:{n % 50}"/>' for n in range(9_000)) + "&#32;")))
    prefixes = " ".join(f"p{n}" for n in range(60_000))[:200_000]
    made.append(("a list of prefixes", message(world.vihf(), world.card, Form(transform_prefixes=prefixes))))
    made.append(("a large assertion with a wrong signature", _full(world)))
    return made


def _full(world: World) -> bytes:
    """All that the shape lets through, under a certificate that is trusted: verified to its wrong end."""
    declared = " ".join(f'xmlns:p{n}="urn:p{n}"' for n in range(50))
    draft = world.vihf()
    for number in range(64 - len(draft.attributes)):
        values = "<saml2:AttributeValue>x</saml2:AttributeValue>" * 8
        draft = draft.changed(f"a{number}", f'<saml2:Attribute Name="a{number}">{values}</saml2:Attribute>')
    draft = replace(draft, declare=f"{draft.declare} {declared}")
    form = Form(transform_prefixes=" ".join(f"p{n}" for n in range(50)))
    draft = replace(draft, declaration="y" * 4000)
    return message(draft, replace(world.card, key=world.other_card.key), form)


def _filled(data: bytes) -> bytes:
    """Filled up to the size with white space in the header."""
    return data.replace(b"</wsse:Security>", b" " * max(0, _HOSTILE - len(data)) + b"</wsse:Security>")


def _cost_of(world: World, data: bytes) -> float:
    """Parse and judge, as a server would."""
    peer = world.peer("card")
    verifier = world.verifier(cached=0)

    def judge() -> None:
        try:
            root = parse(data)
            verifier.verify(next(root.iter(f"{{{WSSE}}}Security"), None), data, peer)
        except (XmlError, AssertionRefused):
            return

    return least(judge, 3, 3)
