"""The commands of a document source and consumer, and of patients, for the program's command line."""

from __future__ import annotations

import typer

from liasse.commands import demo, find, get, patient, submit


def mount(app: typer.Typer) -> None:
    """Add submit, find, get, patient and demo to `app`."""
    app.command("submit")(submit.submit)
    app.command("find")(find.find)
    app.command("get")(get.get)
    app.command("demo")(demo.demo)
    app.add_typer(patient.app, name="patient")
