"""What the same machine needs, in the same run, for work that cannot be avoided: the measures of the budgets.

`bare_parse` is an XML parse with four finds. The yardstick server is our HTTP server with a null application around the
unavoidable work: `/read` takes the steps of ITI-43 without SOAP (one statement, one journal row committed, the file read and
hashed), `/copy` sends a file in blocks. Run as `python -m benchmarks.yardsticks PORT WORKERS DIRECTORY`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lxml import etree
from sqlalchemy import Column, Integer, MetaData, String, Table, bindparam, insert, select

from benchmarks.load import Connection
from benchmarks.messages import Message, find_documents
from benchmarks.server import Running, free_port
from database.engine import open_database
from database.handle import Database
from journal.tables import journal_row
from soap.http import HttpLimits, Server

REFERENCE_PARSE = 12e-6
"""Seconds that `bare_parse` gives where the budgets in milliseconds were set: times are scaled to it, marked *."""

_BLOCK = 262_144
_meta = MetaData()
_stored = Table("stored", _meta, Column("name", String, primary_key=True), Column("path", String), Column("size", Integer))


def bare_parse(rounds: int = 9, count: int = 2000) -> float:
    """Seconds of CPU for a parse of the ITI-18 message and four finds; the least of some rounds."""
    message = find_documents("YARDSTICK").body
    soap, wsa = "{http://www.w3.org/2003/05/soap-envelope}", "{http://www.w3.org/2005/08/addressing}"
    least = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(count):
            root = etree.fromstring(message)
            root.find(f"{soap}Header/{wsa}Action")
            root.find(f"{soap}Header/{wsa}MessageID")
            root.find(f"{soap}Body")
            root.find(".//{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}AdhocQuery")
        least = min(least, (time.process_time() - began) / count)
    return least


def prepare(directory: Path, files: dict[str, bytes]) -> None:
    """The yardstick's own database and files."""
    directory.mkdir(parents=True)
    with open_database(directory / "yardstick.sqlite", create=True) as database:
        database.write(lambda connection: _meta.create_all(connection, [_stored]))
        database.write(lambda connection: journal_row.metadata.create_all(connection, [journal_row]))
        for name, data in files.items():
            path = directory / name
            path.write_bytes(data)
            row = {"name": name, "path": str(path), "size": len(data)}
            statement = insert(_stored).values(row)
            database.write(lambda connection, statement=statement: connection.execute(statement).close())  # type: ignore[misc]


class _Application:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._find = database.prepare(select(_stored.c.path, _stored.c.size).where(_stored.c.name == bindparam("name")))
        self._journal = database.prepare(insert(journal_row))
        self._pool = ThreadPoolExecutor(8)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        while message.get("more_body"):
            message = await receive()
        loop = asyncio.get_running_loop()
        kind, _, name = scope["path"].strip("/").partition("/")
        if kind == "read":
            data = await loop.run_in_executor(self._pool, self._read, name)
            await send(_start(len(data)))
            await send({"type": "http.response.body", "body": data, "more_body": False})
        elif kind == "copy":
            path, size = await loop.run_in_executor(self._pool, self._row, name)
            await send(_start(size))
            with await loop.run_in_executor(self._pool, Path(path).open, "rb") as file:
                while block := await loop.run_in_executor(self._pool, file.read, _BLOCK):
                    await send({"type": "http.response.body", "body": block, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await send(_start(0))
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _row(self, name: str) -> tuple[str, int]:
        with self._database.read_raw() as cursor:
            path, size = self._find.execute(cursor, {"name": name}).fetchall()[0]
        return path, size

    def _read(self, name: str) -> bytes:
        path, _ = self._row(name)
        row = dict.fromkeys(journal_row.c.keys(), "a value of some length") | {"id": secrets.token_hex(16), "at": 1}
        self._database.write_short(lambda connection: self._journal.write(connection, [row]))
        data = Path(path).read_bytes()
        hashlib.sha256(data).hexdigest()
        return data


def _start(size: int) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]}


def _serve(listener: socket.socket, directory: Path) -> None:
    with open_database(directory / "yardstick.sqlite") as database:
        Server(_Application(database), HttpLimits()).run(sockets=[listener])


def main(port: int, workers: int, directory: Path) -> None:
    """Serve with as many processes as the server under test has workers."""
    listener = socket.create_server(("127.0.0.1", port), backlog=512)
    children = []
    for _ in range(workers):
        pid = os.fork()
        if not pid:
            _serve(listener, directory)
            os._exit(0)
        children.append(pid)

    def stop(_number: int, _frame: object) -> None:
        for child in children:
            os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    for pid in children:
        os.waitpid(pid, 0)


@contextlib.contextmanager
def yardstick_server(directory: Path, files: dict[str, bytes], workers: int) -> Iterator[Running]:
    """The yardstick server over `files`."""
    prepare(directory, files)
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.yardsticks", str(port), str(workers), str(directory)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        _wait(port)
        yield Running(directory, ("127.0.0.1", port), process.pid, 0.0)
    finally:
        process.terminate()
        process.wait(30)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        connection = Connection(("127.0.0.1", port))
        try:
            connection.ask(Message("/null", "text/plain", b""))[1].release()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        finally:
            connection.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
