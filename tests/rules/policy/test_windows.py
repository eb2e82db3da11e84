"""Windows of a plan and its policies: all must be open, and a policy's are not part of what people approve."""

from __future__ import annotations

import pytest

from tasks.rules.approval.digest import digest
from tasks.rules.policy.comparison import compare_rules
from tasks.rules.policy.policy import read_policy
from tasks.rules.policy.windows import groups_of, turns_of
from tests.rules.approval.test_digest import LOG
from tests.rules.policy.test_rules import SHORT, plan_of, policy_of

NIGHTLY = {"cron": "0 22 * * 1-5", "duration_minutes": 240, "zone": "Europe/Berlin", "reason": "quiet", "owner": "ada"}
FREEZE = {"from": "2026-12-20", "until": "2027-01-02", "zone": "Europe/Berlin", "reason": "Christmas", "owner": "platform"}


def test_the_plan_and_each_policy_that_protects_its_blocks_are_a_group() -> None:
    """One without windows is none, nor is a policy for other blocks."""
    plan, frozen = plan_of(windows={"allow": [NIGHTLY]}), policy_of(windows={"deny": [FREEZE]})
    other = policy_of(name="other", protects=["local/other"], windows={"deny": [FREEZE]})
    groups = groups_of(plan, [frozen, other, policy_of(name="without")])
    assert [[(one.kind, one.origin) for one in group] for group in groups] == [[("allow", "plan")], [("deny", "policy shop")]]
    assert groups_of(plan_of(), [policy_of()]) == []


@pytest.mark.parametrize(
    ("plan", "policies", "turns"),
    [
        ({}, [{}], []),
        ({"one_at_a_time": "db"}, [{}], ["db"]),
        ({}, [{"one_at_a_time": "db"}], ["db of the policies"]),
        ({"one_at_a_time": "db"}, [{"one_at_a_time": "db"}], ["db", "db of the policies"]),
        ({}, [{"one_at_a_time": "db"}, {"one_at_a_time": "db"}, {"one_at_a_time": "mail"}], ["db of the policies", "mail of the policies"]),
    ],
)
def test_no_plan_names_the_turn_of_policies(plan: dict[str, str], policies: list[dict[str, str]], turns: list[str]) -> None:
    """Else a plan of anybody's could hold all services of the platform team's group for as long as its steps take."""
    kept = [policy_of(name=f"p{number}", windows=windows) for number, windows in enumerate(policies)]
    assert turns_of(plan_of(windows=plan), kept) == turns
    with pytest.raises(ValueError, match="one_at_a_time"):
        plan_of(windows={"one_at_a_time": "db of the policies"})


def test_a_freeze_of_a_policy_leaves_the_digest_as_it_is() -> None:
    """It only holds a release; the plan's windows are part of the plan, and another plan is another digest."""

    def of(plan: dict[str, object], policy: dict[str, object]) -> str:
        return digest(plan_of(**plan), "1.1", LOG, {}, {}, policies=[policy_of(**policy)])

    assert of({}, {}) == of({}, {"windows": {"deny": [FREEZE]}})
    assert of({}, {}) != of({}, {"requesters": ["ada"]})
    assert of({}, {}) != of({"windows": {"deny": [FREEZE]}}, {})


def test_both_sides_are_shown() -> None:
    """With their times; both count."""
    lines = compare_rules(plan_of(windows={"allow": [NIGHTLY]}), [policy_of(windows={"deny": [FREEZE]})])
    found = next(line for line in lines if line.field == "windows")
    assert found == (
        "windows",
        "allow `0 22 * * 1-5` for 240 min in Europe/Berlin: quiet (ask ada)",
        "deny from 2026-12-20 00:00 until 2027-01-02 00:00 in Europe/Berlin: Christmas (ask platform)",
        "both",
    )
    assert "windows" not in {line.field for line in compare_rules(plan_of(), [policy_of()])}
    quietest = plan_of(windows={"quietest": {"minutes": 60, "zone": "UTC", "owner": "ada"}})
    found = next(line for line in compare_rules(quietest, [policy_of()]) if line.field == "windows")
    assert found == ("windows", "any time, and the quietest time in them", "any time", "both")


def test_a_policy_for_staging_has_no_windows() -> None:
    """Staging is deployed at any time."""
    text = f'{SHORT}environment: staging\nwindows: {{deny: [{{from: "2026-12-20", zone: UTC, reason: a, owner: b}}]}}\n'
    policy, problems = read_policy(text, name="p.yaml")
    assert policy is None
    assert "staging is deployed at any time. Leave `windows` out" in str(problems[0])


@pytest.mark.parametrize("kind", ["allow", "deny"])
def test_a_policys_calendar_is_not_named_by_a_block(kind: str) -> None:
    """Whoever may use the API could change the block, and lift the freezes of the platform team."""
    for address, is_taken in (("credential/freezes", False), ("/srv/freezes.ics", True)):
        text = f"{SHORT}windows: {{{kind}: [{{ics: {address}, zone: UTC}}]}}\n"
        found, problems = read_policy(text, name="policy.yaml")
        assert (found is not None) is is_taken, problems
        assert is_taken or "cannot be named by a credential block" in str(problems[0])
