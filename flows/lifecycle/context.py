"""What every phase knows: whose it is, and the plan as it was when the release began."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from prefect import State
from prefect.context import FlowRunContext
from prefect.states import Completed, Failed

from blocks.errors import BadInput, Refused, Superseded, WorldMoved
from blocks.platform import About, Informed, Platform
from flows.lifecycle.acting import Acting, acting, expect_as_begun, fix_settings
from tasks.analysis.sources import Subject, subject_of
from tasks.approval.protection import expect_policies, own_environment, things_of
from tasks.evidence.inputs import collect_inputs, read_plan, take_plan
from tasks.evidence.settings import reached_by, settings_fingerprint
from tasks.evidence.source import check_source
from tasks.lifecycle.lock import is_stop_requested
from tasks.lifecycle.retries import named, retried
from tasks.record.journal import append_entry, closing_entry, expect_whole_record, read_entry
from tasks.record.without_key import is_rolling_back
from tasks.rollout.as_deployed import load_platform_to_roll_back
from tasks.rollout.platforms import load_platform
from tasks.rules.evidence.inputs import PROMETHEUS, Inputs, TakenPlan
from tasks.rules.lifecycle.results import PhaseResult
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.request import owner_of, round_of
from tasks.rules.plan.targets import place_of, places_of, within
from tasks.rules.policy.owners import same_environment
from tasks.rules.policy.policy import Policy
from tasks.rules.record.entries import Entry, Kind

KEPT_SECONDS = 60
UNKNOWN = "unknown"  # the requester of a run that does not name one


class StepFields(TypedDict):
    """Where an entry about a step belongs: its environment, and its share of the traffic in percent."""

    environment: str
    step: int | None


class EntryFields(TypedDict, total=False):
    """What an entry may carry besides its kind and sentence, see `append_entry`."""

    environment: str
    step: int | None
    name: str
    why: str
    who: str
    evidence: dict[str, Any]


@dataclass(frozen=True)
class Phase:
    """Where a phase stands.

    Fields:
        scope: Prefix of everything that is remembered: the release's id and round, or the phase's own run id.
        round: The release's round, from 1.
        owner: Flow run id that owns the environments and the record.
        plan: The plan as it was taken.
        path: Path of the plan.
        folder: Where the plan's paths start.
        taken: The plan as `take_plan` gave it.
    """

    scope: str
    round: int
    owner: str
    plan: Plan
    path: str
    folder: str
    taken: TakenPlan

    def key(self, name: str) -> str:
        """Make the stable key of a step of this phase."""
        return f"{self.scope}/{name}"

    async def append(self, what: str, *, kind: Kind, **more: Unpack[EntryFields]) -> Entry:
        """Append an entry to the release's record under this round, see `append_entry`."""
        return await append_entry(self.owner, what, kind=kind, round=self.round, **more)

    async def read(self, kind: Kind, *, environment: str = "", step: int | None = None, name: str = "") -> Entry | None:
        """Read the entry of this round that these fields identify, or None if it was never written."""
        return await read_entry(self.owner, kind, environment=environment, round=self.round, step=step, name=name)


def run_id() -> str:
    """Give the id of the flow run that this code is in."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        message = "this can only be asked inside a flow run"
        raise RuntimeError(message)
    return str(context.flow_run.id)


async def begin_phase(plan: str, *, scope: str, anew: bool = False) -> Phase:
    """Begin a phase: take the plan under its scope.

    Args:
        plan: Path of the plan.
        scope: The release's scope; "" makes the phase's own run the scope.
        anew: Read the file, whatever was remembered; for a rollback whose remembered plan cannot be trusted.

    Raises:
        Refused: The scope is another run's, given by hand: that would write into its record and go past its gate.
    """
    release = acting()
    if scope and (release is None or owner_of(scope) != release.run):
        raise Refused("the parameter `release` is filled in by a release for its own phases; leave it empty")
    scope = scope or run_id()
    plans = release.plans if release else {}
    if release:
        release.round = max(release.round, round_of(scope))
    if scope not in plans:
        plans[scope] = await (read_plan(plan) if anew else _taken(plan, scope, release))
    taken = plans[scope]
    return Phase(scope, round_of(scope), owner_of(scope), taken.parsed(), plan, taken.folder, taken)


async def _taken(plan: str, scope: str, release: Acting | None) -> TakenPlan:
    """Take a plan; from the release's first change on it is the one that is kept beside the key, whatever the storage or the file say.

    Going forward, what the storage remembers is looked at all the same: if others changed it, that is said, and the release stops.
    """
    begun = (await release.known()).plans.get(scope) if release else None
    if begun is not None and is_rolling_back():
        return begun
    try:
        taken = await take_plan(plan, key=f"{scope}/plan")
    except BadInput:
        if begun is None:
            raise
        return begun
    return begun or taken


async def platform_of(plan: Plan, environment: str, *, anew: bool = False) -> Platform:
    """Find the platform of an environment; a release asks the server for it once a minute, so that a changed credential is soon seen.

    Args:
        plan: The plan.
        environment: Which one.
        anew: Ask the server now.

    Raises:
        BadInput: The plan has no such environment, or there is no such platform.
        WorldMoved: It was edited since this release acted there; a rollback goes by what is kept.
    """
    place, release = place_of(plan, environment), acting()
    kept = release.platforms if release else {}
    back = is_rolling_back()
    until, platform = kept.get((place.platform, place.strategy, back), (0.0, None))
    if anew or platform is None or until < time.monotonic():
        load = load_platform_to_roll_back if back else load_platform
        platform = await load(place.platform, field=place.field, strategy=place.strategy)
        if not back:
            await expect_as_begun(environment, platform)
        kept[place.platform, place.strategy, back] = (time.monotonic() + KEPT_SECONDS, platform)
    return platform


async def approved_platform(phase: Phase, environment: str, *, version: str, approved: Inputs | None) -> Platform:
    """Load the platform that acts on a target of production, and compare this very block with the one that was approved.

    The block is read here once more than for the digest, and a later wave begins hours after it: without this, whoever can edit blocks
    could have another command or image run in production between approval and effect.

    Args:
        phase: The release.
        environment: The target.
        version: The version under release.
        approved: The inputs for which the approvals were verified; None if no approval is asked for: then those that were collected first.

    Raises:
        BadInput: The plan has no such environment, or there is no such platform.
        WorldMoved: Its settings, or the cluster that it reaches, are not those that were approved.
    """
    platform = await platform_of(phase.plan, environment, anew=True)
    if approved is None:
        compared = named(collect_inputs, f"compare with what was approved{within(environment)}")
        approved = await compared(phase.path, version=version, key=phase.key("subject"), taken=phase.taken)
    if settings_fingerprint(platform, await reached_by(platform)) != approved.platforms[environment]:
        block = place_of(phase.plan, environment).platform
        fix = f"look at it (`prefect block inspect {block}`), then release again"
        raise WorldMoved(f"the settings of {environment} are not those that were approved: the block {block} was changed since; {fix}")
    await fix_settings(environment, platform, approved.platforms)
    return await informed(phase, platform, digest=approved.digest)


async def subject_in(phase: Phase, environment: str) -> Subject:
    """Return the subject of a watch, see `subject_of`; its Prometheus is the one that was approved, also in the middle of a release.

    Raises:
        WorldMoved: Its block was edited since: another server could say that all is well.
    """
    subject = await subject_of(phase.plan, environment)
    await expect_as_begun(PROMETHEUS, subject.prometheus)
    return subject


async def informed(phase: Phase, platform: Platform, *, digest: str = "", reason: str = "") -> Platform:
    """Tell a platform that keeps a history of changes what this release or rollback is about; any other stays as it is.

    Args:
        phase: The release or rollback.
        platform: The environment's platform.
        digest: What was approved.
        reason: Why; empty takes what the requester wrote.
    """
    if not isinstance(platform, Informed):
        return platform
    opened, decided = await asyncio.gather(read_entry(phase.owner, "opened"), phase.read("gate", name="decision"))
    proofs = decided.evidence.get("proofs", []) if decided else []
    approvers = [str(proof["approver"]) for proof in proofs if proof["decision"] == "approve"]
    why = reason or (opened.why if opened else "")
    about = About(release=phase.owner, service=phase.plan.service, digest=digest, approvers=approvers, reason=why)
    told: Platform = platform.informed(about)
    return told


async def check_not_stopped(run: str) -> None:
    """Stop here if a rollback requested it, if the record was closed by whoever settled the run, or if others changed the record.

    Raises:
        Superseded: It must not go forward.
        Tampered: What it would go forward by is not what it wrote.
    """
    await expect_whole_record(run)
    if await is_stop_requested(run):
        raise Superseded("a rollback took this service over and stopped this run")
    if await closing_entry(run) is not None:
        raise Superseded("this run was settled while it ran; its record is closed")


async def expect_policies_kept(phase: Phase) -> tuple[Policy, ...]:
    """Compare the plan and the requester with the policies as they are now, and give those that protect its blocks.

    Raises:
        Refused: They are not kept, or cannot be read.
    """
    opened = await read_entry(phase.owner, "opened")
    requester = None if opened is None else "" if opened.who == UNKNOWN else opened.who
    return await asyncio.to_thread(expect_policies, phase.plan, requester=requester)


async def expect_own_environments(phase: Phase) -> None:
    """Look whether the plan's environments belong to its service and are different ones, before anything moves.

    Raises:
        Refused: One belongs to another service, or two blocks point to the same one.
    """
    places = places_of(phase.plan)
    platforms = await asyncio.gather(*(platform_of(phase.plan, place.environment) for place in places))
    looks = list(zip(places, platforms, strict=True))
    things = await asyncio.gather(*(retried(things_of)(platform) for platform in platforms))
    if problem := same_environment(places, things):
        raise Refused(problem)
    await asyncio.gather(*(retried(own_environment)(phase.plan, place, platform, claims=False) for place, platform in looks))


async def expect_may_go_forward(phase: Phase, platform: Platform, environment: str, *, version: str) -> None:
    """Look whether an environment may be changed forward, before its lease is acquired; every step forward begins here.

    Raises:
        Refused: The release does not keep a policy as it is now. A rollback does not come here: no policy holds it up.
    """
    await check_not_stopped(phase.owner)
    policies = await expect_policies_kept(phase)
    await retried(check_source)(phase.taken, version, policies)
    seen = await retried(own_environment)(phase.plan, place_of(phase.plan, environment), platform, claims=True, besides=False)
    if (release := acting()) is not None:
        release.seen[environment] = seen


def conclude(found: PhaseResult, *, scope: str) -> PhaseResult | State[Any]:
    """Give a phase that only looks its end: to a release its result, and alone a state that says it to people.

    Args:
        found: The result.
        scope: The phase's parameter `release`.

    Returns:
        The result; if the scope is empty Completed as Passed, else Failed.
    """
    if scope:
        return found
    return Completed(name="Passed", message=found.reason) if found.passed else Failed(message=f"{found.outcome}: {found.reason}")
