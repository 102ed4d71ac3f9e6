"""Checks on answers: the standard ones that always run, and the named ones that a plan lists."""

from conformance.checks import expected as expected
from conformance.checks.registry import CHECKS, Check, Facts
from conformance.checks.standard import STANDARD_CHECKS, run_standard

__all__ = ["CHECKS", "STANDARD_CHECKS", "Check", "Facts", "expected", "run_standard"]
