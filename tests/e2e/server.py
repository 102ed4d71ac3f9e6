"""The real server as a process of its own, for tests over the wire."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_STARTS_WITHIN = 40.0
_STOPS_WITHIN = 40.0
_ADDRESS = re.compile(r'"address": ?"([^"]+)"')

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "server": {"host": "127.0.0.1", "port": 0, "workers": 2},
    "admin": {"port": 0},
    "feed": {"port": 0},
    "storage": {"directory": "data"},
    "limits": {"free_space": 0},
}
"""The settings of a server under test. Its log has to be JSON at level info or debug: the ports are read from it."""


@dataclass
class RunningServer:
    """A server that answers. `directory` holds its settings file, its data and its log; ports are those it took."""

    directory: Path
    config: Path
    process: subprocess.Popen[bytes]
    address: str
    feed_address: str
    admin_address: str
    tls: ssl.SSLContext | None = None

    @property
    def base_url(self) -> str:
        """http://host:port of the clinical listener, https with TLS."""
        return f"http{'s' if self.tls else ''}://{self.address}"

    @property
    def registry_url(self) -> str:
        """ITI-42 and ITI-18."""
        return f"{self.base_url}/registry"

    @property
    def repository_url(self) -> str:
        """ITI-41 and ITI-43."""
        return f"{self.base_url}/repository"

    @property
    def admin_url(self) -> str:
        """http://host:port of readiness and metrics."""
        return f"http://{self.admin_address}"

    @property
    def port(self) -> int:
        """The TCP port of the clinical listener."""
        return int(self.address.rpartition(":")[2])

    @property
    def feed_port(self) -> int:
        """The TCP port of the patient feed."""
        return int(self.feed_address.rpartition(":")[2])

    @property
    def data(self) -> Path:
        """The storage folder, as DEFAULTS set it."""
        return self.directory / "data"

    def log_text(self) -> str:
        """Everything the server wrote on standard output and error."""
        return _log_file(self.directory).read_text(encoding="utf-8", errors="replace")

    def stop(self, patience: float = _STOPS_WITHIN) -> int:
        """Ask the server to drain and wait for its end; returns its exit code. What does not end in time is killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not stop within {patience} s\n{self.log_text()[-4000:]}") from None
        _kill_group(self.process)
        return code

    def kill(self) -> None:
        """End the whole process group at once, by SIGKILL."""
        _kill_group(self.process)
        self.process.wait(_STOPS_WITHIN)


def write_config(directory: Path, overrides: Mapping[str, Any] | None = None) -> Path:
    """Write `directory`/config.toml: DEFAULTS with `overrides` merged in, table by table."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "config.toml"
    path.write_text(to_toml(merged(DEFAULTS, overrides or {})), encoding="utf-8")
    return path


def init(config: Path) -> None:
    """Make the folders and tables; what exists stays."""
    subprocess.run(
        [*command("init"), "--config", str(config)], cwd=ROOT, check=True, capture_output=True, timeout=_STARTS_WITHIN
    )


def command(name: str) -> list[str]:
    """The command line of `liasse NAME`, run by the interpreter of the tests."""
    return [sys.executable, "-m", "liasse.cli", name]


def start(
    config: Path, env: Mapping[str, str] | None = None, tls: ssl.SSLContext | None = None, program: Sequence[str] = ()
) -> RunningServer:
    """Start `liasse serve` in a process group of its own and wait for /health 200. The log is appended to.

    `tls` is a context with which this server can be asked, for one that speaks TLS; `program` an installed `liasse`, in
    place of the one under test.
    """
    directory = config.parent
    log = _log_file(directory)
    seen = log.stat().st_size if log.exists() else 0
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*([*program, "serve"] if program else command("serve")), "--config", str(config)],
            cwd=directory if program else ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        )
    try:
        addresses = _wait_for_addresses(process, log, seen)
        server = RunningServer(directory, config, process, *addresses, tls=tls)
        if not addresses[0].startswith("/"):
            _wait_for_health(server)
    except BaseException:
        _kill_group(process)
        process.wait(_STOPS_WITHIN)
        raise
    return server


@contextlib.contextmanager
def running(
    directory: Path,
    overrides: Mapping[str, Any] | None = None,
    tls: ssl.SSLContext | None = None,
    program: Sequence[str] = (),
) -> Iterator[RunningServer]:
    """A fresh server in `directory` for the length of the block; killed at its end if it was not stopped.

    It makes its storage itself, at its first start.
    """
    config = write_config(directory, overrides)
    server = start(config, tls=tls, program=program)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
        _kill_group(server.process)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`; tables are merged key by key."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(value, Mapping) and isinstance(below, Mapping) else value
    return result


def to_toml(values: Mapping[str, Any]) -> str:
    """A settings file of one level of tables."""
    plain = [f"{key} = {_value(value)}" for key, value in values.items() if not isinstance(value, Mapping)]
    tables = [(key, value) for key, value in values.items() if isinstance(value, Mapping)]
    for name, table in tables:
        plain += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in table.items())]
    return "\n".join(plain) + "\n"


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + "}"
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


def _log_file(directory: Path) -> Path:
    return directory / "server.log"


def _wait_for_addresses(process: subprocess.Popen[bytes], log: Path, seen: int) -> tuple[str, str, str]:
    """Clinical listener, feed, admin: announced by the supervisor in this order."""
    deadline = time.monotonic() + _STARTS_WITHIN
    while True:
        text = log.read_bytes()[seen:].decode("utf-8", "replace")
        found = _ADDRESS.findall("".join(line for line in text.splitlines() if "listen" in line or "server starts" in line))
        if len(found) >= 3:
            return found[0], found[1], found[2]
        if process.poll() is not None:
            raise AssertionError(f"the server ended with {process.returncode} at its start:\n{text[-4000:]}")
        if time.monotonic() > deadline:
            raise AssertionError(f"the server announced no addresses in {_STARTS_WITHIN} s:\n{text[-4000:]}")
        time.sleep(0.02)


def _wait_for_health(server: RunningServer) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    last = ""
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise AssertionError(f"the server ended with {server.process.returncode}:\n{server.log_text()[-4000:]}")
        try:
            with urllib.request.urlopen(f"{server.base_url}/health", timeout=5, context=server.tls) as answer:
                if answer.status == 200:
                    return
        except urllib.error.HTTPError as error:
            last = f"HTTP {error.code}: {error.read()[:200]!r}"
            error.close()
        except OSError as error:
            last = str(error)
        time.sleep(0.02)
    raise AssertionError(f"/health was not 200 within {_STARTS_WITHIN} s ({last}):\n{server.log_text()[-4000:]}")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
