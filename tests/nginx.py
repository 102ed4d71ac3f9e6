"""nginx with the sample configuration, addresses and paths those of a test, in front of a Unix socket."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from pki.testca import PrivateKey
from tests.http_side import own_certificate

SAMPLE = Path(__file__).resolve().parents[1] / "deploy" / "nginx.conf"
_PATIENCE = 20.0


@dataclass(frozen=True)
class Files:
    """PEM files of its own certificate (with its chain) and key, of the authorities of clients, and of their lists."""

    certificate: Path
    key: Path
    authorities: Path
    crl: Path


@dataclass
class Nginx:
    """A running nginx."""

    port: int
    process: subprocess.Popen[bytes]

    def reload(self) -> None:
        """Ask it to read its files again."""
        self.process.send_signal(signal.SIGHUP)


@contextmanager
def nginx(directory: Path, unix_socket: Path) -> Iterator[tuple[int, ssl.SSLContext]]:
    """Run it for the length of the block: its port, and how to talk to it. Skips the test where nginx is not installed."""
    certificate, key = own_certificate(directory)
    crl = directory / "own.crl"
    crl.write_bytes(_own_list(certificate, key))
    tls = ssl.create_default_context(cafile=certificate)
    tls.load_cert_chain(certificate, key)
    with nginx_with(directory, unix_socket, Files(certificate, key, certificate, crl)) as running:
        yield running.port, tls


@contextmanager
def nginx_with(directory: Path, unix_socket: Path, files: Files) -> Iterator[Nginx]:
    """Run it with these files. Skips the test where nginx is not installed."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = SAMPLE.read_text()
    for sample, own in {
        "user www-data;": f"user {pwd.getpwuid(os.getuid()).pw_name};",
        "/run/nginx.pid": str(directory / "nginx.pid"),
        "/var/log/nginx/error.log": str(directory / "error.log"),
        "unix:/run/liasse/http.sock": f"unix:{unix_socket}",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/liasse/tls/server.pem": str(files.certificate),
        "/etc/liasse/tls/server.key": str(files.key),
        "/etc/liasse/tls/client-authorities.pem": str(files.authorities),
        "/etc/liasse/tls/client-authorities.crl": str(files.crl),
    }.items():
        assert text.count(sample) == 1, sample
        text = text.replace(sample, own)
    configuration = directory / "nginx.conf"
    configuration.write_text(text)
    running = subprocess.Popen([program, "-p", str(directory), "-c", str(configuration), "-g", "daemon off;"])
    try:
        _wait(port, running)
        yield Nginx(port, running)
    finally:
        running.terminate()
        running.wait(_PATIENCE)


def _own_list(certificate: Path, key: Path) -> bytes:
    """An empty revocation list of a certificate that signs itself."""
    signer = serialization.load_pem_private_key(key.read_bytes(), None)
    assert isinstance(signer, PrivateKey)
    now = datetime.now(UTC)
    return (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.load_pem_x509_certificate(certificate.read_bytes()).subject)
        .last_update(now - timedelta(minutes=1))
        .next_update(now + timedelta(hours=1))
        .sign(signer, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


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
