"""Logging: structured lines on standard error that can hold no patient data.

A line has an event, which is constant text in the source, and values under the keys of `ALLOWED`; every other key is
dropped, and so are the arguments of our own records of the logging module. Records of libraries, which may quote what they
were given, are reduced to the name of their logger and the kind of exception. Tracebacks give places and exception types,
never messages or values. Control and non-ASCII characters are escaped.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from math import isfinite
from types import TracebackType
from typing import Any, Literal, TextIO

import structlog

from liasse.packages import PACKAGES

ALLOWED = frozenset({
    "address", "background", "bytes_in", "bytes_out", "code", "count", "delay", "detail", "duration", "event",
    "exception", "frames", "job", "level", "logger", "message_id", "number", "peer", "pid", "port", "profile", "rule",
    "setting", "signal", "size", "status", "time", "transaction", "version", "worker", "workers",
})  # fmt: skip
"""The only keys that reach the log. `message_id` is a wsa:MessageID or MSH-10, `peer` a network address, `code` an error
code, `rule` the id of a rule, `duration` seconds, sizes bytes. `detail` is for the security log alone: what a certificate or
an assertion was refused for, in words that name no patient."""

SECURITY_LOG = "liasse.security"

_EVERYWHERE = ALLOWED - {"detail"}
_EXTRA = _EVERYWHERE - {"event", "level", "logger", "time", "exception", "frames"}
_SILENCED = frozenset({"spyne"})
"""Loggers that their user has switched off for good: spyne logs whole messages."""
_LONGEST = 200
_MOST_FRAMES = 30
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

Event = MutableMapping[str, Any]


def configure_logging(
    level: Literal["debug", "info", "warning", "error"], form: Literal["json", "console"], stream: TextIO | None = None
) -> None:
    """Set up structlog and the logging module of this process. `stream` is standard error unless given."""
    out = stream or sys.stderr
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _stamp,
        _exception,
        allow,
        render_json if form == "json" else render_text,
    ]
    _direct.processors, _direct.out, _direct.level = processors, out, _LEVELS[level]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(_Withhold())
    root.setLevel(logging.WARNING)
    for logger in [logging.getLogger(name) for name in logging.root.manager.loggerDict if name not in _SILENCED]:
        logger.handlers.clear()
        logger.propagate = True
    for package in PACKAGES:
        logging.getLogger(package).setLevel(_LEVELS[level])
    logging.captureWarnings(capture=True)
    sys.excepthook = _unhandled
    threading.excepthook = _unhandled_in_thread


@dataclass
class _Direct:
    """Where `log_line` writes. It steps aside when somebody changed the chain of processors."""

    processors: list[Any] = field(default_factory=list)
    out: TextIO | None = None
    level: int = logging.CRITICAL


_direct = _Direct()
_ENCODE = json.JSONEncoder(ensure_ascii=True).encode


def log_line(event: str, **values: object) -> None:
    """A line at level info, the same as structlog's, for what is logged with every request: a quarter of the time.

    `values` are given in the order of their names.
    """
    processors = _direct.processors
    if _direct.out is None or not processors or processors[-1] is not render_json:
        structlog.get_logger().info(event, **values)
    elif _direct.level <= logging.INFO:
        seconds, thousandths = divmod(time.time_ns() // 1_000_000, 1000)
        line = [f'{{"time": "{_second(seconds)}.{thousandths:03}Z", "level": "info", "event": {_json(event)}']
        line += [f'"{key}": {_json(value)}' for key, value in values.items() if key in ALLOWED]
        _direct.out.write(", ".join(line) + "}\n")
        _direct.out.flush()


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _json(value: object) -> str:
    """A value as `allow` leaves it, in JSON."""
    kind = type(value)
    if kind is str and len(value) <= _LONGEST:  # type: ignore[arg-type]
        return encode_basestring_ascii(value)  # type: ignore[arg-type]
    if value is None:
        return "null"
    return repr(value) if kind is int or (kind is float and isfinite(value)) else _ENCODE(_plain(value))  # type: ignore[arg-type]


class _Withhold(logging.Handler):
    """The logging module: our own packages' constant text and `extra` without arguments; of libraries who and what kind."""

    def emit(self, record: logging.LogRecord) -> None:
        own = record.name.partition(".")[0] in PACKAGES
        if not own and record.levelno < logging.WARNING:
            return
        event = str(record.msg) if own else "a library reported; its text is withheld"
        given = [value for value in record.args or () if isinstance(value, BaseException)]
        error = (record.exc_info[1] if record.exc_info else None) or (given[0] if given else None)
        extra = {key: value for key, value in vars(record).items() if own and key in _EXTRA}
        structlog.get_logger().log(record.levelno, event, **extra, logger=record.name, exc_info=error)


def _stamp(_logger: Any, method: str, event: Event) -> Event:
    event["level"] = {"exception": "error", "warn": "warning"}.get(method, method)
    event["time"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _exception(_logger: Any, method: str, event: Event) -> Event:
    """Replace exception information by the types of the chain and the places of the innermost exception's stack."""
    given = event.pop("exc_info", method == "exception")
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else None
    if given is True:
        error = sys.exc_info()[1]
    if error is not None:
        chain = list(_chain(error))
        event["exception"] = " < ".join(f"{type(each).__module__}.{type(each).__qualname__}" for each in chain)
        event["frames"] = [
            f"{frame.f_code.co_filename.rsplit('site-packages/', 1)[-1]}:{line} {frame.f_code.co_name}"
            for frame, line in list(traceback.walk_tb(chain[-1].__traceback__))[-_MOST_FRAMES:]
        ]
    return event


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception, then what it was raised from or while handling, each once."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def allow(_logger: Any, _method: str, event: Event) -> Event:
    """Keep the allowed keys only, numbers as they are, text cut at 200 characters, anything else by the name of its type."""
    keys = ALLOWED if event.get("logger") == SECURITY_LOG else _EVERYWHERE
    return {key: _plain(value) for key, value in event.items() if key in keys}


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else value[:_LONGEST] + "..."
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value[:_MOST_FRAMES]]
    return f"<{type(value).__name__}>"


def render_json(_logger: Any, _method: str, event: Event) -> str:
    """One JSON object, ASCII only."""
    return json.dumps({key: event[key] for key in sorted(event, key=_order)}, ensure_ascii=True)


def render_text(_logger: Any, _method: str, event: Event) -> str:
    """One line for people: time, level, event, then key=value. Values are escaped as in JSON."""
    head = f"{event.get('time', '')} {event.get('level', ''):<7} {json.dumps(str(event.get('event', '')))[1:-1]}"
    rest = [f"{key}={_value(event[key])}" for key in sorted(event) if key not in {"time", "level", "event", "frames"}]
    frames = [f"    {_value(frame)}" for frame in event.get("frames", ())]
    return "\n".join([" ".join([head, *rest]), *frames])


def _value(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True)
    plain = isinstance(value, str) and value and not set(text[1:-1]) & set(' "=\\')
    return text[1:-1] if plain else text


def _order(key: str) -> tuple[int, str]:
    first = ("time", "level", "event")
    return (first.index(key) if key in first else len(first), key)


def _unhandled(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    if not isinstance(error, KeyboardInterrupt):
        structlog.get_logger().error("an exception ended the process", exc_info=error)


def _unhandled_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        structlog.get_logger().error("an exception ended a thread", exc_info=args.exc_value)
