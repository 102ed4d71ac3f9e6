"""What the front (nginx, on the Unix socket) says of its client: its certificate and its address.

Nobody else may say so: on a TCP listener a message with such a header is refused, however it is spelled.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from liasse.reception import Refusal

CERTIFICATE_HEADER: Final = b"x-client-certificate"
ADDRESS_HEADER: Final = b"x-forwarded-for"

_LONGEST: Final = 24_000
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def refuse_claims(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Raises Refusal 400 when a client of the open network claims to have a certificate."""
    for name, _ in headers:
        if len(name) == len(CERTIFICATE_HEADER) and name.replace(b"_", b"-") == CERTIFICATE_HEADER:
            raise Refusal(400, "a client does not name its certificate in a header", "identity-header")


def front_certificate(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The client certificate in DER, as nginx's $ssl_client_escaped_cert gives it; None without one. Raises Refusal."""
    value = headers.get(CERTIFICATE_HEADER, b"")
    if not value:
        return None
    try:
        text = unquote_to_bytes(value).decode("ascii").strip()
        if len(value) > _LONGEST or not (text.startswith(_BEGIN) and text.endswith(_END) and text.count(_BEGIN) == 1):
            raise ValueError("one certificate in PEM form is expected")
        return ssl.PEM_cert_to_DER_cert(text)
    except ValueError:
        raise Refusal(400, "the header of the client certificate cannot be read", "identity-header") from None


def front_address(headers: Mapping[bytes, bytes]) -> str | None:
    """The address of the front's client, None where it is not told."""
    try:
        return str(ipaddress.ip_address(headers.get(ADDRESS_HEADER, b"").decode("ascii").strip()))
    except ValueError:
        return None
