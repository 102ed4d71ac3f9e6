"""The journal outside its database: verified years later without it, down to the last byte."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from database.problem import Problem, Severity
from journal.assertions import LARGEST, AssertionTooLarge, keep_assertion, kept_assertion
from journal.export import ExportError, ExportVerification, export_journal
from journal.head import ExportedHead, HeadFileError
from journal.keys import make_key, public_keys
from tests.journal_side import AT, Journal, tamper

COUNT = 9
Line = dict[str, Any]


@pytest.fixture
def exported(journal_of: Journal, tmp_path: Path) -> Path:
    """Nine rows under three heads, and one assertion, in a file."""
    journal_of.sealed(COUNT, batch=4)
    for _ in range(2):
        journal_of.database.write(lambda c: keep_assertion(c, hashlib.sha256(b"<a/>").hexdigest(), b"<a/>", AT))
    path = tmp_path / "export.jsonl"
    with path.open("w", encoding="ascii") as out:
        assert export_journal(journal_of.database, out, "1.2.3", AT, assertions=True) == COUNT
    return path


def problems(path: Path, **more: Any) -> list[Problem]:
    return list(ExportVerification(path, **more).run())


def rewritten(path: Path, change: Callable[[list[Line]], object]) -> Path:
    """The file after `change` of its lines."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    made = path.with_name("changed.jsonl")
    made.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return made


def row(lines: list[Line], number: int) -> Line:
    return next(line for line in lines if "row" in line and line["row"][0] == number)


def head(lines: list[Line], number: int) -> Line:
    found: Line = next(line["head"] for line in lines if "head" in line and line["head"]["number"] == number)
    return found


def drop_head(lines: list[Line], number: int) -> None:
    lines[:] = [line for line in lines if line.get("head", {}).get("number") != number]


def test_an_export_is_whole_without_the_database(exported: Path, journal_of: Journal) -> None:
    seen: list[int] = []
    run = ExportVerification(exported, public_keys(journal_of.key_file.parent), [journal_of.head()])
    assert list(run.run(seen.append)) == []
    assert (run.rows, run.assertions, run.last, sum(seen)) == (COUNT, 1, journal_of.head().head, COUNT)
    assert problems(exported) == []
    assert problems(rewritten(exported, lambda _lines: None)) == []  # blanks in JSON mean nothing


def test_anybody_can_compute_the_hashes_again(exported: Path) -> None:
    """As docs/journal.md says it, with nothing of this program."""
    digest = b""
    rows = 0
    for text in exported.read_text().splitlines():
        line = json.loads(text)
        if line.get("head", {}).get("number") == 0:
            digest = bytes.fromhex(line["head"]["hash"])
        elif "row" in line:
            array = json.dumps(line["row"], separators=(",", ":"), ensure_ascii=True).encode("ascii")
            digest = hashlib.sha256(digest + array).digest()
            assert digest.hex() == line["hash"]
            rows += 1
    assert rows == COUNT


CHANGES: dict[str, tuple[Callable[[list[Line]], object], tuple[str, str]]] = {
    "a value": (lambda lines: row(lines, 5)["row"].__setitem__(4, "another"), ("row-changed", "row 5")),
    "a hash": (lambda lines: row(lines, 5).__setitem__("hash", "00" * 32), ("row-changed", "row 5")),
    "a row gone": (lambda lines: lines.pop(lines.index(row(lines, 5))), ("row-missing", "row 5")),
    "a row twice": (lambda lines: lines.insert(lines.index(row(lines, 5)), row(lines, 5)), ("row-changed", "row 5")),
    "a head": (lambda lines: head(lines, 8).__setitem__("at", 1), ("head-changed", "head 8")),
    "the first head gone": (
        lambda lines: drop_head(lines, 0),
        ("head-missing", "head 0"),
    ),
    "the last head gone": (
        lambda lines: drop_head(lines, 9),
        ("head-missing", "row 9"),
    ),
    "all rows gone": (
        lambda lines: lines.__setitem__(slice(None), [line for line in lines if "row" not in line]),
        ("row-missing", "row 1"),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_the_file_is_named(exported: Path, name: str) -> None:
    change, expected = CHANGES[name]
    first = problems(rewritten(exported, change))[0]
    assert (first.rule, first.place, first.severity) == (*expected, Severity.ERROR)


def test_a_file_that_ends_early_needs_a_head_kept_elsewhere(exported: Path, journal_of: Journal) -> None:
    def cut(lines: list[Line]) -> None:
        del lines[lines.index(row(lines, 9)) :]

    shorter = rewritten(exported, cut)
    assert problems(shorter) == []
    assert [each.rule for each in problems(shorter, exported=[journal_of.head()])] == ["tail-missing"]


def test_the_keys_of_the_file_prove_nothing_against_ones_that_are_given(exported: Path) -> None:
    assert {each.rule for each in problems(exported, files=[make_key().public])} == {"key-unknown"}


def test_an_assertion_that_does_not_prove_is_named(exported: Path) -> None:
    (found,) = problems(exported, proves=lambda digest, data: (digest, data) == ("other", b""))
    assert found.rule == "assertion-changed"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON\n",
        '{"format":"liasse-journal/2"}\n',
        "[1]\n",
    ],
)
def test_what_is_no_export_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(ExportError):
        problems(tmp_path / "file")


@pytest.mark.parametrize(
    "line",
    [
        '{"row":[1],"hash":""}',
        '{"row":["1"],"hash":"zz"}',
        '{"head":{"number":1}}',
        '{"head":7}',
        '{"key":{}}',
        '{"key":{"public":"AAAA","at":1,"endorsed_by":"","endorsement":""}}',
        '{"assertion":{}}',
        '{"else":1}',
        "7",
        "{",
    ],
)
def test_a_broken_line_is_named(exported: Path, line: str) -> None:
    lines = exported.read_text().splitlines()
    exported.write_text("\n".join([lines[0], line, *lines[1:]]) + "\n")
    with pytest.raises(ExportError, match="line 2"):
        problems(exported)


def test_a_journal_with_a_lost_row_is_not_exported(journal_of: Journal) -> None:
    journal_of.sealed(3)
    tamper(journal_of.database, "DELETE FROM journal_row WHERE id = :i", i=journal_of.ids()[1])
    with pytest.raises(ExportError, match="row 2 is gone"):
        export_journal(journal_of.database, io.StringIO(), "1.2.3", AT)


def test_an_assertion_is_kept_once_and_its_size_is_bounded(journal_of: Journal) -> None:
    for data in (b"first", b"second"):
        journal_of.database.write(partial(keep_assertion, digest="d", data=data, at=AT))
    assert kept_assertion(journal_of.database, "d") == b"first"
    assert kept_assertion(journal_of.database, "none") is None
    with pytest.raises(AssertionTooLarge, match="at most"):
        journal_of.database.write(lambda c: keep_assertion(c, "e", b"x" * (LARGEST + 1), AT))


@pytest.mark.parametrize(
    "text",
    ["no JSON", "[]", '{"format":"liasse-journal-head/1"}', '{"format":"liasse-journal-head/1","head":{},"keys":[]}'],
)
def test_what_is_no_exported_head_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "head.json"
    with pytest.raises(HeadFileError, match="No such file"):
        ExportedHead.read(path)
    path.write_text(text)
    with pytest.raises(HeadFileError, match=r"head\.json"):
        ExportedHead.read(path)


def test_a_head_with_values_of_other_kinds_is_refused(journal_of: Journal, tmp_path: Path) -> None:
    journal_of.sealed(1)
    journal_of.head().write(tmp_path / "head.json")
    value = json.loads((tmp_path / "head.json").read_text())
    for name, wrong in (("number", "1"), ("number", True), ("hash", "00"), ("signature", "zz"), ("at", 1.5)):
        head_of = {**value["head"], name: wrong}
        (tmp_path / "wrong.json").write_text(json.dumps({**value, "head": head_of}))
        with pytest.raises(HeadFileError):
            ExportedHead.read(tmp_path / "wrong.json")
