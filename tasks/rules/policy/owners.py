"""Ownership: a platform block belongs to the service that was the first to release there, unless a policy lists others."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.rules.plan.targets import Place
from tasks.rules.policy.policy import Policy


def ownership_conflict(place: Place, service: str, policies: Sequence[Policy], *, owner: str, block: str) -> str:
    """Say why a service may not deploy to an environment that has an owner; "" if it may.

    Args:
        place: The environment of the plan.
        service: The plan's service.
        policies: All policies, also those that do not protect this plan's blocks.
        owner: The service that the environment belongs to.
        block: The block through which it deploys there.

    Returns:
        One sentence with the plan's field and the fix.
    """
    evaded = [one.name for one in policies if block in one.protects and place.platform not in one.protects]
    if evaded:
        return (
            f"{place.field}: {place.platform} points to the environment of {block}, which the policy {evaded[0]} protects in `protects`. "
            f"Name {block}, or let the platform team add {place.platform} to the policy."
        )
    if owner == service or any(place.platform in one.protects and service in one.services for one in policies):
        return ""
    return (
        f"{place.field}: {place.platform} belongs to the service {owner}, which was the first to release there. "
        f"Name a platform of your own, or let the platform team list {service} in `services` of a policy that protects it."
    )


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
