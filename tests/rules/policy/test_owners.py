"""To whom an environment belongs."""

from __future__ import annotations

import pytest

from tasks.rules.plan.targets import Place
from tasks.rules.policy.owners import evasion, ownership_conflict
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


def test_a_block_that_is_only_acted_through_is_protected_too() -> None:
    """A platform made of several blocks is refused unless the policy lists it as well."""
    place = Place("production", "gitops/shop", "production.platform", 60)
    parts = ["", "git/shop", "kubernetes/shop"]
    found = evasion(place, parts, [policy_of(["kubernetes/shop"], ["shop"])])
    assert found.startswith("production.platform: gitops/shop acts through kubernetes/shop, which the policy p protects")
    assert evasion(place, parts, [policy_of(["kubernetes/shop", "gitops/shop"], ["shop"])]) == ""
    assert evasion(place, parts, [policy_of(["kubernetes/other"], ["shop"])]) == ""
