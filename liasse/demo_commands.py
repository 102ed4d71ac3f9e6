"""The commands with which a person calls the demonstration's server, to be pasted as they are."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from liasse.demo_callers import Callers
from liasse.demo_documents import DEMO_PATIENT
from pki.testca import Card


@dataclass(frozen=True, slots=True)
class Command:
    """What a command does, and its line."""

    what: str
    line: str


def commands(config: Path, base: str, callers: Callers, document: Path, unique_id: str) -> tuple[Command, ...]:
    """How to call the server of `config` at `base`, as the doctor, then with wrong cards; and what is seen of it.

    `document` is the file that is provided, `unique_id` what it is called afterwards.
    """
    doctor, stranger, colleague = callers.doctor, callers.stranger, callers.colleague
    shown: list[str | Path] = ["--cert", doctor.authentication.certificate, "--key", doctor.authentication.key]
    find: list[str | Path] = ["find", "--patient", DEMO_PATIENT]
    wrong: list[str | Path] = [
        *("--client-certificate", colleague.authentication.certificate),
        *("--client-key", colleague.authentication.key),
    ]

    def liasse(what: str, *words: str | Path, card: Card | None = None) -> Command:
        signs: list[str | Path] = [] if card is None else ["--card", card.authentication.certificate.parent]
        return Command(what, _line([_program(), *words, "--config", config, *signs]))

    return (
        Command("health", _line(["curl", "--cacert", callers.authorities, *shown, f"{base}/health"])),
        liasse("provide", "submit", document, card=doctor),
        liasse("find", *find, card=doctor),
        liasse("retrieve", "get", unique_id, "--patient", DEMO_PATIENT, "-o", "copy.xml", card=doctor),
        liasse("refused: card of another PKI", *find, "--ca", callers.authorities, card=stranger),
        liasse("refused: another card connects", *find, *wrong, card=doctor),
        liasse("what the journal holds", "journal", "show"),
    )


def _program() -> Path | str:
    """This program, as a person would type it."""
    own = Path(sys.executable).with_name("liasse")
    return own if own.exists() else "liasse"


def _line(words: Sequence[str | Path]) -> str:
    return shlex.join(_short(word) if isinstance(word, Path) else word for word in words)


def _short(path: Path) -> str:
    """Relative where it lies below the working directory."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else str(path)
