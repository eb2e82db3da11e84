"""Rules side by side: what a plan says, what the policies of its platform blocks say, and which counts, for every field of a policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tasks.rules.plan.judgement import PrometheusSli, Sli
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import places_of, section_of
from tasks.rules.policy.policy import LeastAnalysis, Policy, Series, Source
from tasks.rules.policy.rules import Rules, baked_seconds, effective_rules, may_override, policies_of, unwatched_share, watched_seconds
from tasks.rules.windows.window import Window
from tasks.rules.windows.words import times_in_words

ABSENT = "-"  # for a field that a plan does not have


class Line(NamedTuple):
    """One rule side by side: the plan's value, the policies', and which counts."""

    field: str
    plan: str
    policy: str
    counts: str


def compare_rules(plan: Plan, policies: Sequence[Policy]) -> list[Line]:
    """Write the plan's rules and those of its policies side by side; empty without a policy.

    Each field of a policy is there but the version of its format and its description; a test compares.
    """
    applying, rules = policies_of(plan, policies), effective_rules(plan, policies)
    if not applying:
        return []
    return [
        *_place_lines(plan, applying),
        *_approval_lines(plan, applying, rules),
        *_checklist_lines(plan, applying, rules),
        *_source_lines(applying),
        *_window_lines(plan, applying),
        *(line for policy in applying if policy.least_analysis for line in _analysis_lines(plan, policy, policy.least_analysis)),
    ]


def _place_lines(plan: Plan, applying: Sequence[Policy]) -> Iterator[Line]:
    """Compare which blocks the policies protect, for whom, and in which section of a plan."""
    yield Line("policies", ABSENT, *_both(_words([policy.name for policy in applying], "")))
    services = _words(_all(policy.services for policy in applying), "any")
    yield Line("service", plan.service, services, plan.service)
    places = places_of(plan)
    for policy in applying:
        inside = [place for place in places if place.platform in policy.protects]
        blocks, others = _words([place.platform for place in inside], "none"), len(policy.protects) - len(inside)
        yield Line("protects", blocks, f"{blocks} and {others} more" if others else blocks, blocks)
        sections = _words(_all([section_of(place.environment)] for place in inside), "none")
        yield Line("environment", sections, policy.environment, policy.environment)
    shares = _words(_all(policy.shares for policy in applying), "nothing")
    yield Line("shares", ABSENT, shares, shares)


def _approval_lines(plan: Plan, applying: Sequence[Policy], rules: Rules) -> Iterator[Line]:
    quorum = max(policy.approval.quorum for policy in applying)
    listed = _all(policy.approval.approvers for policy in applying)
    requesters = _all(policy.requesters for policy in applying)
    may = "any" if rules.requesters is None else _words(rules.requesters, "none")
    yield Line("approval.quorum", str(plan.approval.quorum), f"at least {quorum}", str(rules.quorum))
    yield Line("approval.approvers", _words(plan.approval.approvers, "none"), _words(listed, "any"), _words(rules.approvers, "none"))
    yield Line("approval.signatures", "accepted", rules.signatures, rules.signatures)
    yield Line("requester", "any", _words(requesters, "any"), may)
    yield Line("approval.requester", "named", rules.requester, rules.requester)


def _checklist_lines(plan: Plan, applying: Sequence[Policy], rules: Rules) -> Iterator[Line]:
    off = [name for name, is_asked in plan.checklist.lines().items() if not is_asked]
    required = _all(policy.checklist for policy in applying)
    yield Line("checklist", f"without {_words(off, 'exceptions')}", _words(required, "any"), _words(rules.checklist, "none"))
    yield _rehearsed_line(plan, applying, rules)
    if ticked := _all(policy.ticked for policy in applying):
        own = _words([item.name for item in plan.checklist.required()], "none")
        yield Line("checklist.items", own, _words(ticked, "any"), own)


def _rehearsed_line(plan: Plan, applying: Sequence[Policy], rules: Rules) -> Line:
    asked = [one.rehearsed_within_days for one in applying if one.rehearsed_within_days is not None]
    own, theirs, counts = plan.checklist.rehearsed_within_days, min(asked, default=None), rules.rehearsed_within_days
    return Line("checklist.rehearsed_within_days", _days(own), _days(theirs, none="any"), _days(counts))


def _days(days: float | None, *, none: str = "not asked for") -> str:
    return none if days is None else f"at most {days:g}"


def _source_lines(applying: Sequence[Policy]) -> Iterator[Line]:
    """Compare where a release must come from: a plan does not say it, and each policy that does must be kept."""
    asking = [policy.source for policy in applying if policy.source is not None]
    if not asking:
        yield Line("source", ABSENT, "any", "any")
    for source in asking:
        yield Line("source.repositories", ABSENT, *_both(_words(source.repositories, "any")))
        yield Line("source.branches", ABSENT, *_both(_words(source.branches, "any")))
        yield Line("source.signed", ABSENT, *_both(_signed(source)))


def _signed(source: Source) -> str:
    signers = [f"{name} {kind} …{key[-12:]}" for name, kind, key in (signer.split(" ") for signer in source.signers)]
    return f"{source.signed}, by {_words(signers, 'none')}" if signers else source.signed


def _window_lines(plan: Plan, applying: Sequence[Policy]) -> Iterator[Line]:
    own = plan.windows.group("plan")
    theirs = [window for policy in applying for window in policy.windows.group(f"policy {policy.name}")]
    if own or theirs or plan.windows.quietest:
        plans, policies = (_words([_window(one) for one in listed], "any time") for listed in (own, theirs))
        plans += ", and the quietest time in them" if plan.windows.quietest else ""
        yield Line("windows", plans, policies, "both")
    groups = _all([policy.windows.one_at_a_time] for policy in applying if policy.windows.one_at_a_time)
    if groups or plan.windows.one_at_a_time:
        yield Line("windows.one_at_a_time", plan.windows.one_at_a_time or "none", _words(groups, "none"), "both")
    inside = [policy for policy in applying if policy.environment == "production"]  # a policy of staging has no windows
    if inside:
        yield Line("windows.overrides", ABSENT, "; ".join(_overrides(policy) for policy in inside), _may_override(inside))
    for policy in inside:
        yield Line("windows.lifted_by", ABSENT, *_both(_words(policy.windows.lifted_by, "every enrolled person")))


def _window(one: Window) -> str:
    return f"{one.kind} {times_in_words(one)}: {one.reason} (ask {one.owner})"


def _overrides(policy: Policy) -> str:
    found = policy.windows.overrides
    return "no one" if found is None else f"{_words(found.who, 'no one')}{', two of them' if found.second_person else ''}"


def _may_override(applying: Sequence[Policy]) -> str:
    found = may_override(applying)
    return "no one" if found is None else f"{_words(found.who, 'no one')}{', two of them' if found.people > 1 else ''}"


def _analysis_lines(plan: Plan, policy: Policy, least: LeastAnalysis) -> Iterator[Line]:
    deciding = [sli for sli in plan.judgement.slis if sli.deciding]
    own = _words([_bounds(sli) for sli in deciding], "none")
    wanted = [
        f"{indicator} ≤ {least.limit:g}, tolerance ≤ {least.tolerance:g}{_threshold(least) if indicator == 'latency' else ''}"
        for indicator in least.indicators
    ]
    yield Line("judgement.slis", own, "; ".join(wanted) or "any", own)
    series = _words([_series(one) for one in deciding if isinstance(one, PrometheusSli)], "none")
    if least.prometheus is None:
        yield Line("judgement.slis, their series", series, "only what the platform counts", "the platform")
    else:
        listed = _words([_series(one) for one in least.series], "none")
        yield Line("judgement.slis, their series", series, f"{listed} in {least.prometheus}", "what is in both, and the platform")
    alpha, requests = f"{plan.judgement.alpha:g}", f"{plan.judgement.min_requests:,}"
    yield Line("judgement.alpha", alpha, f"at most {least.alpha:g}", alpha)
    yield Line("judgement.min_requests", requests, f"at least {least.min_requests:,}", requests)
    yield Line("judgement.inconclusive", plan.judgement.inconclusive, "not proceed", plan.judgement.inconclusive)
    for place in places_of(plan):
        if place.platform in policy.protects and place.steps:
            field = f"{place.field.rpartition('.')[0]}.steps"
            first = f"{unwatched_share(place)[1]} % until it was watched, {watched_seconds(place):g} s"
            floor = f"at most {least.first_percent} % until it was watched, at least {least.watch_seconds:g} s"
            yield Line(field, first, floor, first)
            without = max((step.percent for step in place.steps if not step.watch_seconds), default=0)
            lasts = f"at least {baked_seconds(place):g} s, at most {without} % not watched"
            floor = f"at least {least.bake_seconds:g} s, at most {least.unwatched_percent} % not watched"
            yield Line(f"{field}, whatever they show", lasts, floor, lasts)


def _bounds(sli: Sli) -> str:
    threshold = getattr(sli, "threshold_seconds", None)
    slow = f", threshold {threshold:g} s" if threshold else ""
    return f"{getattr(sli, 'indicator', sli.name)} ≤ {sli.limit:g}, tolerance {sli.tolerance:g}{slow}"


def _threshold(least: LeastAnalysis) -> str:
    return "" if least.threshold_seconds is None else f", threshold ≤ {least.threshold_seconds:g} s"


def _series(one: Series | PrometheusSli) -> str:
    metric = one.metric or "the usual counter"
    return f"{metric}{{{one.selector}}} with {one.status_label} {one.bad_status} bad, without one {one.missing_status}"


def _all(lists: Iterable[Sequence[str]]) -> list[str]:
    return sorted({name for listed in lists for name in listed})


def _both(policy: str) -> tuple[str, str]:
    """Give what a policy says as what it says and as what counts."""
    return policy, policy


def _words(names: Sequence[str], none: str) -> str:
    return ", ".join(names) or none
