"""Who the authors of an object are, as `identifier^authority`: what access rules compare, whatever the names look like.

Source: IHE ITI TF-3 4.2.3.1.7 (XCN.1 and XCN.9.2; XON.10 and XON.6.2).
"""

from __future__ import annotations

from collections.abc import Iterable

from xds_metadata.model import Author


def persons(authors: Iterable[Author]) -> list[str]:
    """The identities of author persons that have an identifier, sorted, once each."""
    return sorted({found for author in authors if author.person and (found := _identity(author.person, 0, 8))})


def institutions(authors: Iterable[Author]) -> list[str]:
    """The identities of author institutions that have an identifier, sorted, once each."""
    return sorted({found for author in authors for text in author.institutions if (found := _identity(text, 9, 5))})


def _identity(text: str, identifier: int, authority: int) -> str:
    """From an XCN or XON that the metadata rules accepted; empty where it has no identifier."""
    parts = text.split("^")
    if len(parts) <= identifier or not parts[identifier]:
        return ""
    named = parts[authority].split("&") if len(parts) > authority else ()
    return f"{parts[identifier]}^{named[1] if len(named) > 1 else ''}"
