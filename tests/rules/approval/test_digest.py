"""The digest names exactly what people approve."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.approval.digest import digest
from tasks.rules.evidence.change_log import ChangeLog, Commit
from tasks.rules.plan.checklist import TickedItem
from tasks.rules.plan.plan import Plan
from tasks.rules.policy.policy import Policy
from tasks.rules.record.canonical import canonical, fingerprint

PLAN = Plan.model_validate({
    "shipway": 1, "service": "guestbook", "tests": [{"junit": "junit.xml"}], "verification": {"health": [{}]},
    "judgement": {"slis": [{"name": "errors", "indicator": "errors"}]}, "staging": {"platform": "local/a"},
    "production": {"platform": "local/b", "steps": [{"percent": 100}]}, "approval": {"quorum": 0}, "rollback": {},
})  # fmt: skip
ITEM = TickedItem(name="backup", text="A backup was read", who=["ada"])
LOG = ChangeLog("1.0", "1.1", "upgrade", (Commit("a" * 40, "Ada", 1, "Fix"),))
CURRENT = {"staging": "1.0", "production": None}
PLATFORMS = {"staging": fingerprint({"command": ["serve"]}), "production": fingerprint({"command": ["serve", "--fast"]})}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=10,
)


def test_the_digest_is_known() -> None:
    """The canonical form is fixed: a change of it would void every approval."""
    assert canonical({"b": (1, 2.5), "a": "é"}) == '{"a":"é","b":[1,2.5]}'.encode()
    assert len(digest(PLAN, "1.1", LOG, CURRENT, PLATFORMS)) == 64
    assert digest(PLAN, "1.1", LOG, CURRENT, PLATFORMS) == digest(
        Plan.model_validate(PLAN.model_dump(mode="json")), "1.1", LOG, dict(reversed(CURRENT.items())), PLATFORMS
    )


def test_a_policy_that_is_applied_changed_or_removed_gives_another_digest() -> None:
    """What people approve is the release under the rules that hold then."""
    policies = [Policy(policy=1, name="b", protects=["local/b"], services=["guestbook"], requesters=who) for who in ([], ["ada"])]
    digests = {digest(PLAN, "1.1", LOG, CURRENT, PLATFORMS, policies=one) for one in ([], policies[:1], policies[1:], policies)}
    assert len(digests) == 4
    assert digest(PLAN, "1.1", LOG, CURRENT, PLATFORMS) in digests


@pytest.mark.parametrize(
    "changed",
    [
        (PLAN.model_copy(update={"service": "other"}), "1.1", LOG, CURRENT, PLATFORMS),
        (PLAN.model_copy(update={"checklist": PLAN.checklist.model_copy(update={"items": [ITEM]})}), "1.1", LOG, CURRENT, PLATFORMS),
        (PLAN, "1.2", LOG, CURRENT, PLATFORMS),
        (PLAN, "1.1", ChangeLog("1.0", "1.1", "upgrade", ()), CURRENT, PLATFORMS),
        (PLAN, "1.1", LOG, {"staging": "1.0", "production": "1.0"}, PLATFORMS),
        (PLAN, "1.1", LOG, CURRENT, {**PLATFORMS, "production": fingerprint({"command": ["serve"]})}),
    ],
    ids=["plan", "item", "version", "change log", "current", "platform"],
)
def test_any_change_gives_another_digest(changed: tuple[Any, ...]) -> None:
    """Plan, version, changes, running versions and platforms are all in it."""
    assert digest(*changed) != digest(PLAN, "1.1", LOG, CURRENT, PLATFORMS)


@given(JSON)
def test_the_canonical_form_is_json_and_stable(value: Any) -> None:
    """It reads back as the same value and writes as the same bytes."""
    assert canonical(json.loads(canonical(value))) == canonical(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {1: 2}, {"a": {1: 2}}, {1, 2}, b"x", object])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    """NaN, half characters, other keys and other kinds are refused rather than guessed."""
    with pytest.raises((TypeError, ValueError)):
        canonical(value)
