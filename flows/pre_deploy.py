"""Before a deployment: review the plan, verify the tests, check the dependencies, read the change log, go through the checklist."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

from prefect import State, flow

from blocks.errors import Refused, ShipwayError
from blocks.outside_text import error_text
from flows.lifecycle.context import Phase, begin_phase, conclude, expect_own_environments, expect_policies_kept, platform_of
from flows.lifecycle.windows import expect_an_opening
from flows.rollout.half_done import expect_no_half_rollback
from tasks.analysis.monitoring import read_slis
from tasks.analysis.sources import subject_of
from tasks.analysis.traffic import measure_traffic
from tasks.evidence.dependencies import check_dependency
from tasks.evidence.inputs import collect_inputs
from tasks.evidence.rehearsals import judge_kept
from tasks.evidence.tagged import untagged
from tasks.evidence.tests import read_test_evidence
from tasks.lifecycle.retries import named, retried
from tasks.notify import announce
from tasks.record.journal import say
from tasks.rollout.credentials import expect_credentials
from tasks.rollout.rollout import read_position
from tasks.rules.analysis.forecast import HEADINGS, StepPower, forecast, rows, warnings
from tasks.rules.approval.contents import UNTAGGED
from tasks.rules.evidence.change_log import ChangeLog, describe, judge_changes
from tasks.rules.evidence.checklist import Facts, all_passed, judge_checklist
from tasks.rules.evidence.dependencies import DependencyState
from tasks.rules.evidence.inputs import Inputs
from tasks.rules.evidence.tests import TestEvidence
from tasks.rules.lifecycle.results import PhaseResult, failed, passed, worst_of
from tasks.rules.plan.credentials import uses_of
from tasks.rules.plan.request import PlanPath, Scope, Version
from tasks.rules.plan.targets import PRODUCTION, Place, places_of, production_of, target_of, within
from tasks.rules.policy.comparison import compare_rules
from tasks.rules.rollout.preview import refusals
from tasks.rules.rollout.rollback import choose_rollback
from tasks.rules.rollout.steps import steps_of
from tasks.rules.rollout.summary import describe_course
from tasks.rules.rollout.waves import versions_in_words


@flow(name="pre_deploy", flow_run_name="pre-deploy {version}", persist_result=True, result_serializer="json")
async def pre_deploy(plan: PlanPath, version: Version, release: Scope = "") -> PhaseResult | State[Any]:
    """Collect the evidence before anything moves, and judge the checklist.

    Args:
        plan: Path of the plan file.
        version: The version to release.
        release: Leave empty; a release fills it in.
    """
    phase = await begin_phase(plan, scope=release)
    policies = await expect_policies_kept(phase)
    await _expect_allowed_credentials(phase)
    await expect_an_opening(phase, policies)
    await _expect_free_environments(phase, version)
    inputs = await collect_inputs(plan, version=version, key=phase.key("subject"), taken=phase.taken)
    course = describe_course(phase.plan, version, inputs.current)
    await phase.append(
        f"Reviewed the plan of {phase.plan.service}",
        kind="review",
        why=f"digest {inputs.digest}{_under(inputs)}",
        evidence={
            "service": phase.plan.service,
            "version": version,
            "baseline": versions_in_words(phase.plan, inputs.current),
            "current": inputs.current,
            "digest": inputs.digest,
            "course": course,
            "steps": [step.model_dump(mode="json", exclude_defaults=True) for step in steps_of(phase.plan)],
            "previews": inputs.previews,
            **_policy_evidence(phase, inputs),
        },
    )
    if refused := refusals(inputs.previews):
        raise Refused(refused)
    await _read_changes(phase, inputs.change_log)
    await _compare_with_tag(phase, inputs)
    facts, undecidable = await asyncio.gather(_collect_facts(phase, inputs), _forecast(phase, inputs))
    if undecidable and phase.plan.judgement.undecidable == "refuse":
        raise Refused(f"{'; '.join(undecidable)}; the plan says `judgement.undecidable: refuse`")
    items = judge_checklist(phase.plan, facts)
    faults = "; ".join(f"{item.name}: {item.reason}" for item in items if item.outcome != "passed")
    outcome = "passed" if all_passed(items) else "failed"
    await phase.append(
        "Checklist",
        kind="checklist",
        why=faults or f"{len(items)} lines passed",
        evidence={"outcome": outcome, "items": [asdict(item) for item in items]},
    )
    return conclude(failed(faults) if faults else passed(f"{len(items)} lines of the checklist passed"), scope=release)


async def _expect_allowed_credentials(phase: Phase) -> None:
    """Look at the credentials that the plan names, before the first of them is sent."""
    if uses_of(phase.plan):
        await expect_credentials(phase.plan)


async def _expect_free_environments(phase: Phase, version: str) -> None:
    """Look whether the environments are the service's own, and no rollback ended half-way in one of them."""
    await expect_own_environments(phase)
    await expect_no_half_rollback(phase, [place.environment for place in places_of(phase.plan)], version=version)


def _under(inputs: Inputs) -> str:
    return f", under {', '.join(policy.name for policy in inputs.policies)}" if inputs.policies else ""


def _policy_evidence(phase: Phase, inputs: Inputs) -> dict[str, Any]:
    """Give the policies that apply, and their rules beside the plan's; nothing without a policy."""
    if not inputs.policies:
        return {}
    return {
        "policies": [policy.model_dump(mode="json") for policy in inputs.policies],
        "rules": [line._asdict() for line in compare_rules(phase.plan, inputs.policies)],
    }


async def _read_changes(phase: Phase, changes: ChangeLog) -> None:
    refusal = judge_changes(changes, allow_empty=phase.plan.change_log.allow_empty)
    if refusal:
        raise Refused(refusal)
    what = f"{len(changes.commits)} change(s) from {changes.from_version or 'nothing'} to {changes.to_version}"
    what += f"; {len(changes.taken_back)} that run now are taken away" if changes.taken_back else ""
    await phase.append(what, kind="change_log", why=describe(changes), evidence=asdict(changes))


async def _compare_with_tag(phase: Phase, inputs: Inputs) -> None:
    """Say for the approvers what is read from the working folder and is not as it was tagged."""
    try:
        fault = await untagged(inputs, inputs.version)
    except ShipwayError as error:
        fault = f"it is not known if the plan is as it was tagged: {error}"
    if fault:
        await phase.append("Compared the plan and its files with the tag", kind="note", name=UNTAGGED, why=fault)


async def _collect_facts(phase: Phase, inputs: Inputs) -> Facts:
    """Ask everything that the checklist wants to know, side by side."""
    places = production_of(phase.plan)
    lines = phase.plan.checklist.commands
    tests, commands, dependencies, targets, announced = await asyncio.gather(
        asyncio.gather(*(read_test_evidence(spec, repository=phase.folder) for spec in phase.plan.tests)),
        asyncio.gather(*(named(read_test_evidence, f"ask {one.name}")(one, repository=phase.folder) for one in lines)),
        asyncio.gather(*(check_dependency(spec, service=phase.plan.service) for spec in phase.plan.dependencies)),
        asyncio.gather(*(_ask(phase, inputs, place) for place in places)),
        _announce(phase, inputs.version),
    )
    await _record_found(phase, "tests", tests)
    await _record_found(phase, "dependencies", dependencies)
    by_name: dict[str, Facts] = {place.environment: facts for place, facts in zip(places, targets, strict=True)}
    known = by_name.pop(PRODUCTION, Facts())
    answers = {one.name: found for one, found in zip(lines, commands, strict=True)}
    return replace(known, tests=tests, dependencies=dependencies, announced=announced, targets=by_name, commands=answers)


async def _announce(phase: Phase, version: str) -> bool:
    """Announce the release; False if no receiver acknowledged it, which decides the checklist's line alone."""
    subject = f"{phase.plan.service} {version} is about to be released"
    try:
        return await announce(phase.plan.notify, subject=subject, key=phase.key("announce"))
    except ShipwayError as error:
        say(f"the release was not announced: {error_text(error)}")
        return False


async def _forecast(phase: Phase, inputs: Inputs) -> list[str]:
    """Hold the steps against the traffic, record what each can decide, and give what cannot be decided."""
    table: list[tuple[str, ...]] = []
    faults: list[str] = []
    for place, found in zip(production_of(phase.plan), await asyncio.gather(*_forecasts(phase, inputs)), strict=True):
        where = within(place.environment)
        table += [(f"{row[0]}{where}", *row[1:]) for row in rows(found)]
        faults += [f"{place.environment}: {fault}" for fault in warnings(found)]
    unknown = any("not known" in row for row in table)
    why = "; ".join(faults) or ("the traffic is not known" if unknown else "each step has the requests that its verdict needs")
    evidence = {"headings": list(HEADINGS), "rows": [list(row) for row in table], "undecidable": faults}
    await phase.append("Compared the steps with the traffic", kind="note", name="power", why=why, evidence=evidence)
    return faults


def _forecasts(phase: Phase, inputs: Inputs) -> Iterator[Awaitable[list[StepPower]]]:
    """Measure the traffic of each target, and give what its steps can decide."""

    async def one(place: Place) -> list[StepPower]:
        platform, subject = await platform_of(phase.plan, place.environment), await subject_of(phase.plan, place.environment)
        baseline = inputs.current[place.environment]
        traffic = await retried(measure_traffic)(platform, subject=subject, baseline=baseline)
        return await asyncio.to_thread(forecast, phase.plan.judgement, place.steps, traffic, compared=baseline is not None)

    return (one(place) for place in production_of(phase.plan))


async def _ask(phase: Phase, inputs: Inputs, place: Place) -> Facts:
    """Ask one environment of production what the checklist wants to know of it."""
    platform = await platform_of(phase.plan, place.environment)
    watched = await subject_of(phase.plan, place.environment)
    current = inputs.current[place.environment]
    position, readings = await asyncio.gather(
        retried(read_position)(platform),
        retried(read_slis)(platform, subject=watched, baseline=current, version=inputs.version),
    )
    baseline = position["baseline"]
    fixed = phase.plan.rollback.to
    way = choose_rollback(
        baseline=baseline,
        canary=inputs.version,
        previous=position["previous"],
        bad=inputs.version,
        to="previous",
        fallback=None if fixed == "previous" else fixed,
    )
    within = inputs.rules().rehearsed_within_days
    rehearsed = None if within is None else await judge_kept(phase.plan, place, platform, within_days=within)
    stays = baseline if target_of(place.environment) and baseline == inputs.version else None  # an earlier wave left it there
    return Facts(
        platform_answers=bool(position),
        rollback_to=way.version or stays,
        first_deployment=baseline is None,
        rehearsed=rehearsed,
        readings=readings,
    )


async def _record_found(phase: Phase, kind: Literal["tests", "dependencies"], found: Sequence[TestEvidence | DependencyState]) -> None:
    """Record what was found; a plan that names none says so."""
    whole = worst_of([PhaseResult.of(asdict(one)) for one in found])
    evidence = {"outcome": whole.outcome if found else "", "found": [asdict(one) for one in found]}
    reason = "; ".join(one.reason for one in found) if whole.passed else whole.reason if found else "the plan names none"
    await phase.append(f"Looked at the {kind}", kind=kind, why=reason, evidence=evidence)
