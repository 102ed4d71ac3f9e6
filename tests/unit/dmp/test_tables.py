"""The tables say what the published ones say, cell by cell; a damaged one is named with its line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from access_control.scope import AllOf, AnyOf, Condition, FieldIn, Not
from access_control.subject import Coded
from dmp import tables
from dmp.caller import Caller, caller_of
from dmp.reading import types_read_by
from dmp.rights import functional_right
from tests.shared_data import shared
from tests.unit.dmp.world import A00, G05, G15, R01, R85, subject

COLUMNS = {
    "medecins": "doctor", "pharmaciens_biologistes": "biologist", "pharmaciens_officine_pui": "pharmacist",
    "chirurgiens_dentistes": "dentist", "sages_femmes": "midwife", "infirmiers": "nurse",
    "masseurs_kinesitherapeutes": "physiotherapist", "pedicures_podologues": "podiatrist",
    "orthophonistes": "speech_therapist", "ergo_psychomot_orthopt_dietet": "rehabilitation",
    "audioprothesistes_appareillage": "hearing_and_fitting", "opticiens_lunetiers": "optician",
    "manipulateurs_erm": "radiographer", "pro_coordination": "coordination", "assistants_service_social": "social_worker",
    "pro_social_administratif": "social_administration", "pro_social_vie_sociale": "social_life",
    "pro_social_accompagnement_soin": "social_care", "pro_social_encadrement": "social_management",
}  # fmt: skip
RIGHTS = {
    "ps_non_medecin_normal": "professional", "ps_non_medecin_regulation": "professional_regulation",
    "ps_non_medecin_bris": "professional_break_glass", "medecin_non_mt_normal": "doctor",
    "medecin_non_mt_regulation": "doctor_regulation", "medecin_non_mt_bris": "doctor_break_glass",
    "medecin_travail": "occupational_doctor", "mt_normal": "attending", "mt_bris": "attending_break_glass",
    "cpe": "staff_card", "indirecte_normal": "structure", "indirecte_regulation": "structure_regulation",
}  # fmt: skip
CLASS_31 = "31^^1.2.250.1.213.1.1.4.1"


def published(name: str) -> list[dict[str, str]]:
    lines = shared("data", name).read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def holds(condition: Condition, type_code: str, class_code: str = "") -> bool:
    """Whether an entry of this type and class is read."""
    match condition:
        case FieldIn("type_code", values):
            return type_code in values
        case FieldIn("class_code", values):
            return class_code in values
        case AllOf(parts):
            return all(holds(part, type_code, class_code) for part in parts)
        case AnyOf(parts):
            return any(holds(part, type_code, class_code) for part in parts)
        case Not(part):
            return not holds(part, type_code, class_code)
    raise AssertionError(condition)


@pytest.mark.corpus
def test_every_cell_of_the_matrix_is_the_published_one() -> None:
    schemes = {row["code"]: row["codeSystem"] for row in published("typecodes.csv")}
    rows = published("habilitation_matrix.csv")
    assert len(rows) == 108
    for row in rows:
        for theirs, ours in COLUMNS.items():
            if row["typeCode"].startswith("Code "):  # any imaging procedure that has no row of its own
                found = holds(types_read_by(ours), "X-1^^2.16.840.1.113883.6.1", CLASS_31)
            else:
                found = holds(types_read_by(ours), f"{row['typeCode']}^^{schemes[row['typeCode']]}")
            assert found is (row[theirs] == "Y"), (row["typeCode"], ours)


def test_an_unknown_type_is_read_by_nobody_and_no_column_reads_nothing() -> None:
    columns, rows = tables.matrix()
    assert len(columns) == 19
    assert not any(holds(types_read_by(column), "X-1^^1.2.3", "10^^1.2.250.1.213.1.1.4.1") for column in columns)
    assert not any(holds(types_read_by(""), row.pair, CLASS_31) for row in rows)


@pytest.mark.corpus
def test_every_functional_right_is_the_published_one() -> None:
    rows = published("functional_rights.csv")
    table = tables.rights()
    assert (len(rows), len(table.transactions), len(table.columns)) == (26, 26, 12)
    for row, right in zip(rows, table.transactions, strict=True):
        assert table.transactions[right] == row["transaction"]
        for theirs, ours in RIGHTS.items():
            cell = table.cells[right, ours]
            assert ("Y" if cell.allowed else "N") + (str(cell.limit) if cell.limit else "") == row[theirs], (right, ours)


CALLERS = {
    "professional": (subject(Coded("60", G15)), False),
    "doctor": (subject(), False),
    "attending": (subject(), True),
    "occupational_doctor": (subject(Coded("10", G15), Coded("SM25", R01)), False),
    "staff_card": (subject(Coded("SECRETARIAT_MEDICAL", A00)), False),
    "structure": (subject(authentication="INDIRECTE"), False),
}
MODES = {"": "normal", "_break_glass": "bris_de_glace", "_regulation": "centre_15"}


@pytest.mark.parametrize("column", RIGHTS.values())
def test_a_card_and_a_mode_lead_to_a_column(column: str) -> None:
    kind = next(k for k in sorted(CALLERS, key=len, reverse=True) if column.startswith(k))
    who, attending = CALLERS[kind]
    caller = caller_of(
        type(who)(**{f: getattr(who, f) for f in who.__slots__} | {"mode": MODES[column[len(kind) :]]}), role_based=False
    )
    assert caller.rights_column(attending=attending) == column
    for right in tables.rights().transactions:
        assert functional_right(right, caller, attending=attending) == tables.rights().cells[right, column]


def reinforced(*roles: Coded) -> Caller:
    return caller_of(subject(*roles, authentication="INDIRECTE_RENFORCEE"), role_based=False)


def test_the_reinforced_mode_reads_and_does_not_deposit() -> None:
    doctor, nurse, staff = reinforced(), reinforced(Coded("60", G15)), reinforced(Coded("SECRETARIAT_MEDICAL", A00))
    for caller in (doctor, nurse):
        assert functional_right("read", caller, attending=False).allowed
        assert not functional_right("deposit", caller, attending=False).allowed
    assert functional_right("archive", doctor, attending=False) == tables.Right(allowed=True)
    assert functional_right("archive", nurse, attending=False).limit == 8
    assert not functional_right("leave-attending", doctor, attending=True).allowed
    occupational = reinforced(Coded("10", G15), Coded("SM25", R01))
    assert not any(functional_right(r, occupational, attending=False).allowed for r in tables.rights().transactions)
    open_to_staff = {r for r in tables.rights().transactions if functional_right(r, staff, attending=False).allowed}
    assert open_to_staff == {"authorise", "authorised-list", "find-reference", "delete"}


@pytest.mark.parametrize(
    ("roles", "role_based", "column"),
    [
        ((Coded("10", G15),), False, "doctor"),
        ((Coded("21", G15), Coded("G", G05)), False, "biologist"),
        ((Coded("21", G15), Coded("EG", G05)), False, "biologist"),
        ((Coded("21", G15), Coded("A", G05)), False, "pharmacist"),
        ((Coded("28", G15),), False, "optician"),
        ((Coded("41", "1.2.250.1.213.1.6.1.4"),), False, "social_worker"),
        ((Coded("41", G15),), False, ""),
        ((Coded("10", "1.2.250.1.213.1.6.1.4"),), False, ""),
        ((Coded("99", "1.2.9"), Coded("316", R85)), False, ""),
        ((Coded("99", "1.2.9"), Coded("316", R85)), True, "pharmacist"),
        ((Coded("99", "1.2.9"), Coded("GENR08", "1.2.8")), True, "coordination"),
        ((Coded("99", "1.2.9"), Coded("300", R85)), True, ""),
        ((Coded("93", G15),), True, ""),
        ((Coded("SECRETARIAT_MEDICAL", A00),), True, ""),
    ],
)
def test_roles_lead_to_a_column_of_the_matrix(roles: tuple[Coded, ...], role_based: bool, column: str) -> None:
    assert caller_of(subject(*roles), role_based=role_based).column == column


def test_who_proved_nothing_is_nobody() -> None:
    for who in (subject(digest=""), subject(mode="other"), type(subject())("x", digest="d")):
        caller = caller_of(who, role_based=True)
        assert (caller.kind, caller.rights_column(attending=True)) == ("unknown", "")
        assert not functional_right("authenticate", caller, attending=True).allowed
    structure = caller_of(subject(authentication="INDIRECTE", mode="bris_de_glace"), role_based=False)
    card = caller_of(subject(Coded("SECRETARIAT_MEDICAL", A00), mode="centre_15"), role_based=False)
    assert (structure.rights_column(attending=False), card.rights_column(attending=False)) == ("", "")


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("matrix.csv", "X,1.2,10,y", "matrix.csv, line 3: expected 22 cells"),
        ("columns.csv", "10,,,surgeon,n", "columns.csv, line 4: expected code"),
        ("rights.csv", "TD9,authenticate,y,y,y,y,y,y,y,y,y,y,y,y", "a right of its own"),
        (
            "rights.csv",
            "TD9,new,maybe,y,y,y,y,y,y,y,y,y,y,y",
            "expected y, n, or y with the number of a limit, found 'maybe'",
        ),
    ],
)
def test_a_damaged_table_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, wrong: str, said: str
) -> None:
    for path in tables.DATA.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    lines = (tmp_path / name).read_text(encoding="utf-8").splitlines()
    header = next(number for number, line in enumerate(lines) if line[0] != "#")
    lines.insert(len(lines) if "authenticate" in wrong else header + 1, wrong)
    (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setattr(tables, "DATA", tmp_path)
    load = {"matrix.csv": tables.matrix, "columns.csv": tables.columns, "rights.csv": tables.rights}[name]
    with pytest.raises(tables.TableError, match=said.replace("(", "\\(")):
        load.__wrapped__()
