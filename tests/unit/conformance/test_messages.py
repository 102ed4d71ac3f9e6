"""What the tester sends: schema-valid, addressed, framed as asked, fresh for every seed and the same for one seed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from conformance import vocabulary as v
from conformance.engine import Run, Verdict, run_case
from conformance.ids import Ids
from conformance.messages import build_request
from conformance.mime import read_media_type, read_package
from conformance.plan import Framing, RetrieveSpec, Step, load_plan
from conformance.scope import Scope, Undefined
from tests.unit.conformance import canned
from tests.unit.conformance.canned import Received, Reply, peer, target_at
from xmlsafe.parse import parse
from xmlsafe.schema import Schema

PLAN = load_plan()


def scope_at(folder: Path, seed: str = "seed") -> Scope:
    target = target_at(folder, "http://127.0.0.1:9")
    return Scope(Ids(seed, "a-case", target.domain), target)


def values(folder: Path, **parameters: object) -> list[list[str]]:
    """The rim:Value texts of each slot of a query."""
    step = Step("s", "ITI-18", query="FindDocuments", parameters=parameters)
    body = parse(build_request(step, scope_at(folder), "20250101000000").body)
    return [
        [str(value.text) for value in slot.iter(f"{{{v.RIM}}}Value")] for slot in body.iter(f"{{{v.RIM}}}Slot")
    ]  # fmt: skip


def test_values_of_a_query_are_coded(tmp_path: Path) -> None:
    assert values(tmp_path, a="one") == [["'one'"]]
    assert values(tmp_path, a=2024) == [["2024"]]
    assert values(tmp_path, a=["one", "two"]) == [["('one','two')"]]
    assert values(tmp_path, a=["Children's"]) == [["('Children''s')"]]
    assert values(tmp_path, a=[["one"], ["two", "three"]]) == [["('one')"], ["('two','three')"]]


def test_a_long_list_is_split_over_values_of_256_characters(tmp_path: Path) -> None:
    ids = [f"urn:uuid:0a000000-0000-4000-8000-{number:012d}" for number in range(20)]
    (texts,) = values(tmp_path, a=ids)
    assert len(texts) > 1
    assert all(len(text) <= 256 for text in texts)
    assert re.findall(r"'([^']*)'", "".join(texts)) == ids


def test_a_retrieve_request_is_a_package_of_one_part(tmp_path: Path) -> None:
    step = Step("s", "ITI-43", retrieve=(RetrieveSpec("1.2.9"),), framing=Framing(preamble="x"))
    request = build_request(step, scope_at(tmp_path), "20250101000000")
    package = read_package(read_media_type(dict(request.headers)["Content-Type"]), request.body)
    assert package.problems == ()
    assert package.others == ()
    assert b"<xds:DocumentUniqueId>1.2.9<" in package.root.data
    assert request.message_id.encode() in package.root.data


def test_an_undefined_variable_stops_the_step(tmp_path: Path) -> None:
    step = Step("s", "ITI-43", retrieve=(RetrieveSpec("$lost"),))
    with pytest.raises(Undefined, match=r"\$lost"):
        build_request(step, scope_at(tmp_path), "20250101000000")
    with pytest.raises(Undefined, match=r"only 2 codes for typeCode"):
        scope_at(tmp_path).text("$code.typeCode.3")


def test_identifiers_depend_on_seed_case_and_name_only(tmp_path: Path) -> None:
    one, two = scope_at(tmp_path).ids, scope_at(tmp_path, "other").ids
    assert one.oid("x") == scope_at(tmp_path).ids.oid("x")
    assert len({one.oid("x"), one.oid("y"), two.oid("x")}) == 3
    assert len({one.uuid("x"), one.uuid("y"), two.uuid("x")}) == 3
    assert len({one.patient("x"), one.patient("y"), two.patient("x")}) == 3
    assert re.fullmatch(r"2\.25\.[1-9]\d*", one.oid("x"))
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one.uuid("x"))
    assert re.fullmatch(r"LT\d{13}\^\^\^&1\.3\.6\.1\.4\.1\.21367\.13\.20\.1000&ISO", one.patient("x"))


def test_another_root_gives_short_oids(tmp_path: Path) -> None:
    target = target_at(tmp_path, "http://x", id_root='"1.2.250.1.999"')
    assert re.fullmatch(r"1\.2\.250\.1\.999\.[1-9]\d{14}", Ids("s", "c", target.domain).oid("x"))


def bodies(received: list[Received]) -> Iterator[etree._Element]:
    for request in received:
        media_type = read_media_type(request.headers["Content-Type"])
        data = request.body
        if media_type.name == "multipart/related":
            package = read_package(media_type, data)
            assert package.problems == ()
            data = package.root.data
        (body,) = parse(data).findall(f"{{{v.SOAP12}}}Body/*")
        yield body


def lenient(request: Received) -> Reply:
    """A peer that says Success to everything and answers every question about one uniqueId with an entry of it."""
    if "RegistryStoredQuery" in request.action:
        asked = re.findall(rb"'([\d.]{10,})'", request.body)
        entries = [canned.document_entry(unique_id.decode()) for unique_id in asked[:1]]
        return canned.simple(request, canned.query_response("".join(entries)))
    if "Retrieve" in request.action:
        return canned.mtom(request, canned.retrieve_response("1.2.9", ""))
    framed = canned.mtom if "Provide" in request.action else canned.simple
    return framed(request, canned.registry_response())


def refusing(request: Received) -> Reply:
    """A peer that says Failure to everything, in the right form."""
    errors = canned.error_list("XDSRegistryError")
    if "RegistryStoredQuery" in request.action:
        return canned.simple(request, canned.query_response(status=canned.FAILURE, errors=errors))
    framed = canned.mtom if "Provide" in request.action or "Retrieve" in request.action else canned.simple
    return framed(request, canned.registry_response(canned.FAILURE, errors))


def empty(request: Received) -> Reply:
    """A peer that says Success to everything and holds nothing."""
    if "RegistryStoredQuery" in request.action:
        return canned.simple(request, canned.query_response())
    return lenient(request)


def test_every_request_of_the_plan_is_schema_valid_and_every_case_can_fail(tmp_path: Path, message_schema: Schema) -> None:
    received: list[Received] = []
    failed: dict[str, int] = {}
    for answer in (lenient, refusing, empty):

        def record(request: Received, answer: canned.Answerer = answer) -> Reply:
            received.append(request)
            return answer(request)

        with peer(record) as base:
            for choices in ({}, {"patients": '"known"', "retry": '"refuse"'}):
                target = target_at(tmp_path, base, **choices)
                for case in PLAN:
                    if choices and not any("=" in need for need in case.needs):
                        continue
                    verdict = run_case(Run(target, "seed"), case).verdict
                    failed[case.id] = failed.get(case.id, 0) + (verdict is Verdict.FAIL)
    assert [name for name, times in failed.items() if times == 0] == []
    assert set(failed) == {case.id for case in PLAN}
    for body in bodies(received):
        assert [str(finding) for finding in message_schema.findings(body)] == []
    assert len({request.message_id for request in received}) > len(PLAN)
