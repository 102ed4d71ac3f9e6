"""A peer that answers what a test tells it to, and right answers to begin with; each test spoils one thing."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from conformance.target import Target, load_target

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "conformance" / "targets" / "liasse.toml"
SOAP = "application/soap+xml; charset=UTF-8"
SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
ERROR = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"
WARNING = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Warning"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
NAMESPACES = (
    'xmlns:rs="urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0" xmlns:rim="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0" '
    'xmlns:query="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0" xmlns:xds="urn:ihe:iti:xds-b:2007" '
    'xmlns:xop="http://www.w3.org/2004/08/xop/include"'
)


@dataclass(frozen=True)
class Received:
    """A request as the peer sees it."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        found = re.search(rb"MessageID[^>]*>([^<]*)<", self.body)
        return found.group(1).decode() if found else ""

    @property
    def action(self) -> str:
        found = re.search(rb"Action[^>]*>([^<]*)<", self.body)
        return found.group(1).decode() if found else ""


@dataclass
class Reply:
    """What the peer sends: status, headers, body."""

    body: bytes
    content_type: str | None = SOAP
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Answerer = Callable[[Received], Reply]


@contextmanager
def peer(answer: Answerer, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A peer on loopback, with TLS where a context is given; yields its base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            reply = answer(Received(self.path, dict(self.headers), body))
            self.send_response(reply.status)
            if reply.content_type is not None:
                self.send_header("Content-Type", reply.content_type)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A test that breaks the connection does so on purpose."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def target_text(base: str, **edits: str) -> str:
    """The sample target file with its URLs on `base` and the first line of each key in `edits` replaced."""
    text = SAMPLE.read_text(encoding="utf-8").replace("http://127.0.0.1:8080", base)
    for old, new in edits.items():
        text = re.sub(rf"(?m)^{old} = .*$", f"{old} = {new}", text, count=1)
    return text


def target_at(folder: Path, base: str, **edits: str) -> Target:
    """The sample target, listening on `base`."""
    path = folder / "target.toml"
    path.write_text(target_text(base, **edits), encoding="utf-8")
    return load_target(path)


def envelope(body: str, action: str, relates_to: str) -> str:
    """A SOAP 1.2 answer."""
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">'
        f'<s:Header><a:Action s:mustUnderstand="true">{action}</a:Action><a:RelatesTo>{relates_to}</a:RelatesTo></s:Header>'
        f"<s:Body>{body}</s:Body></s:Envelope>"
    )


def simple(request: Received, body: str) -> Reply:
    """A right simple-SOAP frame around a body."""
    return Reply(envelope(body, request.action + "Response", request.message_id).encode())


def mtom(request: Received, body: str, parts: dict[str, bytes] | None = None) -> Reply:
    """A right MTOM frame around a body and parts by Content-ID."""
    text = envelope(body, request.action + "Response", request.message_id)
    return packaged(text, parts or {})


def packaged(root: str, parts: dict[str, bytes]) -> Reply:
    """A package; `root` is the envelope."""
    head = 'Content-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\nContent-ID: <root@peer>'
    blocks = [f"--B1\r\n{head}\r\n\r\n".encode() + root.encode()]
    for name, data in parts.items():
        lead = f"--B1\r\nContent-Type: application/octet-stream\r\nContent-ID: <{name}>\r\n"
        blocks.append(lead.encode() + b"Content-Transfer-Encoding: binary\r\n\r\n" + data)
    header = 'multipart/related; boundary="B1"; type="application/xop+xml"; start="<root@peer>"; '
    return Reply(b"\r\n".join(blocks) + b"\r\n--B1--\r\n", header + 'start-info="application/soap+xml"')


def registry_response(status: str = SUCCESS, errors: str = "") -> str:
    """An rs:RegistryResponse; `errors` is a whole RegistryErrorList."""
    return f'<rs:RegistryResponse {NAMESPACES} status="{status}">{errors}</rs:RegistryResponse>'


def error_list(code: str, severity: str = ERROR, highest: str = ERROR, context: str = "because") -> str:
    """A list of one error."""
    return (
        f'<rs:RegistryErrorList highestSeverity="{highest}"><rs:RegistryError errorCode="{code}" '
        f'codeContext="{context}" severity="{severity}" location=""/></rs:RegistryErrorList>'
    )


def query_response(objects: str = "", status: str = SUCCESS, errors: str = "") -> str:
    """A query:AdhocQueryResponse."""
    inner = f"{errors}<rim:RegistryObjectList>{objects}</rim:RegistryObjectList>"
    return f'<query:AdhocQueryResponse {NAMESPACES} status="{status}">{inner}</query:AdhocQueryResponse>'


def retrieve_response(unique_id: str, content: str, repository: str = "1.2.3") -> str:
    """A RetrieveDocumentSetResponse of one document; `content` is base64 or an xop:Include."""
    return (
        f"<xds:RetrieveDocumentSetResponse {NAMESPACES}>{registry_response()}<xds:DocumentResponse>"
        f"<xds:RepositoryUniqueId>{repository}</xds:RepositoryUniqueId>"
        f"<xds:DocumentUniqueId>{unique_id}</xds:DocumentUniqueId><xds:mimeType>text/xml</xds:mimeType>"
        f"<xds:Document>{content}</xds:Document></xds:DocumentResponse></xds:RetrieveDocumentSetResponse>"
    )


def fault(code: str = "Sender", subcode: str = "", reason: str = "refused") -> str:
    """A SOAP 1.2 fault."""
    inner = f"<s:Subcode><s:Value>a:{subcode}</s:Value></s:Subcode>" if subcode else ""
    return (
        f"<s:Fault><s:Code><s:Value>s:{code}</s:Value>{inner}</s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{reason}</s:Text></s:Reason></s:Fault>'
    )


_UUID = "urn:uuid:0a000000-0000-4000-8000-00000000000"


def slot(name: str, value: str) -> str:
    return f'<rim:Slot name="{name}"><rim:ValueList><rim:Value>{value}</rim:Value></rim:ValueList></rim:Slot>'


def _named(value: str) -> str:
    return f'<rim:Name><rim:LocalizedString value="{value}"/></rim:Name>'


def _code(owner: str, scheme: str) -> str:
    return (
        f'<rim:Classification id="{_UUID[:-2]}c{scheme[9]}" classifiedObject="{owner}" classificationScheme="{scheme}" '
        f'nodeRepresentation="x">{slot("codingScheme", "1.2.3")}{_named("X")}</rim:Classification>'
    )


def _identifier(owner: str, scheme: str, value: str) -> str:
    return (
        f'<rim:ExternalIdentifier id="{_UUID[:-2]}e{scheme[9]}" registryObject="{owner}" identificationScheme="{scheme}" '
        f'value="{value}">{_named("identifier")}</rim:ExternalIdentifier>'
    )


def document_entry(unique_id: str, *, on_demand: bool = False) -> str:
    """A complete DocumentEntry; an on-demand one has neither creationTime nor hash nor size."""
    owner = _UUID + "1"
    kind = "34268e47-fdf5-41a6-ba33-82133c465248" if on_demand else "7edca82f-054d-47f2-a032-9b2a5b5186c1"
    slots = [("languageCode", "en"), ("sourcePatientId", "a^^^&amp;1.2&amp;ISO"), ("repositoryUniqueId", "1.2.3")]
    if not on_demand:
        slots += [("creationTime", "2024"), ("hash", "0" * 40), ("size", "3")]
    schemes = (
        "41a5887f-8865-4c09-adf7-e362475b143a",
        "f4f85eac-e6cb-4883-b524-f2705394840f",
        "a09d5840-386c-46f2-b5ad-9c3699a4309d",
        "f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1",
        "cccf5598-8b07-4b77-a05e-ae952c785ead",
        "f0306f51-975f-434e-a61c-c59651d33983",
    )
    return (
        f'<rim:ExtrinsicObject id="{owner}" lid="{owner}" status="{APPROVED}" mimeType="text/xml" '
        f'objectType="urn:uuid:{kind}">'
        + "".join(slot(name, value) for name, value in slots)
        + '<rim:VersionInfo versionName="1"/>'
        + "".join(_code(owner, "urn:uuid:" + scheme) for scheme in schemes)
        + _identifier(owner, "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427", "a^^^&amp;1.2&amp;ISO")
        + _identifier(owner, "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab", unique_id)
        + "</rim:ExtrinsicObject>"
    )


def submission_set(unique_id: str) -> str:
    """A complete SubmissionSet."""
    owner = _UUID + "2"
    node = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
    return (
        f'<rim:RegistryPackage id="{owner}" lid="{owner}" status="{APPROVED}">{slot("submissionTime", "2024")}'
        f'<rim:VersionInfo versionName="1"/>'
        f'<rim:Classification id="{_UUID}3" classifiedObject="{owner}" classificationNode="{node}"/>'
        + _code(owner, "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500")
        + _identifier(owner, "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446", "a^^^&amp;1.2&amp;ISO")
        + _identifier(owner, "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832", "1.2.4")
        + _identifier(owner, "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8", unique_id)
        + "</rim:RegistryPackage>"
    )
