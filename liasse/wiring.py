"""The composition root: from settings to actors, SOAP server and ASGI application. Nothing else knows all of them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from access_control.policy import AccessPolicy, OpenedPolicy, load_policy
from database.engine import open_database
from database.handle import Database
from database.schema import check_schema
from journal.assertions import KeptAssertions
from journal.rows import Record
from liasse.app import ENDPOINTS, AsgiApp, RequestRecord, create_app
from liasse.audit_trail import AuditedRegistry, audit_trail
from liasse.authentication import Asked, Authentication, FaultJournal
from liasse.local_registry import LocalRegistry
from liasse.national import NATIONAL_ASKED, national_notices, national_transactions
from liasse.pages import Pages, SitePages
from liasse.reception import BodyLimits
from liasse.recording import Recorder
from liasse.settings import Settings
from liasse.status import Status
from liasse.threads import MessageThreads
from liasse.tls import registry_context
from liasse.trust import Authorities, LiveTrust
from schemas.paths import MESSAGES, schema_files
from soap.transaction import StagedPart, Transaction
from soap.transport import Server
from xds_metadata.codes import CodeSets, load_codes
from xds_metadata.profile import PROFILES, Profile
from xds_registry import iti18, iti42, iti57
from xds_registry.actor import Registry, RegistrySettings
from xds_registry.select import Selector
from xds_repository import iti41, iti43
from xds_repository.actor import Repository
from xds_repository.content import content_check
from xds_repository.documents import ONE_DOCUMENT
from xds_repository.file_store import FileStore
from xds_repository.ports import RegistryPort
from xds_repository.registry_client import RemoteRegistry
from xmlsafe.parse import thread_should_end
from xmlsafe.schema import Schema
from xua.kinds import load_kinds
from xua.kinds.kind import AssertionKind
from xua.replay import ReplayStore
from xua.settings import AssertionSettings
from xua.verify import Verifier


def wall_clock() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


@dataclass(frozen=True)
class Actors:
    """The actors of one instance with what they share. Belongs to one process: opened after fork."""

    settings: Settings
    database: Database
    store: FileStore
    registry: Registry
    repository: Repository
    trust: LiveTrust
    record: Record
    national: tuple[Transaction, ...] = ()
    """What the access policy brings beside the transactions of IHE."""

    def transactions(self) -> tuple[Transaction, ...]:
        """Every transaction served. A registry behind a URL is not served here."""
        here = not self.settings.repository.registry
        registry = tuple(each.transaction(self.registry) for each in (iti42, iti18, iti57)) if here else ()
        return (*registry, iti41.transaction(self.repository), iti43.transaction(self.repository), *self.national)

    def close(self) -> None:
        """Give everything back."""
        self.store.close()
        self.database.close()


@dataclass(frozen=True)
class Ready:
    """What is made once, before processes are forked: it holds no connection and no thread."""

    settings: Settings
    profile: Profile
    codes: CodeSets
    schema: Schema
    open_policy: OpenedPolicy
    authorities: Authorities = field(default_factory=Authorities)
    kinds: tuple[AssertionKind, ...] = ()


def prepare(settings: Settings) -> Ready:
    """Load profile, codes, schemas, policy and authorities. Raises the loaders' own errors: faults of the configuration."""
    name = settings.affinity_domain.codes or ("dmp" if settings.profile == "dmp" else "any")
    schema = Schema(schema_files(MESSAGES))
    schema.prepare()  # before workers are forked: the first refusal of a worker must not pay for it
    return Ready(
        settings,
        PROFILES[settings.profile],
        load_codes(name),
        schema,
        load_policy(settings.access.policy, settings.access.options),
        Authorities.of(settings),
        load_kinds(settings.assertions.kinds) if settings.assertions.anchors else (),
    )


def file_store(settings: Settings) -> FileStore:
    """The document store of the settings."""
    limits, directory = settings.limits, settings.storage.directory
    if limits.free_space == "auto":
        return FileStore(directory)
    return FileStore(directory, free_space=limits.low_water(shutil.disk_usage(directory).total))


def open_actors(
    ready: Ready, clock: Callable[[], int] = wall_clock, sealing_is_late: Callable[[], bool] = lambda: False
) -> Actors:
    """Open database and store and build the actors. `sealing_is_late` stops disclosure.

    Raises DatabaseError, SchemaMismatch, StoreError.
    """
    settings = ready.settings
    database = open_database(settings.storage.database_place)
    check_schema(database)
    store = file_store(settings)
    store.start()
    trail = audit_trail(settings)
    policy = ready.open_policy(database)
    record = Recorder(trail, _message_ids_kept(settings), sealing_is_late, national_notices(policy))
    registry = make_registry(ready, database, policy, clock, record)
    port: RegistryPort = LocalRegistry(registry)
    if settings.repository.registry:
        port = RemoteRegistry(settings.repository.registry, tls=registry_context(settings.repository))
        if trail is not None:
            port = AuditedRegistry(port, settings.repository.registry, trail, database)
    repository = Repository(
        unique_id=settings.repository.unique_id,
        database=database,
        store=store,
        registry=port,
        policy=policy,
        profile=ready.profile,
        codes=ready.codes,
        schema=ready.schema,
        clock=clock,
        find_one=database.prepare(ONE_DOCUMENT),
        content_check=content_check(settings.repository.content_check),
        record=record,
    )
    trust = LiveTrust(settings, ready.authorities, database, clock)
    national = () if settings.repository.registry else national_transactions(policy, registry)
    return Actors(settings, database, store, registry, repository, trust, record, national)


def make_registry(
    ready: Ready, database: Database, policy: AccessPolicy, clock: Callable[[], int], record: Record
) -> Registry:
    """The registry over an open database."""
    return Registry(
        database=database,
        policy=policy,
        profile=ready.profile,
        codes=ready.codes,
        schema=ready.schema,
        settings=_registry_settings(ready.settings),
        clock=clock,
        selector=Selector(database),
        record=record,
    )


def _message_ids_kept(settings: Settings) -> int:
    """Microseconds; a MessageID is judged only where callers are proved."""
    asked = settings.assertions
    return int((asked.max_age + asked.skew) * 1_000_000) if asked.required else 0


def _registry_settings(settings: Settings) -> RegistrySettings:
    domain = settings.affinity_domain
    return RegistrySettings(
        authorities=frozenset(domain.assigning_authorities),
        known_patients_only=domain.patients == "known",
        home_community_id=domain.home_community_id or None,
        retry_window=int(settings.retry_window),
        retry_needs_message_id=settings.retry == "message-id",
        result_limit=settings.limits.query_results,
    )


@dataclass(frozen=True, slots=True)
class _Stages:
    store: FileStore

    def new(self) -> StagedPart:
        """An empty part in the store's staging area."""
        return self.store.stage()


def soap_server(actors: Actors, ready: Ready) -> Server:
    """The SOAP layer over the actors. Raises AssertionSettingsError."""
    clock = actors.registry.clock
    asked = ready.settings.assertions
    verifier = None
    if ready.kinds:
        settings = AssertionSettings(
            required=asked.required,
            kinds=asked.kinds,
            anchors=asked.anchors,
            audience=ready.settings.audience,
            roles=asked.roles,
            purposes=asked.purposes,
            authn_contexts=asked.authn_contexts,
            max_age=asked.max_age,
            skew=asked.skew,
            legacy=asked.legacy,
            one_time=asked.one_time,
        )
        verifier = Verifier(actors.trust, settings, ready.kinds, ReplayStore(actors.database), clock)
    transactions = actors.transactions()
    return Server(
        transactions,
        ready.profile.paths(t.endpoint for t in transactions),
        tolerances=ready.profile.wire,
        authenticate=Authentication(clock, actors.trust, verifier, asked.required, KeptAssertions(actors.database)),
        on_fault=FaultJournal(actors.database, actors.record, clock, _asked(actors.repository)),
    )


def _asked(repository: Repository) -> Asked:
    return {
        "ITI-18": lambda call: [iti18.asked(call)],
        "ITI-42": lambda call: [iti42.asked(call)],
        "ITI-57": lambda call: [iti57.asked(call)],
        "ITI-41": lambda call: [iti41.asked(call)],
        "ITI-43": lambda call: iti43.asked(repository, call),
        **NATIONAL_ASKED,
    }


def build_app(
    actors: Actors,
    ready: Ready,
    status: Status,
    pool: Executor | None = None,
    observe: Callable[[RequestRecord], None] | None = None,
) -> AsgiApp:
    """The ASGI application of a worker."""
    settings = ready.settings
    limits = settings.limits
    body = BodyLimits(
        message_size=limits.message_size,
        request_size=limits.request_size,
        parts=limits.parts,
        staged_per_peer=limits.staged_per_peer,
        staged_total=limits.staged_total,
        in_flight=limits.in_flight,
        in_flight_per_client=limits.in_flight_per_client,
        threads_per_client=max(1, settings.server.threads - max(1, settings.server.threads // 4)),
    )
    pages: Pages = SitePages(settings, status, actors.transactions())
    pool = pool or MessageThreads(settings.server.threads, thread_should_end)
    paths = ready.profile.paths({*ENDPOINTS, *(t.endpoint for t in actors.transactions())})
    return create_app(soap_server(actors, ready), _Stages(actors.store), pages, body, pool, paths=paths, observe=observe)
