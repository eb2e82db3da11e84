"""To whom an environment belongs."""

from __future__ import annotations

import pytest

from tasks.rules.plan.targets import Place
from tasks.rules.policy.owners import ownership_conflict
from tasks.rules.policy.policy import Policy

PLACE = Place("production", "local/shop", "production.platform", 60)


def policy_of(protects: list[str], services: list[str]) -> Policy:
    """Make a policy."""
    return Policy(policy=1, name="p", protects=protects, services=services)


@pytest.mark.parametrize(
    ("policies", "owner", "block", "said"),
    [
        ([], "shop", "local/shop", ""),
        ([], "other", "local/shop", "local/shop belongs to the service other"),
        ([], "other", "local/other", "local/shop belongs to the service other"),
        ([], "shop", "local/other", ""),
        ([policy_of(["local/shop"], ["shop", "other"])], "other", "local/shop", ""),
        ([policy_of(["local/shop"], ["other"])], "other", "local/shop", "local/shop belongs to the service other"),
        ([policy_of(["local/other"], ["shop"])], "shop", "local/other", "points to the environment of local/other, which the policy p"),
        ([policy_of(["local/other"], ["shop"])], "other", "local/other", "points to the environment of local/other, which the policy p"),
        ([policy_of(["local/other", "local/shop"], ["shop"])], "other", "local/other", ""),
    ],
)
def test_an_environment_belongs_to_its_first_service_unless_a_policy_lists_others(
    policies: list[Policy], owner: str, block: str, said: str
) -> None:
    """A second block on a protected environment is refused even to its own service: it would evade the policy."""
    found = ownership_conflict(PLACE, "shop", policies, owner=owner, block=block)
    assert (found == "") == (said == "")
    assert said in found
    assert found == "" or found.startswith("production.platform: ")
