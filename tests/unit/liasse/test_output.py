"""How commands show metadata to people."""

from __future__ import annotations

import pytest

from liasse.commands.find import author_text
from liasse.commands.output import size_text, time_text
from xds_metadata.model import Author


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (15_053, "15.1 kB"), (52_428_800, "52.4 MB")]
)
def test_sizes(size: int, shown: str) -> None:
    assert size_text(size) == shown


@pytest.mark.parametrize(
    ("dtm", "shown"),
    [
        (None, ""),
        ("2024", "2024"),
        ("202403", "2024-03"),
        ("20240301", "2024-03-01"),
        ("202403010900", "2024-03-01 09:00"),
        ("20240301090002", "2024-03-01 09:00:02"),
    ],
)
def test_times(dtm: str | None, shown: str) -> None:
    assert time_text(dtm) == shown


@pytest.mark.parametrize(
    ("author", "shown"),
    [
        (Author("899^TEST^Demo^^^DR^^^&1.2.3&ISO^D^^^IDNPS", ("CENTRE^^^^^&1.2.3&ISO^IDNST^^^1",)), "DR Demo TEST, CENTRE"),
        (Author("899^^^^^^^^&1.2.3&ISO"), "899"),
        (Author(None, ("CENTRE",)), "CENTRE"),
        (Author(None, ("CENTRE^^^^^^^^^^^^^x",)), "CENTRE^^^^^^^^^^^^^x"),
        (Author("not a person ^^^^^^^^^^^^^^^^^^^x"), "not a person ^^^^^^^^^^^^^^^^^^^x"),
        (Author(), ""),
    ],
)
def test_authors(author: Author, shown: str) -> None:
    assert author_text(author) == shown
