"""Environments of a plan: staging, then production, which is one environment or several targets in waves.

An environment is named `staging`, `production`, or, if the plan has targets, `production/NAME`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from blocks.errors import BadInput
from tasks.rules.plan.plan import Plan, Step, Waves

STAGING, PRODUCTION = "staging", "production"


@dataclass(frozen=True, slots=True)
class Place:
    """An environment as a plan describes it.

    Fields:
        environment: Its name.
        platform: The block, as `type/name`.
        field: Where the plan names that block.
        strategy: Its platform's rollout strategy, or None for the block's own.
        ready_timeout_seconds: A revision that takes longer to become ready has failed.
        steps: The increments; none in staging, which gets all traffic at once.
    """

    environment: str
    platform: str
    field: str
    ready_timeout_seconds: float
    strategy: str | None = None
    steps: tuple[Step, ...] = ()


def waves_of(plan: Plan) -> tuple[tuple[Place, ...], ...]:
    """List production's environments by wave: those of one wave in parallel, the waves one after the other."""
    section, places = plan.production, production_of(plan)
    if not isinstance(section, Waves):
        return (places,)
    waves = [target.wave or target.name for target in section.targets]
    return tuple(tuple(place for _, place in group) for _, group in groupby(zip(waves, places, strict=True), key=itemgetter(0)))


def production_of(plan: Plan) -> tuple[Place, ...]:
    """List production's environments in the order of the plan, which is that of their waves."""
    section = plan.production
    if not isinstance(section, Waves):
        return (
            Place(
                PRODUCTION, section.platform, "production.platform", section.ready_timeout_seconds, section.strategy, tuple(section.steps)
            ),
        )
    return tuple(
        Place(
            f"{PRODUCTION}/{target.name}",
            target.platform,
            f"production.targets[{number}].platform",
            target.ready_timeout_seconds or section.ready_timeout_seconds,
            target.strategy or section.strategy,
            tuple(target.steps or section.steps or ()),
        )
        for number, target in enumerate(section.targets)
    )


def places_of(plan: Plan) -> tuple[Place, ...]:
    """List every environment of a plan: staging, then production's."""
    staging = Place(STAGING, plan.staging.platform, "staging.platform", plan.staging.ready_timeout_seconds, plan.staging.strategy)
    return (staging, *production_of(plan))


def place_of(plan: Plan, environment: str) -> Place:
    """Find one environment of a plan.

    Raises:
        BadInput: The plan does not have this environment; lists those that it has.
    """
    found = next((place for place in places_of(plan) if place.environment == environment), None)
    if found is None:
        known = ", ".join(place.environment for place in places_of(plan))
        raise BadInput(f"the plan of {plan.service} has no environment {environment}", field="environment", fix=f"Name one of {known}.")
    return found


def chosen(plan: Plan, environment: str) -> tuple[Place, ...]:
    """Return the environments that a name stands for: `production` means each of its targets, in their order.

    Raises:
        BadInput: The plan does not have this environment.
    """
    return production_of(plan) if environment == PRODUCTION else (place_of(plan, environment),)


def environments_reversed(plan: Plan) -> tuple[str, ...]:
    """List the environments in the order of a rollback: the last target first, staging at the end."""
    return tuple(place.environment for place in reversed(places_of(plan)))


def waves_reversed(plan: Plan, environment: str = PRODUCTION) -> tuple[tuple[str, ...], ...]:
    """List the environments that a name stands for in the order of a rollback: the last wave first, each in parallel.

    Raises:
        BadInput: The plan does not have this environment.
    """
    waves = waves_of(plan) if environment == PRODUCTION else ((place_of(plan, environment),),)
    return tuple(tuple(place.environment for place in reversed(wave)) for wave in reversed(waves))


def is_production(environment: str) -> bool:
    """Return whether users see an environment."""
    return section_of(environment) == PRODUCTION


def section_of(environment: str) -> str:
    """Name the plan's section of an environment: `production` for each of its targets."""
    return environment.partition("/")[0]


def target_of(environment: str) -> str:
    """Return a target's own name; "" for an environment that is not a target."""
    return environment.partition("/")[2]


def within(environment: str) -> str:
    """Return ` in production/eu` for a target, and "" if production is one environment."""
    return f" in {environment}" if target_of(environment) else ""


def steps_in_words(plan: Plan) -> str:
    """Write the planned steps in one line; targets with the same steps share it."""
    shares = {place.environment: " → ".join(f"{step.percent} %" for step in place.steps) for place in production_of(plan)}
    if PRODUCTION in shares:
        return shares[PRODUCTION]
    waves = [[place.environment for place in wave] for wave in waves_of(plan)]
    if len(set(shares.values())) == 1:
        return f"{next(iter(shares.values()))}, in {', then '.join(' and '.join(wave) for wave in waves)}"
    return "; then ".join(" and ".join(f"{name}: {shares[name]}" for name in wave) for wave in waves)
