"""The XML namespaces on the wire.

Source: SOAP 1.2; WS-Addressing 1.0 Core; XOP; ebXML RegRep 3.0; IHE ITI TF-2 appendix V and sections 3.18 to 3.92.
"""

from __future__ import annotations

from typing import Final

SOAP12: Final = "http://www.w3.org/2003/05/soap-envelope"
SOAP11: Final = "http://schemas.xmlsoap.org/soap/envelope/"
WSA: Final = "http://www.w3.org/2005/08/addressing"
WSAW: Final = "http://www.w3.org/2006/05/addressing/wsdl"
XOP: Final = "http://www.w3.org/2004/08/xop/include"
XMIME: Final = "http://www.w3.org/2004/11/xmlmime"
XMIME_2005: Final = "http://www.w3.org/2005/05/xmlmime"
XML: Final = "http://www.w3.org/XML/1998/namespace"
XSD: Final = "http://www.w3.org/2001/XMLSchema"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"

RIM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
RS: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
LCM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
QUERY: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"

XDS: Final = "urn:ihe:iti:xds-b:2007"
RMD: Final = "urn:ihe:iti:rmd:2017"
RMU: Final = "urn:ihe:iti:rmu:2018"
XDSI: Final = "urn:ihe:rad:xdsi-b:2009"
XDR: Final = "urn:ihe:iti:xdr:2014"
DIRECT: Final = "urn:direct:addressing"

WSNT: Final = "http://docs.oasis-open.org/wsn/b-2"
HL7: Final = "urn:hl7-org:v3"
WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
SAML2: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
DS: Final = "http://www.w3.org/2000/09/xmldsig#"
WSDL: Final = "http://schemas.xmlsoap.org/wsdl/"
WSDL_SOAP12: Final = "http://schemas.xmlsoap.org/wsdl/soap12/"

PREFIXES: Final = {
    SOAP12: "soap",
    WSA: "wsa",
    XOP: "xop",
    XML: "xml",
    XSD: "xs",
    XSI: "xsi",
    RIM: "rim",
    RS: "rs",
    LCM: "lcm",
    QUERY: "query",
    XDS: "xds",
    RMD: "rmd",
    XDSI: "xdsi",
    WSNT: "wsnt",
    HL7: "hl7",
    WSSE: "wsse",
    SAML2: "saml2",
    DS: "ds",
}
"""The customary prefix of each namespace, for texts and paths; what a sender uses is its own affair."""


def customary_name(tag: str) -> str:
    """`{namespace}name` as `prefix:name`; without prefix where the namespace has no customary one."""
    namespace, brace, name = tag.rpartition("}")
    prefix = PREFIXES.get(namespace[1:]) if brace else None
    return f"{prefix}:{name}" if prefix else name
