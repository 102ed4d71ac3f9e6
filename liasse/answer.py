"""Responses: short texts, and SOAP replies with their first block at hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from soap.mtom import action_parameter, write_package
from soap.transaction import Reply

_PLAIN_TEXT = "text/plain; charset=utf-8"
_IN_PIECES = 1 << 20
"""Bytes; the pieces of a larger body are joined in the thread that made them: in the event loop it would take too long."""
_RETRY_AFTER = (b"retry-after", b"2")


@dataclass(slots=True)
class Answer:
    """A response whose first block is at hand, in pieces; `rest` gives the others and may block."""

    status: int
    content_type: str | None
    size: int
    first: tuple[bytes, ...]
    rest: Iterator[bytes] | None = None
    outcome: str = "success"
    action: str | None = None
    fault: str | None = None
    transaction: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


def plain(status: int, text: str, outcome: str) -> Answer:
    body = text.encode("utf-8", "replace") + b"\n"
    answer = Answer(status, _PLAIN_TEXT, len(body), (body,), outcome=outcome)
    if status == 503:
        answer.headers = (_RETRY_AFTER,)
    return answer


def render(reply: Reply, block: int) -> Answer:
    """The response of a reply; the first block of its attachments is read here, while an error can still be answered."""
    if not reply.pieces:
        return _answer(reply, None, 0, ())
    if not reply.mtom:
        content_type = f"{reply.media_type}; charset=UTF-8{action_parameter(reply.action)}"
        size = sum(map(len, reply.pieces))
        pieces = reply.pieces if size <= _IN_PIECES else (b"".join(reply.pieces),)
        return _answer(reply, content_type, size, pieces)
    package = write_package(reply.pieces, reply.attachments, action=reply.action)
    chunks = package.chunks()
    first = _next_chunks(chunks, block)
    if sum(map(len, first)) == package.size:
        close_chunks(chunks)
        return _answer(reply, package.content_type, package.size, first)
    return _answer(reply, package.content_type, package.size, first, chunks)


def _answer(
    reply: Reply, content_type: str | None, size: int, first: tuple[bytes, ...], rest: Iterator[bytes] | None = None
) -> Answer:
    return Answer(
        status=reply.status,
        content_type=content_type,
        size=size,
        first=first,
        rest=rest,
        outcome=reply.outcome,
        action=reply.action,
        fault=reply.fault,
        transaction=reply.transaction,
    )


def next_block(chunks: Iterator[bytes], size: int) -> bytes:
    """The next chunks, together at least `size` bytes unless they end."""
    taken = _next_chunks(chunks, size)
    return taken[0] if len(taken) == 1 else b"".join(taken)


def _next_chunks(chunks: Iterator[bytes], size: int) -> tuple[bytes, ...]:
    taken: list[bytes] = []
    for chunk in chunks:
        taken.append(chunk)
        size -= len(chunk)
        if size <= 0:
            break
    return tuple(taken)


def close_chunks(chunks: Iterator[bytes]) -> None:
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
