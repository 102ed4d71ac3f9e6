"""The spyne application made from transaction descriptors: one service per endpoint, one method per transaction."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from soap._spyne import AnyXml, Application, ServiceBase, rpc
from soap.envelope import Frame
from soap.faults import Fault, internal_error
from soap.protocol import TNS, Route, Soap12Protocol
from soap.transaction import Authenticate, Body, Call, Transaction, WireTolerances

_LOG = logging.getLogger("liasse.soap")
_LONGEST_LOGGED_ID = 100
_FRAMES = 4


class DescriptorError(ValueError):
    """Descriptors that cannot be served together."""


def build_application(
    transactions: Iterable[Transaction],
    endpoints: Mapping[str, str],
    tolerances: WireTolerances,
    authenticate: Authenticate | None = None,
) -> Application:
    """Generate the services. `endpoints` maps request paths to endpoint names. Raises DescriptorError on a contradiction."""
    transactions = tuple(transactions)
    routes = _routes(transactions, endpoints)
    by_endpoint: dict[str, dict[str, Any]] = {}
    for transaction in transactions:
        method = rpc(AnyXml, _returns=AnyXml, _body_style="bare")(_service_method(transaction))
        by_endpoint.setdefault(transaction.endpoint, {})[transaction.method_name] = method
    services = [type(f"Service{n}", (ServiceBase,), methods) for n, methods in enumerate(by_endpoint.values())]
    return Application(
        services,
        tns=TNS,
        name="Liasse",
        in_protocol=Soap12Protocol(endpoints, routes, tolerances, authenticate),
        out_protocol=Soap12Protocol(endpoints, routes, tolerances),
    )


def _routes(transactions: tuple[Transaction, ...], endpoints: Mapping[str, str]) -> dict[tuple[str, str], Route]:
    routes: dict[tuple[str, str], Route] = {}
    numbers: set[str] = set()
    for transaction in transactions:
        if transaction.number in numbers:
            raise DescriptorError(f"Transaction {transaction.number} is described twice, once is expected")
        if transaction.endpoint not in endpoints.values():
            raise DescriptorError(
                f"Transaction {transaction.number}: no path leads to its endpoint {transaction.endpoint!r}"
            )
        numbers.add(transaction.number)
        route = Route(transaction, Frame.for_action(transaction.response_action), f"{{{TNS}}}{transaction.method_name}")
        for action in transaction.request_actions:
            if (transaction.endpoint, action) in routes:
                raise DescriptorError(f"Transaction {transaction.number}: the action {action!r} is taken at its endpoint")
            routes[transaction.endpoint, action] = route
    return routes


def _service_method(transaction: Transaction) -> Callable[[Any, Call], Body | None]:
    def method(ctx: Any, call: Call) -> Body | None:
        try:
            return transaction.handle(call)
        except Exception as error:
            answer = answer_error(call, error)
        if isinstance(answer, Body):
            return answer
        ctx.out_error = answer
        return None

    method.__name__ = method.__qualname__ = transaction.method_name
    method.__doc__ = f"{transaction.title} [{transaction.number}]"
    return method


def answer_error(call: Call, error: Exception) -> Body | Fault:
    """What is sent for an exception of a transaction.

    A Fault is sent as it is. For anything else the transaction is asked for an answer of its own kind; where it has none,
    the caller learns nothing and the log gets the type of the exception.
    """
    if isinstance(error, Fault):
        return error
    try:
        body = call.transaction.refuse(call, error)
    except Fault as fault:
        return fault
    except Exception as defect:
        return report_defect(defect, call.transaction.number, call.message_id)
    return body if body is not None else report_defect(error, call.transaction.number, call.message_id)


def report_defect(error: Exception, transaction: str | None, message_id: str | None) -> Fault:
    """Log a defect of ours, its kind and its place, without the text of the exception, which may quote the message."""
    place = "; ".join(f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__, -_FRAMES))
    known = {"transaction": transaction, "message_id": message_id[:_LONGEST_LOGGED_ID] if message_id else None}
    _LOG.error("internal error", extra={**known, "code": type(error).__qualname__, "rule": place})
    return internal_error()
