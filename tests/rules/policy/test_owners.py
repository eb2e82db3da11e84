"""To whom an environment belongs."""

from __future__ import annotations

import pytest

from tasks.rules.plan.targets import Place
from tasks.rules.policy.owners import evasion, ownership_conflict, same_environment
from tasks.rules.policy.policy import Policy

PLACE = Place("production", "local/shop", "production.platform", 60)


def policy_of(protects: list[str], services: list[str]) -> Policy:
    """Make a policy."""
    return Policy(policy=1, name="p", protects=protects, services=services)


def sharing(protects: list[str], thing: str) -> Policy:
    """Make a policy that shares something."""
    return Policy(policy=1, name="p", protects=protects, services=["other"], shares=[thing])


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
    found = ownership_conflict(PLACE, "shop", policies, owner=owner, block=block, section="production")
    assert (found == "") == (said == "")
    assert said in found
    assert found == "" or found.startswith("production.platform: ")


@pytest.mark.parametrize(
    ("environment", "section", "said"),
    [
        ("staging", "staging", ""),
        ("production", "production", ""),
        ("production/eu", "production", ""),
        ("staging", "production", "points to production of the service shop, which deploys there through local/shop"),
        ("production/eu", "staging", "points to staging of the service shop, which deploys there through local/shop"),
    ],
)
def test_what_was_the_production_of_a_service_is_never_its_staging(environment: str, section: str, said: str) -> None:
    """Staging is deployed before people are asked; its block was once pointed at the folder of production."""
    place = Place(environment, "local/other", "field", 60)
    found = ownership_conflict(place, "shop", [], owner="shop", block="local/shop", section=section)
    assert (said in found, found == "") == (True, said == "")


def test_two_blocks_of_a_plan_that_point_to_the_same_environment_are_named() -> None:
    """What does not say where it points to cannot be compared."""
    places = [
        Place("staging", "local/a", "staging.platform", 60),
        PLACE,
        Place("production/us", "mine/us", "production.targets[1].platform", 60),
    ]
    one, other = {"": "folder 1"}, {"": "folder 2"}
    assert same_environment(places, [one, other, {}]) == ""
    assert same_environment(places, [{}, other, {}]) == ""
    said = "production.platform: local/shop points to the same environment as local/a of staging.platform."
    assert said in same_environment(places, [one, one, {}])


def test_two_blocks_of_a_plan_that_share_a_service_or_route_are_named() -> None:
    """Each has a workload of its own, and one release would move the requests of both; a namespace or a gateway may be shared."""
    staging = Place("staging", "kubernetes/shop-staging", "staging.platform", 60)
    web, route = {"the Service shop/web": "Service u-1"}, {"the HTTPRoute shop/web": "HTTPRoute u-2"}
    apart = {"": "workload u-9", "the Service shop/web-staging": "Service u-8"}
    production = {"": "workload u-0", **web, **route}
    assert same_environment([staging, PLACE], [apart, production]) == ""
    said = "production.platform: local/shop points to the same Service shop/web as kubernetes/shop-staging of staging.platform"
    assert said in same_environment([staging, PLACE], [apart | web, production])
    assert "the same HTTPRoute shop/web" in same_environment([staging, PLACE], [apart | route, production])


@pytest.mark.parametrize(
    ("environment", "owner", "policies", "said"),
    [
        ("staging", "shop", [], "staging.platform: kubernetes/s points to the Service shop/web, which is production of the service shop"),
        ("production", "other", [], "production.platform: the Service shop/web of kubernetes/s belongs to the service other"),
        (
            "production",
            "shop",
            [policy_of(["kubernetes/p"], ["shop"])],
            "points to the Service shop/web, which is the environment of kubernetes/p",
        ),
        ("production", "other", [policy_of(["kubernetes/p", "kubernetes/s"], ["shop", "other"])], ""),
        ("production", "shop", [], ""),
    ],
    ids=["its production", "another service", "protected", "a policy lists both", "its own"],
)
def test_what_a_release_changes_besides_belongs_to_its_first_service_too(
    environment: str, owner: str, policies: list[Policy], said: str
) -> None:
    """As the environment itself does."""
    place = Place(environment, "kubernetes/s", f"{environment}.platform", 60)
    thing = "the Service shop/web"
    found = ownership_conflict(place, "shop", policies, owner=owner, block="kubernetes/p", section="production", thing=thing)
    assert (said in found, found == "") == (True, said == "")


APP = "the Application of argocd-application/umbrella"


@pytest.mark.parametrize(
    ("environment", "policies", "owned_as", "said"),
    [
        ("production", [sharing(["kubernetes/p"], APP)], APP, ""),
        ("production", [sharing(["kubernetes/p"], APP), policy_of(["kubernetes/s"], ["shop"])], APP, ""),
        ("production", [sharing(["kubernetes/p"], APP), policy_of(["kubernetes/p"], ["other"])], APP, "which the policy p protects"),
        ("production", [sharing(["kubernetes/p"], "another")], APP, f"or `{APP}` to its `shares`"),
        ("production", [sharing(["kubernetes/elsewhere"], APP)], APP, f"or `{APP}` in `shares` of one that protects kubernetes/p"),
        ("production", [sharing(["kubernetes/p"], APP)], "", "which the policy p protects"),
        ("staging", [sharing(["kubernetes/p"], APP)], APP, "which is production of the service other"),
    ],
    ids=["shared", "by one of two", "not by the other", "another thing", "another block", "the whole", "staging"],
)
def test_what_a_policy_shares_may_be_changed_by_releases_of_others(
    environment: str, policies: list[Policy], owned_as: str, said: str
) -> None:
    """In the words that its owner's block has for it, as those of the asker's block can be edited; never by a staging."""
    place = Place(environment, "kubernetes/s", f"{environment}.platform", 60)
    found = ownership_conflict(
        place, "shop", policies, owner="other", block="kubernetes/p", section="production", thing=APP, owned_as=owned_as
    )  # fmt: skip
    assert (said in found, found == "") == (True, said == "")


def test_a_block_that_is_only_acted_through_is_protected_too() -> None:
    """A platform made of several blocks is refused unless the policy lists it as well."""
    place = Place("production", "gitops/shop", "production.platform", 60)
    parts = ["", "git/shop", "kubernetes/shop"]
    found = evasion(place, parts, [policy_of(["kubernetes/shop"], ["shop"])])
    assert found.startswith("production.platform: gitops/shop acts through kubernetes/shop, which the policy p protects")
    assert evasion(place, parts, [policy_of(["kubernetes/shop", "gitops/shop"], ["shop"])]) == ""
    assert evasion(place, parts, [policy_of(["kubernetes/other"], ["shop"])]) == ""


@pytest.mark.parametrize(
    ("environment", "section", "owner", "refused"),
    [
        ("staging", "production", "shop", True),
        ("staging", "production", "other", True),
        ("production", "staging", "shop", True),
        ("production", "production", "other", False),
        ("production/eu", "production", "shop", False),
        ("staging", "staging", "other", False),
    ],
)
def test_staging_sets_nothing_in_a_file_of_production(environment: str, section: str, owner: str, refused: bool) -> None:  # noqa: FBT001
    """Another value of that file may be production's, too; services of one section may share a file."""
    place, thing = Place(environment, "gitops/shop", "production.platform", 60), "the file apps/values.yaml in git.example.com/deploy"
    policies = [policy_of(["gitops/other"], ["other"])]
    found = ownership_conflict(place, "shop", policies, owner=owner, block="gitops/other", section=section, thing=thing, owned_as=thing)
    assert ("points to the file apps/values.yaml" in found) is refused
    assert (found != "") is refused


def test_places_of_a_plan_may_share_a_file_unless_one_is_staging() -> None:
    """Two targets of production that are set in one file, as two values."""
    file = {"the file apps/values.yaml in git.example.com/deploy": "git file git.example.com/deploy main apps/values.yaml"}
    staging, eu, us = (
        Place(name, f"gitops/{number}", f"{name}.platform", 60) for number, name in enumerate(("staging", "production/eu", "production/us"))
    )
    assert same_environment([eu, us], [file, file]) == ""
    assert "points to the same file apps/values.yaml" in same_environment([staging, us], [file, file])
