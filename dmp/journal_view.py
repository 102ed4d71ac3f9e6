"""The access journal as people read it: who sees which rows, and each row in words.

The patient and his attending doctors see every row; another professional sees his own; who represents the patient sees all
but what was done in a secret connection of the minor. Titles and types of documents are shown where a query would show them.
Source: DMP, history of accesses (PDT-INF-526; public health code L.1111-18, R.1111-6); VIHF, secret connection.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal

from dmp import tables
from dmp.codes import INVISIBLE_REPRESENTATIVES
from dmp.transactions.naming import specialities

Language = Literal["fr", "en"]
ReaderKind = Literal["holder", "representative", "attending", "professional"]
Group = Literal["own", "professional", "other"]
ON_LINE_DAYS: Final = 365
ON_LINE_LINES: Final = 100
"""What is shown unless more is asked for; the whole is for a file."""

_SECRET: Final = INVISIBLE_REPRESENTATIVES.partition("^^")[0]
_DOCUMENT: Final = "document"
_EMERGENCIES: Final = {
    "bris_de_glace": {"fr": "Bris de glace", "en": "Break-glass"},
    "centre_15": {"fr": "Régulation (SAMU-Centre 15)", "en": "Medical regulation"},
}
_NORMAL: Final = {"fr": "Normal", "en": "Normal"}
_REFUSED: Final = {"fr": "refusé", "en": "refused"}
_HIDDEN: Final = {"fr": "un document", "en": "a document"}
_PATIENT: Final = {"fr": "Patient", "en": "Patient"}
_REPRESENTATIVE: Final = {"fr": "Représentant", "en": "Representative"}
_OPERATOR: Final = {"fr": "Gestionnaire du dossier", "en": "Keeper of the record"}
_SYSTEM: Final = {"fr": "Système", "en": "System"}


@dataclass(frozen=True, slots=True)
class Act:
    """One row of the journal. `told` is what it says of a proved caller, or in the words of an operator."""

    at: int
    subject: str
    proof_level: str
    mode: str
    action: str
    objects: tuple[tuple[str, str], ...]
    allowed: bool
    told: Mapping[str, Any]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Act:
        """From the columns of a journal row."""
        try:
            told = json.loads(row["detail"]) if row["detail"] else {}
        except ValueError:
            told = {"reason": row["detail"]}
        objects = tuple((str(kind), str(identifier)) for kind, identifier in json.loads(row["objects"]))
        allowed = row["decision"] == "allowed" and row["outcome"] in ("Success", "PartialSuccess")
        texts = (row["subject"], row["proof_level"], row["mode"], row["action"])
        return cls(row["at"], *texts, objects, allowed, told if isinstance(told, dict) else {"reason": str(told)})

    @property
    def emergency(self) -> bool:
        """Whether the record was opened in an emergency mode."""
        return self.mode in _EMERGENCIES

    @property
    def secret(self) -> bool:
        """Whether it was done in a secret connection of a minor."""
        return _SECRET in str(self.told.get("confidentiality", ""))

    @property
    def documents(self) -> tuple[str, ...]:
        """uniqueIds."""
        return tuple(identifier for kind, identifier in self.objects if kind == _DOCUMENT)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads the journal of which record. `patient` is the key text; `identity` a national or local identifier."""

    kind: ReaderKind
    patient: str
    identity: str = ""

    def sees(self, act: Act) -> bool:
        """Whether this row is his to see."""
        if self.kind == "professional":
            return act.subject == self.identity
        return not (self.kind == "representative" and act.secret)

    def group(self, act: Act) -> Group:
        """Whose act it is, for the filters."""
        me = {self.patient, self.identity} if self.kind == "holder" else {self.identity}
        if act.subject in me:
            return "own"
        return "professional" if act.proof_level in ("card", "structure", "structure-strong", "certificate") else "other"


@dataclass(frozen=True, slots=True)
class Document:
    """What may be said of a document to a reader who would find it."""

    type: str
    title: str

    def words(self) -> str:
        """For people."""
        return f"{self.type}: {self.title}" if self.type and self.title else self.type or self.title


@dataclass(frozen=True, slots=True)
class Line:
    """A row as it is shown. `documents` has one text for each document that it concerns; `reason` is a motive."""

    at: int
    author: str
    profession: str
    action: str
    context: str
    reason: str
    documents: tuple[str, ...]
    emergency: bool
    refused: bool
    group: Group


@dataclass(slots=True)
class History:
    """The acts to show, newest first, and how many there are of each group among all that the reader may see."""

    acts: list[Act] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def select_acts(rows: Iterable[Mapping[str, Any]], reader: Reader, wanted: str, limit: int) -> History:
    """At most `limit` acts of the group `wanted` ("all": of every one), from rows that come newest first."""
    found = History()
    for act in map(Act.of, rows):
        if not reader.sees(act):
            continue
        group = reader.group(act)
        found.counts["all"] += 1
        found.counts[group] += 1
        if wanted in ("all", group) and len(found.acts) < limit:
            found.acts.append(act)
    return found


def describe(acts: Sequence[Act], reader: Reader, documents: Mapping[str, Document], language: Language) -> Iterator[Line]:
    """Each act in words. `documents` are those that the reader would find, by uniqueId: of others nothing is said."""
    for act in acts:
        text = words().get(act.action, {}).get(language, act.action)
        author, profession = _author(act, reader, language)
        shown = tuple(
            documents[each].words() if each in documents else _HIDDEN[language] for each in dict.fromkeys(act.documents)
        )
        yield Line(
            act.at,
            author,
            profession,
            text if act.allowed else f"{text} ({_REFUSED[language]})",
            _EMERGENCIES.get(act.mode, _NORMAL)[language],
            str(act.told.get("reason", "")),
            shown,
            act.emergency,
            not act.allowed,
            reader.group(act),
        )


def _author(act: Act, reader: Reader, language: Language) -> tuple[str, str]:
    """Who did it, and in which profession."""
    name = str(act.told.get("name", ""))
    if act.subject == reader.patient:
        return _PATIENT[language], ""
    if act.subject.startswith("system:"):
        return _SYSTEM[language], ""
    if act.proof_level == "local":
        return name or (_REPRESENTATIVE if "^" in act.subject else _OPERATOR)[language], ""
    roles = [str(role).partition("^")[0] for role in act.told.get("roles", ())]
    structure = str(act.told.get("structure", ""))
    who = f"{name} ({act.subject})" if name else act.subject
    return (f"{who}, {structure}" if structure and structure != act.subject else who), profession_text(roles)


def profession_text(roles: Sequence[str]) -> str:
    """Profession and speciality in words; the codes where they are not known."""
    known = specialities()
    for code in ("/".join(("G15_" + roles[0], *roles[1:2])), f"G15_{roles[0]}") if roles else ():
        if code in known:
            return known[code]
    return "/".join(roles[:2])


@cache
def words() -> Mapping[str, Mapping[str, str]]:
    """The acts by name: group, and the words in each language."""
    lines = (tables.DATA / "journal.csv").read_text(encoding="utf-8").splitlines()
    return {row["action"]: row for row in csv.DictReader(line for line in lines if not line.startswith("#"))}
