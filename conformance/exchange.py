"""What is sent and what comes back, as values: an HTTP POST and its answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP POST: headers without Host and Content-Length, and the body. `message_id` is its wsa:MessageID."""

    transaction: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    message_id: str

    def as_text(self) -> bytes:
        """The message for a file: request line, headers, body."""
        lines = [f"POST {self.url} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join([*lines, f"Content-Length: {len(self.body)}", "", ""]).encode() + self.body


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer as received: transfer coding removed, nothing else."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of a name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def as_text(self) -> bytes:
        """The message for a file: status line, headers, body without chunk marks."""
        lines = [f"HTTP/1.1 {self.status} {self.reason}", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + self.body
