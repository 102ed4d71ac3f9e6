"""What one client may have of a worker: a share of the requests under way, and of the threads, so that others find room."""

from __future__ import annotations

import asyncio

from liasse.reception import Refusal


class Share:
    """What a client has now: how many requests, and the turns to be worked on."""

    __slots__ = ("entered", "turn")

    def __init__(self, at_once: int) -> None:
        self.entered = 0
        self.turn = asyncio.Semaphore(at_once)


class Shares:
    """The requests of each client; used in the event loop only.

    A client is who has a certificate, else who calls from an address. `most`: of his requests under way; `at_once`: of those
    that are worked on, the others wait for their turn.
    """

    def __init__(self, most: int, at_once: int) -> None:
        self._most = most
        self._at_once = at_once
        self._shares: dict[bytes | str, Share] = {}

    def enter(self, client: bytes | str) -> Share:
        """The share of a client, for one request more, until `leave`. Raises Refusal with 503 when he has too many."""
        share = self._shares.get(client)
        if share is None:
            share = self._shares[client] = Share(self._at_once)
        if share.entered >= self._most:
            raise Refusal(503, f"more than {self._most} requests of this client are under way, try again", "busy")
        share.entered += 1
        return share

    def leave(self, client: bytes | str, share: Share) -> None:
        """The request is over."""
        share.entered -= 1
        if not share.entered:
            del self._shares[client]
