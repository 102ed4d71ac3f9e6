"""One MTOM message while it arrives, and the worker threads that do its blocking work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from contextvars import Context
from dataclasses import replace
from functools import partial
from typing import Generic, ParamSpec, Self, TypeVar

from liasse.answer import Answer, render
from liasse.reception import BodyLimits, Deposit, Quota, Refusal, RequestBody, Share, StageFactory, Work
from liasse.shares import Shares
from liasse.threads import Returns, poster
from soap.mime_headers import MediaType, read_boundary, read_content_id
from soap.mtom import MimeLimits, PartBegin, PartData, Splitter
from soap.transaction import Incoming, SoapServer

_PACKAGE_TYPES = frozenset({"application/xop+xml", "text/xml", ""})
_ROOT_TYPES = frozenset({"application/xop+xml", "text/xml"})
_CHARSET_ALIASES = {"utf8": "utf-8", "utf-8": "utf-8", "utf16": "utf-16", "utf-16": "utf-16"}

UNTOLD = "local"
"""The address of a caller behind a front on a Unix socket that tells none."""

P = ParamSpec("P")
T = TypeVar("T")


class _Hop(Generic[T]):
    """One call on its way through a worker thread and back: what a task awaits in place of a future.

    A future would wake the task in the loop's next round; this wakes it where the call comes back.
    """

    __slots__ = ("_asyncio_future_blocking", "_call", "_cancelled", "_error", "_result", "_returns", "_wake", "ended")

    def __init__(self, call: Callable[[], T], returns: Returns) -> None:
        self._call = call
        self._returns = returns
        self._asyncio_future_blocking = False
        self._wake: Callable[[], object] | None = None
        self._error: BaseException | None = None
        self._cancelled = False
        self.ended = False

    def run(self) -> None:
        """In the worker thread."""
        try:
            self._result = self._call()
        except BaseException as error:
            self._error = error
        self._returns.put(self.settle)

    def settle(self) -> None:
        """In the loop again."""
        self.ended = True
        self._awake()

    def _awake(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    def __await__(self) -> Generator[Self, None, T]:
        if not self.ended:
            self._cancelled = False
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    def result(self) -> T:
        """What the call returned, or raises what it raised; CancelledError where waiting for it was."""
        if self._cancelled:
            raise asyncio.CancelledError
        if self._error is not None:
            raise RuntimeError("StopIteration left a call") if isinstance(self._error, StopIteration) else self._error
        return self._result

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the task that waits."""
        return self._returns.loop

    def add_done_callback(self, wake: Callable[[Self], object], *, context: Context) -> None:
        """Called by the one task that waits."""
        self._wake = partial(context.run, wake, self)

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002
        """The task is cancelled: it is woken, the call goes on."""
        if self._wake is None:
            return False
        self._cancelled = True
        self._returns.loop.call_soon(self._awake)
        return True


class Service:
    """What the requests of one process share."""

    def __init__(self, server: SoapServer, stages: StageFactory, limits: BodyLimits, pool: Executor) -> None:
        self.server = server
        self.stages = stages
        self.limits = limits
        self.mime_limits = MimeLimits(parts=limits.parts)
        self.staged = Quota(limits.staged_per_peer, limits.staged_total)
        self.held = Quota(max(limits.held_per_peer, limits.message_size), max(limits.held_total, limits.message_size))
        self.busy = 0
        self.shares = Shares(limits.in_flight_per_client, limits.threads_per_client)
        self._post = poster(pool)
        self._returns: Returns | None = None

    async def hop(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run in a worker thread. Cancelled, it still waits for a call that has begun: nothing runs behind our back."""
        if self._returns is None:
            self._returns = Returns()
        hop = _Hop(partial(call, *args, **kwargs), self._returns)
        self._post(hop.run)
        try:
            return await hop
        except asyncio.CancelledError:
            while not hop.ended:
                with suppress(BaseException):
                    await hop
            raise

    async def process(self, incoming: Incoming, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`hop` for the work on a message, refused with 503 when too many are under way, of all or of its client.

        Callers whom a front does not tell apart are not one client.
        """
        if self.busy >= self.limits.in_flight:
            raise Refusal(503, "too many requests are under way, try again", "busy")
        client = incoming.certificate or (None if incoming.peer == UNTOLD else incoming.peer)
        if client is None:
            return await self._count(nullcontext(), call, *args, **kwargs)
        share = self.shares.enter(client)
        try:
            return await self._count(share.turn, call, *args, **kwargs)
        finally:
            self.shares.leave(client, share)

    async def _count(
        self, turn: AbstractAsyncContextManager[None], call: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self.busy += 1
        try:
            async with turn:
                return await self.hop(call, *args, **kwargs)
        finally:
            self.busy -= 1


class Package:
    """One MTOM message while it arrives."""

    def __init__(self, service: Service, body: RequestBody, peer: str | None, incoming: Incoming) -> None:
        self._service = service
        self._body = body
        self._incoming = incoming
        self._deposit = Deposit(service.server, service.stages)
        self._held: Share = service.held.open(peer)
        self._staged: Share = service.staged.open(peer)
        self._root: list[bytes] = []
        self._root_size = 0
        self._in_root = False
        self._root_complete = False
        self._judged = False
        self._work: list[Work] = []
        self._work_size = 0

    async def receive(self, media_type: MediaType) -> Answer:
        """Read the package and process it. Raises Refusal, MimeError, Disconnected; nothing stays staged in any case."""
        splitter = self._splitter(media_type)
        try:
            while data := await self._body.read():
                for event in splitter.feed(data):
                    self._sort(event)
                if self._body.complete:
                    break
                if self._root_complete and not self._judged:
                    answer = await self._service.process(self._incoming, self._judge)
                    self._held.give_back()
                    self._staged.give_back()
                    if answer is not None:
                        return answer
                elif self._work_size >= self._service.limits.block:
                    await self._service.hop(self._deposit.stage, self._take_work())
            splitter.finish()
            return await self._service.process(self._incoming, self._finish)
        finally:
            self._held.give_back()
            self._staged.give_back()
            if self._deposit.staged:
                await self._service.hop(self._deposit.discard)

    def _splitter(self, media_type: MediaType) -> Splitter:
        kind = media_type.parameters.get("type", "").partition(";")[0].strip().lower()
        if kind not in _PACKAGE_TYPES:
            raise Refusal(415, f"Content-Type: type={kind[:80]!r}, expected application/xop+xml", "media-type")
        start = media_type.parameters.get("start")
        return Splitter(
            read_boundary(media_type),
            start=read_content_id(start) if start is not None else None,
            limits=self._service.mime_limits,
        )

    def _sort(self, event: Work) -> None:
        """Keep the root part's bytes, queue the others'."""
        if isinstance(event, PartData):
            size = len(event.data)
            if self._in_root:
                self._root_size += size
                hold(self._held, self._root_size, size, self._service.limits.message_size)
                self._root.append(event.data)
                return
            if not self._root_complete and not self._staged.take(size):
                raise Refusal(413, "too many bytes before the root part is complete; send the root part first", "staging")
            self._work_size += size
        elif isinstance(event, PartBegin):
            self._in_root = event.root
            if event.root:
                self._check_root(event.media_type)
                return
        elif event.root:
            self._in_root, self._root_complete = False, True
            return
        self._work.append(event)

    def _check_root(self, media_type: MediaType) -> None:
        if media_type.name not in _ROOT_TYPES:
            raise Refusal(415, f"root part: Content-Type {media_type.name}, expected application/xop+xml", "media-type")
        self._incoming = replace(
            self._incoming,
            action_hint=self._incoming.action_hint or media_type.parameters.get("action"),
            charset=charset(media_type),
        )

    def _take_work(self) -> Sequence[Work]:
        work, self._work, self._work_size = self._work, [], 0
        return work

    def _judge(self) -> Answer | None:
        """In a worker thread: first phase, then the parts that arrived in the meantime."""
        self._judged = True
        root = b"".join(self._root)
        self._root = []
        reply = self._deposit.judge(root, self._incoming)
        if reply is not None:
            return render(reply, self._service.limits.block)
        self._deposit.stage(self._take_work())
        return None

    def _finish(self) -> Answer:
        """In a worker thread: whatever is still to be done of both phases."""
        if not self._judged:
            answer = self._judge()
            if answer is not None:
                return answer
        else:
            self._deposit.stage(self._take_work())
        return render(self._deposit.finish(), self._service.limits.block)


def hold(held: Share, total: int, size: int, limit: int) -> None:
    if total > limit:
        raise Refusal(413, f"the envelope is larger than {limit} bytes", "size")
    if not held.take(size):
        raise Refusal(503, "too many envelopes are being received, try again", "busy")


def charset(media_type: MediaType) -> str | None:
    name = media_type.parameters.get("charset")
    return _CHARSET_ALIASES.get(name.lower(), name.lower()) if name is not None else None
