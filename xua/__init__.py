"""Signed assertions of who is asking: IHE XUA and the VIHF of the French DMP.

`xua.verify.Verifier` is the way from a message to a Subject, `xua.issue` builds assertions, `xua.explain` says of any which
check passes.
"""

from xua.refusal import REASONS, AssertionRefused, PublicFault
from xua.settings import AssertionSettings, AssertionSettingsError

__all__ = ["REASONS", "AssertionRefused", "AssertionSettings", "AssertionSettingsError", "PublicFault"]
