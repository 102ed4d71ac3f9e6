"""The page of the access rules, generated from the tables and rules that decide: `python -m dmp.docs`."""

from __future__ import annotations

import argparse
import ast
import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from dmp import tables
from dmp.caller import Caller
from dmp.codes import BASE, INVISIBLE_PATIENT, INVISIBLE_REPRESENTATIVES, MASKED
from dmp.reading import codes_shown
from dmp.rules import KEEPING, READING, RULES, Rule
from dmp.settings import DmpSettings
from dmp.views import RecordView
from schemas import paths

PAGE = Path("docs/access-rules.md")
TESTS: Final = (
    "unit/dmp/test_policy.py",
    "unit/dmp/test_*.py",
    "unit/liasse/test_*.py",
    "e2e/test_*.py",
    "attacks/test_*.py",
    "property/test_*.py",
)
"""Where the test of a rule is looked for, in this order."""

COLUMNS: Final = {
    "doctor": "doctors, interns, medical regulation (not occupational doctors)",
    "biologist": "pharmacists of medical biology",
    "pharmacist": "pharmacists of officines and hospitals, their preparers",
    "dentist": "dental surgeons",
    "midwife": "midwives",
    "nurse": "nurses",
    "physiotherapist": "physiotherapists",
    "podiatrist": "podiatrists",
    "speech_therapist": "speech therapists",
    "rehabilitation": "occupational and psychomotor therapists, orthoptists, dieticians",
    "hearing_and_fitting": "hearing-aid makers and fitters of devices",
    "optician": "opticians",
    "radiographer": "radiographers",
    "coordination": "coordination and orientation, by role",
    "social_worker": "social workers",
    "social_administration": "social and administrative functions, by role",
    "social_life": "social life and education, by role",
    "social_care": "social support to care, by role",
    "social_management": "social management, by role",
}
"""The columns of the matrix in words."""

RIGHTS_COLUMNS: Final = {
    "professional": "professional who is no doctor",
    "professional_regulation": "the same, medical regulation",
    "professional_break_glass": "the same, break-glass",
    "doctor": "doctor",
    "doctor_regulation": "doctor, medical regulation",
    "doctor_break_glass": "doctor, break-glass",
    "occupational_doctor": "occupational doctor",
    "attending": "attending doctor",
    "attending_break_glass": "attending doctor, break-glass",
    "staff_card": "staff with a card",
    "structure": "structure (software), indirect mode",
    "structure_regulation": "structure, medical regulation",
}
"""The columns of the functional rights in words."""

LIMITS: Final = {
    1: "the authorisation is given to the structure",
    2: "professionals of the same structure only",
    3: "new authorisations only, by date",
    4: "imputed to the structure",
    5: "only to find a reference, for instance of a document to delete",
    6: "documents of his own only",
    7: "only where the patient accepted that masked documents are open in emergencies",
    8: "documents of his own only",
    9: "documents of the structure only",
}
"""The limits of the functional rights."""

YES, NO = "yes", "no"
_HEAD = """# Access rules

Made from the tables and rules that decide (`dmp/rules.py`, `dmp/data/*.csv`, `dmp/settings.py`) by `make docs`; do not
edit by hand. A test reads this page back and compares it with what the code decides.

These are the rules of the access policy `dmp`: who may find, read, file and change documents of a shared health
record, and who may not. They hold for every transaction. What a reader may not see is answered as if it did not
exist.

## In which order it is decided

1. Who asks is proved by a signed assertion, which also names the patient; the message names no other patient.
2. The table of functional rights says whether his card, his role and his access mode open the transaction at all.
3. The record exists and is active.
4. A professional whom the patient blocked deposits and does nothing else.
5. In normal mode the patient's authorisation must be valid. In the two emergency modes no authorisation is needed,
   but the patient must not oppose the mode, and who breaks the glass says why.
6. What is filed or changed must be his to file or change.
7. Of each document: its status, then whether the reader wrote it, then its visibility, then the cell of the matrix.

The first rule that is not met decides, and its id is written into the access journal. `liasse access explain` shows
what each rule says of one caller, one record and one document.
"""


def page(root: Path = Path()) -> str:
    """The page, in Markdown. `root` is the folder of the sources, for the names of tests."""
    named = tests_of([*RULES, *READING, *KEEPING], root / "tests")
    parts = [
        _HEAD,
        _rules(named),
        _reading(named),
        _keeping(named),
        _visibility(),
        _statuses(),
        _rights(),
        _readers(),
        _matrix(),
        _settings(),
        _TAIL,
    ]
    return "\n".join(parts)


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    names = list(head)
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _rules(named: Mapping[str, str]) -> str:
    rows = (
        (f"`{rule.id}`", rule.text, rule.source, f"`{rule.code}`" if rule.code else "", named[rule.id])
        for rule in RULES.values()
    )
    return "## The rules\n\n" + _table(("Rule", "What it says", "Source", "Refusal", "Test"), rows)


def _reading(named: Mapping[str, str]) -> str:
    def row(rule: Rule) -> tuple[str, ...]:
        return f"`{rule.id}`", rule.text, rule.source, named[rule.id]

    told = "These rules hide: a document that one of them closes is answered as one that does not exist.\n\n"
    return (
        "## What is seen of a record\n\n"
        + told
        + _table(("Rule", "What it says", "Source", "Test"), map(row, READING.values()))
    )


def _keeping(named: Mapping[str, str]) -> str:
    rows = ((f"`{rule.id}`", rule.text, rule.source, named[rule.id]) for rule in KEEPING.values())
    return "## How a record is kept\n\n" + _table(("Rule", "What it says", "Source", "Test"), rows)


def readers() -> dict[str, tuple[Caller, RecordView]]:
    """Those whom the table of visibility names."""

    def caller(mode: str = "normal") -> Caller:
        return Caller("doctor", "doctor", mode, reinforced=False, person="x", structure="")  # type: ignore[arg-type]

    return {
        "the patient": (caller(), RecordView("active", relation="holder")),
        "who represents the patient": (caller(), RecordView("active", relation="representative")),
        "attending doctor": (caller(), RecordView("active", "valid", attending=True)),
        "another professional": (caller(), RecordView("active", "valid")),
        "break-glass or medical regulation": (caller("bris_de_glace"), RecordView("active")),
        "the same, masked documents accepted": (caller("bris_de_glace"), RecordView("active", masked_in_emergency=True)),
    }


def _visibility() -> str:
    codes = {"normal, restricted, very restricted": BASE[0]}
    codes |= {f"`{code.partition('^')[0]}`": code for code in (MASKED, INVISIBLE_PATIENT, INVISIBLE_REPRESENTATIVES)}
    rows = (
        (name, *(YES if code in codes_shown(caller, view) else NO for code in codes.values()))
        for name, (caller, view) in readers().items()
    )
    told = (
        "Visibility codes hide a document from readers who did not write it. A document with several codes is shown where "
        "each is open. For professionals the matrix must open the type, too. Who files a document that replaces, amends or "
        "transforms another cannot take a code away: the stricter of both holds, for all entries of the document.\n\n"
    )
    return "## Visibility\n\n" + told + _table(("Reader", *codes), rows)


def _statuses() -> str:
    rows = (
        ("Approved", "yes", "yes", "yes"),
        ("Deprecated (replaced)", "where the query names it", "yes", "yes"),
        ("Archived", "where the query names it", "yes", "yes"),
        ("Deleted", "where the query names it; never to the patient", "no", "yes; never to the patient"),
    )
    told = "Deleted is final. A deletion covers every version of the document.\n\n"
    return "## Statuses\n\n" + told + _table(("Status", "Search (Find…, GetAll)", "Look-up (other Get…)", "Retrieval"), rows)


def _rights() -> str:
    table = tables.rights()

    def cell(right: str, column: str) -> str:
        found = table.cells[right, column]
        return NO if not found.allowed else YES + (f" ({found.limit})" if found.limit else "")

    rows = (
        (name, f"`{right}`", *(cell(right, column) for column in table.columns))
        for right, name in table.transactions.items()
    )
    limits = "\n".join(f"- ({number}) {text}" for number, text in LIMITS.items())
    told = "Source: GIE SESAM-Vitale PDT-INF-526 v1.8, 25/09/2024 (`dmp/data/rights.csv`). A number is that of a limit:\n\n"
    names = [RIGHTS_COLUMNS[column] for column in table.columns]
    return "## Functional rights\n\n" + told + limits + "\n\n" + _table(("Transaction", "Right", *names), rows)


def _readers() -> str:
    rows = (
        (
            COLUMNS[row.column],
            f"`{row.code}`",
            f"`{row.beside}`" if row.beside else "",
            "if the settings open it" if row.by_role else "yes",
        )
        for row in tables.columns()
    )
    told = "Who reads by which column of the matrix; the first line that fits counts (`dmp/data/columns.csv`).\n\n"
    return "## Professions\n\n" + told + _table(("Column", "Profession", "With", "Open"), rows)


def _matrix() -> str:
    columns, rows = tables.matrix()
    types, classes = displays("type_code"), displays("class_code")
    parts = [
        "## The matrix\n",
        "Which types of documents each column may read. Source: CNAM, matrice d'habilitation des professionnels, 25/09/2024 "
        "(`dmp/data/matrix.csv`), arrêté du 26/10/2023. `*` stands for every other type of the class.\n",
    ]
    for class_code in dict.fromkeys(row.class_code for row in rows):
        parts.append(f"### {classes.get(class_code, class_code)} (`{class_code}`)\n")
        lines = (
            (f"`{row.code}`", types.get(row.code, ""), *(YES if column in row.readers else NO for column in columns))
            for row in rows
            if row.class_code == class_code
        )
        parts.append(_table(("Type", "In words", *columns), lines))
    return "\n".join(parts)


def displays(attribute: str) -> dict[str, str]:
    """Codes of an attribute in the DMP's own words."""
    lines = (Path(paths.__file__).with_name("codes") / "dmp.csv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {row["code"]: row["display"] for row in rows if row["attribute"] == attribute}


def _settings() -> str:
    fields = DmpSettings.model_fields
    rows = ((f"`{name}`", f"`{_toml(field.default)}`", field.description or "") for name, field in fields.items())
    return "## Settings\n\nThe table `[access.options]` of the settings file.\n\n" + _table(
        ("Option", "Default", "Meaning"), rows
    )


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)


_TAIL = """## What is journaled

Every access and every refusal is a row of the sealed journal (`docs/journal.md`): who, with which card or structure,
in which mode and why, on whose record, which documents, and the id of the rule that decided. Changes of the record,
looks of an operator and readings of the journal are rows, too. The patient reads all of it.
"""


def tests_of(rules: Iterable[str], folder: Path) -> dict[str, str]:
    """By rule id, the test that names it, `file::function`: the first in the order of TESTS. Raises KeyError without one."""
    found: dict[str, str] = {}
    for place in TESTS:
        for path in sorted(folder.glob(place)):
            text = path.read_text(encoding="utf-8")
            for function in ast.walk(ast.parse(text)):
                if isinstance(function, ast.FunctionDef) and function.name.startswith("test_"):
                    for name in _strings(function):
                        found.setdefault(name, f"`{path.relative_to(folder.parent)}::{function.name}`")
    return {rule: found[rule] for rule in rules}


def _strings(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def main(arguments: list[str] | None = None) -> int:
    """Write the page; with `--check`, only say whether it is in step (exit code 1 when it is not)."""
    parser = argparse.ArgumentParser(prog="python -m dmp.docs", description=main.__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("path", nargs="?", type=Path, default=PAGE)
    options = parser.parse_args(arguments)
    if options.check:
        return 0 if options.path.is_file() and options.path.read_text(encoding="utf-8") == page() else 1
    options.path.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
