"""`liasse record contact`: where the people of a record are told what happens to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, cast

import typer
from sqlalchemy import Connection

from dmp import records
from dmp.record import By, Language
from dmp.record_rows import find_contacts, find_record
from dmp.records import Act
from liasse.commands.peers import ConfigOption, JsonOption, usage
from liasse.commands.record_options import BecauseOption, ByOption, PatientArgument, contacts_of
from liasse.commands.record_order import Ordered
from liasse.record_desk import Statements
from liasse.settings import Settings
from xds_metadata.datatypes import PatientKey

LANGUAGES = ("fr", "en")


def contact(
    patient: PatientArgument,
    because: BecauseOption,
    by: ByOption = "",
    email: Annotated[str, typer.Option("--email", help="where notifications go")] = "",
    mobile: Annotated[str, typer.Option("--mobile", help="where notifications go, such as +33600000000")] = "",
    language: Annotated[str, typer.Option("--language", help="of notifications: fr or en")] = "fr",
    documents: Annotated[bool, typer.Option("--documents", help="tell each document that is added, too")] = False,
    of: Annotated[
        str,
        typer.Option(
            "--of", metavar="IDENTITY", help="a representative or professional, ID^AUTHORITY; the holder otherwise"
        ),
    ] = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Put other channels in place of those of one person; without --email and --mobile he has none any more."""
    if language not in LANGUAGES:
        raise usage(f"--language: found {language!r}, one of {', '.join(LANGUAGES)} is expected")
    identifier, separator, authority = of.rpartition("^")
    if of and not (separator and identifier and authority and of.isascii() and of.isprintable() and len(of) <= 160):
        raise usage(f"--of: found {of!r}, an identity such as 899700000001^1.2.250.1.71.4.2.1 is expected")
    spoken = cast(Language, language)
    wanted = [replace(each, owner=of, language=spoken, documents=documents) for each in contacts_of(email, mobile)]

    def make(_settings: Settings, author: By, key: PatientKey) -> Statements:
        def statements(connection: Connection) -> bool:
            find_record(connection, key, lock=True)  # nobody changes the other channels meanwhile
            others = [each for each in find_contacts(connection, key) if each.owner != of]
            return records.set_contacts(connection, key, [*others, *wanted], author)

        return statements

    Ordered(config, patient, by, because, json).carry_out(Act.CONTACT, make, "noted")
