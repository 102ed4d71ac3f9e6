"""Options that the commands of `liasse record` share, and what is read from them."""

from __future__ import annotations

from typing import Annotated

import typer

from dmp.contacts import check_contact
from dmp.record import LONGEST_NAME, LONGEST_REASON, By, Contact, Party
from liasse.commands.peers import usage
from liasse.wiring import wall_clock
from liasse.withdraw import operator

PatientArgument = Annotated[str, typer.Argument(metavar="INS|CX", help="the patient, such as 279035121518989")]
PartyArgument = Annotated[str, typer.Argument(metavar="ID", help="national identifier, such as 899700000001")]
StructureOption = Annotated[bool, typer.Option("--structure", help="ID is a structure, not a professional")]
FamilyOption = Annotated[str, typer.Option("--family", help="birth name")]
GivenOption = Annotated[str, typer.Option("--given", help="given name")]
ConsentOption = Annotated[bool, typer.Option("--consent", help="the patient, or who represents him, consents to it")]
BecauseOption = Annotated[str, typer.Option("--because", metavar="TEXT", help="why; it is journaled")]
ByOption = Annotated[
    str,
    typer.Option("--by", metavar="TEXT", help="for whom you act, or in what quality; it is journaled with your user name"),
]


def author_of(by: str, because: str) -> By:
    """Who acts, now. Ends the command with 2 for a reason that cannot be journaled."""
    for name, text, least in (("--because", because.strip(), 1), ("--by", by.strip(), 0)):
        if not least <= len(text) <= LONGEST_REASON or not text.isprintable():
            raise usage(f"{name}: {len(text)} characters, {least} to {LONGEST_REASON} without controls are expected")
    return By(operator(), wall_clock(), because.strip(), by.strip())


def party_of(identifier: str, structure: bool) -> Party:
    if not identifier.isascii() or not identifier.isalnum() or not 3 <= len(identifier) <= 80:
        raise usage(f"ID: found {identifier!r}, 3 to 80 letters and digits are expected")
    return Party(identifier, "structure" if structure else "person")


def check_names(**names: str) -> None:
    """Ends the command with 2 for a name that cannot be kept; the keywords are those of the options."""
    for option, text in names.items():
        if len(text) > LONGEST_NAME or not text.isprintable():
            raise usage(f"--{option}: {len(text)} characters, at most {LONGEST_NAME} without controls are expected")


def contacts_of(email: str, mobile: str) -> list[Contact]:
    """The channels that were given. Ends the command with 2 for one that is not well formed."""
    found = [Contact("EMAIL", email)] if email else []
    found += [Contact("SMS", mobile)] if mobile else []
    for contact in found:
        wrong = check_contact(contact.channel, contact.value)
        if wrong is not None:
            raise usage(f"--{'email' if contact.channel == 'EMAIL' else 'mobile'}: {wrong}")
    return found
