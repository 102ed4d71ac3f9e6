"""The only XML parser of the product, XML Schema validation, and the namespaces in use."""

from xmlsafe.errors import XmlError
from xmlsafe.parse import DOCUMENT, MESSAGE, Limits, parse, thread_should_end

__all__ = ["DOCUMENT", "MESSAGE", "Limits", "XmlError", "parse", "thread_should_end"]
