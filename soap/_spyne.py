"""The one door to spyne 2.14.0: what the interpreter needs before it can be imported, and the names the layer uses.

spyne carries an old copy of six whose importer lacks `find_spec`: from Python 3.12 on it no longer finds `six.moves`, on
3.11 every later failing import of anybody warns. The modules are therefore taken from the `six` distribution and the old
importer is removed. spyne also warns while it is imported (`cgi`) and logs whole messages.
"""

from __future__ import annotations

import importlib
import logging
import sys
import warnings

_MOVED = ("", ".collections_abc", ".http_cookies", ".urllib", ".urllib.error", ".urllib.parse", ".urllib.request")


def _register_six_moves() -> None:
    for name in _MOVED:
        sys.modules.setdefault("spyne.util.six.moves" + name, importlib.import_module("six.moves" + name))


def _remove_old_importer() -> None:
    sys.meta_path[:] = [
        finder
        for finder in sys.meta_path
        if not (type(finder).__name__ == "_SixMetaPathImporter" and getattr(finder, "name", "") == "spyne.util.six")
    ]


def _silence() -> None:
    """Nothing of spyne reaches a log: it writes messages as received, at ERROR when they are not well-formed."""
    logger = logging.getLogger("spyne")
    logger.handlers[:] = [logging.NullHandler()]
    logger.propagate = False
    logger.setLevel(logging.CRITICAL + 1)


_register_six_moves()
_silence()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from spyne import AnyXml, Application, MethodContext, ServiceBase, rpc
    from spyne.protocol.soap.soap12 import Soap12
    from spyne.server import ServerBase
_remove_old_importer()

__all__ = ["AnyXml", "Application", "MethodContext", "ServerBase", "ServiceBase", "Soap12", "rpc"]
