"""Values of unbounded origin, made fit for a column: bounded, and of characters that every database stores.

What is cut or replaced is still identified: its length and SHA-256 stand at the end. Source: security reference I5.
"""

from __future__ import annotations

import hashlib

_TAIL = len("…[1000000000 characters, SHA-256 ]") + 64


def bounded(text: str, limit: int) -> str:
    """`text` itself where it fits `limit` characters and can be stored, else its beginning, its length and its digest."""
    if len(text) <= limit and (text.isascii() or _is_sound(text)) and "\0" not in text:
        return text
    original = text.encode("utf-8", "surrogatepass")
    sound = text[: max(limit - _TAIL, 0)].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return f"{sound}…[{len(text)} characters, SHA-256 {hashlib.sha256(original).hexdigest()}]"


def _is_sound(text: str) -> bool:
    """No half of a surrogate pair, which no UTF-8 can say."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
