"""The documentation page of assertions, generated from the tables: `python -m xua.docs`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from xua import algorithms, grammar, shape
from xua.attributes import Attribute
from xua.kinds import vihf_table, xua
from xua.refusal import REASONS, Group, public_fault

PAGE: Final = Path("docs/assertions.md")
_MOST_LISTED: Final = 6
_HEAD: Final = """# Assertions

Made from the tables in `xua/` by `python -m xua.docs`; do not edit by hand.

A caller is known by one signed SAML 2.0 assertion in `wsse:Security`: an IHE XUA assertion of a trusted identity provider,
or a VIHF of the French DMP. What is not in these tables is refused; `liasse assertion explain FILE` says which check fails.

## Order of checks

1. One `wsse:Security` header, in it one assertion and at most one `wsu:Timestamp` that holds now. A BinarySecurityToken or
   a second signature is refused. No comment or processing instruction. No other assertion in the message, no other element
   with its ID.
2. Size: {bytes} bytes, {namespaces} namespace declarations.
3. Shape, before any cryptography: the children of the assertion and of its signature, exclusive canonicalisation, one
   reference to the assertion, the transforms enveloped-signature and exclusive C14N, one X509Data with one to
   {certificates} certificates, the leaf first. A prefix list is accepted in both places.
4. Kind: a VIHF has the attribute VIHF_Version, every other assertion is XUA.
5. The certificates: trusted for this purpose, in date, not revoked, with the key usage and policy of the purpose.
6. The signature, with the key of the leaf. From here on only what it covers is read.
7. The Issuer.
8. Times: the sender's clock may be ahead by `skew`; ends are taken as written; nothing lives longer than `max_age` after its
   IssueInstant. XUA needs Conditions with an end and an audience; a VIHF does not, but what it has must hold.
9. Attributes, identity, the binding to the TLS client certificate, the role, the mode of access.
10. The settings `roles`, `purposes`, `authn_contexts`: every value must be listed, where one is.
11. First use: another TLS client that brings the same assertion is refused; with `one_time`, or OneTimeUse in the assertion,
    every second use.

An assertion that was accepted is remembered by the digest of its bytes; window, certificates, client and number of uses are
checked again at each call.
"""


def page() -> str:
    """The page, in Markdown."""
    head = _HEAD.format(bytes=shape.MOST_BYTES, namespaces=shape.MOST_NAMESPACES, certificates=shape.MOST_CERTIFICATES)
    return "\n".join([head, *_algorithms(), *_vihf(), *_xua(), *_reasons()])


def _algorithms() -> Iterator[str]:
    yield "## Algorithms\n"
    yield "| Use | URI | Condition |"
    yield "|---|---|---|"
    yield f"| canonicalisation | `{algorithms.EXCLUSIVE_C14N}` | |"
    for use, table, condition in (
        ("signature", algorithms.SIGNATURES, ""),
        ("digest", algorithms.DIGESTS, ""),
        ("signature", algorithms.LEGACY_SIGNATURES, "setting `legacy`"),
        ("digest", algorithms.LEGACY_DIGESTS, "setting `legacy`"),
    ):
        for uri in table:
            yield f"| {use} | `{uri}` | {condition} |"
    yield ""


def _vihf() -> Iterator[str]:
    yield f"## VIHF {', '.join(vihf_table.EDITIONS)}\n"
    yield "| Part | Number | Check | Reasons |"
    yield "|---|---|---|---|"
    for element in vihf_table.ELEMENTS:
        reasons = ", ".join(f"`{reason}`" for reason in element.reasons)
        yield f"| `{element.place}` | {element.needed} | {element.check} | {reasons} |"
    yield "\nAttributes; those that an edition does not know are ignored in it. *Acces_Regulation_Medicale* is a claim of"
    yield "Pro Santé Connect and no attribute of an assertion.\n"
    yield from _rows(vihf_table.ATTRIBUTES, vihf_table.EDITIONS)


def _xua() -> Iterator[str]:
    yield "## XUA\n"
    yield f"Confirmation methods: `{xua.BEARER}` (also where none is given) and"
    yield f"`{xua.HOLDER_OF_KEY}`, whose certificate must be the TLS client's.\n"
    yield from _rows(xua.ATTRIBUTES, ())


def _rows(rows: tuple[Attribute, ...], editions: tuple[str, ...]) -> Iterator[str]:
    yield "| Attribute | Meaning | Form | Number | Required | Values | Check |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        names = " or ".join(f"`{name}`" for name in row.names)
        form = row.form.value + (f" `{row.element[0]}`" if row.element else "")
        number = f"1..{row.most}" if row.most > 1 else "1"
        notes = "; ".join(part for part in (row.condition, row.check) if part)
        yield f"| {names} | {row.meaning} | {form} | {number} | {_required(row, editions)} | {_values(row)} | {notes} |"
    yield ""


def _required(row: Attribute, editions: tuple[str, ...]) -> str:
    known = "" if "*" in row.editions else f" (of {', '.join(sorted(row.editions))})"
    if not row.needed:
        return "no" + known
    needed = [edition for edition in editions if row.needed_in(edition)]
    return "yes" if len(needed) == len(editions) else ", ".join(needed)


def _values(row: Attribute) -> str:
    parts = []
    if row.values:
        values = sorted(row.values)
        shown = ", ".join(f"`{value}`" for value in values[:_MOST_LISTED])
        parts.append(shown + (f" … ({len(values)})" if len(values) > _MOST_LISTED else ""))
    if row.systems:
        parts.append("of " + ", ".join(f"`{system}`" for system in sorted(row.systems)))
    if row.pattern:
        parts.append("`" + row.pattern.replace("|", "\\|") + "`")
    return " ".join(parts)


def _reasons() -> Iterator[str]:
    yield "## Reasons of refusal\n"
    yield "The reason and what was found go to the security log. The sender is told the fault only, one for each group.\n"
    yield "| Reason | Meaning | WS-Security fault | DMP fault |"
    yield "|---|---|---|---|"
    for word, reason in REASONS.items():
        ours, dmp = public_fault(word, "wsse"), public_fault(word, "dmp")
        yield f"| `{word}` | {reason.meaning} | `wsse:{ours.local}` | `soap:{dmp.local}` |"
    yield "\n| Group | Text (WS-Security) | Text (DMP) |"
    yield "|---|---|---|"
    for group in Group:
        word = next(word for word, reason in REASONS.items() if reason.group is group)
        yield f"| {group.value} | {public_fault(word, 'wsse').text} | {public_fault(word, 'dmp').text} |"
    yield f"\nA text in an assertion has at most {grammar.LONGEST_TEXT} characters.\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the page; with `--check`, only say whether it is in step (exit code 1 when it is not)."""
    parser = argparse.ArgumentParser(prog="python -m xua.docs", description=main.__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("path", nargs="?", type=Path, default=PAGE)
    options = parser.parse_args(arguments)
    if options.check:
        return 0 if options.path.is_file() and options.path.read_text(encoding="utf-8") == page() else 1
    options.path.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
