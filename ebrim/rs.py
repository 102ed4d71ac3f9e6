"""ebRS messages: registry responses, submit requests, query requests and answers, as UTF-8 bytes.

Source: ebXML RegRep 3.0, ebRS; IHE ITI TF-3 4.2.4 (status and severity URIs).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ebrim.model import AdhocQuery, RegistryError, RegistryObjectList
from ebrim.write import attribute, write_object_list, write_slot
from xmlsafe.namespaces import LCM, QUERY, RIM, RS

SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
PARTIAL_SUCCESS = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"
SEVERITY = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:"
_NO_OBJECTS = f'<rim:RegistryObjectList xmlns:rim="{RIM}"/>'.encode()
_QUERY_OPEN = f'<query:AdhocQueryResponse xmlns:query="{QUERY}" status="'.encode()
_LIST_OPEN = f'<RegistryObjectList xmlns="{RIM}">'.encode()
_LIST_CLOSE = b"</RegistryObjectList></query:AdhocQueryResponse>"


def status_of(errors: Sequence[RegistryError], partial: bool = False) -> str:
    """Success when every error is a warning; otherwise Failure, or PartialSuccess where `partial` data goes out."""
    if all(error.severity == "Warning" for error in errors):
        return SUCCESS
    return PARTIAL_SUCCESS if partial else FAILURE


def write_error_list(errors: Iterable[RegistryError]) -> bytes:
    """A RegistryErrorList, or nothing when there is no error."""
    items = list(errors)
    if not items:
        return b""
    worst = "Error" if any(e.severity == "Error" for e in items) else "Warning"
    rows = "".join(
        f'<rs:RegistryError errorCode="{attribute(e.code)}" codeContext="{attribute(e.context)}"'
        f' severity="{SEVERITY}{e.severity}" location="{attribute(e.location)}"/>'
        for e in items
    )
    return (
        f'<rs:RegistryErrorList xmlns:rs="{RS}" highestSeverity="{SEVERITY}{worst}">{rows}</rs:RegistryErrorList>'
    ).encode()


def write_registry_response(errors: Sequence[RegistryError] = (), *, partial: bool = False) -> bytes:
    """A RegistryResponse; its status follows from the errors."""
    return (
        f'<rs:RegistryResponse xmlns:rs="{RS}" status="{status_of(errors, partial)}">'.encode()
        + write_error_list(errors)
        + b"</rs:RegistryResponse>"
    )


def write_query_answer(objects: Sequence[bytes], warnings: Sequence[RegistryError] = ()) -> tuple[bytes, ...]:
    """An AdhocQueryResponse with status Success around serialised objects, in pieces."""
    return (
        _QUERY_OPEN + SUCCESS.encode() + b'">' + write_error_list(warnings) + _LIST_OPEN,
        *objects,
        _LIST_CLOSE,
    )


def write_query_failure(errors: Sequence[RegistryError]) -> bytes:
    """An AdhocQueryResponse with status Failure and, as the schema asks, an empty RegistryObjectList."""
    return _QUERY_OPEN + FAILURE.encode() + b'">' + write_error_list(errors) + _NO_OBJECTS + b"</query:AdhocQueryResponse>"


def write_submit_objects_request(objects: RegistryObjectList) -> bytes:
    """An lcm:SubmitObjectsRequest (ITI-42, and inside ITI-41)."""
    return (
        f'<lcm:SubmitObjectsRequest xmlns:lcm="{LCM}"><RegistryObjectList xmlns="{RIM}">'.encode()
        + write_object_list(objects)
        + b"</RegistryObjectList></lcm:SubmitObjectsRequest>"
    )


def write_adhoc_query_request(query: AdhocQuery) -> bytes:
    """A query:AdhocQueryRequest (ITI-18)."""
    slots = "".join(write_slot(slot) for slot in query.slots)
    home = f' home="{attribute(query.home)}"' if query.home else ""
    return (
        f'<query:AdhocQueryRequest xmlns:query="{QUERY}">'
        f'<query:ResponseOption returnType="{query.return_type}" returnComposedObjects="true"/>'
        f'<AdhocQuery xmlns="{RIM}" id="{attribute(query.id)}"{home}>{slots}</AdhocQuery></query:AdhocQueryRequest>'
    ).encode()
