"""The same running servers as for the tests over the wire."""

from tests.e2e.conftest import make_server

__all__ = ["make_server"]
