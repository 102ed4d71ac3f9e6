"""The listening sockets of a server, bound before any process is forked so that a replaced process loses no connection."""

from __future__ import annotations

import errno
import os
import socket
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from liasse.settings import Settings

_BACKLOG = 1024
_PATIENCE = 1.0
_SOCKET_MASK = 0o117


class BindError(Exception):
    """An address of the settings cannot be listened on; the text says which setting, which address and why."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Bound and listening sockets: the clinical port, the feed, readiness and metrics."""

    clinical: socket.socket
    feed: socket.socket
    admin: socket.socket

    def close(self) -> None:
        """Give the addresses back; the file of a Unix socket is removed by `unlink_socket`."""
        for each in (self.clinical, self.feed, self.admin):
            each.close()


def bind(settings: Settings) -> Listeners:
    """Listen on every address of the settings. Raises BindError; nothing stays bound then."""
    server, bound = settings.server, []
    try:
        if server.unix_socket is not None:
            bound.append(_bind_unix(server.unix_socket))
        else:
            bound.append(_bind_tcp("server", server.host, server.port))
        bound.append(_bind_tcp("feed", settings.feed.host, settings.feed.port))
        bound.append(_bind_tcp("admin", settings.admin.host, settings.admin.port))
    except BindError:
        for each in bound:
            each.close()
        raise
    return Listeners(*bound)


def address(listener: socket.socket) -> str:
    """Where a socket listens, for people: `host:port` or a path."""
    name = listener.getsockname()
    if isinstance(name, tuple):
        return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
    return str(name)


def unlink_socket(settings: Settings) -> None:
    """Remove the file of the Unix socket, if there is one."""
    if settings.server.unix_socket is not None:
        settings.server.unix_socket.unlink(missing_ok=True)


def _bind_tcp(table: str, host: str, port: int) -> socket.socket:
    """A port that a just killed server still holds is waited for, a second at most."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            family, kind, protocol, _, where = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.socket(family, kind, protocol)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(where)
                listener.listen(_BACKLOG)
            except OSError:
                listener.close()
                raise
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            reason = os.strerror(error.errno) if isinstance(error.errno, int) and error.errno > 0 else "no such address"
            raise BindError(f"{table}.host and {table}.port: cannot listen on {host}:{port}: {reason}") from None
        listener.setblocking(False)
        return listener


def _bind_unix(path: Path) -> socket.socket:
    """Mode 0660: the server's user and group, which nginx belongs to. A file that no process listens on is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(_SOCKET_MASK)
    try:
        _remove_stale(path)
        listener.bind(str(path))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise BindError(f"server.unix_socket: cannot listen on {path}: {reason}") from None
    finally:
        os.umask(mask)
    listener.setblocking(False)
    return listener


def _remove_stale(path: Path) -> None:
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise OSError(errno.EEXIST, "exists")
    deadline = time.monotonic() + _PATIENCE
    while True:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
                return
        if time.monotonic() > deadline:
            raise OSError(errno.EADDRINUSE, "in use")
        time.sleep(0.05)
