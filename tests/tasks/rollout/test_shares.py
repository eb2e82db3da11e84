"""A share that a platform cannot make is refused before anything changes, at its step of the plan."""

from __future__ import annotations

import pytest

from blocks.errors import BadInput
from blocks.local.platform import LocalPlatform
from blocks.script.hosts.platform import ScriptHosts
from tasks.rollout.shares import expect_shares
from tasks.rules.plan.plan import Plan
from tests.flows.harness import plan_of


def planned(*shares: int) -> Plan:
    """Give a plan with these steps, and 100 %."""
    plan, steps = plan_of("shop"), [{"percent": percent, "watch_seconds": 1} for percent in (*shares, 100)]
    return Plan.model_validate({**plan, "production": {**plan["production"], "steps": steps}})


def hosts(number: int) -> ScriptHosts:
    """Give so many."""
    scripts = {name: ["./shop.sh", name] for name in ("deploy", "status", "verify", "rollback")}
    names = [f"web-{one}" for one in range(number)]
    return ScriptHosts.model_validate(
        {"address": "http://shop", "hosts": names, "user": "deploy", "key": "k", "known_hosts": ["web-0 ssh-ed25519 A"], "scripts": scripts}
    )


@pytest.mark.parametrize(
    ("number", "shares", "says"),
    [
        (4, (25, 50), ""),
        (10, (10, 25), r"^production.steps\[1\].percent: 25 % of 10 hosts is not a whole number of hosts. Use 30 %, or 20 %$"),
        (1, (50,), r"^production.steps\[0\].percent: .*Use 100 %, which is one host"),
    ],
)
def test_each_step_is_a_number_of_hosts_or_the_nearest_are_named(number: int, shares: tuple[int, ...], says: str) -> None:
    """By `shipway check`, and by a release before its first change."""
    if not says:
        expect_shares(hosts(number), planned(*shares), "production")
        return
    with pytest.raises(BadInput, match=says):
        expect_shares(hosts(number), planned(*shares), "production")


def test_staging_has_no_steps_and_other_platforms_make_any_share() -> None:
    """Neither is refused."""
    expect_shares(hosts(10), planned(25), "staging")
    expect_shares(LocalPlatform(), planned(33), "production")
