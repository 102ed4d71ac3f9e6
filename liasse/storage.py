"""Making the storage of an instance: folders, document store, database with its tables."""

from __future__ import annotations

from pathlib import Path

from database.engine import open_database
from database.migrate import init_database
from database.schema import current_schema
from liasse.settings import Settings
from liasse.wiring import file_store


def init_storage(settings: Settings) -> None:
    """Make what is missing; what exists stays. Raises DatabaseError, StoreError, OSError."""
    settings.storage.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = file_store(settings)
    try:
        store.init()
    finally:
        store.close()
    init_database(settings.storage.database_place).close()


def is_new(settings: Settings) -> bool:
    """Whether nothing was ever stored: no database, or one without tables. Raises DatabaseError."""
    place = settings.storage.database_place
    if "://" not in place:
        return not Path(place).exists()
    with open_database(place, create=True) as database:
        return current_schema(database) is None
