"""What an assertion costs: verified anew, out of the cache, and refused when it is hostile. Beside a bare signxml call."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lxml import etree
from signxml.verifier import SignatureConfiguration, XMLVerifier

from benchmarks.report import Budget, Report
from tests.assertion_world import World, make_world
from tests.assertions import Form, message, security_of
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
    report.add(Budget("assertion, verified anew, known to the store", fresh, 0.8, "ms", note=f"{fresh / bare:.1f} x bare"))
    report.add(Budget("assertion, out of the cache", cached, 0.1, "ms", note=f"{cached / bare:.2f} x bare"))
    report.add(Budget("assertion, first use (one durable write)", _first_uses(world), 2.0, "ms"))
    worst, name = max((_cost_of(world, text), name) for name, text in hostile(world))
    report.add(Budget("hostile header of 256 kB, refused", worst, 20, "ms", note=name))


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
    """Messages of 256 kB whose header is all attack, by name."""
    wanted = (
        "B32 canonicalisation bomb",
        "B33 a flood of certificates",
        "B34 a flood of references",
        "B26 10 000 attributes",
    )
    made = [(case.name, _filled(case.build(world))) for case in cases() if case.name in wanted]
    good = message(world.vihf(), world.card).decode()
    security = "<saml2:Assertion"
    comments = good.replace(security, "<!-- -->" * 30_000 + security)
    made.append(("comments", comments.encode()))
    made.append(("elements of wsse:Security", good.replace(security, "<x/>" * 60_000 + security).encode()))
    made.append(
        (
            "attributes on one element",
            good.replace("<soap:Body/>", "<soap:Body>" + "<x ID='a'/>" * 23_000 + "</soap:Body>").encode(),
        )
    )
    namespaces = "".join(f"<x xmlns:p{n % 50}='urn:{n % 50}'/>" for n in range(10_000))
    made.append(("namespaces", good.replace("<soap:Body/>", f"<soap:Body>{namespaces}</soap:Body>&#32;").encode()))
    prefixes = " ".join(f"p{n}" for n in range(60_000))
    made.append(("prefix list", message(world.vihf(), world.card, Form(transform_prefixes=prefixes[:200_000]))))
    return made


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
