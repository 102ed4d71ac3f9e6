"""The settings of one instance: a frozen model of the TOML file, with a unit and a secure default for every option.

One instance serves one affinity domain, one repositoryUniqueId and one homeCommunityId. Paths in a file are relative to the
folder of that file. Sizes are bytes, durations are seconds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    field_validator,
    model_validator,
)

from liasse.audit_settings import AuditTable
from liasse.notification_settings import NotificationTable
from liasse.responder_settings import Responders
from liasse.setting_types import (
    Authorities,
    Count,
    FilePath,
    FilePaths,
    OidText,
    OptionalPath,
    Places,
    Port,
    Seconds,
    Size,
    Table,
    Texts,
    read_codes,
    read_home_community,
    read_loopback,
)

DEFAULT_REPOSITORY_ID = "2.25.273157482519340198261038741930164825071"
"""The repositoryUniqueId of laboratories and demonstrations. Two repositories that meet must not share it."""

_PERCENTAGE = re.compile(r"([0-9]{1,2})%")
_AUTOMATIC_SHARE, _AUTOMATIC_MOST = 0.05, 2_000_000_000


class ServerSettings(Table):
    """The clinical listener and what its peers may do before anything they send is understood."""

    host: str = Field(default="127.0.0.1", description="Address to listen on. A network address needs a TLS front.")
    port: Port = Field(default=8080, description="TCP port; 0 takes a free one.")
    unix_socket: OptionalPath = Field(
        default=None,
        description="Path of a Unix socket (mode 0660) to listen on instead of host and port. Empty: not used.",
    )
    public_url: str = Field(
        default="",
        description="URL under which clients reach this server, for the WSDLs and the page for people. "
        "Empty: the host that the client asked.",
    )
    workers: int = Field(default=0, ge=0, le=128, description="Worker processes; 0 means one for each processor.")
    threads: int = Field(default=8, ge=1, le=256, description="Threads of a worker in which messages are processed.")
    connections: Count = Field(default=2000, description="Connections a worker holds at once; beyond, new ones are closed.")
    connections_per_address: Count = Field(
        default=256, description="Connections of one address a worker holds at once. Does not apply to the Unix socket."
    )
    header_timeout: Seconds = Field(default=10.0, description="Seconds a connection has to send a complete request header.")
    header_bytes: Size = Field(default=32_768, description="Bytes of one request's header.")
    body_idle_timeout: Seconds = Field(default=30.0, description="Seconds a body may stand still.")
    minimum_rate: Size = Field(
        default=4096, description="Bytes per second a body must reach on average, after the grace time."
    )
    minimum_rate_grace: Seconds = Field(default=10.0, description="Seconds before the minimum rate is demanded.")
    keep_alive: Seconds = Field(default=15.0, description="Seconds an idle connection is kept for a further request.")
    drain_timeout: Seconds = Field(
        default=30.0, description="Seconds that requests under way have to end when the server stops."
    )
    hang_timeout: float = Field(
        default=30.0,
        ge=1,
        description="Seconds of silence after which a process that lives but does nothing is killed and replaced.",
    )

    @field_validator("public_url")
    @classmethod
    def _http(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^/\s?#]+(/[^\s?#]*)?", value):
            raise ValueError("expected a URL that begins with http:// or https://, without query, or an empty text")
        return value


class TlsSettings(Table):
    """TLS on the clinical port, and what is asked of the certificates of clients, there or at the front."""

    certificate: OptionalPath = Field(
        default=None, description="PEM file of the server's certificate and its chain. Empty: no TLS on the clinical port."
    )
    key: OptionalPath = Field(
        default=None, description="PEM file of its private key. Both are loaded again when they change."
    )
    client_ca: FilePaths = Field(
        default=(),
        description="PEM files of the authorities of client certificates, issuing ones included; several may be valid.",
    )
    client_certificate: Literal["required", "optional", "none"] = Field(
        default="required", description="Whether a client must show a certificate. none and optional are for laboratories."
    )
    crl: Places = Field(
        default=(),
        description="Revocation lists, files or http(s) URLs, of the authorities that issue. Empty: none is asked.",
    )
    crl_refresh: Seconds = Field(default=300.0, le=900, description="Seconds between two looks for newer revocation lists.")
    crl_grace: float = Field(
        default=3600.0,
        ge=0,
        description="Seconds for which a list is used after its nextUpdate; then its certificates are refused.",
    )
    ocsp: Responders = Field(
        default=(),
        description="OCSP responders: {issuer = PEM file of an authority, url = http(s) URL}. The certificates of these "
        "authorities need their answer good. Others are never asked, whatever a certificate names.",
    )
    ocsp_refresh: Seconds = Field(
        default=600.0, le=900, description="Seconds after which a responder is asked again about a certificate in use."
    )
    ocsp_grace: float = Field(
        default=3600.0,
        ge=0,
        description="Seconds for which an answer is used longer while its responder cannot be asked; "
        "then its certificate is refused.",
    )
    connection_age: Seconds = Field(
        default=900.0, description="Seconds after which a connection is ended once it has answered."
    )
    handshakes_per_address: float = Field(
        default=50.0,
        ge=1,
        description="TLS handshakes that one address begins in a second with one worker; further ones wait.",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key: both are needed, or neither")
        if self.certificate is not None and self.client_certificate != "none" and not self.client_ca:
            raise ValueError('client_ca: the authorities of client certificates are needed, or client_certificate = "none"')
        if self.crl and not self.client_ca:
            raise ValueError("crl: revocation lists need client_ca, the authorities that sign them")
        return self


class AdminSettings(Table):
    """The listener for readiness and metrics, on this machine only."""

    host: Annotated[str, AfterValidator(read_loopback)] = Field(
        default="127.0.0.1", description="Loopback address to listen on."
    )
    port: Port = Field(default=8081, description="TCP port; 0 takes a free one.")


class StorageSettings(Table):
    """Where documents and metadata are kept."""

    directory: FilePath = Field(
        default=Path("data"),
        validate_default=True,
        description="Folder of the documents and of the SQLite database, on a local file system.",
    )
    database: str = Field(
        default="",
        description="URL of a PostgreSQL database, postgresql://HOST/NAME (the password in a file, see PGPASSFILE). "
        "Empty: SQLite in the folder above.",
    )

    @field_validator("database")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value and not re.match(r"(postgresql(\+psycopg)?|sqlite(\+\w+)?)://", value):
            raise ValueError("expected a URL that begins with postgresql:// or an empty text")
        return value

    @property
    def database_place(self) -> str:
        """What `database.open_database` opens: the URL of the settings, or the SQLite file in the folder."""
        return self.database or str(self.directory / "liasse.sqlite")

    @property
    def run_directory(self) -> Path:
        """Folder of what only lives as long as the server: metrics of the processes."""
        return self.directory / "run"


class RepositorySettings(Table):
    """The Document Repository of this instance."""

    unique_id: OidText = Field(
        default=DEFAULT_REPOSITORY_ID, description="repositoryUniqueId. The default is for laboratories."
    )
    registry: str = Field(default="", description="URL of a remote registry (ITI-42). Empty: the registry of this instance.")
    registry_certificate: OptionalPath = Field(
        default=None, description="PEM file of the certificate shown to that registry, and its chain. Empty: none is shown."
    )
    registry_key: OptionalPath = Field(default=None, description="PEM file of its private key.")
    registry_ca: FilePaths = Field(
        default=(), description="PEM files of the authorities behind that registry. Empty: those of this machine."
    )
    content_check: Literal["off", "warn", "refuse"] = Field(
        default="warn",
        description="What a difference between a CDA header and its metadata does: nothing, a warning, a refusal.",
    )

    @field_validator("registry")
    @classmethod
    def _http(cls, value: str) -> str:
        if value and not re.match(r"https?://[^/\s]+", value):
            raise ValueError("expected a URL that begins with http:// or https://, or an empty text")
        return value

    @model_validator(mode="after")
    def _whole_pair(self) -> Self:
        if (self.registry_certificate is None) != (self.registry_key is None):
            raise ValueError("registry_certificate and registry_key: both are needed, or neither")
        if (self.registry_certificate or self.registry_ca) and not self.registry.startswith("https://"):
            raise ValueError("registry_certificate and registry_ca need a registry whose URL begins with https://")
        return self


class AffinityDomainSettings(Table):
    """What the partners of this domain agreed upon."""

    codes: Annotated[str, AfterValidator(read_codes)] = Field(
        default="",
        description="Codes of the domain: a built-in name (dmp, toolkit), or the path of a JSON file. "
        "Empty: dmp in the dmp profile, any code in the ihe profile.",
    )
    patients: Literal["any", "known"] = Field(
        default="any",
        description="Accept any patient id of the domain, or only those known by the feed or `liasse patient add`.",
    )
    assigning_authorities: Authorities = Field(
        default=(), description="OIDs of the authorities whose patient ids the domain uses. Empty: all."
    )
    home_community_id: Annotated[str, AfterValidator(read_home_community)] = Field(
        default="", description="homeCommunityId, urn:oid:OID. Empty: none is given."
    )


class AccessSettings(Table):
    """Who may do what."""

    policy: str = Field(
        default="open",
        min_length=1,
        description=(
            "Name of the access policy. open permits everything and hides nothing; dmp applies the rules of the shared "
            "health record (docs/access-rules.md); an extension may bring others. The profile dmp needs it to be given."
        ),
    )
    options: dict[str, object] = Field(
        default={},
        description=(
            "Options of the access policy, a table. The policy open has none; those of dmp and what they mean are in "
            "docs/access-rules.md, such as { authorisation_length = 365, release_days = 21 }."
        ),
    )


class AssertionTable(Table):
    """Signed assertions of who calls: IHE XUA (SAML 2.0) and the VIHF of the DMP. A mismatch is a SOAP fault."""

    required: bool = Field(
        default=False, description="Refuse messages without a valid assertion. Off is for laboratories: anybody is served."
    )
    kinds: Texts = Field(default=("xua", "vihf"), description="Kinds that are accepted: xua, vihf, or one of an extension.")
    anchors: FilePaths = Field(
        default=(),
        description="PEM files of the authorities, or single certificates, that signatures are traced back to. Several "
        "files may be valid at once.",
    )
    audience: Texts = Field(default=(), description="Audiences that an XUA assertion may name. Empty: public_url.")
    roles: Texts = Field(default=(), description="Roles that are accepted, code or code^system. Empty: all.")
    purposes: Texts = Field(default=(), description="Purposes of use that are accepted, code or code^system. Empty: all.")
    authn_contexts: Texts = Field(
        default=(), description="Authentication context classes that are accepted, as URI. Empty: all."
    )
    max_age: Seconds = Field(default=3600.0, description="Seconds for which an assertion is taken after its IssueInstant.")
    skew: float = Field(default=60.0, ge=0, le=300, description="Seconds that a sender's clock may be wrong.")
    legacy: bool = Field(
        default=False, description="Accept SHA-1 signatures of VIHF 2.0 and 3.0. For test vectors of the past only."
    )
    one_time: bool = Field(default=False, description="An assertion is good for one message only.")


class JournalTable(Table):
    """The access journal: every access leaves a row, rows are numbered, chained and signed (sealed) shortly after."""

    key: OptionalPath = Field(
        default=None,
        description="PEM file of the private key that seals, Ed25519 or P-256; public keys lie beside it. A new journal "
        "makes one. Empty: journal/seal.pem in storage.directory; better where database administrators cannot read it.",
    )
    seal_every: Seconds = Field(default=1.0, description="Seconds between two looks for rows to seal.")
    refuse_disclosure_after: float = Field(
        default=14_400.0,
        ge=0,
        description="Seconds without a complete seal after which queries and retrievals are refused; 0: never.",
    )


class FeedSettings(Table):
    """The patient identity feed: ITI-8, HL7 v2 over MLLP."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: Port = Field(default=2575, description="TCP port; 0 takes a free one.")
    message_size: Size = Field(default=1_048_576, description="Bytes of one HL7 message.")
    idle_timeout: Seconds = Field(default=300.0, description="Seconds a connection may stand still between messages.")
    message_timeout: Seconds = Field(default=10.0, description="Seconds a started message has to arrive whole.")
    connections: Count = Field(default=64, description="Connections held at once.")


class LimitSettings(Table):
    """What one message or one peer may cost."""

    message_size: Size = Field(default=16_777_216, description="Bytes of the XML part of a message.")
    request_size: Size = Field(default=1_073_741_824, description="Bytes of a whole request, documents included.")
    parts: Count = Field(default=50, description="Parts of one MTOM message.")
    staged_per_peer: Size = Field(
        default=33_554_432, description="Bytes one address may have waiting before its message is judged."
    )
    staged_total: Size = Field(default=268_435_456, description="Bytes all addresses may have waiting before judgement.")
    free_space: int | str = Field(
        default="auto",
        description='Deposits stop when less is free: bytes, a percentage such as "5%", or "auto" (5 %, at most 2 GB).',
    )
    in_flight: Count = Field(
        default=64, description="Requests a worker processes or keeps waiting; beyond, 503 with Retry-After."
    )
    in_flight_per_client: Count = Field(
        default=32,
        description="The same of one client: of one certificate, or one address without; none where a front tells neither.",
    )
    query_results: Count = Field(default=5000, description="Objects of one LeafClass answer; beyond, XDSTooManyResults.")

    @field_validator("free_space")
    @classmethod
    def _amount(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value >= 0:
            return value
        if isinstance(value, str) and (value == "auto" or _PERCENTAGE.fullmatch(value)):
            return value
        raise ValueError('expected bytes (0 or more), a percentage from "0%" to "99%", or "auto"')

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.staged_per_peer > self.staged_total:
            raise ValueError("staged_per_peer must not exceed staged_total")
        return self

    def low_water(self, total: int) -> int:
        """The bytes that must stay free on a file system of `total` bytes for deposits to be accepted."""
        if isinstance(self.free_space, int):
            return self.free_space
        percentage = _PERCENTAGE.fullmatch(self.free_space)
        if percentage:
            return total * int(percentage[1]) // 100
        return min(int(total * _AUTOMATIC_SHARE), _AUTOMATIC_MOST)


class LogSettings(Table):
    """What the processes write on standard error. Patient data is never logged, at any level."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is written."
    )
    format: Literal["json", "console"] = Field(default="json", description="One JSON object a line, or text for people.")


class Settings(Table):
    """Everything that an operator may choose. Frozen; passed on explicitly."""

    profile: Literal["ihe", "dmp"] = Field(
        default="ihe", description="Wire and metadata dialect: plain IHE XDS.b, or the habits of the French DMP."
    )
    retry: Literal["digest", "message-id"] = Field(
        default="digest",
        description="A repeated submission is a retry when its digest is the same, or its wsa:MessageID too.",
    )
    retry_window: Seconds = Field(
        default=86_400.0, description="Seconds for which the answer to a submission is kept for retries."
    )
    server: ServerSettings = Field(default_factory=ServerSettings)
    tls: TlsSettings = Field(default_factory=TlsSettings)
    admin: AdminSettings = Field(default_factory=AdminSettings)
    storage: StorageSettings = Field(default_factory=StorageSettings)
    repository: RepositorySettings = Field(default_factory=RepositorySettings)
    affinity_domain: AffinityDomainSettings = Field(default_factory=AffinityDomainSettings)
    access: AccessSettings = Field(default_factory=AccessSettings)
    assertions: AssertionTable = Field(default_factory=AssertionTable)
    journal: JournalTable = Field(default_factory=JournalTable)
    audit: AuditTable = Field(default_factory=AuditTable)
    notifications: NotificationTable = Field(default_factory=NotificationTable)
    feed: FeedSettings = Field(default_factory=FeedSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.repository.registry and self.access.policy != "open":
            raise ValueError(
                f"access.policy = {self.access.policy!r} needs the registry of this instance: empty repository.registry"
            )
        return self

    @model_validator(mode="after")
    def _assertions_can_be_checked(self) -> Self:
        asked = self.assertions
        if asked.required and not asked.anchors:
            raise ValueError("assertions.required = true needs assertions.anchors, the authorities of those who sign")
        if asked.anchors and "xua" in asked.kinds and not self.audience:
            raise ValueError(
                'assertions.kinds: xua needs assertions.audience or server.public_url; without XUA: kinds = ["vihf"]'
            )
        return self

    @property
    def audience(self) -> tuple[str, ...]:
        """The audiences under which this server is addressed."""
        return self.assertions.audience or ((self.server.public_url,) if self.server.public_url else ())

    @property
    def seal_key(self) -> Path:
        """Where the private key of the journal is."""
        return self.journal.key or self.storage.directory / "journal" / "seal.pem"

    @property
    def worker_count(self) -> int:
        """How many workers are wanted: as set, or the number of processors this process may use."""
        return self.server.workers or len(os.sched_getaffinity(0))

    @model_validator(mode="after")
    def _chosen(self) -> Self:
        if self.profile == "dmp" and "policy" not in self.access.model_fields_set:
            raise ValueError(
                'access.policy: the profile dmp needs one that is named: "dmp" applies the rules of the shared record, '
                '"open" permits everything, for laboratories and for a repository whose registry is elsewhere'
            )
        return self

    def with_workers(self, count: int) -> Settings:
        """A copy with another number of workers."""
        return self.model_copy(update={"server": self.server.model_copy(update={"workers": count})})

    def cautions(self) -> list[str]:
        """What an operator should know about these choices before patients' data comes in, one sentence each."""
        found = []
        if not self.assertions.required:
            found.append("assertions.required = false: callers are not asked who they are; for laboratories only")
        if self.tls.certificate and self.tls.client_certificate != "required":
            found.append(f"tls.client_certificate = {self.tls.client_certificate}: systems without a certificate are served")
        if self.tls.client_ca and not self.tls.crl and not self.tls.ocsp:
            found.append("tls.crl: no revocation list is configured, a stolen key is accepted until its certificate ends")
        if self.assertions.legacy:
            found.append("assertions.legacy = true: SHA-1 signatures are accepted, which can be forged")
        if self.access.policy == "open":
            rules = "; the rules of the DMP are the policy dmp" if self.profile == "dmp" else ""
            found.append(f"access.policy = open: every peer that reaches the server reads and writes everything{rules}")
        if not (self.server.unix_socket or _is_loopback(self.server.host) or self.tls.certificate):
            found.append(f"server.host = {self.server.host}: messages travel in clear on the network")
        if self.repository.registry.startswith("http://"):
            found.append("repository.registry: registrations travel in clear to the registry")
        if not _is_loopback(self.feed.host):
            found.append(f"feed.host = {self.feed.host}: anybody who reaches it makes patients known")
        found += self.audit.cautions()
        found += self.notifications.cautions() if self.access.policy == "dmp" else []
        if self.affinity_domain.patients == "any":
            found.append("affinity_domain.patients = any: a mistyped patient id is accepted")
        if self.repository.unique_id == DEFAULT_REPOSITORY_ID:
            found.append("repository.unique_id: the identifier of laboratories is in use, get one of your own")
        if self.repository.content_check == "off":
            found.append("repository.content_check = off: CDA headers are not compared with their metadata")
        return found


def _is_loopback(host: str) -> bool:
    try:
        return bool(read_loopback(host))
    except ValueError:
        return False


def sections() -> Mapping[str, type[BaseModel]]:
    """The tables of the file by name, in order; the keys before the first table are under the empty name."""
    tables: dict[str, type[BaseModel]] = {"": Settings}
    for name, field in Settings.model_fields.items():
        kind: Any = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            tables[name] = kind
    return tables
