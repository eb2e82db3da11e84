"""Ownership: a platform block belongs to the service that was the first to release there, unless a policy lists others.

What was a production stays one: staging is deployed before people are asked, so a staging block that is pointed at production's
environment would deploy there without an approval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.rules.plan.targets import Place, section_of
from tasks.rules.policy.policy import Policy

FILE = "the file "  # begins the words for a file in Git, of which the other section changes nothing


def ownership_conflict(
    place: Place, service: str, policies: Sequence[Policy], *, owner: str, block: str, section: str, thing: str = "", owned_as: str = ""
) -> str:
    """Say why a service may not deploy to an environment that has an owner; "" if it may.

    Args:
        place: The environment of the plan.
        service: The plan's service.
        policies: All policies, also those that do not protect this plan's blocks.
        owner: The service that the environment belongs to.
        block: The block through which it deploys there.
        section: The section of the plan in which that block was named: staging or production.
        thing: What of the environment it is, as `the Service shop/web`; "" for the whole.
        owned_as: The same in the words of that block, which count for what is shared: whoever can edit blocks chooses those of others.

    Returns:
        One sentence with the plan's field and the fix.
    """
    if thing.startswith(FILE) and section_of(place.environment) == section:
        return ""  # services may set values of their own in one file
    points = f"points to {thing}, which is" if thing else "points to"
    shared = [one for one in policies if owned_as and block in one.protects and owned_as in one.shares]
    shares = f", or `{owned_as}` to its `shares`" if owned_as else ""
    evaded = [one.name for one in policies if block in one.protects and place.platform not in one.protects and one not in shared]
    if evaded:
        return (
            f"{place.field}: {place.platform} {points} the environment of {block}, which the policy {evaded[0]} protects in `protects`. "
            f"Name {block}, or let the platform team add {place.platform} to the policy{shares}."
        )
    if section_of(place.environment) != section:
        return (
            f"{place.field}: {place.platform} {points} {section} of the service {owner}, which deploys there through {block}. "
            f"Point {place.platform} to an environment of its own."
        )
    if owner == service or shared or any(place.platform in one.protects and service in one.services for one in policies):
        return ""
    return (
        f"{place.field}: {thing and f'{thing} of '}{place.platform} belongs to the service {owner}, which was the first to release there. "
        f"Name a platform of your own, or let the platform team list {service} in `services` of a policy that protects it"
        f"{f', or `{owned_as}` in `shares` of one that protects {block}' if owned_as else ''}."
    )


def same_environment(places: Sequence[Place], things: Sequence[Mapping[str, str]]) -> str:
    """Say which two places of a plan are the same environment, or share something that a release changes; "" if all are apart.

    Args:
        places: The environments of the plan.
        things: What the platform of each points to and changes: identities, by words for people; "" is the environment itself.
    """
    first: dict[str, Place] = {}
    for place, mine in zip(places, things, strict=True):
        for words, identity in mine.items():
            other = first.setdefault(identity, place)
            if words.startswith(FILE) and section_of(other.environment) == section_of(place.environment):
                continue
            if other is not place:
                what = words.removeprefix("the ") if words else "environment"
                return (
                    f"{place.field}: {place.platform} points to the same {what} as {other.platform} of {other.field}. "
                    f"Point each block to an environment of its own."
                )
    return ""


def evasion(place: Place, parts: Sequence[str], policies: Sequence[Policy]) -> str:
    """Say which policy protects a block that a platform only acts through, and not the platform itself; "" if none does.

    Args:
        place: The environment of the plan.
        parts: The blocks that its platform is made of, by `type/name`.
        policies: All policies.
    """
    for policy in policies:
        protected = [one for one in parts if one in policy.protects]
        if protected and place.platform not in policy.protects:
            return (
                f"{place.field}: {place.platform} acts through {protected[0]}, which the policy {policy.name} protects in `protects`. "
                f"Name {protected[0]}, or let the platform team add {place.platform} to the policy."
            )
    return ""
