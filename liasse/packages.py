"""The top-level packages of the distribution. They have plain names and live in an environment of their own."""

from __future__ import annotations

PACKAGES = (
    "access_control",
    "atna",
    "cda",
    "conformance",
    "database",
    "dmp",
    "ebrim",
    "journal",
    "liasse",
    "pki",
    "schemas",
    "soap",
    "xds_metadata",
    "xds_registry",
    "xds_repository",
    "xmlsafe",
    "xua",
)
