"""Our message schemas accept and refuse exactly what the published ones do."""

from __future__ import annotations

import os
import tomllib
from itertools import islice
from pathlib import Path

import pytest
from lxml import etree

from schemas.paths import MESSAGES, schema_files
from tests.shared_data import shared
from tests.unit.schemas.mutants import every_small_change, mutants
from tests.unit.schemas.samples import samples
from tests.wire_bodies import bodies_below
from xmlsafe.namespaces import LCM, QUERY, RIM, RMD, RS, XDS, XOP
from xmlsafe.schema import Schema

PROOF = os.environ.get("LIASSE_PROOF") == "1"
MUTANTS = 12_000 if PROOF else 400
STRIDE = 1 if PROOF else 11
_OURS = frozenset({LCM, QUERY, RIM, RMD, RS, XDS})


def several_documents_to_remove(message: etree._Element) -> bool:
    """The one known deviation: the published RMD schema knows a single DocumentRequest, its specification any number."""
    removes = message.tag == f"{{{RMD}}}RemoveDocumentsRequest"
    return removes and len(message.findall(f"{{{XDS}}}DocumentRequest")) > 1


@pytest.fixture(scope="module")
def ours() -> Schema:
    return Schema(schema_files(MESSAGES))


@pytest.fixture(scope="module")
def published() -> Schema:
    return Schema(schema_files(MESSAGES, shared("standards", "ebxml-xds")))


def captured() -> list[tuple[str, etree._Element]]:
    """All captured and published bodies of these messages; included content is empty, as the published schemas need it."""
    found = []
    folders = (shared("corpus", "wire"), shared("corpus", "dmp-messages"))
    for folder in folders:
        for path, body in bodies_below(folder, ".http", ".xml"):
            if etree.QName(body).namespace in _OURS:
                for include in list(body.iter(f"{{{XOP}}}Include")):
                    parent = include.getparent()
                    assert parent is not None
                    parent.remove(include)
                found.append((str(path.relative_to(folder)), body))
    return found


@pytest.mark.corpus
def test_captured_messages(ours: Schema, published: Schema) -> None:
    messages = captured()
    assert len(messages) >= 45
    assert [name for name, body in messages if ours.is_valid(body) != published.is_valid(body)] == []
    assert [name for name, body in messages if ours.is_valid(body)] != []


@pytest.mark.corpus
@pytest.mark.parametrize("group", ["shared", "others"])
def test_handmade_messages(ours: Schema, published: Schema, group: str) -> None:
    for name, message in samples(group).items():
        assert ours.findings(message) == (), name
        assert published.is_valid(message), name


@pytest.mark.corpus
@pytest.mark.proof
def test_mutants(ours: Schema, published: Schema) -> None:
    sources = [body for _, body in captured()] + list(samples("shared").values()) + list(samples("others").values())
    verdicts = {True: 0, False: 0}
    for number, message in enumerate(mutants(sources, MUTANTS, seed=20261125)):
        if several_documents_to_remove(message):
            continue
        verdict = published.is_valid(message)
        verdicts[verdict] += 1
        assert ours.is_valid(message) == verdict, f"mutant {number}: {etree.tostring(message)[:3000]!r}"
    assert min(verdicts.values()) > MUTANTS // 10
    assert sum(verdicts.values()) > MUTANTS * 0.95


@pytest.mark.corpus
@pytest.mark.proof
@pytest.mark.parametrize("group", ["shared", "others"])
def test_every_small_change_of_the_handmade_messages(ours: Schema, published: Schema, group: str) -> None:
    for name, message in samples(group).items():
        for changed in islice(every_small_change(message), None, None, STRIDE):
            if not several_documents_to_remove(changed):
                assert ours.is_valid(changed) == published.is_valid(changed), f"{name}: {etree.tostring(changed)[:3000]!r}"


def test_several_documents_are_removed_at_once(ours: Schema) -> None:
    message = samples("others")["remove_documents"]
    message.append(etree.fromstring(etree.tostring(message[0])))
    assert ours.is_valid(message)


def test_every_schema_names_its_source() -> None:
    root = Path(schema_files(MESSAGES)[0]).parents[1]
    named = tomllib.loads((root / "SOURCES.toml").read_text("utf-8"))
    files = {str(path.relative_to(root)) for pattern in ("*.xsd", "*.wsdl") for path in root.rglob(pattern)}
    assert files <= set(named)
    for name in files:
        assert named[name]["specification"]
        assert named[name]["edition"]
        assert etree.parse(str(root / name)).getroot().get("targetNamespace", "") == named[name]["namespace"]
