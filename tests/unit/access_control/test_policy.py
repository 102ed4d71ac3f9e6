"""Finding a policy by name, and its options."""

from __future__ import annotations

import pytest

from access_control.context import RequestContext
from access_control.open import OpenPolicy
from access_control.policy import Action, Target, UnknownPolicy, load_policy
from access_control.scope import EVERYTHING
from database import Database

ANY = RequestContext("ITI-18", "urn:uuid:1", 0)


def test_open_permits_everything(database: Database) -> None:
    policy = load_policy("open", {})(database)
    assert isinstance(policy, OpenPolicy)
    assert all(policy.may(ANY, action, Target()).allowed for action in Action)
    assert policy.scope(ANY, Action.FIND, ()) == EVERYTHING
    assert policy.following == frozenset()


def test_open_takes_no_option() -> None:
    with pytest.raises(UnknownPolicy, match=r"^access.options: 'strict' is not an option, the policy open takes none$"):
        load_policy("open", {"strict": True})


def test_a_policy_that_is_not_installed_is_named() -> None:
    with pytest.raises(UnknownPolicy, match=r"^access policy 'nothing' is not installed; installed: .*open"):
        load_policy("nothing", {})
