"""Who is asking, as a value; how it was proved is no concern of this package.

Source: IHE ITI TF-2 3.40 (XUA attributes); DMP VIHF.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subject:
    """The caller. `id` is the national or local identifier; `sender` what tells one sender's retries from another's.

    `proof_level` says how the identity was proved ("none", …); `mode` and `purpose` are the access mode and purpose of
    use in the assertion's own words, empty where nothing was said.
    """

    id: str
    proof_level: str = "none"
    mode: str = ""
    purpose: str = ""


ANONYMOUS = Subject("anonymous")
