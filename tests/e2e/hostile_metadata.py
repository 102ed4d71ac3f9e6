"""Attacks through metadata and query parameters, as messages: name to what is sent, the verdict, a word of its text."""

from __future__ import annotations

from collections.abc import Mapping

from tests import samples
from tests.e2e import wire
from tests.e2e.hostile_xml import SENDER, Attack
from tests.e2e.wire import Message
from xds_metadata import associations as types
from xds_metadata.model import Code

METADATA = "Failure XDSRegistryMetadataError"
REGISTRY_ERROR = "Failure XDSRegistryError"
_APPROVED = "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"
STRANGER = samples.patient("-NOBODY")


def _entry(**changes: object) -> Message:
    return wire.register(samples.submission(samples.entry(**changes)))


def _set(**changes: object) -> Message:
    return wire.register(samples.submission(samples.entry(), owner=samples.submission_set(**changes)))


def _ids(value: str) -> Message:
    return wire.query("GetDocuments", ("$XDSDocumentEntryUniqueId", value))


def _patient(value: str) -> Message:
    return wire.query("FindDocuments", ("$XDSDocumentEntryPatientId", value), ("$XDSDocumentEntryStatus", _APPROVED))


def _two_with_one_id() -> Message:
    first, second = samples.entry(entry_uuid="same"), samples.entry(entry_uuid="same")
    return wire.register(samples.submission(first, second))


def _cycle() -> Message:
    one, two = samples.folder(), samples.folder()
    links = [samples.member(one.entry_uuid, two.entry_uuid), samples.member(two.entry_uuid, one.entry_uuid)]
    return wire.register(samples.submission(folders=[one, two], links=links))


def _to_itself() -> Message:
    entry = samples.entry()
    return wire.register(samples.submission(entry, links=[samples.link(types.APND, entry.entry_uuid, entry.entry_uuid)]))


def _many_links() -> Message:
    entry = samples.entry()
    target = samples.new_uuid()
    links = [samples.link(types.APND, entry.entry_uuid, target) for _ in range(1500)]
    return wire.register(samples.submission(entry, links=links))


def _unknown_type() -> Message:
    entry = samples.entry()
    link = samples.link("urn:evil:AssociationType:Grant", entry.entry_uuid, samples.new_uuid())
    return wire.register(samples.submission(entry, links=[link]))


def _folder_of_another() -> Message:
    entry, folder = samples.entry(), samples.folder(patient_id=samples.patient(2))
    return wire.register(samples.submission(entry, folders=[folder]))


def _identifier_twice() -> Message:
    message = _entry().body.decode()
    start = message.index("<ExternalIdentifier")
    end = message.index("</ExternalIdentifier>") + len("</ExternalIdentifier>")
    copy = message[start:end].replace('id="part', 'id="copy')
    return wire.simple(wire.REGISTRY, (message[:end] + copy + message[end:]).encode())


def _many_authors() -> Message:
    return _entry(authors=tuple(samples.author() for _ in range(1000)))


def _many_documents() -> Message:
    return wire.register(samples.submission(*(samples.entry() for _ in range(101))))


def _with_version() -> Message:
    link = samples.symbolic("link")
    message = _entry()
    return message.replaced(
        "</RegistryObjectList>",
        f'<Association id="{link}" associationType="urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"'
        f' sourceObject="{samples.new_uuid()}" targetObject="{samples.new_uuid()}"/></RegistryObjectList>',
    )


def metadata_attacks() -> Mapping[str, Attack]:
    """The rows of class E that are one message and are refused."""
    digits = "1." * 500_000 + "!"
    return {
        "E1 quote not closed": Attack(_ids("('1.2.3"), REGISTRY_ERROR, "parenthesis"),
        "E1 statement after the list": Attack(_ids("('x') OR 1=1--"), REGISTRY_ERROR, "parenthesis"),
        "E1 statement in the list": Attack(_ids("('x'; DROP TABLE entry;--')"), REGISTRY_ERROR, "comma"),
        "E1 NUL": Attack(_ids("('1.2.3')").replaced("1.2.3", b"1\0.2"), SENDER, "malformed"),
        "E1 patient as pattern": Attack(_patient("'%^^^&%&ISO'"), REGISTRY_ERROR, "$XDSDocumentEntryPatientId"),
        "E1 patient with a quote": Attack(_patient("'x'' OR ''1''=''1'"), REGISTRY_ERROR, "$XDSDocumentEntryPatientId"),
        "E2 parenthesis not closed": Attack(_ids("('1.2.3','1.2.4'"), REGISTRY_ERROR, "parenthesis"),
        "E2 nested parentheses": Attack(_ids("(('1.2.3'))"), REGISTRY_ERROR, "character"),
        "E2 empty list": Attack(_ids("()"), REGISTRY_ERROR, "value"),
        "E2 1001 values": Attack(
            wire.query("GetDocuments", ("$XDSDocumentEntryUniqueId", [f"('1.2.{n}')" for n in range(1001)])),
            REGISTRY_ERROR,
            "1000 values",
        ),
        "E2 10000 values in as many Values": Attack(
            wire.query("GetDocuments", ("$XDSDocumentEntryUniqueId", [f"('1.2.{n}')" for n in range(10_000)])),
            REGISTRY_ERROR,
            "1000 values",
        ),
        "E2 literal of 1 MB": Attack(_ids(f"('{'1' * 1_000_000}')"), REGISTRY_ERROR, "256 characters"),
        "E2 slot repeated": Attack(
            wire.query("GetDocuments", *(("$XDSDocumentEntryUniqueId", f"('1.2.{n}')") for n in range(3))),
            "Failure XDSStoredQueryParamNumber",
            "$XDSDocumentEntryUniqueId",
        ),
        "E3 21 conditions": Attack(
            wire.find_documents(STRANGER, *(("$XDSDocumentEntryEventCodeList", f"('E{n}^^1.2.3')") for n in range(21))),
            REGISTRY_ERROR,
            "21",
        ),
        "E4 repository as a path": Attack(_entry(repository_unique_id="../../etc"), METADATA, "repositoryUniqueId"),
        "E4 submission set as a path": Attack(_set(unique_id="../../x"), METADATA, "uniqueId"),
        "E4 OID of 64 kB": Attack(_set(unique_id="1." + "2." * 32_000 + "3"), METADATA, "256 characters"),
        "E4 uniqueId of 64 kB": Attack(_entry(unique_id="1.2^" + "x" * 65_000), METADATA, "256 characters"),
        "E4 UUID in upper case": Attack(
            _entry(entry_uuid=samples.new_uuid().upper().replace("URN:UUID", "urn:uuid")), METADATA, "lower case"
        ),
        "E4 UUID with another prefix": Attack(
            _entry(entry_uuid=samples.new_uuid().replace("urn:uuid", "URN:UUID")), METADATA, "URN:UUID"
        ),
        "E5 line ends in an identifier": Attack(
            _set(unique_id="1.2.3&#10;level=error").replaced("&amp;#10;", "&#10;"), METADATA, r"\x0a"
        ),
        "E7 zero width in an identifier": Attack(_set(unique_id="1.2.3\u200b.4"), METADATA, r"\x200b"),
        "E7 digits of another script": Attack(_entry(size="\u0661\u0662"), METADATA, "size"),
        "E7 digits of another script in a patient": Attack(
            _entry(patient_id="\u0661^^^&1.2.\u0663&ISO"), METADATA, "patientId"
        ),
        "E8 symbolic ids collide": Attack(_two_with_one_id(), METADATA, "same"),
        "E8 cyclic membership": Attack(_cycle(), METADATA, "Folder"),
        "E8 association to itself": Attack(_to_itself(), METADATA, "same object"),
        "E8 1500 associations": Attack(_many_links(), METADATA, "1000"),
        "E8 unknown associationType": Attack(_unknown_type(), METADATA, "urn:evil"),
        "E8 folder of another patient": Attack(_folder_of_another(), "Failure XDSPatientIdDoesNotMatch", "Folder"),
        "E8 identifier twice": Attack(_identifier_twice(), METADATA, "twice"),
        "E8 1000 authors": Attack(_many_authors(), METADATA, "author"),
        "E8 101 documents": Attack(_many_documents(), METADATA, "100"),
        "E8 version supplied": Attack(
            _entry().replaced("</ExtrinsicObject>", '<VersionInfo versionName="7"/></ExtrinsicObject>'),
            METADATA,
            "VersionInfo",
        ),
        "E8 update inside a registration": Attack(_with_version(), METADATA, "ITI-57"),
        "E11 created in 2099": Attack(_entry(creation_time="20991231"), METADATA, "creationTime"),
        "E11 year 0": Attack(_entry(creation_time="00000101"), METADATA, "creationTime"),
        "E11 month 13": Attack(_entry(creation_time="20241301"), METADATA, "creationTime"),
        "E11 zone of five digits": Attack(_entry(creation_time="20240101120000+01000"), METADATA, "creationTime"),
        "E11 submitted in 2099": Attack(_set(submission_time="20991231235959"), METADATA, "submissionTime"),
        "E11 stop before start": Attack(
            _entry(service_start_time="20240202", service_stop_time="20240201"), METADATA, "serviceStopTime"
        ),
        "E12 OID of 1 MB": Attack(_set(unique_id=digits), METADATA, "256 characters"),
        "E12 time of 1 MB": Attack(_entry(creation_time="1" * 1_000_000), METADATA, "256 characters"),
        "E12 patient of 1 MB": Attack(_entry(patient_id="1^" * 500_000), METADATA, "256 characters"),
        "E12 code of 1 MB": Attack(_entry(type_code=Code("C" * 1_000_000, "1.2.3", "x")), METADATA, "256 characters"),
        "E12 person of 1 MB": Attack(_entry(authors=(samples.author("^" * 1_000_000),)), METADATA, "256 characters"),
        "E12 parameter of 64 kB": Attack(_patient(f"'{'1^' * 30_000}&1.2&ISO'"), REGISTRY_ERROR, "256 characters"),
    }
