"""Plan and policy side by side: every field of a policy is shown, so that none can be forgotten."""

from __future__ import annotations

import copy
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from tasks.rules.policy.comparison import compare_rules
from tasks.rules.policy.policy import Policy
from tests.rules.policy.test_rules import BLOCK, plan_of, policy_of

NOT_SHOWN = {"Policy.policy": "the version of the format", "Policy.description": "words for people; `shipway policy show` has them"}
KEY = "ada ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB"
IN_BERLIN = {"zone": "Europe/Berlin", "reason": "Christmas", "owner": "platform"}
USUAL: dict[str, Any] = {
    "policy": 1, "name": "shop", "description": "Ask the platform team.", "protects": [BLOCK], "environment": "production",
    "services": ["shop"], "shares": ["the Application of argocd-application/shops"], "requesters": ["ada"],
    "approval": {"quorum": 2, "approvers": ["ada", "ben"], "signatures": "accepted", "requester": "named"},
    "checklist": ["tests_passed"], "ticked": ["backup"],
    "least_analysis": {
        "indicators": ["errors", "latency"], "prometheus": "prometheus/team", "threshold_seconds": 1, "limit": 0.1, "tolerance": 0.05,
        "alpha": 0.05, "min_requests": 20, "watch_seconds": 60, "first_percent": 25, "bake_seconds": 0, "unwatched_percent": 50,
        "series": [{"metric": "a_total", "selector": "a", "status_label": "status", "bad_status": "5..", "missing_status": "bad"}],
    },
    "source": {"repositories": ["https://git.example.com/a"], "branches": ["main"], "signed": "tag", "signers": [f"{KEY}x"]},
    "windows": {
        "deny": [
            {"from": "2026-12-20", "until": "2027-01-02", **IN_BERLIN},
            {"cron": "0 8 1 1 *", "duration_minutes": 600, **IN_BERLIN},
            {"ics": "/srv/freezes.ics", **IN_BERLIN},
            {"holidays": "DE", "subdivision": "BE", "days_before": 1, **IN_BERLIN},
            {"rrule": "FREQ=MONTHLY;BYDAY=-1FR", "from": "2026-01-30T12:00", "duration_minutes": 360, **IN_BERLIN},
        ],
        "one_at_a_time": "database", "lifted_by": ["ada"], "overrides": {"who": ["ada", "ben"], "second_person": False},
    },
}  # fmt: skip
LEAST, SOURCE, WINDOWS = ("least_analysis",), ("source",), ("windows",)
SERIES, ONCE, CRON, ICS, DAY, RULE = (*LEAST, "series", 0), *((*WINDOWS, "deny", number) for number in range(5))
# Another value of each field, by where it stands.
OTHERS: dict[str, tuple[tuple[Any, ...], Any]] = {
    "Policy.name": (("name",), "other"), "Policy.protects": (("protects",), [BLOCK, "local/other"]),
    "Policy.environment": ((), {**{name: USUAL[name] for name in ("policy", "name", "protects", "services")}, "environment": "staging"}),
    "Policy.services": (("services",), ["shop", "other"]), "Policy.shares": (("shares",), []),
    "Policy.requesters": (("requesters",), ["ada", "ben"]), "Policy.approval": (("approval",), {"quorum": 0}),
    "Policy.checklist": (("checklist",), ["tests_passed", "team_told"]), "Policy.ticked": (("ticked",), ["restore"]),
    "Policy.rehearsed_within_days": (("rehearsed_within_days",), 14),
    "Policy.least_analysis": (LEAST, None), "Policy.source": (SOURCE, None), "Policy.windows": (WINDOWS, {}),
    "LeastApproval.quorum": (("approval", "quorum"), 1), "LeastApproval.approvers": (("approval", "approvers"), ["ada", "cleo"]),
    "LeastApproval.signatures": (("approval", "signatures"), "required"),
    "LeastApproval.requester": (("approval", "requester"), "proved"),
    "LeastAnalysis.indicators": ((*LEAST, "indicators"), ["errors"]), "LeastAnalysis.prometheus": ((*LEAST, "prometheus"), "prometheus/a"),
    "LeastAnalysis.series": ((*LEAST, "series"), []), "LeastAnalysis.threshold_seconds": ((*LEAST, "threshold_seconds"), 2),
    "LeastAnalysis.limit": ((*LEAST, "limit"), 0.2), "LeastAnalysis.tolerance": ((*LEAST, "tolerance"), 0.2),
    "LeastAnalysis.alpha": ((*LEAST, "alpha"), 0.1), "LeastAnalysis.min_requests": ((*LEAST, "min_requests"), 30),
    "LeastAnalysis.bake_seconds": ((*LEAST, "bake_seconds"), 1), "LeastAnalysis.unwatched_percent": ((*LEAST, "unwatched_percent"), 51),
    "LeastAnalysis.watch_seconds": ((*LEAST, "watch_seconds"), 61), "LeastAnalysis.first_percent": ((*LEAST, "first_percent"), 26),
    "Series.metric": ((*SERIES, "metric"), "b_total"), "Series.selector": ((*SERIES, "selector"), "b"),
    "Series.status_label": ((*SERIES, "status_label"), "code"), "Series.bad_status": ((*SERIES, "bad_status"), "50."),
    "Series.missing_status": ((*SERIES, "missing_status"), "good"),
    "Source.repositories": ((*SOURCE, "repositories"), []), "Source.branches": ((*SOURCE, "branches"), ["release/*"]),
    "Source.signed": ((*SOURCE, "signed"), "commit"), "Source.signers": ((*SOURCE, "signers"), [f"{KEY}y"]),
    "PolicyWindows.allow": ((*WINDOWS, "allow"), [USUAL["windows"]["deny"][1]]), "PolicyWindows.deny": ((*WINDOWS, "deny"), []),
    "PolicyWindows.one_at_a_time": ((*WINDOWS, "one_at_a_time"), "mail"), "PolicyWindows.lifted_by": ((*WINDOWS, "lifted_by"), []),
    "PolicyWindows.overrides": ((*WINDOWS, "overrides"), None),
    "Overrides.who": ((*WINDOWS, "overrides", "who"), ["ben"]), "Overrides.second_person": ((*WINDOWS, "overrides", "second_person"), True),
    "Window.cron": ((*CRON, "cron"), "0 9 1 1 *"), "Window.begins": ((*ONCE, "from"), "2026-12-21"),
    "Window.until": ((*ONCE, "until"), "2027-01-03"), "Window.duration_minutes": ((*CRON, "duration_minutes"), 601),
    "Window.duration_days": (CRON, {"cron": "0 8 1 1 *", "duration_days": 2, **IN_BERLIN}), "Window.zone": ((*ONCE, "zone"), "UTC"),
    "Window.reason": ((*ONCE, "reason"), "sale"), "Window.owner": ((*ONCE, "owner"), "ada"),
    "CalendarWindow.ics": ((*ICS, "ics"), "/srv/other.ics"), "CalendarWindow.zone": ((*ICS, "zone"), "UTC"),
    "CalendarWindow.reason": ((*ICS, "reason"), "sale"), "CalendarWindow.owner": ((*ICS, "owner"), "ada"),
    "HolidayWindow.holidays": (DAY, {"holidays": "FR", "days_before": 1, **IN_BERLIN}),
    "HolidayWindow.subdivision": ((*DAY, "subdivision"), "BY"), "HolidayWindow.days_before": ((*DAY, "days_before"), 2),
    "HolidayWindow.zone": ((*DAY, "zone"), "UTC"), "HolidayWindow.reason": ((*DAY, "reason"), "a"),
    "HolidayWindow.owner": ((*DAY, "owner"), "ada"), "RuleWindow.rrule": ((*RULE, "rrule"), "FREQ=MONTHLY;BYDAY=5FR"),
    "RuleWindow.begins": ((*RULE, "from"), "2026-02-27T12:00"), "RuleWindow.duration_minutes": ((*RULE, "duration_minutes"), 361),
    "RuleWindow.duration_days": (RULE, {"rrule": "FREQ=MONTHLY;BYDAY=-1FR", "from": "2026-01-30T12:00", "duration_days": 1, **IN_BERLIN}),
    "RuleWindow.zone": ((*RULE, "zone"), "UTC"), "RuleWindow.reason": ((*RULE, "reason"), "a"),
    "RuleWindow.owner": ((*RULE, "owner"), "ada"),
}  # fmt: skip
STAGING = {"service": "shop", "staging": {"platform": BLOCK}, "production": {"platform": "local/other", "steps": [{"percent": 100}]}}


def models_in(kind: Any, seen: set[type]) -> Iterator[type[BaseModel]]:
    """Walk the models that a type is made of, each once."""
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
        seen.add(kind)
        yield kind
        for field in kind.model_fields.values():
            yield from models_in(field.annotation, seen)
    for member in typing.get_args(kind):
        yield from models_in(member, seen)


def with_other(path: tuple[Any, ...], value: Any) -> Policy:
    """Give the usual policy with another value at one place."""
    if not path:
        return Policy.model_validate(value)
    raw = copy.deepcopy(USUAL)
    place: Any = raw
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return Policy.model_validate(raw)


def test_every_field_of_a_policy_is_known_here() -> None:
    """A new one is shown beside the plan's, too, or has a reason here why it is not."""
    every = {f"{model.__name__}.{name}" for model in models_in(Policy, set()) for name in model.model_fields}
    assert every == set(OTHERS) | set(NOT_SHOWN)


@pytest.mark.parametrize("name", OTHERS)
def test_each_field_of_a_policy_is_shown_beside_the_plans(name: str) -> None:
    """Another value gives another line; each line has a value for the plan, for the policy, and for what counts."""
    path, value = OTHERS[name]
    usual, other = (compare_rules(plan_of(), [policy]) for policy in (Policy.model_validate(USUAL), with_other(path, value)))
    assert [line.policy for line in usual] != [line.policy for line in other]
    assert all(all(line) for line in (*usual, *other))


@pytest.mark.parametrize("name", NOT_SHOWN)
def test_what_is_not_shown_says_nothing_that_a_plan_must_keep(name: str) -> None:
    """No check of a plan knows of it."""
    field = name.rpartition(".")[2]
    assert compare_rules(plan_of(), [Policy.model_validate(USUAL)]) == compare_rules(
        plan_of(), [Policy.model_validate(USUAL).model_copy(update={field: None})]
    )


def test_a_policy_without_a_source_says_so() -> None:
    """And one of staging says nothing of windows, which it has not."""
    lines = {line.field: line for line in compare_rules(plan_of(), [policy_of()])}
    assert lines["source"][1:] == ("-", "any", "any")
    assert lines["windows.overrides"][1:] == ("-", "no one", "no one")
    of_staging = policy_of(environment="staging", approval={"quorum": 0}, least_analysis=None)
    shown = {line.field: line for line in compare_rules(plan_of(**STAGING), [of_staging])}
    assert not any(field.startswith("windows") for field in shown)
    assert shown["environment"][1:] == ("staging", "staging", "staging")


def test_each_of_several_policies_says_where_a_release_must_come_from() -> None:
    """All of them must be kept, and who may override is in all of their lists."""
    sources: list[dict[str, Any]] = [{"branches": ["main"]}, {"branches": ["release/*"]}]
    windows: list[dict[str, Any]] = [
        {"overrides": {"who": ["ada", "ben"]}},
        {"overrides": {"who": ["ada", "ben", "cleo"], "second_person": True}},
    ]
    policies = [policy_of(name=f"p{n}", source=sources[n], windows=windows[n]) for n in range(2)]
    lines = compare_rules(plan_of(), policies)
    assert [line.policy for line in lines if line.field == "source.branches"] == ["main", "release/*"]
    (overrides,) = [line for line in lines if line.field == "windows.overrides"]
    assert overrides[1:] == ("-", "ada, ben; ada, ben, cleo, two of them", "ada, ben, two of them")
