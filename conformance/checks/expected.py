"""The checks that a case names: what this answer, to this request, has to say.

Source: given with each check; a case may cite a narrower clause.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from conformance import vocabulary as v
from conformance.answer import Answer
from conformance.checks.registry import Facts, Findings, check, compare_sets
from conformance.ebrim import KINDS
from conformance.findings import Level, shown


def _errors(answer: Answer) -> str:
    """The errors of an answer, for a message."""
    if answer.fault is not None:
        return f"a SOAP fault {answer.fault.code}: {shown(answer.fault.reason)}"
    if answer.result is None:
        return f"no readable result, HTTP status {answer.http.status}"
    return "; ".join(f"{error.code} ({shown(error.context, 160)})" for error in answer.result.errors) or "no error"


@check("status", "ITI TF-3 4.2.4.1", {"is": str})
def status(answer: Answer, arguments: Mapping[str, Any], _facts: Facts, findings: Findings) -> None:
    """The status is Success, Failure or PartialSuccess."""
    expected = v.STATUSES.get(arguments["is"], arguments["is"])
    found = "" if answer.result is None else answer.result.status
    if found != expected:
        findings.add(f"status {expected}", f"{shown(found)}, {_errors(answer)}")


@check("error", "ITI TF-3 4.2.4.1", {"codes": list}, {"location": str, "count": int})
def error(answer: Answer, arguments: Mapping[str, Any], _facts: Facts, findings: Findings) -> None:
    """At least one error carries one of the codes (exactly `count`); `location`, where one of them should be placed."""
    codes = arguments["codes"]
    matching = [item for item in (answer.result.errors if answer.result else ()) if item.code in codes]
    if not matching:
        findings.add(f"an error with the code {' or '.join(codes)}", _errors(answer))
        return
    if "count" in arguments and len(matching) != arguments["count"]:
        findings.add(
            f"{arguments['count']} errors with the code {' or '.join(codes)}", f"{len(matching)}: {_errors(answer)}"
        )
    if "location" in arguments and arguments["location"] not in {item.location for item in matching}:
        found = ", ".join(shown(item.location) for item in matching)
        findings.add(f"the location {arguments['location']!r} with {' or '.join(codes)}", found, Level.SHOULD)


@check("mentions", "ITI TF-3 4.2.4.1 (codeContext)", {"words": list})
def mentions(answer: Answer, arguments: Mapping[str, Any], _facts: Facts, findings: Findings) -> None:
    """Every word occurs in the codeContext or location of some error, whatever its case."""
    errors = answer.result.errors if answer.result else ()
    text = "\n".join(f"{item.context}\n{item.location}" for item in errors).lower()
    missing = [word for word in arguments["words"] if word.lower() not in text]
    if missing:
        findings.add(f"errors that name {', '.join(missing)}", _errors(answer))


@check("fault", "SOAP 1.2 part 1, 5.4", {"code": str}, {"subcode": str})
def fault(answer: Answer, arguments: Mapping[str, Any], _facts: Facts, findings: Findings) -> None:
    """A SOAP fault with this code, and the local name of a subcode, compared with their namespaces."""
    wanted = f"{{{v.SOAP12}}}{arguments['code']}"
    if answer.fault is None:
        result = "" if answer.result is None else f" with status {answer.result.status}"
        findings.add(f"a SOAP fault {arguments['code']}", (", ".join(answer.children) or "no envelope") + result)
        return
    if answer.fault.code != wanted:
        findings.add(f"fault code {wanted}", f"{shown(answer.fault.code)}, reason {shown(answer.fault.reason)}")
    if not answer.fault.reason:
        findings.add("a Reason with a text", "none")
    subcode = arguments.get("subcode")
    if subcode and f"{{{v.WSA}}}{subcode}" not in answer.fault.subcodes:
        findings.add(f"fault subcode {{{v.WSA}}}{subcode}", ", ".join(answer.fault.subcodes) or "none")


@check("objects", "ITI TF-2 3.18.4.1.3", {"kind": str}, {"count": int, "unique_ids": list, "ids": list})
def objects(answer: Answer, arguments: Mapping[str, Any], _facts: Facts, findings: Findings) -> None:
    """Exactly these objects of a kind came: by number, by uniqueId, by id."""
    kind = arguments["kind"]
    if kind not in KINDS:
        findings.add(f"a kind out of {', '.join(KINDS)} in the plan", shown(kind))
    found = answer.of_kind(kind)
    if "count" in arguments and len(found) != arguments["count"]:
        names = ", ".join(item.value("uniqueId") or item.id for item in found)
        findings.add(f"{arguments['count']} of kind {kind}", f"{len(found)} ({names or _errors(answer)})")
    if "unique_ids" in arguments:
        compare_sets(findings, f"{kind} with uniqueId", arguments["unique_ids"], [item.value("uniqueId") for item in found])
    if "ids" in arguments:
        compare_sets(findings, f"{kind} with id", arguments["ids"], [item.id for item in found])


@check(
    "attribute",
    "ITI TF-3 4.2.3",
    {"of": str, "name": str},
    {"is": str, "values": list, "matches": str, "same_as": str, "differs": str, "after": str},
)
def attribute(answer: Answer, arguments: Mapping[str, Any], _facts: Facts, findings: Findings) -> None:
    """An attribute of the object with the uniqueId or id `of`: its value, all values, a pattern, or like another attribute.

    `same_as` names another attribute of the same object; `differs` is a value it must not have; `after` a time (or any
    text) that it must not be less than.
    """
    name, wanted = arguments["name"], arguments["of"]
    found = [item for item in answer.objects if wanted in (item.value("uniqueId"), item.id)]
    if not found:
        findings.add(f"an object {wanted} with the attribute {name}", f"no such object, {_errors(answer)}")
    for item in found:
        what, values, value = f"{name} of {item.kind} {wanted}", item.values(name), item.value(name)
        if "is" in arguments and values != (arguments["is"],):
            findings.add(f"{what} = {arguments['is']}", shown(", ".join(values) or "none"))
        if "values" in arguments:
            compare_sets(findings, what, arguments["values"], values)
        if "matches" in arguments and not re.fullmatch(arguments["matches"], value):
            findings.add(f"{what} matching {arguments['matches']}", shown(value))
        if "same_as" in arguments and value != item.value(arguments["same_as"]):
            findings.add(f"{what} = its {arguments['same_as']} {item.value(arguments['same_as'])}", shown(value))
        if "differs" in arguments and value == arguments["differs"]:
            findings.add(f"{what} other than {arguments['differs']}", shown(value))
        if "after" in arguments and value < arguments["after"]:
            findings.add(f"{what} not before {arguments['after']}", shown(value))


@check(
    "association",
    "ITI TF-3 4.2.2",
    {"type": str},
    {"source": str, "target": str, "count": int, "set_status": str},
)
def association(answer: Answer, arguments: Mapping[str, Any], _facts: Facts, findings: Findings) -> None:
    """So many associations (1 unless said) of a type between two ids."""
    kind = v.ASSOCIATIONS.get(arguments["type"], arguments["type"])
    attributes = {
        "associationType": kind,
        "sourceObject": arguments.get("source"),
        "targetObject": arguments.get("target"),
        "SubmissionSetStatus": arguments.get("set_status"),
    }
    found = [
        item
        for item in answer.of_kind("association")
        if all(value is None or item.value(name) == value for name, value in attributes.items())
    ]
    wanted = arguments.get("count", 1)
    if len(found) != wanted:
        shape = ", ".join(f"{name} {value}" for name, value in attributes.items() if value is not None)
        others = "; ".join(
            f"{item.value('associationType').rpartition(':')[2]} {item.value('sourceObject')} → {item.value('targetObject')}"
            for item in answer.of_kind("association")
        )
        findings.add(f"{wanted} association with {shape}", f"{len(found)} of {others or _errors(answer)}")


@check("document", "ITI TF-2 3.43.4.2", {"unique_id": str, "same_as": str})
def document(answer: Answer, arguments: Mapping[str, Any], facts: Facts, findings: Findings) -> None:
    """The document came once, byte for byte as it was sent (`same_as` is its key)."""
    unique_id, sent = arguments["unique_id"], facts.contents[arguments["same_as"]]
    found = [item for item in answer.documents if item.unique_id == unique_id]
    if len(found) != 1:
        findings.add(f"one DocumentResponse for {unique_id}", f"{len(found)}, {_errors(answer)}")
        return
    data = found[0].data
    if data == sent:
        return
    expected = f"the {len(sent)} bytes sent for {unique_id}, SHA-1 {_sha1(sent)}"
    if data is None:
        findings.add(expected, "content that cannot be read")
        return
    first = next((index for index, pair in enumerate(zip(data, sent, strict=False)) if pair[0] != pair[1]), None)
    where = f"the first difference at byte {first}" if first is not None else "a different length"
    findings.add(expected, f"{len(data)} bytes, SHA-1 {_sha1(data)}, {where}")


@check("documents", "ITI TF-2 3.43.4.2", {"count": int})
def documents(answer: Answer, arguments: Mapping[str, Any], _facts: Facts, findings: Findings) -> None:
    """So many DocumentResponse elements."""
    if len(answer.documents) != arguments["count"]:
        names = ", ".join(item.unique_id for item in answer.documents)
        findings.add(f"{arguments['count']} documents", f"{len(answer.documents)} ({names or _errors(answer)})")


@check("parts", "ITI TF-2 Appendix V.3.6; XOP", {"count": int})
def parts(answer: Answer, arguments: Mapping[str, Any], _facts: Facts, findings: Findings) -> None:
    """The package has so many parts, the root included."""
    found = 0 if answer.package is None else 1 + len(answer.package.others)
    if found != arguments["count"]:
        findings.add(f"a package of {arguments['count']} parts", f"{found} parts" if found else "no package")


def _sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
