"""All rules of a registration, in one call."""

from __future__ import annotations

from datetime import datetime

from xds_metadata.codes import CodeSets
from xds_metadata.errors import Finding
from xds_metadata.model import Submission
from xds_metadata.profile import Profile
from xds_metadata.rules.structure import check_on_demand, check_structure
from xds_metadata.rules.values import check_values


def check_submission(
    submission: Submission, actor: str, profile: Profile, codes: CodeSets, now: datetime
) -> tuple[Finding, ...]:
    """Every finding on a submission that needs no stored data.

    `actor` is `values.PROVIDE` (ITI-41: hash, size and repository are the repository's to add) or `values.REGISTER`
    (ITI-42: they are required). `now` is aware.
    """
    findings = list(check_structure(submission, profile))
    if any(f.rule == "submission-size" for f in findings):
        return tuple(findings)
    findings.extend(check_on_demand(submission))
    findings.extend(check_values(submission, actor, profile, codes, now))
    return tuple(findings)
