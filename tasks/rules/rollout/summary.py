"""What a release would do, step by step, said before anything is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tasks.rules.plan.checklist import BEFORE, CLOSING, TickedItem
from tasks.rules.plan.credentials import credentials_in_words, uses_of
from tasks.rules.plan.data import Moment
from tasks.rules.plan.plan import Plan, Step, Waves
from tasks.rules.plan.receivers import in_words
from tasks.rules.plan.targets import STAGING, place_of, production_of, target_of, waves_of
from tasks.rules.rollout.steps import WITHOUT_CANARY, PlannedStep, extension_seconds, longest_seconds, smoke_in, steps_of, ticks_name
from tasks.rules.rollout.waves import earlier_in_words, versions_in_words
from tasks.rules.windows.words import window_in_words

UNKNOWN = "what runs now is not known here"
INCONCLUSIVE = {
    "ask": "a person is asked for at most {minutes:g} min, and without an answer it rolls back",
    "extend": "it is watched once for {more} more, then it rolls back",
    "proceed": "it goes on, but with too few requests (no data) it rolls back",
    "rollback": "it rolls back",
}
STARTS = ("pre_deploy", "ticks", "gate", "window", "shift", "post_deploy")  # the steps with which a sentence begins


def duration(seconds: float) -> str:
    """Write a time as people read it: `45 s`, `5 min`, `1 h 30 min`."""
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:g} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def describe_course(plan: Plan, version: str, current: Mapping[str, str | None] | None = None) -> list[str]:
    """Describe a release by its list of steps.

    Args:
        plan: The plan.
        version: The version that would be released.
        current: The version that runs now, by environment (`staging`, `production`, or its targets); None for nothing, absent for unknown.

    Returns:
        Sentences in the order of the steps, with times, approvals, and what each failure leads to.
    """
    runs = current or {}
    sentences: list[str] = [_before(plan, version, runs)]
    for steps in _sentences(steps_of(plan)):
        if steps[0].kind == "post_deploy":
            sentences += _wave(plan)
        sentences.append(_sentence(plan, version, runs, steps))
    rest = f"At most {duration(longest_seconds(plan))} in all when it goes well, without the time that people take{_and_windows(plan)}."
    return [*sentences, *plan.observe.in_words(), *_scripts(plan), _rollback(plan, runs), *_credentials(plan), rest]


def _and_windows(plan: Plan) -> str:
    return " and that windows are waited for" if plan.windows.are_there() else ""


def _credentials(plan: Plan) -> list[str]:
    """Say where the values of credentials go; nothing without any."""
    found = credentials_in_words(uses_of(plan))
    return (
        [f"Credentials: {'. '.join(found)}. Each goes there only if its block allows it, which is looked at before any is sent."]
        if found
        else []
    )


def _sentences(steps: Iterable[PlannedStep]) -> list[list[PlannedStep]]:
    """Part the steps into those of one sentence each."""
    found: list[list[PlannedStep]] = []
    for step in steps:
        starts = step.kind in STARTS or (step.whole and step.environment != STAGING)
        if starts or not found or found[-1][0].environment != step.environment:
            found.append([])
        found[-1].append(step)
    return found


def _sentence(plan: Plan, version: str, runs: Mapping[str, str | None], steps: Sequence[PlannedStep]) -> str:
    """Say in one sentence what these steps do, and what a failure leads to."""
    first = steps[0]
    if first.kind == "ticks":
        return _ticks(plan, first)
    if first.kind in {"pre_deploy", "gate", "window", "post_deploy"}:
        return {"pre_deploy": _evidence, "gate": _gate, "window": _window, "post_deploy": _afterwards}[first.kind](plan)
    does = "; ".join(_clause(plan, version, runs, step) for step in steps)
    if first.environment == STAGING:
        left = "leaves it there for study" if plan.staging.keep_on_failure else "rolls staging back"
        return f"Staging: {does}. A failure {left} and ends the release; production was not touched."
    target = target_of(first.environment)
    if first.kind == "shift":
        place = place_of(plan, first.environment)
        number = [step.percent for step in place.steps].index(first.percent or 0) + 1
        rest = f". {_failure(plan, place.steps[number - 1])}" if any(step.kind == "watch" for step in steps) else "; go on at once."
        return f"Step {number} of {len(place.steps)}{target and f' in {target}'}: {does}{rest}"
    if first.whole:
        to = "deploys the version before again" if _replaces(plan, first) else "rolls back to what stays warm"
        return f"Under full traffic{target and f' in {target}'}: {does}. A failure before the promotion {to}."
    title = f"Production, {first.environment}" if target else "Production"
    return f"{title}: {does}. A failure removes it: no user has seen it."


def _replaces(plan: Plan, step: PlannedStep) -> bool:
    return place_of(plan, step.environment).strategy == WITHOUT_CANARY


def _clause(plan: Plan, version: str, runs: Mapping[str, str | None], step: PlannedStep) -> str:
    """Say what one step does."""
    name, limit = step.environment, duration(step.longest_seconds)
    if step.kind == "migrate":
        one = next(one for one in plan.migrations if one.name == step.name)
        return f"run the migration {one.name} ({one.compatibility}" + (f", because {one.because.rstrip('.')})" if one.because else ")")
    if step.kind == "verify":
        if step.whole:
            return f"verify it: {_verification(plan, step, moment='staging' if name == STAGING else 'production')}"
        return f"verify {_canary(plan, step)}: {_verification(plan, step)}"
    if step.kind == "shift":
        return f"send {step.percent} % of new requests to it"
    if step.kind == "watch":
        watched = _step_of(plan, step)
        least = f"at least {duration(watched.bake_seconds)} and " if watched.bake_seconds else ""
        return f"watch for {least}at most {duration(watched.watch_seconds)}"
    if step.kind == "promote":
        return "look for new error lines in the logs; promote it" + ("" if _replaces(plan, step) else " and stop the previous version")
    place = place_of(plan, name)
    up = f"start {version} on {place.platform} ({_from(runs, name)})"
    if step.kind == "deploy":
        return f"{up}, ready within {limit}, send all traffic to it and stop the previous version"
    if place.strategy == WITHOUT_CANARY:
        return f"have {place.platform} accept {version} ({_from(runs, name)}); a rolling update starts none of it before the first step"
    return f"{up} without traffic, ready within {limit}"


def _step_of(plan: Plan, step: PlannedStep) -> Step:
    """Give the plan's step of a watch."""
    return next(one for one in place_of(plan, step.environment).steps if one.percent == step.percent)


def _wave(plan: Plan) -> list[str]:
    """Say how targets follow each other, and what a failure in one means for the others."""
    if not isinstance(plan.production, Waves):
        return []
    waves = [", ".join(target_of(place.environment) for place in wave) for wave in waves_of(plan)]
    if len(waves) == len(production_of(plan)):
        first = (
            "Targets: the next one begins when the one before is verified and promoted. A failure in one stops the wave and rolls it back"
        )
    else:
        first = (
            f"Waves: {'; then '.join(waves)}. Targets of a wave go side by side; the next wave begins when all of them are verified and "
            "promoted. A failure in one stops those under way and rolls them back"
        )
    before = "those before it" if len(waves) == len(production_of(plan)) else "those completed"
    others = {
        "back": f", and {before} too, the last first.",
        "keep": f"; {before}, and staging, keep the new version. Once all are done, a failure rolls all back.",
    }
    return [first + others[plan.production.on_wave_failure]]


def _afterwards(plan: Plan) -> str:
    notify = f", notify {', '.join(map(in_words, plan.notify))}" if plan.notify else ""
    suites = _suites(plan, "post_deploy")
    data = f"judge the data suites {suites}, " if suites else ""
    return (
        f"Afterwards: verify the health of the public address, {data}look for new error lines in the logs "
        f"(more than {plan.logs.max_new_error_lines} new kinds are a failure), write the record{notify}."
    )


def _scripts(plan: Plan) -> list[str]:
    """Say what happens if a script fails, if the plan has more in mind than a rollback."""
    section = plan.on_script_failure
    parts = [f"it is run again, up to {section.retries}x"] if section.retries else []
    if section.then == "ask":
        parts.append(f"people are asked for at most {section.answer_within_minutes:g} min, and without an answer it rolls back")
    return [f"If a script fails that moves the version forward: {'; then '.join(parts)}."] if parts else []


def _rollback(plan: Plan, runs: Mapping[str, str | None]) -> str:
    limit = f"at most {plan.rollback.max_error_ratio * 100:g} % failed requests"
    watched = f"watched for {duration(plan.rollback.watch_seconds)} with {limit}"
    return f"Rollback, after any failure: to {earlier_in_words(plan, runs)}, verified, and {watched}. It needs no approval."


def _from(runs: Mapping[str, str | None], environment: str) -> str:
    if environment not in runs:
        return UNKNOWN
    return f"{runs[environment]} runs there now" if runs[environment] else "nothing runs there yet"


def _before(plan: Plan, version: str, runs: Mapping[str, str | None]) -> str:
    policy = {
        "refuse": "the new one is refused",
        "queue": "the new one waits",
        "supersede": "the older one is rolled back first",
    }[plan.on_conflict]
    since = versions_in_words(plan, runs)
    where = f" since {since}" if since else ""
    empty = "none is fine" if plan.change_log.allow_empty else "none is refused"
    return f"Review: {plan.service} {version}. While another release of it is under way, {policy}. List the changes{where}; {empty}."


def _evidence(plan: Plan) -> str:
    tests = [f"read {one.junit}" if hasattr(one, "junit") else f"run `{' '.join(one.command)}`" for one in plan.tests]
    asked = [f"ask {one.name}" + (f" for {one.version}" if one.version else "") for one in plan.dependencies]
    wanted = [*(name for name, value in plan.checklist.lines().items() if value), *(one.name for one in plan.checklist.commands)]
    checklist = f"then check {', '.join(wanted)}" if wanted else "the checklist asks for nothing"
    return f"Evidence: {', '.join([*tests, *asked]) or 'none asked for'}; {checklist}. A failure ends the release; nothing has moved."


def _canary(plan: Plan, step: PlannedStep) -> str:
    """Say where the canary is verified, and when it cannot be."""
    if step.percent:
        return "the canary"
    place = place_of(plan, step.environment)
    unknown = place.strategy is None and place.platform.startswith("kubernetes/")
    return "it in private" + (" (not if the platform's own strategy is rolling: none of it runs before the first step)" if unknown else "")


def _verification(plan: Plan, step: PlannedStep, *, moment: Moment | None = None) -> str:
    """Name the checks of a verification."""
    steady = plan.verification.stability
    health = (
        f"{len(plan.verification.health)} health request(s) well {steady.successes} times in a row "
        f"within {duration(steady.timeout_seconds)}"
    )
    smoke = ", ".join(test.name for test in smoke_in(plan, step.checks))
    suites = _suites(plan, moment) if moment else ""
    parts = (
        health if "health" in step.checks else "",
        f"smoke tests {smoke}" if smoke else "no smoke tests" if step.checks != ("health",) else "",
        f"data suites {suites}" if suites else "",
    )
    return ", ".join(part for part in parts if part)


def _suites(plan: Plan, moment: Moment) -> str:
    return ", ".join(suite.name for suite in plan.data if moment in suite.when)


def _ticks(plan: Plan, step: PlannedStep) -> str:
    """Say what people tick there."""
    before = next(one for one in BEFORE if step.name == ticks_name(one))
    items = plan.checklist.items_before(before)
    words = "; ".join(f"{one.name}, {one.text.rstrip('.')} ({_who(one)})" for one in items)
    expiry = duration(plan.checklist.expires_after_minutes * 60)
    ends = "deployed, with it named as open" if before == CLOSING else "refused"
    return f"Checklist before {before}: people tick {words}. If a required item is still open after {expiry}, the release ends as {ends}."


def _who(item: TickedItem) -> str:
    """Say who ticks an item, with what, and who may skip it."""
    asked = "" if item.evidence == "none" else f" with a {item.evidence}"
    skipped = f", may be skipped by {' or '.join(item.skipped_by)}" if item.skipped_by else ""
    return f"{' or '.join(item.who)}{asked}{skipped}{'' if item.required else ', optional'}"


def _gate(plan: Plan) -> str:
    if not plan.approval.quorum:
        return "Gate: no approval is needed."
    names = ", ".join(plan.approval.approvers)
    expiry = duration(plan.approval.expires_after_minutes * 60)
    return (
        f"Gate: {plan.approval.quorum} of {names} must approve within {expiry}; the one who asked does not count. "
        f"A rejection, silence or {plan.approval.max_wrong_codes} wrong codes end the release as refused; production was not touched."
    )


def _window(plan: Plan) -> str:
    times = [f"{'not in the ' if one.kind == 'deny' else 'in the '}{window_in_words(one)}" for one in plan.windows.group("plan")]
    if (quietest := plan.windows.quietest) is not None:
        times.append(f"in the quietest {quietest.minutes} min of the week by measured traffic (ask {quietest.owner})")
    ways = {"wait": "it waits for the next that is long enough", "proceed": "it goes on", "ask": "people are asked whether it begins"}
    short = ways[plan.windows.if_too_short]
    turns = f" Of the services in `{plan.windows.one_at_a_time}` one goes after the other." if plan.windows.one_at_a_time else ""
    return (
        f"Window: the next wave of production begins {'; '.join(times)}. Outside of them the release is suspended until they open; "
        f"if the wave's longest time does not fit in what is left, {short}. "
        f"A wave that has begun finishes, and a rollback never waits.{turns}"
    )


def _failure(plan: Plan, step: Step) -> str:
    judgement = plan.judgement
    deciding = ", ".join(sli.name for sli in judgement.slis if sli.deciding)
    more = duration(extension_seconds(judgement, step))
    inconclusive = INCONCLUSIVE[judgement.inconclusive].format(minutes=judgement.answer_within_minutes, more=more)
    if judgement.inconclusive == "ask" and not plan.approval.quorum:
        inconclusive = "it rolls back, since the plan has no approver to ask"
    return f"A worse {deciding} rolls back; inconclusive, {inconclusive}."
