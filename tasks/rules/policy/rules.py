"""The effective rules: what a plan and the policies of its platform blocks say together; for each field the stricter one counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from tasks.rules.plan.checklist import CLOSING
from tasks.rules.plan.judgement import PlatformSli, PrometheusSli, Sli
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import Place, is_production, places_of, section_of
from tasks.rules.policy.policy import LeastAnalysis, Policy, RequesterName, Series, Signatures

TOLD = "script/"  # blocks whose counts a script prints, and so the version


class Rules(BaseModel):
    """The effective rules of one plan.

    Fields:
        policies: The names of the policies that apply.
        quorum: How many different people must approve.
        approvers: Who may.
        signatures: Which approvals count, see `LeastApproval`.
        checklist: The lines of the checklist that must pass.
        requesters: Who may request a release; None lets everyone.
        requester: Whether the requester must confirm the request at the gate, see `LeastApproval`.
        rehearsed_within_days: How old the rehearsal of a rollback may be; None asks for none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    policies: tuple[str, ...] = ()
    quorum: int
    approvers: tuple[str, ...]
    signatures: Signatures = "accepted"
    checklist: tuple[str, ...]
    requesters: tuple[str, ...] | None = None
    requester: RequesterName = "named"
    rehearsed_within_days: float | None = None


class Allowed(NamedTuple):
    """Who may override windows and freezes by all policies of a plan, and how many of them must."""

    who: tuple[str, ...]
    people: int


def policies_of(plan: Plan, policies: Sequence[Policy]) -> tuple[Policy, ...]:
    """Choose the policies that protect a platform block which the plan names."""
    named = {place.platform for place in places_of(plan)}
    return tuple(policy for policy in policies if named & set(policy.protects))


def effective_rules(plan: Plan, policies: Sequence[Policy]) -> Rules:
    """Merge a plan with the policies that protect its blocks; the rules are at least as strict as each of them alone."""
    applying = policies_of(plan, policies)
    approvers = list(plan.approval.approvers)
    requesters: list[str] | None = None
    for policy in applying:
        if policy.approval.approvers:
            approvers = [name for name in approvers if name in policy.approval.approvers]
        if policy.requesters:
            requesters = [name for name in (policy.requesters if requesters is None else requesters) if name in policy.requesters]
    lines = plan.checklist.lines().items()
    asked = [name for name, is_asked in lines if is_asked or any(name in policy.checklist for policy in applying)]
    ages = [plan.checklist.rehearsed_within_days, *(policy.rehearsed_within_days for policy in applying)]
    return Rules(
        policies=tuple(policy.name for policy in applying),
        quorum=max([plan.approval.quorum, *(policy.approval.quorum for policy in applying)]),
        approvers=tuple(approvers),
        signatures=signatures_of(applying),
        checklist=tuple(asked),
        requesters=None if requesters is None else tuple(requesters),
        requester="proved" if any(policy.approval.requester == "proved" for policy in applying) else "named",
        rehearsed_within_days=min((days for days in ages if days is not None), default=None),
    )


def conflicts(plan: Plan, policies: Sequence[Policy]) -> list[str]:
    """List where a plan is weaker than a policy of its blocks.

    Returns:
        A sentence each, which names both fields, and the fix; empty if the plan keeps every policy.
    """
    return [problem for policy in policies_of(plan, policies) for problem in _conflicts(plan, policy)] + _unmeetable(plan, policies)


def requester_conflicts(requester: str, rules: Rules) -> list[str]:
    """List why a person may not request a release under these rules; empty if allowed."""
    if rules.requesters is None or requester in rules.requesters:
        return []
    who, allowed = requester or "a phase that runs alone", ", ".join(rules.requesters) or "none"
    by = " and ".join(rules.policies)
    return [f"requester: {who} may not release by `requesters` of the policy {by}, which lists {allowed}. Let one of them request it."]


def may_override(policies: Sequence[Policy]) -> Allowed | None:
    """Say who may override windows and freezes by all of these policies, and how many must; None if one of them, or none, lets anyone.

    Only policies of production count: those of staging have no windows. If fewer people than must are named by all, no one may.
    """
    lists = [policy.windows.overrides for policy in policies if policy.environment == "production"]
    if not lists or any(one is None for one in lists):
        return None
    known = [one for one in lists if one is not None]
    who = tuple(name for name in known[0].who if all(name in one.who for one in known))
    people = 2 if any(one.second_person for one in known) else 1
    return Allowed(who, people) if len(who) >= people else None


def signatures_of(policies: Sequence[Policy]) -> Signatures:
    """Say which proofs count by all of these policies."""
    return "required" if any(policy.approval.signatures == "required" for policy in policies) else "accepted"


def _words(names: Sequence[str], none: str) -> str:
    return ", ".join(names) or none


def _conflicts(plan: Plan, policy: Policy) -> Iterator[str]:
    by = f"of the policy {policy.name}"
    places = [place for place in places_of(plan) if place.platform in policy.protects]
    if plan.service not in policy.services:
        blocks = ", ".join(place.platform for place in places)
        yield (
            f"service: {plan.service} may not release to {blocks} by `services` {by}, which lists {', '.join(policy.services)}. "
            f"Name a platform of your own, or let the platform team add {plan.service}."
        )
    for place in places:
        if section_of(place.environment) != policy.environment:
            yield (
                f"{place.field}: {place.platform} may be named only in `{policy.environment}` by `environment` {by}. "
                f"Name another platform for {place.environment}."
            )
    least = policy.approval.quorum
    if plan.approval.quorum < least:
        yield f"approval.quorum: {plan.approval.quorum} is less than the {least} of `approval.quorum` {by}. Write `quorum: {least}`."
    for line in policy.checklist:
        if not getattr(plan.checklist, line):
            yield f"checklist.{line}: false is not allowed by `checklist` {by}. Write true, or leave it out."
    if policy.rehearsed_within_days is not None and not plan.checklist.rollback_ready:
        yield f"checklist.rollback_ready: false is not allowed by `rehearsed_within_days` {by}. Write true, or leave it out."
    for name in policy.ticked:
        yield from _loose_item(plan, name, policy.approval.approvers, by=by)
    if policy.least_analysis is not None:
        yield from _weak_analysis(plan, policy.least_analysis, [one for one in places if is_production(one.environment)], by=by)


def _loose_item(plan: Plan, name: str, people: Sequence[str], *, by: str) -> Iterator[str]:
    """Say why an item of the plan is not one that a policy asks for: whoever writes the plan may skip it, or have anyone tick it."""
    number, item = next(((number, one) for number, one in enumerate(plan.checklist.items) if one.name == name), (0, None))
    if item is None or not item.required:
        yield f"checklist.items: no required item is called {name}, as `ticked` {by} asks. Add `- name: {name}` with its text."
        return
    if item.before == CLOSING:
        yield (
            f"checklist.items[{number}].before: {name} is ticked once production is deployed, and `ticked` {by} asks for it before. "
            "Write `before: production`, or `before: staging`."
        )
    for field, named in (("skipped_by", item.skipped_by), ("who", item.who if people else [])):
        if others := [one for one in named if one not in people]:
            listed = f"`approval.approvers` {by} does not list, and `ticked` asks for {name}"
            fix = f"Write `{field}` with people of that list" if people else f"Leave `{field}` out, or let the policy list approvers"
            yield f"checklist.items[{number}].{field}: {', '.join(others)} may do so by the plan alone, whom {listed}. {fix}."


def _weak_analysis(plan: Plan, least: LeastAnalysis, places: Sequence[Place], *, by: str) -> Iterator[str]:
    told = next((place.platform for place in places if place.platform.startswith(TOLD)), "")
    counted = [sli for sli in plan.judgement.slis if not (told and isinstance(sli, PlatformSli))]
    for indicator in least.indicators:
        if not any(_keeps(sli, least, indicator, prometheus=plan.judgement.prometheus) for sli in counted):
            slow = f", a threshold of at most {least.threshold_seconds:g} s" if indicator == "latency" and least.threshold_seconds else ""
            where = " or ".join(_places_that_count(least, told=told))
            yield (
                f"judgement.slis: none counted by {where} decides on {indicator} with a limit of at most {least.limit:g}{slow} and a "
                f"tolerance of at most {least.tolerance:g}, as `least_analysis.indicators` {by} requires. Add one with "
                f"`indicator: {indicator}`."
            )
    if plan.judgement.alpha > least.alpha:
        wrong = f"{plan.judgement.alpha:g} is more than the {least.alpha:g} of `least_analysis.alpha` {by}"
        yield f"judgement.alpha: {wrong}. Write `alpha: {least.alpha:g}` or less."
    if plan.judgement.min_requests < least.min_requests:
        wrong = f"{plan.judgement.min_requests} is less than the {least.min_requests} of `least_analysis.min_requests` {by}"
        yield f"judgement.min_requests: {wrong}. Write `min_requests: {least.min_requests}` or more."
    if plan.judgement.inconclusive == "proceed":
        yield f"judgement.inconclusive: proceed is not allowed by `least_analysis` {by}. Write ask, extend or rollback."
    for place in places:
        yield from _weak_steps(place, least, by=by)


def _weak_steps(place: Place, least: LeastAnalysis, *, by: str) -> Iterator[str]:
    field, seconds = f"{place.field.rpartition('.')[0]}.steps", watched_seconds(place)
    if seconds < least.watch_seconds:
        yield (
            f"{field}: they are watched for up to {seconds:g} s in sum, less than the {least.watch_seconds:g} of "
            f"`least_analysis.watch_seconds` {by}. Raise their `watch_seconds`."
        )
    if baked_seconds(place) < least.bake_seconds:
        yield (
            f"{field}: they last for {baked_seconds(place):g} s in sum, whatever they show, less than the {least.bake_seconds:g} of "
            f"`least_analysis.bake_seconds` {by}. Raise their `bake_seconds`."
        )
    for number, step in enumerate(place.steps):
        if not step.watch_seconds and step.percent > least.unwatched_percent:
            yield (
                f"{field}[{number}].watch_seconds: a step of {step.percent} % is not watched, and `least_analysis.unwatched_percent` "
                f"{by} allows that up to {least.unwatched_percent} %. Write how long it is watched."
            )
    number, share = unwatched_share(place)
    if share > least.first_percent:
        yield (
            f"{field}[{number}].percent: {share} is more than the {least.first_percent} of `least_analysis.first_percent` {by}, "
            "and no step before it is watched. Add a smaller one with `watch_seconds`."
        )


def _places_that_count(least: LeastAnalysis, *, told: str) -> list[str]:
    series = [f"`least_analysis.series` in {least.prometheus}"] if least.prometheus else []
    if not told:
        return [*series, "the platform"]
    return series or [f"Prometheus (the policy names none, and the counts of {told} are what its script says)"]


def _keeps(sli: Sli, least: LeastAnalysis, indicator: str, *, prometheus: str) -> bool:
    """Say whether an SLI is one that a policy asks for: it decides within the bounds, by requests that cannot be chosen by the plan."""
    if not isinstance(sli, PlatformSli | PrometheusSli) or sli.indicator != indicator or not sli.deciding:
        return False
    if isinstance(sli, PrometheusSli):
        fields = {name: getattr(sli, name) for name in Series.model_fields}
        if prometheus != least.prometheus or Series.model_validate(fields) not in least.series:
            return False
    is_quick = indicator != "latency" or least.threshold_seconds is None or (sli.threshold_seconds or 0) <= least.threshold_seconds
    return is_quick and sli.limit <= least.limit and sli.tolerance <= least.tolerance


def _unmeetable(plan: Plan, policies: Sequence[Policy]) -> list[str]:
    rules = effective_rules(plan, policies)
    if len(rules.approvers) >= rules.quorum or plan.approval.quorum < rules.quorum:
        return []
    lists = " and ".join(f"`approval.approvers` of the policy {one.name}" for one in policies_of(plan, policies) if one.approval.approvers)
    return [
        (
            f"approval.approvers: {_words(rules.approvers, 'none')} of {', '.join(plan.approval.approvers)} may approve by {lists}, "
            f"and {rules.quorum} must. Name more of those whom the policy lists."
        )
    ]


def unwatched_share(place: Place) -> tuple[int, int]:
    """Give the largest share that a version gets before a watch of it has passed: which step it is, and its percent."""
    number = next((number for number, step in enumerate(place.steps) if step.watch_seconds > 0), len(place.steps) - 1)
    return number, place.steps[number].percent


def baked_seconds(place: Place) -> float:
    """Give how long an environment's steps last at least, in sum, whatever they show."""
    return sum(step.bake_seconds for step in place.steps)


def watched_seconds(place: Place) -> float:
    """Give how long an environment's steps are watched at most, in sum."""
    return sum(step.watch_seconds for step in place.steps)
