"""Who calls in the demonstration: a test PKI with a server, a hospital and two cards, and a card of another PKI.

Everything is in the folder where the settings look for it, made once and found again later. Not for patients' data.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from access_control.subject import Coded
from liasse.demo_documents import HOSPITAL_DOCTOR_ID, HOSPITAL_ID, PROFESSIONAL_ID
from liasse.settings import Settings
from pki.errors import FilesError
from pki.testca import SECTORS, Card, TestPki
from xua.cards import Told

FOLDER: Final = "pki"
"""Name of the folder in the demonstration's own."""

_COLLEAGUE_ID: Final = "899999999998"
_CARDS: Final = {
    "cardiologist": ("899999999996", "10", "SM04"),
    "nurse": ("899999999995", "60", ""),
    "optician": ("899999999994", "28", ""),
    "emergency": ("899999999993", "10", "SM26"),
}
"""Further cards: national id, profession, speciality."""
_SECTOR: Final = f"SA01^{SECTORS}"
_HOSTS: Final = ("127.0.0.1", "localhost")
_SERVER: Final = Path("others", "server", "server-chain.pem")
_STRANGERS: Final = "stranger"
_LISTS_FOR, _LISTS_LEFT = 365, timedelta(days=30)


class CallersMissing(Exception):
    """The certificates that the settings name are not there and cannot be made. The text has one line for each reason."""


@dataclass(frozen=True, slots=True)
class Callers:
    """The authorities to trust, and the cards. The stranger's card says the same as the doctor's, under another PKI."""

    authorities: Path
    doctor: Card
    colleague: Card
    hospital: Card
    stranger: Card
    cardiologist: Card
    nurse: Card
    optician: Card
    emergency: Card

    def told(self, card: Card) -> Told:
        """What `card` does not know: the hospital's kit speaks for a doctor of the hospital."""
        if card.kind == "person":
            return Told()
        roles = tuple(Coded(code, system) for code, system in self.doctor.roles)
        return Told(user=HOSPITAL_DOCTOR_ID, name="Demo TESTHOPITAL", roles=roles)


def callers_of(settings: Settings) -> Callers:
    """The callers in the folder of `tls.client_ca`; made where nothing is there yet. Raises CallersMissing."""
    if not settings.tls.client_ca:
        raise CallersMissing("tls.client_ca: the settings name no authorities, so there is nothing to make")
    folder = settings.tls.client_ca[0].parent
    try:
        if not folder.exists():
            _make(folder)
        pki = TestPki.open(folder)
        _keep_lists(pki)
        cards = folder / "cards"
        found = Callers(
            pki.authorities,
            Card.load(cards / "doctor"),
            Card.load(cards / "colleague"),
            Card.load(folder / "structures" / "hospital"),
            Card.load(folder / _STRANGERS / "cards" / "doctor"),
            **{name: Card.load(cards / name) for name in _CARDS},
        )
    except (FilesError, OSError, ValueError) as error:
        raise CallersMissing(f"{error}\nremove {folder} to have it made again") from error
    _check_files(settings, folder)
    return found


def tls_table(folder: str) -> dict[str, str | list[str]]:
    """The table [tls] of settings whose PKI is in `folder`."""
    lists = [f"{folder}/crl/{name}.crl" for name in ("root", "persons", "structures")]
    return {
        "certificate": f"{folder}/{_SERVER}",
        "key": f"{folder}/{_SERVER.with_name('server.key')}",
        "client_ca": [f"{folder}/authorities.pem"],
        "crl": lists,
    }


def _make(folder: Path) -> None:
    """The whole PKI, complete before it has its name. Raises FilesError, OSError."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        pki = TestPki.create(aside, name="Liasse Demo", keys="ec")
        server = pki.issue("server", "server", hosts=_HOSTS)
        (aside / _SERVER).write_bytes(server.certificate.read_bytes() + server.chain.read_bytes())
        pki.issue_card("doctor", PROFESSIONAL_ID, structure=HOSPITAL_ID, sector=_SECTOR)
        pki.issue_card("colleague", _COLLEAGUE_ID, structure=HOSPITAL_ID, sector=_SECTOR)
        for name, (identifier, profession, speciality) in _CARDS.items():
            pki.issue_card(name, identifier, profession=profession, speciality=speciality)
        pki.issue_structure("hospital", HOSPITAL_ID)
        stranger = TestPki.create(aside / _STRANGERS, name="Another Test", keys="ec")
        stranger.issue_card("doctor", PROFESSIONAL_ID, structure=HOSPITAL_ID, sector=_SECTOR)
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _keep_lists(pki: TestPki) -> None:
    """Newer revocation lists before those that are there end. Raises FilesError, OSError, ValueError."""
    ends = [x509.load_der_x509_crl(path.read_bytes()).next_update_utc for path in pki.crls]
    if any(end is None or end < datetime.now(UTC) + _LISTS_LEFT for end in ends):
        pki.crl(days=_LISTS_FOR)


def _check_files(settings: Settings, folder: Path) -> None:
    """Raises CallersMissing for a file of the settings that the PKI does not have."""
    tls = settings.tls
    named = [
        *(("tls.certificate", path) for path in (tls.certificate,) if path),
        *(("tls.key", path) for path in (tls.key,) if path),
        *(("tls.client_ca", path) for path in tls.client_ca),
        *(("tls.crl", Path(place)) for place in tls.crl if "://" not in place),
        *(("assertions.anchors", path) for path in settings.assertions.anchors),
    ]
    missing = [f"{name}: {path} is not among what is made in {folder}" for name, path in named if not path.exists()]
    if missing:
        raise CallersMissing("\n".join(missing))
