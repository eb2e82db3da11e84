"""Run the plan's migrations where they are due, and let no rollback cross a contract migration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from blocks.errors import BadInput, Refused, RolloutFailed, ShipwayError
from blocks.outside_text import error_text
from blocks.platform import Lease, Platform, source_version
from flows.lifecycle.acting import seen_in
from flows.lifecycle.context import Phase, platform_of
from flows.rollout.held_step import Standing, wait_while_held
from tasks.approval.protection import expect_as_seen, identify
from tasks.evidence.acted_plans import files_of
from tasks.lifecycle.retries import named, retried
from tasks.process.concurrency import turns
from tasks.record.journal import read_entries, read_entry, say
from tasks.rollout.migrate import expect_jobs, find_contracts, last_deployed, note_contract, run_migration
from tasks.rules.plan.migrations import Migration, When
from tasks.rules.plan.targets import place_of
from tasks.rules.rollout.job_manifest import filled
from tasks.rules.rollout.migrations import NOT_RUN, RESTORED, Here, contracts_in, crossed, due, not_acknowledged, refusal
from tasks.rules.rollout.next_step import migration_step
from tasks.rules.rollout.rollback import RollbackChoice


async def migrate(phase: Phase, platform: Platform, *, environment: str, when: When, version: str, lease: Lease) -> None:
    """Run the migrations of a moment one after the other, each to its end, once in a release; what holds a step holds each of them.

    Raises:
        BadInput: One cannot run here; it did not.
        RolloutFailed: One failed, or was held for too long; those behind it did not begin.
    """
    standing = Standing(platform, environment, version, lease=lease)
    expect_jobs(platform, phase.plan, environment)
    for migration in due(phase.plan.migrations, environment=environment, when=when):
        async with turns("migrations"):  # targets that go side by side may share what is migrated
            if fault := await wait_while_held(phase, standing, before=migration_step(migration.name, is_after=when == "after")):
                raise RolloutFailed(fault)
            await _run(phase, platform, migration, environment=environment, version=version, lease=lease)


async def _run(phase: Phase, platform: Platform, migration: Migration, *, environment: str, version: str, lease: Lease) -> None:
    """Tell that it begins before it may change anything, so that a death in between leaves it known."""
    place = f"migration/{environment}/{migration.name}"
    where = await read_as_seen(phase, platform, environment)
    said = {
        "migration": migration.name,
        "compatibility": migration.compatibility,
        "when": migration.when,
        "version": source_version(version),
        "block": where.block,
        "identity": where.identity,
    }

    async def note(state: str, what: str, why: str, **evidence: Any) -> None:
        name, evidence = f"{migration.name} {state}", {**said, "state": state, **evidence}
        await phase.append(what, kind="migration", environment=environment, name=name, why=why, evidence=evidence)

    title = f"Migration {migration.name} in {environment}"
    manifest = manifest_of(phase, migration, version=version)
    await note("begun", f"{title} begins", f"{migration.compatibility}, {migration.when} {version}", manifest=manifest)
    if migration.compatibility == "contract":
        await retried(note_contract)(phase.owner, service=phase.plan.service)
    try:
        found = await named(run_migration, f"migrate {migration.name} in {environment}")(
            platform, name=migration.name, manifest=manifest, lease=lease, timeout_seconds=migration.timeout_seconds, key=phase.key(place)
        )
    except BadInput as error:
        await note(NOT_RUN, f"{title} was not run", str(error), outcome="failed")
        raise
    except RolloutFailed as error:
        await note("failed", f"{title} failed", str(error), outcome="failed", log=list(error.evidence))
        raise
    await note("applied", f"{title} is applied", f"it took {found['seconds']:g} s", outcome="passed", **found)


def manifest_of(phase: Phase, migration: Migration, *, version: str) -> dict[str, Any]:
    """Give a migration's Job for a version, as it was when the plan was taken.

    Raises:
        BadInput: It could not be read then, or the version does not fit into it.
    """
    found = phase.taken.manifests.get(migration.name)
    if found is None:
        problems = "; ".join(phase.taken.manifest_problems) or f"{migration.manifest} was not read"
        raise BadInput(problems, field="migrations", fix="Look with `shipway check`.")
    return filled(found, version)


async def expect_no_contract(phase: Phase, way: RollbackChoice, *, environment: str, restored: Sequence[str], looks: bool = False) -> None:
    """Refuse a rollback to a version from which a contract removed something, unless a person says by name to have restored it.

    Only a redeployment crosses anything: a version that serves already works with what is there.

    Args:
        phase: The rollback.
        way: How it goes.
        environment: Where.
        restored: What a person named.
        looks: Whether this only looks, before anything is taken over, and records nothing.

    Raises:
        Refused: With the ways out.
    """
    if way.kind != "redeploy" or way.version is None:
        return
    contracts, undone = await retried(find_contracts)(phase.plan.service)
    target = source_version(way.version)
    if not contracts:
        return
    here = await read_here(phase, await platform_of(phase.plan, environment), environment)
    here = here._replace(plans=(phase.path, phase.taken.path, *await files_of(phase.plan.service, here)))
    since = await retried(last_deployed)(phase.plan.service, version=target, here=here)
    found = crossed(contracts, undone, here=here, target=target, target_since=since)
    left = not_acknowledged(found, restored)
    if left:
        raise Refused(refusal(left, target=way.version, environment=environment))
    if found and not looks:
        names = ", ".join(one.name for one in found)
        evidence = {"restored": [{"run": one.run, "environment": one.environment and environment, "name": one.name} for one in found]}
        what = f"Said to be restored by hand: {names}"
        opened = await read_entry(phase.owner, "opened")
        who = opened.who if opened else "unknown"
        await phase.append(what, kind="migration", environment=environment, name=RESTORED, who=who, evidence=evidence)
        await retried(note_contract)(phase.owner, service=phase.plan.service)


async def read_here(phase: Phase, platform: Platform, environment: str) -> Here:
    """Say where a rollback is; a platform that does not answer is known by its block."""
    block = place_of(phase.plan, environment).platform
    try:
        return Here(environment, block, await retried(identify)(platform))
    except ShipwayError as error:
        say(f"what {block} points to cannot be read: {error_text(error)}")
        return Here(environment, block)


async def read_as_seen(phase: Phase, platform: Platform, environment: str) -> Here:
    """Say where a migration or a promotion is: what the platform pointed to when its owner was looked at, before the first change.

    Raises:
        WorldMoved: It says another thing now.
    """
    here, seen = await read_here(phase, platform, environment), seen_in(environment)
    if here.identity:
        expect_as_seen(place_of(phase.plan, environment), here.identity, seen)
    return here if seen is None else here._replace(identity=seen)


async def promoted_here(phase: Phase, platform: Platform, environment: str) -> dict[str, str]:
    """Give the evidence of a promotion that says for whom and where it was, see `tasks.rules.rollout.deployed`.

    Raises:
        WorldMoved: As `read_as_seen`.
    """
    here = await read_as_seen(phase, platform, environment)
    return {"service": phase.plan.service, "block": here.block, "identity": here.identity}


async def stays_forward(phase: Phase, environment: str) -> bool:
    """Say whether this release took something away in an environment, so that only forward is left there."""
    found = [
        one for one in contracts_in(await read_entries(phase.owner), run=phase.owner) if one.environment == environment and one.version
    ]
    if found:
        names = ", ".join(one.name for one in found)
        what = f"{environment} stays on {found[0].version}: the contract migration(s) {names} began there"
        why = "the previous version does not work with them"
        await phase.append(what, kind="rollback", environment=environment, name="stays", why=why)
    return bool(found)
