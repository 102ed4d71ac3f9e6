"""No patient data reaches a log line, whoever writes it."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog

from liasse.logs import ALLOWED, configure_logging, log_line
from liasse.packages import PACKAGES

ROOT = Path(__file__).resolve().parents[3]
SENTINEL = "Zébulon-Sentinelle"


@pytest.fixture
def out() -> io.StringIO:
    stream = io.StringIO()
    configure_logging("debug", "json", stream)
    return stream


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_allowed_keys_are_written_and_all_others_dropped(out: io.StringIO) -> None:
    structlog.get_logger().info("answered", transaction="ITI-18", duration=0.25, patient=SENTINEL, title=SENTINEL)
    (line,) = lines(out)
    assert {key: line[key] for key in ("event", "level", "transaction", "duration")} == {
        "event": "answered",
        "level": "info",
        "transaction": "ITI-18",
        "duration": 0.25,
    }
    assert set(line) <= ALLOWED


def test_values_are_plain_and_short(out: io.StringIO) -> None:
    structlog.get_logger().info("x", peer="a" * 500, rule={"name": SENTINEL}, code=("E1", SENTINEL.encode()), count=None)
    (line,) = lines(out)
    assert line["peer"] == "a" * 200 + "..."
    assert line["rule"] == "<dict>"
    assert line["code"] == ["E1", "<bytes>"]
    assert line["count"] is None


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("text", ["a\r\nb", "\x1b[2J", "\u202egpj.exe", "\x00", "<85>1", "\u2028", "${jndi:ldap://h}"])
def test_control_and_direction_characters_are_escaped(form: Any, text: str) -> None:
    stream = io.StringIO()
    configure_logging("info", form, stream)
    structlog.get_logger().info("refused", message_id=f"x{text}y", code="E")
    written = stream.getvalue()
    assert written.count("\n") == 1
    assert written.isascii()
    assert all(character == "\n" or character.isprintable() for character in written)


def test_an_exception_shows_types_and_places_without_values(out: io.StringIO) -> None:
    try:
        try:
            raise ValueError(f"name {SENTINEL}")
        except ValueError as error:
            raise RuntimeError(SENTINEL) from error
    except RuntimeError:
        structlog.get_logger().exception("failed", code="E")
    (line,) = lines(out)
    assert line["exception"] == "builtins.RuntimeError < builtins.ValueError"
    assert line["level"] == "error"
    assert "test_logs.py" in line["frames"][0]
    assert "Sentinelle" not in out.getvalue()


def test_an_exception_given_as_a_value_is_shown_the_same_way(out: io.StringIO) -> None:
    error = KeyError(SENTINEL)
    error.__context__ = error
    structlog.get_logger().error("failed", exc_info=error)
    assert lines(out)[0]["exception"] == "builtins.KeyError"


def test_the_text_of_libraries_is_withheld(out: io.StringIO) -> None:
    log = logging.getLogger("sqlalchemy.engine.Engine")
    try:
        raise OSError(SENTINEL)
    except OSError:
        log.exception("INSERT %s", SENTINEL)
    log.warning(SENTINEL)
    log.info(SENTINEL)
    logging.getLogger("spyne.protocol.xml").debug(SENTINEL)
    first, second = lines(out)
    assert (first["logger"], first["level"], first["exception"]) == ("sqlalchemy.engine.Engine", "error", "builtins.OSError")
    assert second["level"] == "warning"
    assert "Sentinelle" not in out.getvalue()


def test_handlers_that_libraries_brought_are_removed(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("library.with.handler")
    log.addHandler(logging.StreamHandler(sys.stdout))
    log.propagate = False
    configure_logging("debug", "json", io.StringIO())
    log.error(SENTINEL)
    assert SENTINEL not in capsys.readouterr().out


def test_warnings_are_withheld_too(out: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(SENTINEL, stacklevel=1)
    assert [line["logger"] for line in lines(out)] == ["py.warnings"]
    assert "Sentinelle" not in out.getvalue()


def test_the_level_is_respected() -> None:
    stream = io.StringIO()
    configure_logging("warning", "console", stream)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud", peer="10.0.0.1", code="a b", count=2)
    assert stream.getvalue().split(" ", 1)[1] == 'warning loud code="a b" count=2 peer=10.0.0.1\n'


def test_an_exception_that_ends_a_process_or_a_thread_shows_no_value() -> None:
    program = (
        "import threading\n"
        "from liasse.logs import configure_logging\n"
        "configure_logging('info', 'console')\n"
        "def work():\n"
        f"    raise ValueError({SENTINEL!r})\n"
        "thread = threading.Thread(target=work)\n"
        "thread.start()\n"
        "thread.join()\n"
        "work()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert "an exception ended a thread exception=builtins.ValueError" in done.stderr
    assert "an exception ended the process exception=builtins.ValueError" in done.stderr
    assert "Sentinelle" not in done.stderr


def test_our_own_records_keep_their_constant_text_and_lose_their_arguments(out: io.StringIO) -> None:
    given = {"code": "E1", "patient": SENTINEL}
    logging.getLogger("database.sqlite").info("closed at 100 %% without %s: %s", SENTINEL, OSError(SENTINEL), extra=given)
    (line,) = lines(out)
    assert (line["level"], line["code"]) == ("info", "E1")
    assert line["event"] == "closed at 100 %% without %s: %s"
    assert (line["logger"], line["exception"]) == ("database.sqlite", "builtins.OSError")
    assert "Sentinelle" not in out.getvalue()


def calls_of_loggers() -> Iterator[tuple[str, bool, ast.Call]]:
    """Every call `log.level(...)` of the packages: its place, whether the logger is structlog's, the call."""
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
                levels = {"debug", "info", "warning", "error", "exception", "critical"}
                if node.func.value.id in {"log", "_log", "logger", "LOG"} and node.func.attr in levels:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", "structlog" in text, node


def test_events_are_constant_text_and_keys_are_allowed_everywhere() -> None:
    wrong = []
    for place, structured, call in calls_of_loggers():
        constant = bool(call.args) and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
        constant = constant and not (structured and len(call.args) > 1)  # structlog would format them into the text
        keys = {keyword.arg for keyword in call.keywords} - {"exc_info"}
        given = next((keyword.value for keyword in call.keywords if keyword.arg == "extra"), None)
        if isinstance(given, ast.Dict) and not structured:
            keys = (keys - {"extra"}) | {ast.literal_eval(key) if key else "**" for key in given.keys}
        if not constant or not keys <= ALLOWED:
            wrong.append(f"{place}: event constant: {constant}, keys not allowed: {sorted(map(str, keys - ALLOWED))}")
    assert not wrong


def test_the_line_of_a_request_is_that_of_structlog_and_as_bounded() -> None:
    values: dict[str, Any] = {
        "bytes_in": 1,
        "code": "é\n" * 300,
        "count": None,
        "duration": 0.000123,
        "job": 'a"\\\u2028é\x7f',
        "number": True,
        "peer": object(),
        "port": [1, "a"],
        "secret": "SENTINEL",
        "size": float("inf"),
        "status": 10**20,
    }
    lines = []
    for log in (lambda **given: structlog.get_logger().info("POST /registry", **given), partial(log_line, "POST /registry")):
        out = io.StringIO()
        configure_logging("info", "json", out)
        log(**values)
        lines.append(json.loads(out.getvalue()))
        assert list(lines[-1]) == ["time", "level", "event", *(key for key in values if key != "secret")]
        assert out.getvalue().isascii()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", lines[-1].pop("time"))
    assert lines[0] == lines[1]


@pytest.mark.parametrize(("level", "form", "written"), [("warning", "json", False), ("info", "console", True)])
def test_the_line_of_a_request_obeys_level_and_form(level: Any, form: Any, written: bool) -> None:
    out = io.StringIO()
    configure_logging(level, form, out)
    log_line("POST /registry", status=200)
    assert ("POST /registry" in out.getvalue()) is written
