"""The registry against a model of it in memory: random submissions and random queries of all fourteen kinds, no difference.

Also: a narrower scope gives a part of the answer, never more, for every query.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from access_control.scope import EVERYTHING, NOTHING, AllOf, AnyOf, FieldIn, HasCode, Not, Scope
from access_control.scope import Condition as ScopeCondition
from database import Database
from ebrim import model as rim
from tests import samples as s
from tests.property.registry_model import (
    APND,
    HAS_MEMBER,
    RPLC,
    SIGNS,
    XFRM,
    XFRM_RPLC,
    Entry,
    Folder,
    Link,
    Model,
    Request,
    Set,
    like,
    within,
)
from tests.registry_side import IDS, STATUSES, Answer, Side, quoted
from xds_metadata import associations as types
from xds_metadata.model import STABLE, Code, DocumentEntry, SubmissionSet
from xds_metadata.patients import key_text, patient_column

pytestmark = pytest.mark.proof
STEPS = 5_000 if os.environ.get("LIASSE_PROOF") == "1" else 500
URN = {HAS_MEMBER: types.HAS_MEMBER, RPLC: types.RPLC, XFRM: types.XFRM, APND: types.APND}
URN |= {XFRM_RPLC: types.XFRM_RPLC, SIGNS: types.SIGNS}
SCHEME = "1.2.250.1.999.5"
PATIENTS = [s.patient(n) for n in range(1, 4)]
PERSONS = ["801^Martin^Anne", "802^Du_pont^100%", "803^O'Neil^Zo\u00eb", "804^[x]*^?"]
PATTERNS = ["%Martin%", "%^Du_pont^%", "%Du_po%", "801%", "%", "_0_^%", "%'%", "%[x]%", "%*%", "%?", "Martin", "%Zo_"]
TIMES = ["2022", "202301", "20230115", "2023011512", "202301151230", "20230115123045", "20240229"]
REFERENCES = [f"R{n}^^^&{s.AUTHORITY}&ISO^urn:ihe:iti:xds:2013:order" for n in range(3)]
ATTRIBUTES = {
    "class_code": "ClassCode",
    "type_code": "TypeCode",
    "format_code": "FormatCode",
    "practice_setting_code": "PracticeSettingCode",
    "healthcare_facility_type_code": "HealthcareFacilityTypeCode",
    "event_codes": "EventCodeList",
    "confidentiality_codes": "ConfidentialityCode",
}
MANY = ("event_codes", "confidentiality_codes")
E = "$XDSDocumentEntry"
Parameters = list[tuple[str, str]]
Filter = tuple[Parameters, Callable[[Entry], bool]]


def _pair(code: str) -> str:
    return f"{code}^^{SCHEME}"


class Run:
    """One random history on one database."""

    def __init__(self, database: Database, seed: int) -> None:
        self.random = random.Random(seed)
        self.side = Side(database)
        self.model = Model()
        self.ids: dict[object, str] = {}
        self.seen: set[str] = set()

    def _some(self, values: list[str], most: int) -> tuple[str, ...]:
        return tuple(self.random.sample(values, self.random.randint(0, most)))

    def _entry(self, patient: str) -> Entry:
        pick = self.random.choice
        old = pick(self.model.entries) if self.model.entries and self.random.random() < 0.1 else None
        unique_id = old.unique_id if old else s.oid()
        same = old is None or self.random.random() < 0.7
        start = pick([None, *TIMES])
        codes: dict[str, tuple[str, ...]] = {name: (pick(["A", "B"]),) for name in ATTRIBUTES if name not in MANY}
        codes["event_codes"] = self._some(["A", "B", "C"], 2)
        codes["confidentiality_codes"] = self._some(["N", "R", "V"], 2) or ("N",)
        hash_ = old.hash if old and same else s.sha1(unique_id + ("" if same else "x"))
        return Entry(
            s.symbolic(), unique_id, hash_, patient, (pick(TIMES), start, start), codes,
            self._some(PERSONS, 2), self._some(REFERENCES, 2),
        )  # fmt: skip

    def _request(self) -> Request:
        pick, chance = self.random.choice, self.random.random
        patient = pick(PATIENTS)
        used = [*(o.unique_id for o in self.model.sets), *(f.unique_id for f in self.model.folders)]
        owner = Set(
            s.symbolic(), pick(used) if used and chance() < 0.03 else s.oid(), patient, pick(["1.2.3", "1.2.4"]),
            pick(TIMES), pick(["A", "B"]), self._some(PERSONS, 1),
        )  # fmt: skip
        request = Request(owner)
        request.entries = [self._entry(patient) for _ in range(self.random.randint(0, 3))]
        unique = {e.unique_id: e for e in request.entries}
        request.entries = list(unique.values())
        if chance() < 0.3:
            request.folders = [Folder(s.symbolic(), s.oid(), patient, self._some(["A", "B"], 2) or ("A",))]
        mine = [e for e in self.model.entries if e.patient == patient]
        live = [e for e in mine if e.status == "Approved"]
        for new in request.entries:
            if chance() < 0.5 and self.model.entries:
                pool = (live or mine) if chance() < 0.9 and mine else self.model.entries
                old = pool[-1] if chance() < 0.4 else pick(pool)  # chains of addenda grow, and fall
                request.relations.append((pick([RPLC, XFRM, XFRM, APND, APND, XFRM_RPLC, SIGNS]), new, old))
        if len(request.entries) > 1 and chance() < 0.2:
            request.relations.append((pick([XFRM, APND, SIGNS]), request.entries[0], request.entries[1]))
        folders = [*request.folders, *(f for f in self.model.folders if f.patient == patient or chance() < 0.05)]
        entries = [*request.entries, *(e for e in live if chance() < 0.2)]
        for folder in folders:
            for entry in entries:
                if chance() < 0.3:
                    request.filings.append((folder, entry))
        if self.model.entries and chance() < 0.2:
            request.references = [pick(self.model.entries)]
        return request

    def submit(self) -> None:
        """Register something random; both must agree on the verdict."""
        request = self._request()
        ends = {id(e): e.name for e in request.entries} | {id(f): f.name for f in request.folders}

        def end(item: Entry | Folder) -> str:
            return ends.get(id(item)) or self.ids[item]

        links = [s.link(URN[type_], end(new), end(old)) for type_, new, old in request.relations]
        links += [s.member(end(folder), end(entry)) for folder, entry in request.filings]
        made = s.submission(
            *(self._as_entry(e) for e in request.entries),
            folders=[
                s.folder(
                    entry_uuid=f.name, unique_id=f.unique_id, patient_id=f.patient, codes=tuple(map(self._code, f.codes))
                )
                for f in request.folders
            ],
            links=links,
            references=[self.ids[e] for e in request.references],
            owner=self._as_set(request.owner),
        )
        answer = self.side.submit(made)
        expected = self.model.submit(request)
        assert set(answer.codes) == expected, answer.text
        if not expected:
            self._learn(request)

    @staticmethod
    def _code(value: str) -> Code:
        return s.code(value, SCHEME)

    def _as_entry(self, entry: Entry) -> DocumentEntry:
        creation, start, stop = entry.times
        codes: dict[str, Any] = {
            name: tuple(map(self._code, values)) if name in MANY else self._code(values[0])
            for name, values in entry.codes.items()
        }
        return s.entry(
            entry_uuid=entry.name,
            unique_id=entry.unique_id,
            hash=entry.hash,
            patient_id=entry.patient,
            creation_time=creation,
            service_start_time=start,
            service_stop_time=stop,
            authors=tuple(s.author(person) for person in entry.authors),
            reference_ids=entry.references,
            **codes,
        )

    def _as_set(self, owner: Set) -> SubmissionSet:
        return s.submission_set(
            entry_uuid=owner.name,
            unique_id=owner.unique_id,
            patient_id=owner.patient,
            source_id=owner.source,
            submission_time=owner.time,
            content_type_code=self._code(owner.content),
            authors=tuple(s.author(person) for person in owner.authors),
        )

    def _learn(self, request: Request) -> None:
        """The ids that the registry gave: new objects by uniqueId, then associations by type and ends, walking outwards."""
        owner = f"'{request.owner.unique_id}'"
        known = set(self.ids.values())
        answer = self.side.query("GetSubmissionSetAndContents", [("$XDSSubmissionSetUniqueId", owner)], leaves=False)
        (set_id,) = [p.id for p in [self.side.submission_set(request.owner.unique_id)]]
        self.ids[request.owner] = set_id
        for entry in request.entries:
            (self.ids[entry],) = [d.id for d in self._documents(entry.unique_id) if d.id not in known and d.id in answer.ids]
        for folder in request.folders:
            self.ids[folder] = self.side.folder(folder.unique_id).id
        for link in self.model.links:  # in order: a link to a link comes after it
            if link in self.ids:
                continue
            source, target = self.ids[link.source], self.ids[link.target]
            (self.ids[link],) = [
                a.id
                for a in self.side.associations(source)
                if (a.source, a.target, a.association_type) == (source, target, URN[link.type])
                and a.id not in self.ids.values()
            ]

    def _documents(self, unique_id: str) -> tuple[rim.ExtrinsicObject, ...]:
        parameters = [(f"{E}UniqueId", quoted(unique_id))]
        references = self.side.query("GetDocuments", parameters, leaves=False).ids
        found: list[rim.ExtrinsicObject] = []
        for reference in references:
            found += self.side.find("GetDocuments", [(f"{E}EntryUUID", quoted(reference))]).objects.extrinsic_objects
        return tuple(found)

    def _codes(self, values: list[str]) -> tuple[str, ...]:
        return tuple(self.random.sample(values, self.random.randint(1, 2)))

    def _entry_filter(self, names: list[str]) -> Filter:
        parameters: Parameters = []
        tests: list[Callable[[Entry], bool]] = []
        for name in self.random.sample(names, self.random.randint(0, min(2, len(names)))):
            for _ in range(self.random.randint(1, 2) if name in MANY else 1):
                wanted = self._codes(["A", "B", "C", "N", "R", "V"])
                parameters.append((E + ATTRIBUTES[name], quoted(*map(_pair, wanted))))
                tests.append(lambda e, n=name, w=wanted: bool(set(e.codes[n]) & set(w)))  # type: ignore[misc]
        if self.random.random() < 0.2:
            parameters.append((f"{E}Type", quoted(STABLE)))
        return parameters, lambda e: all(test(e) for test in tests)

    def _find_filter(self) -> Filter:
        parameters, keep = self._entry_filter(list(ATTRIBUTES))
        tests = [keep]
        for place, name in enumerate(("CreationTime", "ServiceStartTime", "ServiceStopTime")):
            start, stop = (self.random.choice([*[None] * 5, *TIMES]) for _ in range(2))
            parameters += [(f"{E}{name}{end}", time) for end, time in (("From", start), ("To", stop)) if time]
            tests.append(lambda e, p=place, a=start, b=stop: within(e.times[p], a, b))  # type: ignore[misc]
        if self.random.random() < 0.3:
            patterns = self.random.sample(PATTERNS, self.random.randint(1, 3))
            parameters.append((f"{E}AuthorPerson", quoted(*patterns)))
            tests.append(lambda e: any(like(a, p) for a in e.authors for p in patterns))
        return parameters, lambda e: all(test(e) for test in tests)

    def _statuses(self) -> tuple[str, set[str]]:
        wanted = set(self.random.sample(list(STATUSES), self.random.randint(1, 2)))
        return quoted(*(STATUSES[name] for name in sorted(wanted))), wanted

    def _by_id(self, uuid: str, unique_id: str, pool: list[object], most: int) -> tuple[tuple[str, str], list[object]]:
        """A parameter by entryUUID or uniqueId, and the objects that it names."""
        chosen = self.random.sample(pool, min(len(pool), self.random.randint(1, most)))
        if self.random.random() < 0.5:
            return (uuid, quoted(*(self.ids[o] for o in chosen), *([s.new_uuid()] if most > 1 else []))), chosen
        values = {o.unique_id for o in chosen}  # type: ignore[attr-defined]
        every: list[object] = [*self.model.entries, *self.model.folders, *self.model.sets]
        kind = type(chosen[0])
        named = [o for o in every if type(o) is kind and o.unique_id in values]  # type: ignore[attr-defined]
        return (unique_id, quoted(*values)), named

    def query(self, name: str) -> tuple[Parameters, list[object]]:
        """Random parameters of a query, and what the model answers."""
        model, patient, (statuses, wanted) = self.model, self.random.choice(PATIENTS), self._statuses()
        of_patient = [(f"{E}PatientId", f"'{patient}'"), (f"{E}Status", statuses)]
        uuid, unique = f"{E}EntryUUID", f"{E}UniqueId"
        some_filters = self._entry_filter(["format_code", "confidentiality_codes"])
        if name == "FindDocuments":
            parameters, keep = self._find_filter()
            return [*of_patient, *parameters], model.find_documents(patient, wanted, keep)
        if name == "FindDocumentsByReferenceId":
            parameters, keep = self._find_filter()
            groups = [self._some(REFERENCES, 2) or (REFERENCES[0],) for _ in range(self.random.randint(1, 2))]
            parameters += [(f"{E}ReferenceIdList", quoted(*group)) for group in groups]
            found = model.find_documents(
                patient, wanted, lambda e: keep(e) and all(set(e.references) & set(group) for group in groups)
            )
            return [*of_patient, *parameters], found
        if name == "FindSubmissionSets":
            return self._find_sets(patient, statuses, wanted)
        if name == "FindFolders":
            groups = [self._codes(["A", "B"]) for _ in range(self.random.randint(0, 2))]
            parameters = [("$XDSFolderPatientId", f"'{patient}'"), ("$XDSFolderStatus", statuses)]
            parameters += [("$XDSFolderCodeList", quoted(*map(_pair, group))) for group in groups]
            return parameters, model.find_folders(
                patient, wanted, lambda f: all(set(f.codes) & set(group) for group in groups)
            )  # fmt: skip
        if name == "GetAll":
            kinds = ("DocumentEntry", "SubmissionSet", "Folder")
            parameters = [("$patientId", f"'{patient}'"), *((f"$XDS{kind}Status", statuses) for kind in kinds)]
            return [*parameters, *some_filters[0]], model.get_all(patient, wanted, some_filters[1])
        if name == "GetAssociations":
            pool = [*model.entries, *model.folders, *model.sets, *model.links]
            objects = self.random.sample(pool, min(len(pool), 3))
            return [("$uuid", quoted(*(self.ids[o] for o in objects)))], model.touching(objects)
        if name == "GetSubmissionSets":
            objects = self.random.sample([*model.entries, *model.folders], 2)
            return [("$uuid", quoted(*(self.ids[o] for o in objects)))], model.submission_sets(objects)
        if name == "GetSubmissionSetAndContents":
            set_uuid, set_unique = "$XDSSubmissionSetEntryUUID", "$XDSSubmissionSetUniqueId"
            one, (owner,) = self._by_id(set_uuid, set_unique, list(model.sets), 1)
            return [one, *some_filters[0]], model.set_and_contents(owner, some_filters[1])  # type: ignore[arg-type]
        if name == "GetFolderAndContents":
            one, (folder,) = self._by_id("$XDSFolderEntryUUID", "$XDSFolderUniqueId", list(model.folders), 1)
            return [one, *some_filters[0]], model.folder_and_contents(folder, some_filters[1])  # type: ignore[arg-type]
        if name == "GetFolders":
            one, objects = self._by_id("$XDSFolderEntryUUID", "$XDSFolderUniqueId", list(model.folders), 3)
            return [one], objects
        most = 3 if name in ("GetDocuments", "GetDocumentsAndAssociations") else 1
        one, objects = self._by_id(uuid, unique, list(model.entries), most)
        entries: list[Entry] = objects  # type: ignore[assignment]
        if name == "GetDocuments":
            return [one], objects
        if name == "GetDocumentsAndAssociations":
            return [one], model.documents_and_associations(entries)
        if name == "GetFoldersForDocument":
            return [one], model.folders_for(entries)
        assert name == "GetRelatedDocuments"
        kinds_asked = set(self.random.sample([RPLC, XFRM, APND, XFRM_RPLC, SIGNS, HAS_MEMBER], 3))
        asked = ("$AssociationTypes", quoted(*(URN[k] for k in kinds_asked)))
        return [one, asked], model.related(entries, kinds_asked)

    def _find_sets(self, patient: str, statuses: str, wanted: set[str]) -> tuple[Parameters, list[object]]:
        parameters: Parameters = [("$XDSSubmissionSetPatientId", f"'{patient}'"), ("$XDSSubmissionSetStatus", statuses)]
        start, stop = (self.random.choice([None, None, *TIMES]) for _ in range(2))
        parameters += [(f"$XDSSubmissionSetSubmissionTime{e}", t) for e, t in (("From", start), ("To", stop)) if t]
        pattern = self.random.choice([None, *PATTERNS])
        if pattern is not None:
            parameters.append(("$XDSSubmissionSetAuthorPerson", quoted(pattern)))
        content = self.random.choice([None, "A", "B"])
        if content is not None:
            parameters.append(("$XDSSubmissionSetContentType", quoted(_pair(content))))
        source = self.random.choice([None, "1.2.3", "1.2.9"])
        if source is not None:
            parameters.append(("$XDSSubmissionSetSourceId", quoted(source)))
        return parameters, self.model.find_sets(
            patient,
            wanted,
            lambda o: (
                within(o.time, start, stop)
                and (pattern is None or any(like(a, pattern) for a in o.authors))
                and content in (None, o.content)
                and source in (None, o.source)
            ),
        )

    def check(self, name: str) -> None:
        """One query in both forms."""
        parameters, expected = self.query(name)
        ids = sorted(self.ids[o] for o in expected)
        told = f"{name} {parameters}"
        self.side.policy.asked.clear()
        references = self.side.find(name, parameters, leaves=False)
        assert sorted(references.ids) == ids, told
        (asked,) = [target.patients for _, target in self.side.policy.asked]
        patients = {o.patient for o in expected if not isinstance(o, Link)}  # type: ignore[attr-defined]
        assert {patient_column(p) for p in patients} <= {key_text(p) for p in asked}, told
        leaves = self.side.query(name, parameters)
        if name in SINGLE and len(patients) > 1:
            assert leaves.codes == ["XDSResultNotSinglePatient"], told
            return
        assert sorted(leaves.ids) == ids, told
        self._check_statuses(leaves, expected)

    def _check_statuses(self, answer: Answer, expected: list[object]) -> None:
        statuses = {self.ids[o]: getattr(o, "status", "Approved") for o in expected}
        objects = answer.objects
        for item in (*objects.extrinsic_objects, *objects.packages, *objects.associations):
            assert (item.status or "").rpartition(":")[2] == statuses[item.id]

    def _condition(self, depth: int = 2) -> ScopeCondition:
        pick = self.random.choice
        if depth and self.random.random() < 0.6:
            kind = pick([AllOf, AnyOf, Not])
            if kind is Not:
                return Not(self._condition(depth - 1))
            return kind(tuple(self._condition(depth - 1) for _ in range(self.random.randint(0, 2))))  # type: ignore[no-any-return]
        if self.random.random() < 0.5:
            return HasCode("confidentiality_code", tuple(map(_pair, self._some(["N", "R", "V"], 2))))
        return FieldIn(pick(["class_code", "type_code", "unique_id"]), tuple(map(_pair, self._some(["A", "B"], 2))))

    def check_scope(self, name: str) -> None:
        """A scope narrowed by another condition shows a part of what it showed."""
        parameters, _ = self.query(name)
        wide = self._condition()
        shown = [EVERYTHING, Scope(wide), Scope(AllOf((wide, self._condition()))), NOTHING]
        answers = []
        for scope in shown:
            self.side.policy.shown = scope
            answers.append(set(self.side.find(name, parameters, leaves=False).ids))
        self.side.policy.shown = EVERYTHING
        for wider, narrower in pairwise(answers):
            assert narrower <= wider, (name, parameters, shown)
        entries = {self.ids[e] for e in self.model.entries}
        assert not answers[-1] & entries


SINGLE = frozenset(
    {
        "GetDocuments",
        "GetFolders",
        "GetDocumentsAndAssociations",
        "GetSubmissionSets",
        "GetSubmissionSetAndContents",
        "GetFolderAndContents",
    }
)


@pytest.mark.timeout(3000)
def test_no_difference(database: Database) -> None:
    run = Run(database, seed=20251125)
    names = sorted(IDS)
    while len(run.model.entries) < 10 or not run.model.folders:
        run.submit()
    for step in range(STEPS):
        if run.random.random() < 0.15 and len(run.model.entries) < 300:
            run.submit()
        else:
            run.check(names[step % len(names)])
    assert any(e.status == "Deprecated" for e in run.model.entries)


@pytest.mark.timeout(3000)
def test_a_narrower_scope_shows_a_part(database: Database) -> None:
    run = Run(database, seed=42)
    while len(run.model.entries) < 40 or not run.model.folders:
        run.submit()
    for step in range(STEPS // 5):
        run.check_scope(sorted(IDS)[step % len(IDS)])
