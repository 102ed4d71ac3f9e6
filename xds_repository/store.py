"""What a document store may answer besides bytes. Blobs are named by the SHA-256 of their content, lower-case hex.

Messages carry no file name and no identifier of a document: they may be logged.
"""

from __future__ import annotations


class StoreError(Exception):
    """Any failure of the document store."""


class StoreFull(StoreError):
    """No space, or less than must stay free: nothing was stored; reading goes on."""


class StoreUnavailable(StoreError):
    """The store cannot be used now (input/output error, not initialised): what was to be stored is not."""


class BlobMissing(StoreError):
    """The store has no such blob, or has put it into quarantine."""


class BlobCorrupt(StoreError):
    """The bytes are not those that were stored; they must not be used."""
