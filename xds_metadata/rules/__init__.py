"""The validation rules of registration (ITI-41, ITI-42) and update (ITI-57): every finding, none stops the others."""

from xds_metadata.rules.check import check_submission, judge_objects

__all__ = ["check_submission", "judge_objects"]
