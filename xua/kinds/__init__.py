"""Kinds of assertions: IHE XUA and the VIHF of the DMP."""

from xua.kinds.kind import ENTRY_POINT_GROUP, AssertionKind, Evidence, load_kinds

__all__ = ["ENTRY_POINT_GROUP", "AssertionKind", "Evidence", "load_kinds"]
