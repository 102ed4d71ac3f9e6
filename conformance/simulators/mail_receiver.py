"""A mail server that takes messages and keeps them: SMTP with STARTTLS, TLS and log-in, on a port of this machine.

It can be told to refuse addresses, to break off, and which name and password open it. It relays nothing.
Source: RFC 5321 (SMTP), RFC 3207 (STARTTLS), RFC 4954 (AUTH PLAIN).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import email
import email.policy
import ssl
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from email.message import EmailMessage
from types import TracebackType
from typing import Final, Self

_NAME: Final = "mail.example"
_LONGEST: Final = 1 << 20
_IDLE: Final = 30.0
_LOOK: Final = 0.01


@dataclass(frozen=True, slots=True)
class Mail:
    """A message that was taken: envelope, content, and whether the connection was secured and logged in."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    secured: bool
    user: str

    @property
    def text(self) -> str:
        """The body, decoded."""
        return str(self.message.get_content())


@dataclass
class MailReceiver:
    """Listens until it is closed, in a thread of its own. `port` 0 takes a free one, which it keeps when opened again.

    `context`: offers STARTTLS, or with `implicit` speaks TLS from the first byte. `accounts`: passwords by name; with any a
    log-in is needed. `refusals`: reply by address, such as "550 unknown". `break_off`: connections end before the answer to
    a message.
    """

    port: int = 0
    context: ssl.SSLContext | None = None
    implicit: bool = False
    accounts: Mapping[str, str] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    break_off: bool = False
    host: str = "127.0.0.1"
    received: list[Mail] = field(default_factory=list, init=False)
    connections: int = field(default=0, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _stop: asyncio.Event | None = field(default=None, init=False)

    def open(self) -> Self:
        """Bind and listen; afterwards `port` is the port taken. Raises OSError."""
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        ready.result()
        return self

    def close(self) -> None:
        """End every connection and listen no more. It can be opened again."""
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._loop = self._thread = self._stop = None

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None) -> None:
        self.close()

    def to(self, address: str) -> list[Mail]:
        """What came for an address."""
        return [mail for mail in list(self.received) if address in mail.recipients]

    def wait_for(self, count: int, seconds: float) -> bool:
        """Whether `count` messages have arrived within `seconds`."""
        end = time.monotonic() + seconds
        while len(self.received) < count:
            if time.monotonic() > end:
                return False
            time.sleep(_LOOK)
        return True

    async def _serve(self, ready: Future[None]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        peers: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            task = asyncio.create_task(_Session(self, reader, writer).run())
            peers.add(task)
            task.add_done_callback(peers.discard)

        try:
            context = self.context if self.implicit else None
            server = await asyncio.start_server(accept, self.host, self.port, ssl=context, limit=_LONGEST)
        except OSError as error:
            ready.set_exception(error)
            return
        self.port = server.sockets[0].getsockname()[1]
        ready.set_result(None)
        await self._stop.wait()
        server.close()
        for task in list(peers):
            task.cancel()
        await asyncio.gather(*peers, return_exceptions=True)
        await server.wait_closed()


class _Session:
    """One connection."""

    def __init__(self, server: MailReceiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._secured, self._user = server.implicit, ""
        self._sender, self._recipients = "", list[str]()

    async def run(self) -> None:
        """Serve until the peer has enough."""
        try:
            self._say(f"220 {_NAME} ESMTP")
            while line := await asyncio.wait_for(self._reader.readline(), _IDLE):
                verb, _, rest = line.decode("latin-1").strip().partition(" ")
                if not await self._obey(verb.upper(), rest):
                    break
            await self._writer.drain()
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writer.close()

    def _say(self, *lines: str) -> None:
        self._writer.write(b"".join(line.encode("latin-1") + b"\r\n" for line in lines))

    async def _obey(self, verb: str, rest: str) -> bool:
        """One command; whether the session goes on."""
        if verb == "STARTTLS" and self._may_secure():
            await self._secure()
        elif verb == "AUTH":
            self._say(self._log_in(rest))
        elif verb == "DATA" and self._recipients:
            return await self._take()
        elif verb == "QUIT":
            self._say("221 bye")
            return False
        else:
            self._say(*self._answers(verb, rest))
        return True

    def _answers(self, verb: str, rest: str) -> tuple[str, ...]:
        if verb in ("EHLO", "HELO"):
            offers = ["250-STARTTLS"] if self._may_secure() else []
            offers += ["250-AUTH PLAIN"] if self._server.accounts and self._secured else []
            return (f"250-{_NAME}", *offers, "250 8BITMIME") if verb == "EHLO" else (f"250 {_NAME}",)
        if verb == "MAIL":
            if self._server.accounts and not self._user:
                return ("530 log in first",)
            self._sender, self._recipients = _path(rest), []
            return ("250 ok",)
        if verb == "RCPT" and self._sender:
            address = _path(rest)
            if address in self._server.refusals:
                return (self._server.refusals[address],)
            self._recipients.append(address)
            return ("250 ok",)
        if verb in ("RSET", "NOOP"):
            self._sender, self._recipients = ("", []) if verb == "RSET" else (self._sender, self._recipients)
            return ("250 ok",)
        return ("503 not now",) if verb in ("RCPT", "DATA", "STARTTLS") else ("502 unknown",)

    def _may_secure(self) -> bool:
        return self._server.context is not None and not self._secured

    async def _secure(self) -> None:
        self._say("220 go on")
        await self._writer.drain()
        assert self._server.context is not None
        await self._writer.start_tls(self._server.context)
        self._secured, self._user, self._sender, self._recipients = True, "", "", []

    def _log_in(self, rest: str) -> str:
        kind, _, said = rest.partition(" ")
        try:
            _, name, password = base64.b64decode(said, validate=True).decode("utf-8").split("\0")
        except (binascii.Error, ValueError):
            return "501 AUTH PLAIN with an initial response is expected"
        if kind.upper() != "PLAIN" or not self._secured or self._server.accounts.get(name) != password:
            return "535 no"
        self._user = name
        return "235 ok"

    async def _take(self) -> bool:
        self._say("354 go on")
        await self._writer.drain()
        data = await asyncio.wait_for(self._reader.readuntil(b"\r\n.\r\n"), _IDLE)
        if self._server.break_off:
            return False
        lines = [line[1:] if line.startswith(b".") else line for line in data[:-3].split(b"\r\n")]
        message = email.message_from_bytes(b"\r\n".join(lines), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self._server.received.append(Mail(self._sender, tuple(self._recipients), message, self._secured, self._user))
        self._say("250 taken")
        self._sender, self._recipients = "", []
        return True


def _path(rest: str) -> str:
    """The address in MAIL FROM:<…> or RCPT TO:<…>."""
    return rest.partition("<")[2].partition(">")[0]
