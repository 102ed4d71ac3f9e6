"""Which servers a command talks to, and in which dialect: options, then the settings file, then this machine's default."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import typer

from database.tables import now_micros
from liasse.caller import Caller, CallerError, Shown
from liasse.client import DocumentClient, Endpoints, ExchangeFailed
from liasse.settings import Settings
from liasse.settings_file import SettingsError, load_settings
from pki.errors import FilesError
from pki.testca import Card
from xds_metadata.codes import CodesError, CodeSets, load_codes
from xds_metadata.datatypes import DMP, check_cx
from xds_metadata.profile import PROFILES, Profile
from xua.cards import CardError, Told
from xua.kinds.vihf_table import NORMAL

CONFIG_VARIABLE: Final = "LIASSE_CONFIG"
DEFAULT_BASE: Final = "http://127.0.0.1:8080"

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help=f"settings file of the server; else ${CONFIG_VARIABLE}, else config.toml in the current folder, if there",
    ),
]
RegistryOption = Annotated[str | None, typer.Option("--registry", metavar="URL", help="endpoint of ITI-18")]
RepositoryOption = Annotated[str | None, typer.Option("--repository", metavar="URL", help="endpoint of ITI-41 and ITI-43")]
PatientOption = Annotated[str, typer.Option("--patient", metavar="CX", help="patient id, such as 123^^^&1.2.3&ISO")]
CardOption = Annotated[
    Path | None,
    typer.Option("--card", metavar="FOLDER", help="card or structure kit that connects and signs (see liasse pki issue)"),
]
ModeOption = Annotated[
    str, typer.Option("--mode", help="access mode in the assertion: normal, bris_de_glace or centre_15 (with --card)")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="why, for --mode bris_de_glace")]
AuthoritiesOption = Annotated[
    Path | None,
    typer.Option(
        "--ca", metavar="FILE", help="PEM file of the authorities behind the server; else the card's, else this machine's"
    ),
]
CertificateOption = Annotated[
    Path | None,
    typer.Option(
        "--client-certificate", metavar="FILE", help="PEM file of the certificate that connects, instead of the card's"
    ),
]
KeyOption = Annotated[
    Path | None,
    typer.Option("--client-key", metavar="FILE", help="PEM file of its private key; else in --client-certificate"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output instead of a table")]


@dataclass(frozen=True, slots=True)
class Peers:
    """Where to send, and what the receivers accept. `repository_id` is known where the settings file names it."""

    endpoints: Endpoints
    profile: Profile
    codes: CodeSets
    repository_id: str | None
    caller: Caller | None = None

    def client(self) -> DocumentClient:
        """A client of both endpoints. Ends the command with 2 for an address that is no URL."""
        try:
            if self.caller is None:
                return DocumentClient(self.endpoints)
            return DocumentClient(self.endpoints, tls=self.caller.tls(), sign=self.caller.sign(now_micros))
        except (ExchangeFailed, CallerError) as error:
            raise usage(str(error)) from error

    def called_by(
        self,
        card: Path | None,
        mode: str,
        reason: str,
        authorities: Path | None,
        certificate: Path | None,
        key: Path | None,
    ) -> Peers:
        """The same, with what connects and signs. Ends the command with 2 for files that cannot be used."""
        if card is None and (mode != NORMAL or reason):
            raise usage("--mode and --reason need --card")
        if key is not None and certificate is None:
            raise usage("--client-key needs --client-certificate")
        if card is None and certificate is None and authorities is None:
            return self
        urls = (self.endpoints.registry, self.endpoints.repository)
        if (certificate or authorities) and not any(url.lower().startswith("https://") for url in urls):
            raise usage(f"--client-certificate and --ca are for https, {urls[0]} is not")
        shown = None if certificate is None else Shown(certificate, key)
        if card is None:
            return replace(self, caller=Caller(None, authorities=authorities, shown=shown))
        try:
            found = Card.load(card)
            caller = Caller(found, Told(access=mode, reason=reason), authorities or found.authentication.chain, shown)
            sign = caller.sign(now_micros)
            if sign is not None:
                sign("")  # what the card cannot say is told before anything is sent
        except (FilesError, CardError, ValueError) as error:
            raise usage(f"--card: {error}") from error
        return replace(self, caller=caller)


def usage(text: str) -> typer.Exit:
    """Say on standard error what is wrong with the command line; the exit that follows, with 2, is to be raised."""
    typer.echo(f"liasse: {text}", err=True)
    return typer.Exit(2)


def config_path(config: Path | None) -> Path | None:
    """The settings file that applies, None where there is none."""
    if config is not None:
        return config
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    here = Path("config.toml")
    return here if here.is_file() else None


def read_settings(config: Path | None) -> Settings:
    """The settings of a file (defaults without one). Ends the command with 2, naming every problem."""
    try:
        return load_settings(config)
    except SettingsError as error:
        for line in error.problems:
            typer.echo(f"liasse: {line}", err=True)
        raise typer.Exit(2) from error


def find_peers(
    config: Path | None,
    registry: str | None,
    repository: str | None,
    *,
    profile: str | None = None,
    codes: str | None = None,
    repository_needed: bool = True,
) -> Peers:
    """The peers that the options name. Ends the command with 2 where they do not."""
    path = config_path(config)
    settings = read_settings(path)
    base = _base_url(settings) if path is not None else DEFAULT_BASE
    chosen = profile or settings.profile
    if chosen not in PROFILES:
        raise usage(f"--profile {chosen}: expected one of {', '.join(PROFILES)}")
    if base is None and not (registry or settings.repository.registry):
        raise usage(f"{path}: the server listens on a Unix socket or on any free port: give --registry")
    if base is None and repository_needed and not repository:
        raise usage(f"{path}: the server listens on a Unix socket or on any free port: give --repository")
    base = base or DEFAULT_BASE
    return Peers(
        endpoints=Endpoints(
            registry or settings.repository.registry or f"{base}/registry", repository or f"{base}/repository"
        ),
        profile=PROFILES[chosen],
        codes=_codes(codes or settings.affinity_domain.codes or ("dmp" if chosen == "dmp" else "any")),
        repository_id=settings.repository.unique_id if path is not None and repository is None else None,
    )


def _base_url(settings: Settings) -> str | None:
    """Where this machine reaches the server of the settings; None where they do not say."""
    server = settings.server
    if server.unix_socket is not None or server.port == 0:
        return None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)  # noqa: S104 read, not bound
    scheme = "https" if settings.tls.certificate is not None else "http"
    return f"{scheme}://[{host}]:{server.port}" if ":" in host else f"{scheme}://{host}:{server.port}"


def _codes(name: str) -> CodeSets:
    try:
        return load_codes(name)
    except CodesError as error:
        raise usage(str(error)) from error


def check_patient(cx: str) -> str:
    """The patient id as given. Ends the command with 2 when it is no CX."""
    wrong = check_cx(cx, DMP)
    if wrong is not None:
        raise usage(f"--patient: {wrong}")
    return cx
