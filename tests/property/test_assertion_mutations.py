"""Random damage to signed assertions: whatever is still accepted says exactly what was signed.

Bytes are flipped, cut, doubled and exchanged; trees are edited (elements moved, copied, removed, renamed, texts and
attributes changed, parts of another person's genuine assertion put in). A sample of the verdicts is compared with xmlsec1.
"""

from __future__ import annotations

import copy
import os
import random
import shutil
import subprocess
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from tests.assertion_world import World, make_world
from tests.assertions import Draft, Signer, message
from xmlsafe import XmlError, parse
from xmlsafe.namespaces import DS, SAML2
from xua.shape import SIGNATURE

COUNT = 100_000 if os.environ.get("LIASSE_PROOF") else 10_000
COMPARED = 400 if os.environ.get("LIASSE_PROOF") else 60
SEED = int(os.environ.get("LIASSE_SEED", "20261126"))
ASSERTION = f"{{{SAML2}}}Assertion"
SHAPE_ONLY = frozenset({"signature-mismatch", "digest-mismatch", "signature"})
"""Reasons that the signature itself gives: another engine must agree with them."""

Sample = tuple[bytes, str, object]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


def samples(world: World) -> list[tuple[Draft, Signer, str]]:
    return [
        (world.vihf(), world.card, "card"),
        (world.indirect(), world.structure, "structure"),
        (world.xua(), world.sts, ""),
    ]


# --- damage to bytes -----------------------------------------------------------------------------------------------------


def flip(data: bytes, chance: random.Random, _donor: bytes) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def cut(data: bytes, chance: random.Random, _donor: bytes) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + data[at + chance.randrange(1, 40) :]


def double(data: bytes, chance: random.Random, _donor: bytes) -> bytes:
    at = chance.randrange(len(data))
    piece = data[at : at + chance.randrange(1, 400)]
    return data[:at] + piece + data[at:]


def put(data: bytes, chance: random.Random, _donor: bytes) -> bytes:
    at = chance.randrange(len(data))
    pieces = (
        b"<!-- -->",
        b"<?x?>",
        b"&#13;",
        b" ",
        b"\n",
        b"<![CDATA[]]>",
        b"\xc3\xa9",
        b"0",
        b"\x00",
        b"&amp;",
        b'"',
        b"</x>",
    )
    return data[:at] + chance.choice(pieces) + data[at:]


# --- edits of trees ------------------------------------------------------------------------------------------------------

Edit = Callable[[etree._Element, list[etree._Element], random.Random, list[etree._Element]], None]


def remove(_root: etree._Element, nodes: list[etree._Element], chance: random.Random, _donor: list[etree._Element]) -> None:
    node = chance.choice(nodes)
    parent = node.getparent()
    if parent is not None:
        parent.remove(node)


def move(_root: etree._Element, nodes: list[etree._Element], chance: random.Random, _donor: list[etree._Element]) -> None:
    node, target = chance.choice(nodes), chance.choice(nodes)
    if node is not target and node not in target.iterancestors():
        target.insert(chance.randrange(len(target) + 1), node)


def double_node(
    _root: etree._Element, nodes: list[etree._Element], chance: random.Random, _donor: list[etree._Element]
) -> None:
    target = chance.choice(nodes)
    target.insert(chance.randrange(len(target) + 1), copy.deepcopy(chance.choice(nodes)))


def transplant(
    _root: etree._Element, nodes: list[etree._Element], chance: random.Random, donor: list[etree._Element]
) -> None:
    """A part of another genuine assertion in the place of ours."""
    target = chance.choice(nodes)
    same = [node for node in donor if node.tag == target.tag]
    parent = target.getparent()
    if same and parent is not None:
        parent.replace(target, copy.deepcopy(chance.choice(same)))


def rename(_root: etree._Element, nodes: list[etree._Element], chance: random.Random, _donor: list[etree._Element]) -> None:
    chance.choice(nodes).tag = chance.choice(nodes).tag


def change_text(
    _root: etree._Element, nodes: list[etree._Element], chance: random.Random, donor: list[etree._Element]
) -> None:
    node = chance.choice(nodes)
    node.text = chance.choice((chance.choice(donor).text, chance.choice(nodes).text, "", "x", f" {node.text or ''}"))


def change_attribute(
    _root: etree._Element, nodes: list[etree._Element], chance: random.Random, donor: list[etree._Element]
) -> None:
    node = chance.choice([node for node in nodes if node.attrib])
    name = chance.choice(list(node.attrib))
    other = chance.choice([one for one in donor if one.attrib])
    if chance.random() < 0.3:
        del node.attrib[name]
    else:
        node.set(name, chance.choice((*other.attrib.values(), "", "x")))


def wrap(_root: etree._Element, nodes: list[etree._Element], chance: random.Random, _donor: list[etree._Element]) -> None:
    node = chance.choice(nodes)
    parent = node.getparent()
    if parent is not None:
        outer = etree.Element(str(chance.choice(nodes).tag))
        parent.replace(node, outer)
        outer.append(node)


BYTES = (flip, cut, double, put)
EDITS: tuple[Edit, ...] = (remove, move, double_node, transplant, rename, change_text, change_attribute, wrap)


def edited(data: bytes, chance: random.Random, donor: bytes) -> bytes:
    root = parse(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        nodes = [node for node in root.iter() if len(list(node.iterancestors())) > 2]
        if nodes:
            chance.choice(EDITS)(root, nodes, chance, list(parse(donor).iter()))
    return bytes(etree.tostring(root))


def damaged(data: bytes, chance: random.Random, donor: bytes) -> bytes:
    if chance.random() < 0.5:
        return edited(data, chance, donor)
    for _ in range(chance.choice((1, 1, 2, 5))):
        data = chance.choice(BYTES)(data, chance, donor)
    return data


@pytest.mark.proof
def test_no_damage_changes_who_it_is(world: World) -> None:
    """0 accepted with a changed identity, however the message was damaged."""
    chance = random.Random(SEED)
    prepared = []
    for draft, signer, peer in samples(world):
        original = message(draft, signer)
        donor = message(world.vihf_of_other(), world.other_card)
        prepared.append((original, donor, peer, world.verify(original, peer).subject))
    counts: Counter[str] = Counter()
    for number in range(COUNT):
        original, donor, peer, subject = prepared[number % len(prepared)]
        data = damaged(original, chance, donor)
        try:
            verified = world.try_verify(data, peer)
        except XmlError:
            counts["not XML"] += 1
            continue
        if isinstance(verified, str):
            counts[verified] += 1
            continue
        counts["accepted"] += 1
        assert verified.subject == subject, f"seed {SEED}, number {number}"
    assert "defect" not in counts
    assert counts["accepted"] < COUNT / 4
    assert len(counts) > 25


@pytest.mark.proof
@pytest.mark.skipif(shutil.which("xmlsec1") is None, reason="xmlsec1 is not installed")
def test_another_engine_agrees(world: World, tmp_path: Path) -> None:
    """What we accept has a signature that xmlsec1 accepts; what we call a wrong signature it refuses."""
    chance = random.Random(SEED + 1)
    draft, signer, peer = samples(world)[0]
    original, donor = message(draft, signer), message(world.vihf_of_other(), world.other_card)
    certificate = tmp_path / "leaf.pem"
    compared: Counter[tuple[bool, bool]] = Counter()
    trials = 0
    while sum(compared.values()) < COMPARED:
        data = damaged(original, chance, donor) if trials else original
        trials += 1
        try:
            verified = world.try_verify(data, peer)
            assertion = next(parse(data).iter(ASSERTION), None)
        except XmlError:
            continue
        accepted = not isinstance(verified, str)
        if assertion is None or not (accepted or verified in SHAPE_ONLY):
            continue
        certificate.write_text(f"-----BEGIN CERTIFICATE-----\n{_leaf_text(assertion)}\n-----END CERTIFICATE-----\n")
        theirs = _xmlsec(etree.tostring(assertion, with_tail=False), certificate, tmp_path / "assertion.xml")
        assert theirs == accepted, f"seed {SEED + 1}, trial {trials}: {verified}"
        compared[accepted, theirs] += 1
    assert compared[True, True] > 0
    assert compared[False, False] > 0


def _leaf_text(assertion: etree._Element) -> str:
    """The first certificate in base64. KeyInfo is taken out: it is not signed, and the other engine is given the key."""
    text = ""
    for signature in assertion.findall(SIGNATURE):
        for key_info in signature.findall(f"{{{DS}}}KeyInfo"):
            text = text or key_info.findtext(f"{{{DS}}}X509Data/{{{DS}}}X509Certificate") or ""
            signature.remove(key_info)
    return textwrap.fill("".join(text.split()), 64)


def _xmlsec(assertion: bytes, certificate: Path, file: Path) -> bool:
    file.write_bytes(assertion)
    command = ["xmlsec1", "--verify", "--enabled-key-data", "x509", "--id-attr:ID", f"{SAML2}:Assertion"]
    done = subprocess.run(
        [*command, "--pubkey-cert-pem", str(certificate), str(file)], capture_output=True, timeout=20, check=False
    )
    return done.returncode == 0
