"""Plan and policy together: a plan can be stricter, never weaker."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.plan.plan import Plan
from tasks.rules.policy.comparison import compare_rules
from tasks.rules.policy.policy import Policy, read_policy
from tasks.rules.policy.rules import conflicts, effective_rules, policies_of, requester_conflicts

BLOCK = "local/shop-production"
PEOPLE = ("ada", "ben", "cleo", "dora")
LINES = ("tests_passed", "dependencies_verified", "rollback_ready", "monitoring_on", "team_told")


def plan_of(**changes: Any) -> Plan:
    """Give a plan that keeps the usual policy; `changes` replace whole sections."""
    return Plan.model_validate({
        "shipway": 1, "service": "shop", "tests": [{"junit": "junit.xml"}], "verification": {"health": [{}]},
        "judgement": {"slis": [{"name": "errors", "indicator": "errors", "limit": 0.05}]}, "staging": {"platform": "local/shop-staging"},
        "production": {"platform": BLOCK, "steps": [{"percent": 10, "watch_seconds": 60}, {"percent": 100}]},
        "approval": {"quorum": 2, "approvers": ["ada", "ben"]}, "rollback": {},
    } | changes)  # fmt: skip


def policy_of(**changes: Any) -> Policy:
    """Give the usual policy; `changes` replace whole fields."""
    return Policy.model_validate({
        "policy": 1, "name": "shop", "protects": [BLOCK], "services": ["shop"],
        "approval": {"quorum": 2, "approvers": ["ada", "ben", "cleo"]},
        "checklist": ["tests_passed"],
        "least_analysis": {"indicators": ["errors"], "limit": 0.1, "tolerance": 0.05, "watch_seconds": 60, "first_percent": 25},
    } | changes)  # fmt: skip


SHORT = "policy: 1\nname: a\nservices: [a]\nprotects: [local/a]\n"
SLOW = {"name": "slow", "indicator": "latency", "threshold_seconds": 1}
LOOSE = {"name": "errors", "indicator": "errors", "limit": 0.9}
ERRORS = {"name": "errors", "indicator": "errors", "limit": 0.05}
SHOWN = {"name": "errors", "indicator": "errors", "deciding": False}
STEPS = {"platform": BLOCK, "steps": [{"percent": 50, "watch_seconds": 1}, {"percent": 100, "watch_seconds": 1}]}
GLANCED = {"platform": BLOCK, "steps": [{"percent": one, "watch_seconds": 0 if one < 100 else 600} for one in (1, 20, 100)]}
UNSEEN = {"platform": BLOCK, "steps": [{"percent": one, "watch_seconds": 0} for one in (1, 100)]}
UNSEEN_AT_LAST = {"platform": BLOCK, "steps": [{"percent": 1, "watch_seconds": 3_600}, {"percent": 100, "watch_seconds": 0}]}
EU_AND_US = {"targets": [{"name": "eu", "platform": BLOCK}, {"name": "us", "platform": "local/us"}], "steps": STEPS["steps"]}


BACKUP = {"name": "backup", "text": "A backup was read"}


def test_a_plan_that_keeps_its_policy_has_no_conflict() -> None:
    """The rules side by side are there all the same."""
    assert conflicts(plan_of(), [policy_of()]) == []
    assert {line.field for line in compare_rules(plan_of(), [policy_of()])} >= {"approval.quorum", "approval.approvers", "production.steps"}


@pytest.mark.parametrize(
    ("plan", "policy", "fields"),
    [
        ({"service": "other"}, {}, ["service", "services"]),
        ({"approval": {"quorum": 0}}, {}, ["approval.quorum", "approval.quorum"]),
        ({"approval": {"quorum": 1, "approvers": ["ada"]}}, {}, ["approval.quorum", "approval.quorum"]),
        ({"approval": {"quorum": 2, "approvers": ["ada", "dora"]}}, {}, ["approval.approvers", "approval.approvers"]),
        ({"checklist": {"tests_passed": False}}, {}, ["checklist.tests_passed", "checklist"]),
        ({}, {"ticked": ["backup"]}, ["checklist.items", "ticked"]),
        ({"checklist": {"items": [{**BACKUP, "required": False}]}}, {"ticked": ["backup"]}, ["checklist.items", "ticked"]),
        ({"checklist": {"items": [{**BACKUP, "before": "closing"}]}}, {"ticked": ["backup"]}, ["checklist.items[0].before", "ticked"]),
        ({"staging": {"platform": BLOCK}, "production": {**STEPS, "platform": "local/a"}}, {}, ["staging.platform", "environment"]),
        ({}, {"environment": "staging", "approval": {"quorum": 0}, "least_analysis": None}, ["production.platform", "environment"]),
        ({"judgement": {"slis": [SLOW]}}, {}, ["judgement.slis", "least_analysis.indicators"]),
        ({"judgement": {"slis": [LOOSE]}}, {}, ["judgement.slis", "least_analysis.indicators"]),
        ({"judgement": {"slis": [SLOW, SHOWN]}}, {}, ["judgement.slis", "least_analysis.indicators"]),
        ({"judgement": {"slis": [LOOSE | {"limit": 0.1}], "inconclusive": "proceed"}}, {}, ["judgement.inconclusive", "least_analysis"]),
        ({"production": STEPS}, {}, ["production.steps", "least_analysis.watch_seconds"]),
        ({"production": STEPS}, {}, ["production.steps[0].percent", "least_analysis.first_percent"]),
        ({"production": EU_AND_US}, {}, ["production.targets[0].steps", "least_analysis.watch_seconds"]),
        ({"production": GLANCED}, {}, ["production.steps[2].percent", "least_analysis.first_percent"]),
        ({"production": UNSEEN}, {}, ["production.steps[1].percent", "least_analysis.first_percent"]),
        (
            {"production": UNSEEN_AT_LAST},
            {"least_analysis": {"unwatched_percent": 99}},
            [
                "production.steps[1].watch_seconds",
                "least_analysis.unwatched_percent",
            ],
        ),
        (
            {"production": UNSEEN},
            {"least_analysis": {"unwatched_percent": 0}},
            [
                "production.steps[0].watch_seconds",
                "least_analysis.unwatched_percent",
            ],
        ),
        ({"production": STEPS}, {"least_analysis": {"bake_seconds": 2}}, ["production.steps", "least_analysis.bake_seconds"]),
        ({"judgement": {"slis": [ERRORS], "alpha": 0.2}}, {"least_analysis": {"alpha": 0.1}}, ["judgement.alpha", "least_analysis.alpha"]),
        (
            {"judgement": {"slis": [ERRORS], "min_requests": 1}},
            {"least_analysis": {"min_requests": 2}},
            ["judgement.min_requests", "least_analysis.min_requests"],
        ),
    ],
)
def test_a_weaker_plan_is_refused_with_both_fields_and_the_fix(plan: dict[str, Any], policy: dict[str, Any], fields: list[str]) -> None:
    """Each sentence begins with the plan's field, quotes the policy's, and ends with what to write."""
    found = conflicts(plan_of(**plan), [policy_of(**policy)])
    fitting = [one for one in found if one.startswith(f"{fields[0]}: ") and f"`{fields[1]}` of the policy shop" in one]
    assert fitting, found
    assert all(one.endswith(".") for one in found)


@given(st.lists(st.tuples(st.integers(1, 99), st.sampled_from([0, 60])), max_size=4, unique_by=lambda step: step[0]), st.integers(1, 100))
def test_no_version_gets_more_than_the_first_share_before_a_watch_of_it(steps: list[tuple[int, int]], most: int) -> None:
    """Whatever steps a plan has: the shares up to the first watched one are bounded, and what follows is not."""
    told = [{"percent": percent, "watch_seconds": seconds} for percent, seconds in [*sorted(steps), (100, 60)]]
    policy = policy_of(least_analysis={"first_percent": most})
    before = [one["percent"] for number, one in enumerate(told) if not any(two["watch_seconds"] for two in told[:number])]
    found = conflicts(plan_of(production={"platform": BLOCK, "steps": told}), [policy])
    assert bool(found) == (max(before) > most)


@given(
    st.lists(st.tuples(st.integers(1, 99), st.sampled_from([0, 60]), st.integers(0, 60)), max_size=4, unique_by=lambda step: step[0]),
    st.integers(0, 100),
    st.integers(0, 100),
)
def test_a_plan_whose_shares_are_not_watched_or_whose_watches_may_end_at_once_keeps_no_bound_of_them(
    steps: list[tuple[int, int, int]], most: int, least: int
) -> None:
    """The watch of a step may end at its first verdict: how long steps last whatever they show is a bound of its own."""
    told = [
        {"percent": percent, "watch_seconds": seconds, "bake_seconds": min(bakes, seconds)}
        for percent, seconds, bakes in [*sorted(steps), (100, 0, 0)]
    ]
    policy = policy_of(least_analysis={"unwatched_percent": most, "bake_seconds": least})
    found = conflicts(plan_of(production={"platform": BLOCK, "steps": told}), [policy])
    unwatched = max(one["percent"] for one in told if not one["watch_seconds"])
    assert bool(found) == (unwatched > most or sum(one["bake_seconds"] for one in told) < least)


def test_a_plan_may_be_stricter() -> None:
    """More people, fewer steps at once, a longer watch, a lower limit."""
    strict = plan_of(
        approval={"quorum": 3, "approvers": ["ada", "ben", "cleo"]},
        production={"platform": BLOCK, "steps": [{"percent": 1, "watch_seconds": 900}, {"percent": 100}]},
        judgement={"slis": [{"name": "errors", "indicator": "errors", "limit": 0.01, "tolerance": 0}, SLOW]},
    )
    assert conflicts(strict, [policy_of()]) == []
    assert effective_rules(strict, [policy_of()]).quorum == 3


def test_a_plan_has_the_ticked_items_that_a_policy_names() -> None:
    """As required ones; both lists are shown side by side."""
    plan, policy = plan_of(checklist={"items": [BACKUP]}), policy_of(ticked=["backup"])
    assert conflicts(plan, [policy]) == []
    assert next(line for line in compare_rules(plan, [policy]) if line.field == "checklist.items").policy == "backup"


@pytest.mark.parametrize(
    ("item", "policy", "field"),
    [
        ({"skipped_by": ["mallory"]}, {}, "skipped_by"),
        ({"skipped_by": ["ada", "mallory"]}, {}, "skipped_by"),
        ({"skipped_by": ["ada"]}, {"approval": {"quorum": 2}}, "skipped_by"),
        ({"who": ["mallory"]}, {}, "who"),
        ({"who": ["ada", "mallory"]}, {}, "who"),
    ],
)
def test_an_item_of_a_policy_is_ticked_or_skipped_only_by_people_whom_the_policy_knows(
    item: dict[str, Any], policy: dict[str, Any], field: str
) -> None:
    """Whoever writes the plan could else skip it alone; the sentence names the field, the people, and both fields of the policy."""
    items = [{"name": "other", "text": "x", "skipped_by": ["mallory"], "who": ["mallory"]}, {**BACKUP, **item}]
    found = conflicts(plan_of(checklist={"items": items}), [policy_of(ticked=["backup"], **policy)])
    assert [one.partition(":")[0] for one in found] == [f"checklist.items[1].{field}"]
    assert ("mallory" in found[0] or "ada" in found[0], "`approval.approvers` of the policy shop" in found[0], "`ticked`" in found[0]) == (
        True,
    ) * 3


@pytest.mark.parametrize(("item", "policy"), [
    ({}, {}), ({"who": ["cleo"], "skipped_by": ["ben"]}, {}), ({"who": ["dora"]}, {"approval": {"quorum": 2}}),
])  # fmt: skip
def test_people_of_the_policy_may_tick_and_skip(item: dict[str, Any], policy: dict[str, Any]) -> None:
    """Whoever may, if the policy names no approvers; skip then none."""
    assert conflicts(plan_of(checklist={"items": [{**BACKUP, **item}]}), [policy_of(ticked=["backup"], **policy)]) == []


def test_a_policy_of_other_blocks_says_nothing_about_a_plan() -> None:
    """Only the blocks that it lists by their whole name are protected."""
    other = policy_of(protects=["local/shop-production-2"], services=["other"])
    assert policies_of(plan_of(), [other]) == ()
    assert conflicts(plan_of(), [other]) == []
    assert compare_rules(plan_of(), [other]) == []


def test_only_listed_people_may_request() -> None:
    """A phase that runs alone has no requester, and is refused too."""
    rules = effective_rules(plan_of(), [policy_of(requesters=["ada", "dora"]), policy_of(name="more", requesters=["dora", "cleo"])])
    assert rules.requesters == ("dora",)
    assert requester_conflicts("dora", rules) == []
    assert all("`requesters` of the policy shop and more" in requester_conflicts(who, rules)[0] for who in ("ada", "cleo", ""))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a plan of any approval and checklist."""
    approvers = draw(st.lists(st.sampled_from(PEOPLE), unique=True))
    return plan_of(
        approval={"approvers": approvers, "quorum": draw(st.integers(0, len(approvers)))},
        checklist={line: draw(st.booleans()) for line in LINES},
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Draw a policy of any approval, checklist and requesters."""
    approvers = draw(st.lists(st.sampled_from(PEOPLE), unique=True))
    return policy_of(
        approval={
            "approvers": approvers,
            "quorum": draw(st.integers(0, len(approvers) or 4)),
            "signatures": draw(st.sampled_from(["accepted", "required"])),
        },
        checklist=draw(st.lists(st.sampled_from(LINES), unique=True)),
        requesters=draw(st.lists(st.sampled_from(PEOPLE), unique=True)),
    )


@given(plans(), st.lists(policies(), max_size=3))
def test_the_effective_rules_are_at_least_as_strict_as_each_of_them(plan: Plan, every: list[Policy]) -> None:
    """Whatever is merged, in whatever order: nothing that one of them asks for is lost."""
    rules = effective_rules(plan, every)
    assert rules.model_copy(update={"policies": (), "approvers": (), "requesters": None}) == effective_rules(plan, every[::-1]).model_copy(
        update={"policies": (), "approvers": (), "requesters": None}
    )
    assert rules.quorum >= plan.approval.quorum
    assert set(rules.approvers) <= set(plan.approval.approvers)
    assert set(rules.checklist) >= {name for name, is_asked in plan.checklist.lines().items() if is_asked}
    for policy in every:
        assert rules.quorum >= policy.approval.quorum
        assert not policy.approval.approvers or set(rules.approvers) <= set(policy.approval.approvers)
        assert set(rules.checklist) >= set(policy.checklist)
        assert (rules.signatures, policy.approval.signatures) != ("accepted", "required")
        assert not policy.requesters or (rules.requesters is not None and set(rules.requesters) <= set(policy.requesters))


@given(plans(), st.lists(policies(), max_size=3))
def test_a_plan_without_a_conflict_can_be_approved_and_is_what_counts(plan: Plan, every: list[Policy]) -> None:
    """Then the plan's own quorum and checklist are the effective ones, and enough people may approve."""
    if not conflicts(plan, every):
        rules = effective_rules(plan, every)
        assert rules.quorum == plan.approval.quorum <= len(rules.approvers)
        assert set(rules.checklist) == {name for name, is_asked in plan.checklist.lines().items() if is_asked}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "policy: the file is empty. Begin with `policy: 1` and `name: NAME`."),
        ("policy: 1\nname: a\nservices: [a]\n", "protects: `protects` is missing. Add `protects:` here; docs/policy.md shows it"),
        ("policy: 1\nname: a\nservices: [a]\nprotects: [local/*]\n", "protects[0]: `local/*` does not fit. Write a Prefect block"),
        ("policy: 1\nname: a\nservices: [a]\nprotect: [local/a]\n", "protect: the field `protect` is unknown. Did you mean `protects`?"),
        ("policy: 1\nname: a\nservices: [a]\nprotects: [local/a]\nchecklist: [tests]\n", "checklist[0]: `tests` must be"),
        ("policy: 1\nname: a\nservices: [a]\nprotects: [local/a]\napproval: {quorum: 2, approvers: [ada]}\n", "can never be met"),
        ("policy: 1\nname: a\nservices: [a]\nprotects: [local/a]\nenvironment: staging\napproval: {}\n", "before people are asked"),
        (f"{SHORT}source: {{signed: tag}}\n", "source: no signature could be valid without `signers`"),
        (f"{SHORT}source: {{signed: tag, signers: [ada]}}\n", "source.signers[0]: `ada` does not fit. Write a name, the kind of key"),
        ("policy: 2\nname: a\nservices: [a]\nprotects: [local/a]\n", "policy: `2` must be 1"),
    ],
)
def test_a_wrong_policy_is_reported_as_a_plan_is(text: str, said: str) -> None:
    """With file, line, field and fix."""
    policy, problems = read_policy(text, name="p.yaml")
    assert policy is None
    assert said in str(problems[0]), problems


COUNTED = {**ERRORS, "source": "prometheus"}
PAIR = {
    "name": "errors",
    "limit": 0.05,
    "source": "prometheus",
    "bad": 'sum(errors_total{version="{version}"}) or vector(0)',
    "total": 'sum(requests_total{version="{version}"})',
}
QUICK = {"name": "slow", "indicator": "latency", "threshold_seconds": 0.3, "limit": 0.05}
SERIES = {"metric": "shop_requests_total", "selector": 'version="{version}",app="shop"'}
IN_PROMETHEUS = {"prometheus": "prometheus/team"}


@pytest.mark.parametrize(
    ("sli", "least", "counts"),
    [
        (ERRORS, {}, True),
        (COUNTED, {}, False),
        (COUNTED, IN_PROMETHEUS, True),
        (COUNTED | {"bad_status": "none"}, IN_PROMETHEUS, False),
        (COUNTED | {"missing_status": "good"}, IN_PROMETHEUS, False),
        (COUNTED | {"metric": "other_total"}, IN_PROMETHEUS, False),
        (COUNTED | {"selector": 'version="{version}",path="/static"'}, IN_PROMETHEUS, False),
        (COUNTED, {"prometheus": "prometheus/another"}, False),
        (COUNTED | SERIES, IN_PROMETHEUS | {"series": [SERIES]}, True),
        (COUNTED, IN_PROMETHEUS | {"series": [SERIES]}, False),
        (ERRORS | {"source": "probe", "path": "/static/ok.txt"}, IN_PROMETHEUS, False),
        (PAIR, {}, False),
        (PAIR, IN_PROMETHEUS, False),
        (QUICK, {"indicators": ["latency"]}, True),
        (QUICK | {"threshold_seconds": 3_000}, {"indicators": ["latency"]}, True),
        (QUICK | {"threshold_seconds": 3_000}, {"indicators": ["latency"], "threshold_seconds": 1}, False),
        (QUICK, {"indicators": ["latency"], "threshold_seconds": 1}, True),
    ],
)
def test_an_sli_that_may_see_no_error_keeps_no_policy(sli: dict[str, Any], least: dict[str, Any], counts: bool) -> None:  # noqa: FBT001
    """Only requests that the platform counts, or series that the policy names in the Prometheus that it names."""
    plan = plan_of(judgement={"slis": [sli], "prometheus": "prometheus/team"})
    policy = policy_of(least_analysis={"indicators": ["errors"], "limit": 0.1, "tolerance": 0.05, **least})
    assert [one.split(":")[0] for one in conflicts(plan, [policy])] == ([] if counts else ["judgement.slis"])


@pytest.mark.parametrize(
    ("slis", "least", "counts"),
    [([ERRORS], {}, False), ([ERRORS], IN_PROMETHEUS, False), ([ERRORS, COUNTED | {"name": "counted"}], IN_PROMETHEUS, True)],
)
def test_what_a_script_counts_keeps_no_policy(slis: list[dict[str, Any]], least: dict[str, Any], counts: bool) -> None:  # noqa: FBT001
    """Its version says it of itself; an indicator from Prometheus must decide, and the refusal says so."""
    steps = [{"percent": 10, "watch_seconds": 60}, {"percent": 100}]
    plan = plan_of(production={"platform": "script/shop", "steps": steps}, judgement={"slis": slis, "prometheus": "prometheus/team"})
    policy = policy_of(protects=["script/shop"], least_analysis={"indicators": ["errors"], "limit": 0.1, "tolerance": 0.05, **least})
    found = conflicts(plan, [policy])
    assert [one.split(":")[0] for one in found] == ([] if counts else ["judgement.slis"])
    assert all("in prometheus/team" in one if least else "the counts of script/shop are what its script says" in one for one in found)


@pytest.mark.parametrize(
    ("plan", "policies", "days"),
    [
        (None, [None], None),
        (30, [None], 30),
        (None, [14], 14),
        (7, [14], 7),
        (30, [14, 21], 14),
    ],
)
def test_the_shorter_age_of_a_rehearsal_counts(plan: float | None, policies: list[float | None], days: float | None) -> None:
    """A plan may ask for a younger one, and need not ask for one at all; side by side stands which counts."""
    made = plan_of(checklist={"rehearsed_within_days": plan})
    found = [policy_of(name=f"p{number}", rehearsed_within_days=one) for number, one in enumerate(policies)]
    assert effective_rules(made, found).rehearsed_within_days == days
    (line,) = [one for one in compare_rules(made, found) if one.field == "checklist.rehearsed_within_days"]
    assert line.counts == ("not asked for" if days is None else f"at most {days:g}")


def test_a_plan_may_not_turn_off_the_line_for_which_a_policy_asks_a_rehearsal() -> None:
    """Else nothing would be judged."""
    (conflict,) = conflicts(plan_of(checklist={"rollback_ready": False}), [policy_of(rehearsed_within_days=30)])
    assert "checklist.rollback_ready: false is not allowed by `rehearsed_within_days` of the policy shop" in conflict
