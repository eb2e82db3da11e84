"""What a release would do, step by step, said before anything is done."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.rules.plan.data import MOMENTS
from tasks.rules.plan.plan import Judgement, Plan, Step, Waves
from tasks.rules.plan.targets import PRODUCTION, Place, production_of, target_of, waves_of
from tasks.rules.rollout.migrations import describe
from tasks.rules.rollout.waves import versions_in_words

UNKNOWN = "what runs now is not known here"
INCONCLUSIVE = {
    "ask": "a person is asked for at most {minutes:g} min, and without an answer it goes back",
    "extend": "it is watched once more as long, then it goes back",
    "proceed": "it goes on",
    "rollback": "it goes back",
}


def duration(seconds: float) -> str:
    """Write a time as people read it: `45 s`, `5 min`, `1 h 30 min`."""
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:g} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def longest_seconds(plan: Plan) -> float:
    """Add up how long a release can take that goes well, without waiting for people.

    Returns:
        Seconds: evidence, every environment's start, checks and every watch at their limits.
    """
    waves = waves_of(plan)
    tests = sum(getattr(one, "timeout_seconds", 0) for one in plan.tests)
    asked = max((one.timeout_seconds for one in plan.dependencies), default=0)
    ready = plan.staging.ready_timeout_seconds + sum(max(place.ready_timeout_seconds for place in wave) for wave in waves)
    watched = sum(max(sum(step.watch_seconds for step in place.steps) for place in wave) for wave in waves)
    again = watched if plan.judgement.inconclusive == "extend" else 0
    targets = len(production_of(plan))  # their data suites and migrations take turns, also side by side
    data = sum(
        (targets if moment == PRODUCTION else 1) * max((suite.timeout_seconds for suite in plan.data if moment in suite.when), default=0)
        for moment in MOMENTS
    )
    jobs = sum(one.timeout_seconds * (targets if name == PRODUCTION else 1) for one in plan.migrations for name in one.environments)
    looks = 2 + sum(max(len(place.steps) for place in wave) for wave in waves)
    return jobs + data + tests + asked + ready + looks * _verify_seconds(plan) + watched + again


def describe_course(plan: Plan, version: str, current: Mapping[str, str | None] | None = None) -> list[str]:
    """Describe a release.

    Args:
        plan: The plan.
        version: The version that would be released.
        current: The version that runs now, by environment (`staging`, `production`, or its targets); None for nothing, absent for unknown.

    Returns:
        One sentence a step, in their order, with times, approvals, and what each failure leads to.
    """
    runs = current or {}
    return [
        _before(plan, version, runs),
        _evidence(plan),
        *([f"Migrations: {'; '.join(describe(plan.migrations))}."] if plan.migrations else []),
        _staging(plan, version, runs),
        _gate(plan),
        *(sentence for place in production_of(plan) for sentence in _place(plan, version, runs, place)),
        *_wave(plan),
        _afterwards(plan),
        _way_back(plan, runs),
        f"At most {duration(longest_seconds(plan))} in all when it goes well, without the time that people take.",
    ]


def _staging(plan: Plan, version: str, runs: Mapping[str, str | None]) -> str:
    ready = duration(plan.staging.ready_timeout_seconds)
    left = "leaves it there for study" if plan.staging.keep_on_failure else "takes staging back"
    return (
        f"Staging: bring {version} to {plan.staging.platform} ({_from(runs, 'staging')}), ready within {ready}, all traffic; "
        f"then verify: {_verification(plan)}. A failure {left} and ends the release; production was not touched."
    )


def _place(plan: Plan, version: str, runs: Mapping[str, str | None], place: Place) -> list[str]:
    """Describe the way through one environment of production."""
    ready = duration(place.ready_timeout_seconds)
    name = f"Production, {place.environment}" if target_of(place.environment) else "Production"
    canary = (
        f"{name}: bring {version} up on {place.platform} ({_from(runs, place.environment)}) without traffic, "
        f"ready within {ready}, then verify it. A failure removes it: no user has seen it."
    )
    return [canary, *(_step(step, number, place, plan) for number, step in enumerate(place.steps, start=1))]


def _wave(plan: Plan) -> list[str]:
    """Say how targets follow each other, and what a failure in one means for the others."""
    if not isinstance(plan.production, Waves):
        return []
    waves = [", ".join(target_of(place.environment) for place in wave) for wave in waves_of(plan)]
    if len(waves) == len(production_of(plan)):
        first = (
            "Targets: the next one begins when the one before is verified and promoted. A failure in one stops the wave and takes it back"
        )
    else:
        first = (
            f"Waves: {'; then '.join(waves)}. Targets of a wave go side by side; the next wave begins when all of them are verified and "
            "promoted. A failure in one stops those under way and takes them back"
        )
    before = "those before it" if len(waves) == len(production_of(plan)) else "those completed"
    others = {
        "back": f", and {before} too, the last first.",
        "keep": f"; {before}, and staging, keep the new version. Once all are done, a failure takes all back.",
    }
    return [first + others[plan.production.on_wave_failure]]


def _afterwards(plan: Plan) -> str:
    told = f", tell {', '.join(plan.notify)}" if plan.notify else ""
    return (
        "Afterwards: promote it, stop the former version, verify the public address, look for new error lines in the logs "
        f"(more than {plan.logs.max_new_error_lines} new kinds are a failure), write the record{told}."
    )


def _way_back(plan: Plan, runs: Mapping[str, str | None]) -> str:
    return (
        f"Way back, after any failure: to {_target(plan, runs)}, verified, and watched for {duration(plan.rollback.watch_seconds)} "
        f"with at most {plan.rollback.max_error_ratio * 100:g} % failed requests. It needs no approval."
    )


def _from(runs: Mapping[str, str | None], environment: str) -> str:
    if environment not in runs:
        return UNKNOWN
    return f"{runs[environment]} runs there now" if runs[environment] else "nothing runs there yet"


def _before(plan: Plan, version: str, runs: Mapping[str, str | None]) -> str:
    policy = {
        "refuse": "the new one is refused",
        "queue": "the new one waits",
        "supersede": "the older one is sent back first",
    }[plan.on_conflict]
    since = versions_in_words(plan, runs)
    where = f" since {since}" if since else ""
    empty = "none is fine" if plan.change_log.allow_empty else "none is refused"
    return f"Review: {plan.service} {version}. While another release of it is under way, {policy}. List the changes{where}; {empty}."


def _evidence(plan: Plan) -> str:
    tests = [f"read {one.junit}" if hasattr(one, "junit") else f"run `{' '.join(one.command)}`" for one in plan.tests]
    asked = [f"ask {one.name}" + (f" for {one.version}" if one.version else "") for one in plan.dependencies]
    wanted = [name for name, value in plan.checklist if value]
    checklist = f"then tick off {', '.join(wanted)}" if wanted else "the checklist asks for nothing"
    return f"Evidence: {', '.join([*tests, *asked]) or 'none asked for'}; {checklist}. A failure ends the release; nothing has moved."


def _verify_seconds(plan: Plan) -> float:
    smoke, limit = plan.verification.smoke, plan.verification.smoke_concurrency
    alone = sum(test.timeout_seconds for test in smoke if test.kind == "performance")
    beside = [test.timeout_seconds for test in smoke if test.kind != "performance"]
    longest = max(beside, default=0)
    waited = (sum(beside) - longest) / limit if len(beside) > limit else 0
    return plan.verification.stability.timeout_seconds + longest + waited + alone


def _verification(plan: Plan) -> str:
    steady = plan.verification.stability
    within = duration(steady.timeout_seconds)
    health = f"{len(plan.verification.health)} health request(s) well {steady.successes} times in a row within {within}"
    smoke = ", ".join(test.name for test in plan.verification.smoke)
    data = ", ".join(suite.name for suite in plan.data)
    return (
        f"{health}; "
        + (f"smoke tests {smoke}" if smoke else "no smoke tests")
        + (f"; data suites {data} where they are due" if data else "")
    )


def _gate(plan: Plan) -> str:
    if not plan.approval.quorum:
        return "Gate: nobody must approve."
    names = ", ".join(plan.approval.approvers)
    expiry = duration(plan.approval.expires_after_minutes * 60)
    return (
        f"Gate: {plan.approval.quorum} of {names} must approve within {expiry}; the one who asked does not count. "
        f"A rejection, silence or {plan.approval.max_wrong_codes} wrong codes end the release as refused; production was not touched."
    )


def _step(step: Step, number: int, place: Place, plan: Plan) -> str:
    watch = (
        f"watch for at most {duration(step.watch_seconds)} and verify. {_failure(plan.judgement)}"
        if step.watch_seconds
        else "go on at once."
    )
    target = f" in {target_of(place.environment)}" if target_of(place.environment) else ""
    return f"Step {number} of {len(place.steps)}{target}: send {step.percent} % of new requests to it; {watch}"


def _failure(judgement: Judgement) -> str:
    deciding = ", ".join(sli.name for sli in judgement.slis if sli.deciding)
    inconclusive = INCONCLUSIVE[judgement.inconclusive].format(minutes=judgement.answer_within_minutes)
    return f"A worse {deciding} goes back; inconclusive, {inconclusive}."


def _target(plan: Plan, runs: Mapping[str, str | None]) -> str:
    before = versions_in_words(plan, runs)
    warm = f"{before}, which stays warm" if before else "the version that ran before, which stays warm"
    later = "" if plan.rollback.to == "previous" else f" (once nothing is warm: {plan.rollback.to})"
    return warm + later
