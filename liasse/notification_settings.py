"""The [notifications] table of the settings: the mail server that takes what people are told."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from liasse.setting_types import Count, OptionalPath, Seconds, Table

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){0,8}")


class NotificationTable(Table):
    """Notices by e-mail under the policy dmp: first accesses, emergencies, documents, announcements; kept until taken."""

    host: str = Field(
        default="", description="The mail server (SMTP). Empty: notices wait in the database and nothing is sent."
    )
    port: int = Field(default=587, ge=1, le=65_535, description="Its port: 587 for starttls, 465 for tls.")
    tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="starttls, tls (from the first byte), or none: for a server on this machine."
    )
    ca: OptionalPath = Field(default=None, description="PEM file of the server's authorities. Empty: those of this machine.")
    username: str = Field(default="", description="Name to log in with. Empty: no log-in.")
    password_file: OptionalPath = Field(default=None, description="File that holds the password, read for each connection.")
    sender: str = Field(default="", description="Address that messages come from. Needed with a host.")
    every: Seconds = Field(default=30.0, description="Seconds between two looks for notices to send.")
    timeout: Seconds = Field(default=30.0, description="Seconds that the server has for each answer.")
    batch: Count = Field(default=100, description="Messages of one connection.")
    attempts: Count = Field(
        default=20,
        description="After so many temporary refusals a notice is given up; a lasting one gives it up at once. A server "
        "that is away counts for nothing.",
    )
    give_up_after: Seconds = Field(
        default=2_592_000.0,
        description="Seconds after which a notice that could not be sent is given up. It stays in the database.",
    )

    @field_validator("sender")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not _ADDRESS.fullmatch(value):
            raise ValueError("expected an address such as record@hospital.example")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.host and not self.sender:
            raise ValueError("sender: an address is needed where host is set")
        if (self.password_file is None) != (not self.username):
            raise ValueError("username and password_file: both are needed, or neither")
        if self.username and self.tls == "none":
            raise ValueError("username: a password is not sent in clear, tls or starttls is needed")
        return self

    def cautions(self) -> list[str]:
        """What an operator should know about these choices."""
        if not self.host:
            return ["notifications.host: none is set, nobody is told of anything by e-mail"]
        if self.tls == "none" and self.host not in ("localhost", "127.0.0.1", "::1"):
            return ["notifications.tls = none: notices travel in clear"]
        return []
