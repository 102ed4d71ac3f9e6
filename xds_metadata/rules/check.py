"""All rules of a registration or of a metadata update, in one call."""

from __future__ import annotations

from datetime import datetime
from itertools import chain, islice

from ebrim.model import RegistryObjectList
from xds_metadata.codes import CodeSets
from xds_metadata.errors import MOST_SOUGHT, Finding, XdsFailure
from xds_metadata.from_ebrim import from_ebrim
from xds_metadata.model import Submission
from xds_metadata.profile import Profile
from xds_metadata.rules.structure import check_on_demand, check_structure
from xds_metadata.rules.update import check_update, located
from xds_metadata.rules.values import UPDATE, check_values


def judge_objects(
    objects: RegistryObjectList, actor: str, profile: Profile, codes: CodeSets, now: datetime
) -> tuple[Submission, tuple[Finding, ...]]:
    """The submission in `objects` with every finding that needs no stored data.

    Raises XdsFailure where the objects alone have so many findings that the submission in them is not judged.
    """
    submission, findings = from_ebrim(objects, profile, MOST_SOUGHT)
    if len(findings) >= MOST_SOUGHT:
        raise XdsFailure(findings)
    return submission, findings + check_submission(submission, actor, profile, codes, now)


def check_submission(
    submission: Submission, actor: str, profile: Profile, codes: CodeSets, now: datetime
) -> tuple[Finding, ...]:
    """Every finding on a submission that needs no stored data, up to MOST_SOUGHT of them.

    `actor` is `values.PROVIDE` (ITI-41: hash, size and repository are the repository's to add), `values.REGISTER`
    (ITI-42: they are required) or `values.UPDATE` (ITI-57: every finding on an entry is located). `now` is aware.
    """
    if actor == UPDATE:
        return tuple(located(_check_update(submission, profile, codes, now), submission))
    findings = list(islice(check_structure(submission, profile), MOST_SOUGHT))
    if any(f.rule == "submission-size" for f in findings):
        return tuple(findings)
    more = chain(check_on_demand(submission), check_values(submission, actor, profile, codes, now))
    findings.extend(islice(more, MOST_SOUGHT - len(findings)))
    return tuple(findings)


def _check_update(submission: Submission, profile: Profile, codes: CodeSets, now: datetime) -> list[Finding]:
    findings = list(islice(check_update(submission), MOST_SOUGHT))
    if not any(f.rule == "submission-size" for f in findings):
        more = check_values(submission, UPDATE, profile, codes, now)
        findings.extend(islice(more, MOST_SOUGHT - len(findings)))
    return findings
