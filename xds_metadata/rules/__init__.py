"""The validation rules of a registration (ITI-41, ITI-42): every finding at once, none stops the others."""

from xds_metadata.rules.check import check_submission, judge_objects

__all__ = ["check_submission", "judge_objects"]
