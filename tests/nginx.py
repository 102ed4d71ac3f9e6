"""nginx with the sample configuration, addresses and paths those of a test, in front of a Unix socket."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.http_side import own_certificate

SAMPLE = Path(__file__).resolve().parents[1] / "deploy" / "nginx.conf"
_PATIENCE = 20.0


@contextmanager
def nginx(directory: Path, unix_socket: Path) -> Iterator[tuple[int, ssl.SSLContext]]:
    """Run it for the length of the block: its port, and how to talk to it. Skips the test where nginx is not installed."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    certificate, key = own_certificate(directory)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = SAMPLE.read_text()
    for sample, own in {
        "user www-data;": f"user {pwd.getpwuid(os.getuid()).pw_name};",
        "/run/nginx.pid": str(directory / "nginx.pid"),
        "/var/log/nginx/error.log": str(directory / "error.log"),
        "unix:/run/liasse/http.sock": f"unix:{unix_socket}",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/liasse/tls/server.pem": str(certificate),
        "/etc/liasse/tls/server.key": str(key),
        "/etc/liasse/tls/client-authorities.pem": str(certificate),
    }.items():
        assert text.count(sample) == 1, sample
        text = text.replace(sample, own)
    configuration = directory / "nginx.conf"
    configuration.write_text(text)
    tls = ssl.create_default_context(cafile=certificate)
    tls.load_cert_chain(certificate, key)
    running = subprocess.Popen([program, "-p", str(directory), "-c", str(configuration), "-g", "daemon off;"])
    try:
        _wait(port, running)
        yield port, tls
    finally:
        running.terminate()
        running.wait(_PATIENCE)


def _wait(port: int, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        assert running.poll() is None, "nginx does not start"
        assert time.monotonic() < deadline
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
