"""`liasse record`: the records of the shared health record, in the database itself; the server may run.

Every act is journaled with who acts (the operating system's user, and for whom: --by) and why (--because), in the
transaction that it is done in. Exit codes: 0 done, or so already; 1 refused or failed; 2 wrong use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, cast

import typer
from sqlalchemy import Connection

from dmp import records
from dmp.record import By, Holder, Named, Oppositions, Party, Record, Sex, read_date
from dmp.record import authorisation_length as length_of
from dmp.record_rows import Everything, find_record
from dmp.records import Act
from dmp.transactions.naming import specialities
from liasse.commands import output, record_import
from liasse.commands.peers import ConfigOption, JsonOption, usage
from liasse.commands.record_contact import contact
from liasse.commands.record_options import (
    BecauseOption,
    ByOption,
    ConsentOption,
    FamilyOption,
    GivenOption,
    PartyArgument,
    PatientArgument,
    StructureOption,
    author_of,
    check_names,
    contacts_of,
    party_of,
)
from liasse.commands.record_order import Make, Ordered
from liasse.commands.record_pages import as_json, print_record
from liasse.commands.stores import open_database_of
from liasse.record_desk import Statements, dmp_settings, look_at, read_patient
from liasse.settings import Settings
from xds_metadata.datatypes import PatientKey

app = typer.Typer(help="The records of the shared health record (DMP).", no_args_is_help=True)


@app.command()
def create(
    patient: PatientArgument,
    because: BecauseOption,
    by: ByOption = "",
    consent: ConsentOption = False,
    family: FamilyOption = "",
    used: Annotated[str, typer.Option("--used", help="used name")] = "",
    given: GivenOption = "",
    birth_date: Annotated[str, typer.Option("--birth-date", metavar="YYYY-MM-DD")] = "",
    sex: Annotated[str, typer.Option("--sex", help="M, F or U")] = "",
    oppose_break_glass: Annotated[
        bool, typer.Option("--oppose-break-glass", help="the patient opposes access in emergencies")
    ] = False,
    oppose_regulation: Annotated[
        bool, typer.Option("--oppose-regulation", help="the patient opposes access by medical regulation (SAMU-Centre 15)")
    ] = False,
    masked_in_emergency: Annotated[
        bool, typer.Option("--masked-in-emergency", help="masked documents are open in emergencies")
    ] = False,
    email: Annotated[str, typer.Option("--email", help="where notifications go")] = "",
    mobile: Annotated[str, typer.Option("--mobile", help="where notifications go, such as +33600000000")] = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Open a record. It needs consent; whoever is in charge of a dependant consents for him."""
    check_names(family=family, used=used, given=given)
    day = birth_date.replace("-", "")
    if day and read_date(day) is None:
        raise usage(f"--birth-date: found {birth_date!r}, a day such as 1979-03-01 is expected")
    if sex not in ("", "M", "F", "U"):
        raise usage(f"--sex: found {sex!r}, one of M, F, U is expected")
    holder = Holder(family, used, given, day, cast(Sex, sex))
    oppositions = Oppositions(oppose_break_glass, oppose_regulation, masked_in_emergency)
    contacts = contacts_of(email, mobile)

    def make(_settings: Settings, author: By, key: PatientKey) -> Statements:
        record = Record(key, consent_at=author.at if consent else None, holder=holder, oppositions=oppositions)

        def statements(connection: Connection) -> bool:
            records.create(connection, record, author)
            if contacts:
                records.set_contacts(connection, key, contacts, replace(author, at=author.at + 1))
            return True

        return statements

    Ordered(config, patient, by, because, json).carry_out(Act.CREATE, make, "the record is open")


@app.command()
def show(
    patient: PatientArgument,
    because: BecauseOption,
    by: ByOption = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show a record with its history; that it was read is journaled. Exit code 1 where there is none."""
    author = author_of(by, because)
    with open_database_of(config) as (settings, database):
        try:
            key, adult_age = read_patient(patient, settings), dmp_settings(settings).adult_age
        except ValueError as error:
            raise usage(str(error)) from error
        found: Everything | None = look_at(database, key, author)
    if found is None:
        output.complain("the patient has no record")
        raise typer.Exit(1)
    if json:
        output.print_json(as_json(found, author.at))
    else:
        print_record(found, author.at, adult_age)


@app.command()
def authorise(
    patient: PatientArgument,
    professional: PartyArgument,
    because: BecauseOption,
    by: ByOption = "",
    structure: StructureOption = False,
    attending: Annotated[
        bool | None, typer.Option("--attending/--no-attending", help="as an attending doctor; or no longer as one")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="take the authorisation back")] = False,
    family: FamilyOption = "",
    given: GivenOption = "",
    role: Annotated[str, typer.Option("--role", help="profession and speciality, such as G15_10/SM26")] = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Authorise a professional or a structure, make a doctor an attending doctor, or take either back."""
    if remove and attending is not None:
        raise usage("give --remove, --attending or --no-attending, one of them")
    if structure and attending:
        raise usage("--attending: an attending doctor is a person, not a structure")
    check_names(family=family, given=given, role=role)
    party, named = party_of(professional, structure), Named(family, given, role, specialities().get(role, ""))
    ordered = Ordered(config, patient, by, because, json, party)
    if remove:
        make = _simple(records.unauthorise, party)
        ordered.carry_out(Act.UNAUTHORISE, make, "not authorised any more")
    elif attending is False:
        ordered.carry_out(Act.LEAVE, _simple(records.leave, party), "no attending doctor any more")
    else:
        act = Act.ATTEND if attending else Act.AUTHORISE
        store = records.attend if attending else records.authorise

        def made(settings: Settings, author: By, key: PatientKey) -> Statements:
            length = length_of(dmp_settings(settings))
            return lambda connection: store(connection, key, party, author, length, named)

        ordered.carry_out(act, made, "attending doctor, authorised" if attending else "authorised")


@app.command()
def block(
    patient: PatientArgument,
    professional: PartyArgument,
    because: BecauseOption,
    by: ByOption = "",
    structure: StructureOption = False,
    family: FamilyOption = "",
    given: GivenOption = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Block a professional or a structure: nothing is read, in emergencies either; deposits go on."""
    check_names(family=family, given=given)
    party, named = party_of(professional, structure), Named(family, given)

    def make(_settings: Settings, author: By, key: PatientKey) -> Statements:
        return lambda connection: records.block(connection, key, party, author, named)

    Ordered(config, patient, by, because, json, party).carry_out(Act.BLOCK, make, "blocked")


@app.command()
def unblock(
    patient: PatientArgument,
    professional: PartyArgument,
    because: BecauseOption,
    by: ByOption = "",
    structure: StructureOption = False,
    consent: ConsentOption = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """End a block, with the patient's consent. An authorisation that ended with it has to be declared again."""
    party = party_of(professional, structure)

    def make(_settings: Settings, author: By, key: PatientKey) -> Statements:
        return lambda connection: records.unblock(connection, key, party, author, consent=consent)

    Ordered(config, patient, by, because, json, party).carry_out(Act.UNBLOCK, make, "not blocked any more")


@app.command()
def oppose(
    patient: PatientArgument,
    because: BecauseOption,
    by: ByOption = "",
    break_glass: Annotated[
        bool | None, typer.Option("--break-glass/--no-break-glass", help="oppose access in emergencies, or not any more")
    ] = None,
    regulation: Annotated[
        bool | None, typer.Option("--regulation/--no-regulation", help="the same for medical regulation (SAMU-Centre 15)")
    ] = None,
    masked_in_emergency: Annotated[
        bool | None,
        typer.Option("--masked-in-emergency/--no-masked-in-emergency", help="open masked documents in emergencies, or not"),
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Note what the patient decides about emergencies; what is not named stays as it is."""
    wanted = {"break_glass": break_glass, "regulation": regulation, "masked_in_emergency": masked_in_emergency}
    named = {name: value for name, value in wanted.items() if value is not None}
    if not named:
        raise usage("give at least one of --[no-]break-glass, --[no-]regulation, --[no-]masked-in-emergency")

    def make(_settings: Settings, author: By, key: PatientKey) -> Statements:
        def statements(connection: Connection) -> bool:
            found = find_record(connection, key, lock=True)
            before = found.oppositions if found is not None else Oppositions()
            return records.oppose(connection, key, replace(before, **named), author)

        return statements

    Ordered(config, patient, by, because, json).carry_out(Act.OPPOSE, make, "noted")


@app.command()
def close(
    patient: PatientArgument,
    because: BecauseOption,
    by: ByOption = "",
    motive: Annotated[
        str, typer.Option("--motive", help="the patient's, kept with the record; else that of --because")
    ] = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Close a record: what it holds is kept, nobody reads or feeds it."""

    def make(_settings: Settings, author: By, key: PatientKey) -> Statements:
        return lambda connection: records.close(connection, key, motive or author.reason, author)

    Ordered(config, patient, by, because, json).carry_out(Act.CLOSE, make, "the record is closed")


@app.command()
def reopen(
    patient: PatientArgument,
    because: BecauseOption,
    by: ByOption = "",
    consent: ConsentOption = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make a closed record active again, with all that it held. It needs consent."""

    def make(_settings: Settings, author: By, key: PatientKey) -> Statements:
        return lambda connection: records.reopen(connection, key, author, consent=consent)

    Ordered(config, patient, by, because, json).carry_out(Act.REOPEN, make, "the record is open again")


app.command()(contact)
app.command("import")(record_import.import_)


def _simple(store: Callable[[Connection, PatientKey, Party, By], bool], party: Party) -> Make:
    return lambda _settings, author, key: lambda connection: store(connection, key, party, author)
