"""An OCSP responder on HTTP, for laboratories and tests: it says what the register of a test PKI says at that moment.

It can also misbehave: whoever uses it may put other bytes in the place of an answer. Source: RFC 6960 appendix A.1.
"""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from pki.errors import FilesError
from pki.testca import TestPki
from pki.testocsp import answer

_MOST: Final = 65_536
_PATIENCE: Final = 10.0

Answers = Callable[[bytes], bytes]


def answers_of(directory: Path) -> Answers:
    """Answers from the test PKI in a folder, which is read anew for each question. Raises FilesError."""
    TestPki.open(directory)
    return lambda question: answer(TestPki.open(directory), question)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """As the base, without asking the name service who we are."""
        socketserver.TCPServer.server_bind(self)


class OcspResponder:
    """Listens until it is closed; port 0 takes a free one. `answers` may be replaced; `asked` counts the questions."""

    def __init__(self, answers: Answers, host: str = "127.0.0.1", port: int = 0) -> None:
        self.answers = answers
        self.asked = 0
        self._server = _Listener((host, port), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, name="ocsp", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is asked."""
        host = self._server.server_address[0]
        return f"http://{host!s}:{self.port}/"

    @property
    def port(self) -> int:
        """The port that it has."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self) -> None:
        """Return when it was closed."""
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        responder = self

        class Handler(BaseHTTPRequestHandler):
            timeout = _PATIENCE

            def do_POST(self) -> None:
                """Answer a question; what comes in another form is refused as HTTP has it."""
                size = self.headers.get("Content-Length", "")
                if self.headers.get_content_type() != "application/ocsp-request" or not size.isdecimal():
                    self.send_error(400)
                    return
                if int(size) > _MOST:
                    self.send_error(413)
                    return
                responder.asked += 1
                try:
                    said = responder.answers(self.rfile.read(int(size)))
                except FilesError:
                    self.send_error(500)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "application/ocsp-response")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: Any) -> None:
                """Silence."""

        return Handler
