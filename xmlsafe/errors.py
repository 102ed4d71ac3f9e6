"""The one error of the XML layer: input that is refused, with a reason code and a text that quotes nothing of the input."""

from __future__ import annotations


class XmlError(ValueError):
    """XML that is not accepted.

    `reason` is a stable code: "size", "encoding", "doctype", "depth", "elements", "attributes", "namespaces", "ids" or
    "malformed". `detail` is a sentence with limits, line and column; it never carries text of the input.
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"XML refused ({reason}): {detail}")
