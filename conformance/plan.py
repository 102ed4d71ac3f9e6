"""The plan: one TOML file for each case, loaded and checked before anything is sent.

A case names its purpose and its clauses, says what the target must be able to do, and lists steps. A step sends one message
and lists expectations; the standard checks of its transaction run without being named. Unknown keys, unknown checks,
unknown needs and variables that no earlier step defines are errors.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from conformance import checks, vocabulary
from conformance.findings import Level
from conformance.tables import PlanError, nearest, read_file, read_table
from conformance.target import check_need

CASES: Final = Path(__file__).parent / "cases"
VARIABLE: Final = re.compile(r"\$\{([^}]*)\}|\$([A-Za-z_]\w*(?:\.\w+)*)")
_PATIENT: Final = re.compile(r"patient\d*")
_ID: Final = re.compile(r"[0-9a-z]+(-[0-9a-z]+)+")


@dataclass(frozen=True, slots=True)
class DocumentSpec:
    """A document and its entry. Empty fields take values of the domain; `omit` names attributes to leave out.

    `id` is the entry's id as sent: empty for a symbolic one, `uuid` for a fresh UUID. `length` asks for that many bytes of
    all values instead of `content`. `type_code` counts the target's codes from 1. `no_bytes` sends the entry alone (ITI-41).
    """

    key: str
    unique_id: str = ""
    id: str = ""
    patient: str = "$patient"
    content: str = ""
    length: int = 0
    type_code: int = 1
    authors: tuple[str, ...] = ("^Tester^Conformance",)
    creation_time: str = "20250301101500"
    reference_ids: tuple[str, ...] = ()
    hash: str = ""
    omit: tuple[str, ...] = ()
    no_bytes: bool = False


@dataclass(frozen=True, slots=True)
class FolderSpec:
    """A folder; `last_update_time` is what the sender claims, which a registry ignores."""

    key: str
    unique_id: str = ""
    id: str = ""
    patient: str = "$patient"
    last_update_time: str = ""
    omit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SetSpec:
    """The submission set."""

    unique_id: str = ""
    id: str = ""
    patient: str = "$patient"
    omit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RelationSpec:
    """A relationship between documents: `type` is a short name (RPLC, APND …); ends are keys of the message or UUIDs."""

    type: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class ExtraSpec:
    """A document that no entry of the message describes (ITI-41)."""

    id: str
    content: str


@dataclass(frozen=True, slots=True)
class RetrieveSpec:
    """One line of a retrieve request."""

    unique_id: str
    repository: str = "$repository"


@dataclass(frozen=True, slots=True)
class Framing:
    """How the package is framed (ITI-41, ITI-43). `simple` sends a plain envelope with the documents inline."""

    simple: bool = False
    inline: bool = False
    boundary: str = ""
    preamble: str = ""
    epilogue: str = ""
    quoted: bool = True
    start: bool = True
    root_last: bool = False
    percent_encoded: bool = False
    transfer_encoding: str = "binary"
    content_id: str = "part{n}@conformance.test"


@dataclass(frozen=True, slots=True)
class Addressing:
    """Edits of the SOAP header: another `action`, headers to `omit`, an unknown header that must be understood."""

    action: str = ""
    omit: tuple[str, ...] = ()
    must_understand: bool = False
    soap: str = "1.2"


@dataclass(frozen=True, slots=True)
class Expectation:
    """A named check with its arguments; `clause` empty means the check's own clause."""

    check: str
    arguments: Mapping[str, Any]
    clause: str
    level: Level


@dataclass(frozen=True, slots=True)
class Step:
    """One exchange. `send` is a transaction, or `again` to send the very bytes of step `of` once more.

    `capture` maps a variable to `UNIQUEID` (the id of the object with that uniqueId) or `UNIQUEID#attribute`.
    """

    name: str
    send: str
    of: str = ""
    documents: tuple[DocumentSpec, ...] = ()
    folders: tuple[FolderSpec, ...] = ()
    set: SetSpec = field(default_factory=SetSpec)
    relations: tuple[RelationSpec, ...] = ()
    members: tuple[tuple[str, ...], ...] = ()
    extra: tuple[ExtraSpec, ...] = ()
    pause_ms: int = 0
    query: str = ""
    return_type: str = "LeafClass"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    retrieve: tuple[RetrieveSpec, ...] = ()
    framing: Framing = field(default_factory=Framing)
    addressing: Addressing = field(default_factory=Addressing)
    expect: tuple[Expectation, ...] = ()
    capture: Mapping[str, str] = field(default_factory=dict)

    @property
    def expects_fault(self) -> bool:
        """Whether a SOAP fault is the right answer."""
        return any(expectation.check == "fault" for expectation in self.expect)


@dataclass(frozen=True, slots=True)
class Case:
    """One conformance case."""

    id: str
    title: str
    transaction: str
    purpose: str
    clauses: tuple[str, ...]
    step: tuple[Step, ...]
    rev: int = 1
    needs: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()


def load_plan(folder: Path = CASES) -> tuple[Case, ...]:
    """All cases of a folder and its subfolders, sorted by id. Raises PlanError."""
    cases = [load_case(path) for path in sorted(folder.rglob("*.toml"))]
    seen: dict[str, Case] = {}
    for case in cases:
        if case.id in seen:
            raise PlanError(f"two cases have the id {case.id!r}")
        seen[case.id] = case
    if not cases:
        raise PlanError(f"{folder}: no case found")
    return tuple(sorted(cases, key=lambda case: case.id))


def load_case(path: Path) -> Case:
    """One case file. Raises PlanError."""
    try:
        text = read_file(path).decode("utf-8")
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{path.name}: not TOML: {error}") from error
    table.setdefault("patients", sorted({"patient"} | {name for name in _names(table) if _PATIENT.fullmatch(name)}))
    case = read_table(Case, _prepared(table, path.name), path.name)
    _check_case(case, path)
    return case


def select(cases: Iterable[Case], wanted: Iterable[str]) -> tuple[Case, ...]:
    """The cases of the given ids, or of the given transactions (`ITI-18`); all when none is given. Raises PlanError."""
    plan, names = tuple(cases), tuple(wanted)
    known = {case.id for case in plan} | {case.transaction for case in plan}
    for name in names:
        if name not in known:
            raise PlanError(f"no case {name!r}{nearest(name, known)}")
    return tuple(case for case in plan if not names or case.id in names or case.transaction in names)


def _prepared(table: dict[str, Any], where: str) -> dict[str, Any]:
    steps = table.get("step")
    if not isinstance(steps, list) or not steps:
        raise PlanError(f"{where}: a case needs at least one [[step]]")
    return {**table, "step": [{**step, "expect": _expectations(step, where)} for step in steps]}


def _expectations(step: Mapping[str, Any], where: str) -> list[Expectation]:
    """The expectations of a step; one that names neither status nor fault expects Success too."""
    place = f"{where}, step {step.get('name')!r}"
    named = [_expectation(dict(item), place) for item in step.get("expect", ())]
    if named and not {item.check for item in named} & {"status", "fault"}:
        named.insert(0, Expectation("status", {"is": "Success"}, "", Level.MUST))
    return named


def _expectation(item: dict[str, Any], where: str) -> Expectation:
    name = item.pop("check", None)
    if name not in checks.CHECKS:
        raise PlanError(f"{where}: unknown check {name!r}{nearest(str(name), checks.CHECKS)}")
    check = checks.CHECKS[name]
    clause, level = item.pop("clause", ""), item.pop("level", Level.MUST.value)
    if level not in tuple(Level):
        raise PlanError(f"{where}, check {name!r}: level is must or should, found {level!r}")
    for key, value in item.items():
        if key not in check.arguments:
            raise PlanError(f"{where}, check {name!r}: unknown key {key!r}{nearest(key, check.arguments)}")
        if not isinstance(value, check.arguments[key]):
            raise PlanError(
                f"{where}, check {name!r}, key {key!r}: expected {check.arguments[key].__name__}, found {value!r}"
            )
    for key in check.required - item.keys():
        raise PlanError(f"{where}, check {name!r}: missing key {key!r}")
    return Expectation(name, item, clause, Level(level))


def _check_case(case: Case, path: Path) -> None:
    where = path.name
    if not _ID.fullmatch(case.id) or path.stem != case.id:
        raise PlanError(f"{where}: the id is lower-case words with hyphens and equals the file name, found {case.id!r}")
    if case.transaction not in vocabulary.ACTIONS:
        raise PlanError(f"{where}: unknown transaction {case.transaction!r}{nearest(case.transaction, vocabulary.ACTIONS)}")
    if not case.clauses or not case.title or not case.purpose:
        raise PlanError(f"{where}: a case names title, purpose and at least one clause")
    for need in case.needs:
        check_need(need, where)
    known = {*_BUILT_IN}
    names: list[str] = []
    for step in case.step:
        _check_step(step, names, f"{where}, step {step.name!r}")
        names.append(step.name)
        _check_variables(step, known, f"{where}, step {step.name!r}")
        known |= set(step.capture)


def _check_step(step: Step, earlier: list[str], where: str) -> None:
    if step.name in earlier:
        raise PlanError(f"{where}: the name is used twice")
    if step.send == "again":
        if step.of not in earlier:
            raise PlanError(f"{where}: `of` names an earlier step, found {step.of!r}")
    elif step.send not in vocabulary.ACTIONS:
        raise PlanError(f"{where}: `send` is one of {', '.join(vocabulary.ACTIONS)} or again, found {step.send!r}")
    if step.send == "ITI-18" and step.query not in vocabulary.QUERIES and not step.query.startswith(("urn:uuid:", "$")):
        raise PlanError(f"{where}: unknown query {step.query!r}{nearest(step.query, vocabulary.QUERIES)}")
    for relation in step.relations:
        if relation.type not in vocabulary.ASSOCIATIONS:
            raise PlanError(f"{where}: unknown relation {relation.type!r}{nearest(relation.type, vocabulary.ASSOCIATIONS)}")
    for pair in step.members:
        if len(pair) != 2:
            raise PlanError(f"{where}: a member is [folder, document], found {list(pair)!r}")
    if not step.expect:
        raise PlanError(f"{where}: a step without expectation checks nothing")


_BUILT_IN: Final = frozenset({"repository", "stranger", "Approved", "Deprecated", "Stable", "OnDemand"})
_FAMILIES: Final = frozenset({"oid", "uuid", "code", "type"})


def _check_variables(step: Step, known: set[str], where: str) -> None:
    """Adds what the step defines to `known`; everything it uses must be known by then."""
    for document in step.documents:
        known |= {f"{document.key}.{name}" for name in ("id", "uniqueId", "hash", "size", "patient")}
    for folder in step.folders:
        known |= {f"{folder.key}.{name}" for name in ("id", "uniqueId", "patient")}
    if step.send in ("ITI-41", "ITI-42"):
        known |= {f"{step.name}.set.{name}" for name in ("id", "uniqueId", "patient")}
    known.add(f"{step.name}.sent")
    used = _names([step.documents, step.folders, step.set, step.relations, step.members, step.query])
    used |= _names([step.parameters, step.retrieve, [item.arguments for item in step.expect], step.capture])
    for name in sorted(used):
        if name not in known and not _PATIENT.fullmatch(name) and not _in_family(name, where):
            raise PlanError(f"{where}: no earlier step defines ${name}{nearest(name, known)}")


def _in_family(name: str, where: str) -> bool:
    family, _, rest = name.partition(".")
    kind, _, number = rest.partition(".")
    known = {"code": vocabulary.CODE_SCHEMES, "type": vocabulary.ASSOCIATIONS}.get(family)
    if known is not None and (kind not in known or (number and not number.isdigit())):
        raise PlanError(f"{where}: unknown variable ${name}{nearest(kind, known)}")
    return family in _FAMILIES and bool(rest)


def _names(value: Any) -> set[str]:
    """The variables that occur anywhere in a value."""
    if isinstance(value, str):
        return {braced or plain for braced, plain in VARIABLE.findall(value)}
    if isinstance(value, Mapping):
        return set().union(*(_names(item) for item in value.values()))
    if isinstance(value, list | tuple):
        return set().union(*(_names(item) for item in value))
    if hasattr(value, "__dataclass_fields__"):
        return set().union(*(_names(getattr(value, name)) for name in value.__dataclass_fields__))
    return set()
