"""spyne is imported without leaving traces in the interpreter."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys

from tests.unit.soap.samples import envelope, exchange, server

_PROGRAM = """
import gc, logging, sys, warnings
warnings.simplefilter("error")
import soap.transport
for name in ("no_such_module_at_all", "spyne.no_such_module"):
    try:
        __import__(name)
    except ImportError:
        pass
assert not any(type(f).__name__ == "_SixMetaPathImporter" and f.name == "spyne.util.six" for f in sys.meta_path)
print("clean")
"""


def test_the_import_warns_of_nothing_and_later_imports_neither() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", _PROGRAM], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "clean\n", "")


def test_spyne_logs_nothing() -> None:
    logger = logging.getLogger("spyne.protocol.xml")
    assert not logger.isEnabledFor(logging.CRITICAL)
    assert logging.getLogger("spyne").propagate is False


def test_a_call_leaves_nothing_for_the_collector() -> None:
    on = server()
    data = envelope()
    exchange(data, on=on)
    gc.collect()
    gc.disable()
    try:
        for _ in range(200):
            exchange(data, on=on)
        assert gc.collect() < 200  # a few may come from threads that end meanwhile
    finally:
        gc.enable()
