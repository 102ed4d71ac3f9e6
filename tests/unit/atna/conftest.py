"""Certificates for all tests of audit messages."""

from __future__ import annotations

import pytest

from tests.audit_side import Certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A collector's and ours."""
    return Certificates.make(tmp_path_factory.mktemp("audit") / "pki")
