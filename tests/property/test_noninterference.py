"""What a caller may not see changes nothing of what he is answered: not an object, a code, a count, an order, a text.

Two records differ by a hidden document alone. Over the wire a caller without right to it does the same in both: queries
of all kinds in both forms of answer, retrievals, deposits, updates, authorisations, errors and repetitions, while in one of
them the hidden document lives its own life. Ids that he would choose to be those of a hidden object are left out: such a
collision cannot be hidden.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests import samples
from tests.attacks.masked_record import Hidden, hidden_record
from tests.e2e import wire
from tests.e2e.dmp_domain import APPROVED as APPROVED_STATUS
from tests.e2e.dmp_domain import ARCHIVED, DELETED, HIDDEN, MASKED, NORMAL, Speaker, cx, entry
from tests.e2e.test_access_explain import FOR_DOCTORS
from tests.e2e.test_habilitations import ADD, ALL, LIST, REMOVE, SET
from tests.property.worlds import World, new_patient, unique_id
from xds_metadata import associations as types

PROOF = os.environ.get("LIASSE_PROOF") == "1"
pytestmark = [pytest.mark.proof, pytest.mark.timeout(7200 if PROOF else 900)]
SEQUENCES = 10_000 if PROOF else 300
READERS = ("doctor", "doctor", "nurse", "optician", "unknown", "blocked", "hospital")
STATUSES = (APPROVED_STATUS, ARCHIVED, DELETED)
LINKS = (None, None, types.APND, types.XFRM, types.RPLC, types.XFRM_RPLC, types.SIGNS)

queries = st.tuples(st.just("query"), st.integers(0, 40), st.integers(0, 3), st.booleans())
retrievals = st.tuples(st.just("retrieve"), st.lists(st.integers(0, 3), min_size=1, max_size=3))
deposits = st.tuples(st.just("deposit"), st.sampled_from(LINKS), st.integers(0, 3), st.booleans())
updates = st.tuples(
    st.just("update"), st.integers(0, 3), st.integers(1, 2), st.sampled_from([(NORMAL,), (NORMAL, MASKED), (NORMAL, HIDDEN)])
)
states = st.tuples(st.just("status"), st.integers(0, 3), st.sampled_from(STATUSES), st.sampled_from(STATUSES))
others = st.tuples(st.sampled_from(["again", "list", "add", "remove", "life"]))
steps = st.lists(st.one_of(queries, queries, retrievals, deposits, updates, states, others), min_size=3, max_size=7)


@dataclass
class Pair:
    """The two records: what is hidden is in the first one."""

    reader: Speaker
    one: World
    two: World
    masked: bool
    lives: int = field(default=0)

    @property
    def worlds(self) -> tuple[World, World]:
        return self.one, self.two


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hidden]:
    with hidden_record(tmp_path_factory.mktemp("worlds"), 999, {"server": {"workers": 1}}) as found:
        yield found


def speaker(found: Hidden, name: str) -> Speaker:
    kinds: dict[str, dict[str, Any]] = {
        "nurse": {"profession": "60", "speciality": ""},
        "optician": {"profession": "28", "speciality": ""},
    }
    if name == "hospital":
        return found.source
    return found.domain.professional(f"two-worlds-{name}", **kinds.get(name, {}))


def opened(found: Hidden, reader: Speaker, name: str) -> Hidden:
    """A fresh record in which the reader is what his name says."""
    key = found.domain.open(new_patient())
    let_in = [found.author, found.attending, *([] if name in ("unknown", "hospital") else [reader])]
    found.domain.authorise(key, *let_in)
    found.domain.attend(key, found.attending)
    if name == "blocked":
        found.domain.block(key, reader)
    return replace(found, key=key)


def pair(found: Hidden, name: str, why: str, hanging: str, status: str = APPROVED_STATUS) -> Pair:
    """Two records of the same contents; the first has one document more, in a `status`, hidden from him for a reason."""
    reader = speaker(found, name)
    made = []
    for present in (True, False):
        record = opened(found, reader, name)
        changes: dict[str, Any] = {"confidentiality_codes": (NORMAL, MASKED)}
        if why == "matrix":
            changes = {"confidentiality_codes": (NORMAL,), "type_code": FOR_DOCTORS}
        hidden = entry(record.key, found.author, unique_id=unique_id(), **changes)
        first, second = (entry(record.key, found.author, unique_id=unique_id()) for _ in range(2))
        folder = samples.folder(entry_uuid=samples.new_uuid(), unique_id=unique_id(), patient_id=cx(record.key))
        world = World(record, hidden, folder, [first, second])
        world.knows(hidden.entry_uuid, hidden.unique_id)
        author, together = found.author, present and hanging == "set"
        links = [samples.member(folder.entry_uuid, first.entry_uuid)]
        links += [samples.member(folder.entry_uuid, hidden.entry_uuid)] if together else []
        entries = [first, second, *([hidden] if together else [])]
        value = world.submission(author, *entries, links=links, folders=[folder])
        seen = found.domain.provide(author.about(record.key), value)
        assert seen.verdict == "Success", seen.text
        if present and not together:
            kinds = {"addendum": types.APND, "transformation": types.XFRM}
            more = [samples.link(kinds[hanging], hidden.entry_uuid, first.entry_uuid)] if hanging in kinds else []
            more += [samples.member(folder.entry_uuid, hidden.entry_uuid)] if hanging == "folder" else []
            value = world.submission(author, hidden, links=more)
            seen = found.domain.provide(author.about(record.key), value)
            assert seen.verdict == "Success", seen.text
        if present and status != APPROVED_STATUS:
            gone = found.domain.status(author.about(record.key), record.key, hidden.entry_uuid, APPROVED_STATUS, status)
            assert gone.verdict == "Success", gone.text
        made.append(world)
    return Pair(reader, made[0], made[1], (why, status) == ("masked", APPROVED_STATUS))


def both(two: Pair, step: tuple[Any, ...]) -> tuple[Any, Any]:
    """What the reader is answered in each."""
    match step:
        case ("life",):
            if two.masked:  # the patient changes his mind, and changes it back: in one record alone
                two.one.record.mask(two.one.hidden, NORMAL, MASKED, version=two.lives + 1)
                two.lives += 1
            return None, None
        case _:
            answers = [_answer(world, two.reader, step) for world in two.worlds]
            return answers[0], answers[1]


def _answer(world: World, reader: Speaker, step: tuple[Any, ...]) -> Any:
    match step:
        case ("query", which, target, leaves):
            record = world.record
            every = [*record.about_entry(world.target(target)), *record.everything(), *_folders(world)]
            name, parameters = every[which % len(every)]
            return world.send(reader, wire.query(name, *parameters, leaves=leaves))
        case ("retrieve", targets):
            return world.send(reader, wire.retrieve(samples.REPOSITORY, *dict.fromkeys(_ids(world, targets))))
        case ("deposit", link, target, filed):
            return world.deposit(reader, link, target, filed=filed)
        case ("update", target, version, codes):
            return world.update(reader, target, version, *codes)
        case ("status", target, before, after):
            return world.status(reader, target, before, after)
        case ("again",):
            return world.again(reader)
        case _:
            action, body = {"list": (LIST, ALL), "add": (SET, ADD), "remove": (SET, REMOVE)}[step[0]]
            return world.send(reader, wire.simple("/habilitations", wire.envelope(action, body)))


def _ids(world: World, targets: list[int]) -> list[str]:
    return [world.target(number).unique_id or "" for number in targets]


def _folders(world: World) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    folder = world.folder
    for name, value in (("EntryUUID", folder.entry_uuid), ("UniqueId", folder.unique_id or "")):
        yield "GetFolders", ((f"$XDSFolder{name}", f"('{value}')"),)
        yield "GetFolderAndContents", ((f"$XDSFolder{name}", f"'{value}'"),)
    yield "GetAssociations", (("$uuid", f"('{folder.entry_uuid}')"),)
    yield "GetSubmissionSets", (("$uuid", f"('{folder.entry_uuid}')"),)


def reasons(name: str) -> st.SearchStrategy[str]:
    """Why the document is hidden from a reader of that name."""
    return st.sampled_from(["masked", "matrix"] if name in ("nurse", "optician") else ["masked"])


@st.composite
def sequences(draw: st.DrawFn) -> tuple[tuple[str, str, str, str], list[tuple[Any, ...]]]:
    name = draw(st.sampled_from(READERS))
    hanging = draw(st.sampled_from(["alone", "set", "folder", "addendum", "transformation"]))
    return (name, draw(reasons(name)), hanging, draw(st.sampled_from([APPROVED_STATUS, *STATUSES]))), draw(steps)


@settings(
    max_examples=SEQUENCES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(sequence=sequences())
def test_h28_two_worlds_answer_alike(
    domain: Hidden, sequence: tuple[tuple[str, str, str, str], list[tuple[Any, ...]]]
) -> None:
    settled, wanted = sequence
    two = pair(domain, *settled)
    for step in wanted:
        one, other = both(two, step)
        assert one == other, step


def test_what_the_reader_may_see_is_noticed(domain: Hidden) -> None:
    """The same comparison under a caller with right to the document: it finds the difference."""
    for step in (
        ("query", 0, 0, True),
        ("query", 0, 0, False),
        ("retrieve", [0, 1]),
        ("update", 0, 1, (NORMAL,)),
        ("status", 0, APPROVED_STATUS, ARCHIVED),
        ("deposit", types.APND, 0, False),
    ):
        two = replace(pair(domain, "doctor", "masked", "alone"), reader=domain.author)
        held = [domain.domain.find(domain.attending, world.record.key) for world in two.worlds]
        assert [world.hidden.unique_id in ids for world, ids in zip(two.worlds, held, strict=True)] == [True, False]
        one, other = both(two, step)
        assert one != other, step
