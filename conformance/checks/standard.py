"""The checks that run on every answer without being named: transport, package, envelope, addressing, status, objects.

Source: ITI TF-2 Appendix V.3, 3.18, 3.41, 3.42, 3.43; ITI TF-3 4.2.4 and 4.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from conformance import mime
from conformance import vocabulary as v
from conformance.answer import MIME_CLAUSE, SOAP_CLAUSE, Answer
from conformance.checks.registry import Facts, Findings
from conformance.ebrim import RegistryObject
from conformance.findings import Finding, Level, shown

_UUID: Final = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LEAK: Final = re.compile(r"Traceback \(most recent|\.(?:py|java|cs)(?:\"|:\d|, line)|\bat [\w.$]+\([\w.]+:\d+\)")

StandardCheck = Callable[[Answer, Facts, Findings], None]


def run_standard(answer: Answer, facts: Facts) -> tuple[list[str], list[Finding]]:
    """The names of the checks that were evaluated, and all findings, those of reading the answer first."""
    found = list(answer.problems)
    names = ["reading"]
    for name, clause, function in _STANDARD:
        findings = Findings(name, clause)
        function(answer, facts, findings)
        names.append(name)
        found += findings.found
    return names, found


def _http_status(answer: Answer, _facts: Facts, findings: Findings) -> None:
    status = answer.http.status
    if answer.fault is not None:
        if status not in (400, 500):
            findings.add("HTTP status 400 or 500 with a SOAP fault", str(status))
    elif status != 200:
        findings.add("HTTP status 200", f"{status} {answer.http.reason}")


def _media_type(answer: Answer, facts: Facts, findings: Findings) -> None:
    name = answer.media_type.name
    if answer.fault is not None:
        if answer.package is None and name != mime.SOAP_TYPE:
            findings.add(f"Content-Type {mime.SOAP_TYPE} (or an MTOM package) with a fault", shown(name))
    elif facts.transaction in v.MTOM:
        if answer.package is None:
            findings.add(f"an MTOM package (multipart/related), because {facts.transaction} answers MTOM", shown(name))
        else:
            _package_types(answer, answer.package, findings)
    elif name != mime.SOAP_TYPE:
        findings.add(f"Content-Type {mime.SOAP_TYPE}, because {facts.transaction} answers simple SOAP", shown(name))


def _package_types(answer: Answer, package: mime.Package, findings: Findings) -> None:
    parameters = answer.media_type.parameters
    if answer.media_type.name != "multipart/related":
        findings.add("multipart/related", shown(answer.media_type.name))
    if parameters.get("type", "").lower() != mime.XOP_TYPE:
        findings.add(f'the parameter type="{mime.XOP_TYPE}"', shown(parameters.get("type", "")))
    if parameters.get("start-info", "").lower() != mime.SOAP_TYPE:
        findings.add(f'the parameter start-info="{mime.SOAP_TYPE}"', shown(parameters.get("start-info", "")), Level.SHOULD)
    root = package.root
    if root.media_type.name != mime.XOP_TYPE:
        findings.add(f"root part of type {mime.XOP_TYPE}", shown(root.media_type.name))
    elif root.media_type.parameters.get("type", "").lower() != mime.SOAP_TYPE:
        found = shown(root.media_type.parameters.get("type", ""))
        findings.add(f'root part with the parameter type="{mime.SOAP_TYPE}"', found, Level.SHOULD)
    for part in package.others:
        if not part.content_id:
            findings.add("a Content-ID on every part", "a part without")


def _soap_version(answer: Answer, _facts: Facts, findings: Findings) -> None:
    if answer.soap and answer.soap != "1.2":
        findings.add("an envelope in the SOAP 1.2 namespace", shown(answer.soap))


def _action(answer: Answer, facts: Facts, findings: Findings) -> None:
    if not answer.soap or answer.fault is not None:
        return
    expected = v.ACTIONS[facts.transaction] + "Response"
    if answer.actions != (expected,):
        findings.add(f"one wsa:Action {expected}", ", ".join(answer.actions) or "none")


def _relates_to(answer: Answer, facts: Facts, findings: Findings) -> None:
    if not answer.soap or not facts.message_id or (answer.fault is not None and not answer.relates_to):
        return
    if answer.relates_to != (facts.message_id,):
        findings.add(f"one wsa:RelatesTo {facts.message_id} (the MessageID sent)", ", ".join(answer.relates_to) or "none")


def _body_root(answer: Answer, facts: Facts, findings: Findings) -> None:
    expected = v.ROOTS[facts.transaction]
    if facts.expects_fault or not answer.soap:
        return
    if answer.fault is not None:
        found = f"a SOAP fault {answer.fault.code} {' '.join(answer.fault.subcodes)}: {shown(answer.fault.reason)}"
        findings.add(f"{expected} in the Body", found)
    elif expected not in answer.children:
        findings.add(f"{expected} in the Body", ", ".join(answer.children) or "nothing")
    elif answer.result is None:
        findings.add("rs:RegistryResponse inside the answer", "none")


def _status_uri(answer: Answer, facts: Facts, findings: Findings) -> None:
    if answer.result is None:
        return
    status = answer.result.status
    if status not in v.STATUSES.values():
        findings.add(f"a status out of {', '.join(v.STATUSES.values())}", shown(status))
    elif status == v.STATUSES["PartialSuccess"] and facts.transaction not in v.PARTIAL_ALLOWED:
        findings.add(f"Success or Failure, {facts.transaction} knows no partial success", shown(status))


def _error_list(answer: Answer, _facts: Facts, findings: Findings) -> None:
    result = answer.result
    if result is None:
        return
    serious = [error for error in result.errors if error.severity == v.ERROR]
    if result.empty_list:
        findings.add("at least one RegistryError in a RegistryErrorList", "an empty list")
    if result.status == v.STATUSES["Success"] and serious:
        findings.add("no error of severity Error with Success", ", ".join(error.code for error in serious))
    if result.status in (v.STATUSES["Failure"], v.STATUSES["PartialSuccess"]) and not serious:
        found = ", ".join(f"{error.code} of severity {error.severity}" for error in result.errors) or "no error"
        findings.add("at least one RegistryError of severity Error with Failure or PartialSuccess", found)
    if result.status == v.STATUSES["Failure"] and (answer.objects or answer.documents):
        findings.add("no data with Failure", f"{len(answer.objects)} objects, {len(answer.documents)} documents")


def _severities(answer: Answer, _facts: Facts, findings: Findings) -> None:
    result = answer.result
    if result is None or not result.errors:
        return
    known = (v.ERROR, v.WARNING)
    for error in result.errors:
        if error.severity not in known:
            findings.add(f"severity {v.ERROR} or {v.WARNING}", f"{shown(error.severity)} with {error.code}")
    if not result.highest_severity:
        return
    if result.highest_severity not in known:
        findings.add(f"highestSeverity {v.ERROR} or {v.WARNING}", shown(result.highest_severity))
        return
    worst = v.ERROR if any(error.severity == v.ERROR for error in result.errors) else v.WARNING
    if result.highest_severity != worst:
        findings.add(f"highestSeverity {worst}, the worst of the list", shown(result.highest_severity))


def _error_texts(answer: Answer, _facts: Facts, findings: Findings) -> None:
    for error in answer.result.errors if answer.result else ():
        if error.code not in v.ERROR_CODES:
            findings.add("an error code of ITI TF-3 table 4.2.4.1-2", shown(error.code), Level.SHOULD)
        if not error.context:
            findings.add("a codeContext that explains the error", f"none with {error.code}", Level.SHOULD)
        if leak := _LEAK.search(error.context + "\n" + error.location):
            findings.add("no program internals in an error", shown(leak.group(0)), Level.SHOULD)


def _leaves(answer: Answer, _facts: Facts, findings: Findings) -> None:
    for item in answer.objects:
        what = f"{item.kind} {item.id or '(without id)'}"
        for problem in item.problems:
            findings.add("well-formed metadata", f"{what}: {problem}")
        if not _UUID.fullmatch(item.id):
            findings.add("an id of the form urn:uuid: and a lower-case UUID", f"{what}")
        if item.kind in ("document", "folder", "set"):
            _leaf(item, what, findings)
        if item.kind == "association":
            for name in ("associationType", "sourceObject", "targetObject"):
                if not item.value(name):
                    findings.add(f"the attribute {name} on {what}", "none")


def _leaf(item: RegistryObject, what: str, findings: Findings) -> None:
    if item.value("status") not in (v.APPROVED, v.DEPRECATED):
        findings.add(f"status {v.APPROVED} or {v.DEPRECATED} on {what}", shown(item.value("status")))
    level = Level.SHOULD if item.kind == "set" else Level.MUST
    if not _UUID.fullmatch(item.value("lid")):
        findings.add(f"lid as a UUID on {what}", shown(item.value("lid")), level)
    if not item.value("version").isdigit():
        findings.add(f"VersionInfo with a number on {what}", shown(item.value("version")), level)
    for name in _required(item):
        if not any(item.values(name)):
            findings.add(f"the attribute {name} on {what}", "none or empty")


def _required(item: RegistryObject) -> tuple[str, ...]:
    if item.kind == "set":
        return ("patientId", "uniqueId", "sourceId", "submissionTime", "contentTypeCode")
    if item.kind == "folder":
        return ("patientId", "uniqueId", "codeList", "lastUpdateTime", "title")
    coded = tuple(name for name in v.ENTRY_CODES if name != "eventCodeList")
    always = ("patientId", "uniqueId", "mimeType", "languageCode", "sourcePatientId", "repositoryUniqueId", *coded)
    stable = item.value("objectType") != v.ON_DEMAND
    return (*always, "creationTime", "hash", "size") if stable else always


def _responses(answer: Answer, _facts: Facts, findings: Findings) -> None:
    for item in answer.documents:
        for name, value in {
            "RepositoryUniqueId": item.repository,
            "DocumentUniqueId": item.unique_id,
            "mimeType": item.mime_type,
        }.items():
            if not value:
                findings.add(f"{name} in every DocumentResponse", f"none for {item.unique_id or 'an unnamed document'}")


def _schema(answer: Answer, facts: Facts, findings: Findings) -> None:
    if facts.schema is None or answer.body is None or answer.fault is not None or answer.body.tag not in v.ROOTS.values():
        return
    for problem in facts.schema.findings(answer.body, limit=5):
        findings.add(f"{problem.expected}, at {problem.path}", problem.reason)


_ERRORS: Final = "ITI TF-3 4.2.4"
_STANDARD: Final[tuple[tuple[str, str, StandardCheck], ...]] = (
    ("http.status", "SOAP 1.2 part 2, 7.5.2.2; ITI TF-3 4.2.4", _http_status),
    ("http.media-type", MIME_CLAUSE, _media_type),
    ("soap.version", SOAP_CLAUSE, _soap_version),
    ("wsa.action", "ITI TF-2 Appendix V.3.1", _action),
    ("wsa.relates-to", "ITI TF-2 Appendix V.3.1; WS-Addressing 1.0 Core 3.4", _relates_to),
    ("soap.root", "ITI TF-2 3.n.4.2 of the transaction", _body_root),
    ("ebrs.status", _ERRORS + ".1", _status_uri),
    ("ebrs.error-list", _ERRORS + ".1", _error_list),
    ("ebrs.severity", _ERRORS + ".1", _severities),
    ("ebrs.error-text", _ERRORS + ".1", _error_texts),
    ("rim.objects", "ITI TF-3 4.2.3 and 4.3.2", _leaves),
    ("xsd", "ebRS 3.0 and ITI XDS.b schemas", _schema),
    ("retrieve.responses", "ITI TF-2 3.43.4.2.2", _responses),
)

STANDARD_CHECKS: Final = (("reading", f"{SOAP_CLAUSE}; {MIME_CLAUSE}"), *((name, clause) for name, clause, _ in _STANDARD))
"""Name and clause of every standard check."""
