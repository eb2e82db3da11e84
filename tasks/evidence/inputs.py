"""Collect what a release is about: its plan, what runs now, what changes, and the digest over all of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from prefect import task

from blocks.errors import BadInput, WorldMoved
from blocks.platform import Editing, Platform, Position
from tasks.approval.protection import expect_policies
from tasks.evidence.change_log import read_change_log
from tasks.evidence.deciding_files import hash_deciding_files
from tasks.evidence.review import read_plan_file
from tasks.evidence.settings import reached_by, settings_fingerprint
from tasks.evidence.source import check_source
from tasks.lifecycle.retries import OBSERVE_PLATFORM, ONCE
from tasks.process.extras import require_extras
from tasks.rollout.manifests import read_manifests
from tasks.rollout.migrate import expect_jobs
from tasks.rollout.platforms import load_platforms, load_prometheus
from tasks.rollout.preview import preview_environment
from tasks.rollout.shares import expect_shares
from tasks.rules.approval.digest import digest
from tasks.rules.evidence.change_log import ChangeLog, join_changes
from tasks.rules.evidence.inputs import PROMETHEUS, Inputs, TakenPlan
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import STAGING


@task(name="take plan", task_run_name="read the plan", **ONCE)
async def take_plan(path: str, *, key: str) -> TakenPlan:  # noqa: ARG001
    """Read the plan once; asked again under this key, give the plan as it was then.

    Raises:
        BadInput: With every problem of the file.
    """
    return await read_plan(path)


@task(name="collect inputs", task_run_name="collect the inputs", **ONCE)
async def collect_inputs(path: str, *, version: str, key: str, taken: TakenPlan | None = None) -> Inputs:  # noqa: ARG001
    """Collect once what this release is about, under the plan as it was taken, with the platforms' previews."""
    taken = taken or await read_plan(path)
    platforms = await load_platforms(taken.parsed())
    looking = look(path, version=version, taken=taken, platforms=platforms)
    found, previews = await asyncio.gather(looking, _preview(platforms, version))
    return Inputs(**{**dict(found), "previews": previews})


@task(name="collect inputs again", task_run_name="compare with what was approved", **OBSERVE_PLATFORM)
async def collect_inputs_again(path: str, *, version: str) -> Inputs:
    """Collect anew, to compare with what was approved."""
    return await look(path, version=version)


async def look(path: str, *, version: str, taken: TakenPlan | None = None, platforms: dict[str, Platform] | None = None) -> Inputs:
    """Read plan, positions and changes, and hash them.

    Args:
        path: The plan file.
        version: The version under release.
        taken: The plan as `take_plan` gave it; read anew if None.
        platforms: The plan's platforms, by environment; loaded if None.

    Returns:
        The inputs, without previews.

    Raises:
        Refused: The plan is weaker than a policy of its platform blocks, or a policy cannot be read.
        BadInput: A file that decides cannot be read.
    """
    taken = taken or await read_plan(path)
    plan = taken.parsed()
    if taken.manifest_problems:
        raise BadInput("; ".join(taken.manifest_problems), field="migrations", fix="Look with `shipway check`.")
    require_extras(plan)
    policies = await asyncio.to_thread(expect_policies, plan)
    await check_source.fn(taken, version, policies)
    loaded = platforms or await load_platforms(plan)
    seen = dict(zip(loaded, await asyncio.gather(*(_look_at(plan, name, platform) for name, platform in loaded.items())), strict=True))
    settings = {name: fingerprinted for name, (_, fingerprinted) in seen.items()}
    if (prometheus := await load_prometheus(plan.judgement)) is not None:
        settings[PROMETHEUS] = settings_fingerprint(prometheus)
    current = {name: position["baseline"] for name, (position, _) in seen.items()}
    production = [found for name, found in current.items() if name != STAGING]
    found = Inputs(
        **dict(taken),
        version=version,
        current=current,
        previous={name: position["previous"] for name, (position, _) in seen.items()},
        change_log=await _read_changes(taken.folder, plan, production, version=version),
        platforms=settings,
        digest="",
        policies=policies,
        edits=await _read_edits(loaded, version),
        files=await hash_deciding_files(taken, loaded, version),
    )
    return found.model_copy(update={"digest": digest_of(found)})


def digest_of(found: Inputs) -> str:
    """Hash what people approve of these inputs, whatever digest they say that they have."""
    # Staging is left out: the release itself has changed it by the time the approval is checked again.
    production = {name: version for name, version in found.current.items() if name != STAGING}
    return digest(
        found.parsed(), found.version, found.change_log, production, found.platforms,
        manifests=found.manifests, policies=found.policies, edits=found.edits, files=found.files,
    )  # fmt: skip


async def read_plan(path: str) -> TakenPlan:
    """Read the plan file, with the folders that its paths start in, and the migrations' Jobs that it names."""
    taken = await read_plan_file.fn(path)
    manifests, problems = await asyncio.to_thread(read_manifests, Plan.model_validate(taken["plan"]), Path(taken["folder"]))
    return TakenPlan(**taken, manifests=manifests, manifest_problems=tuple(problems))


async def _read_changes(folder: str, plan: Plan, running: list[str | None], *, version: str) -> ChangeLog:
    """Read what changes for each version that runs in production; Git runs one call after the other."""
    return join_changes(
        [await read_change_log.fn(folder, plan.change_log, from_version=one, to_version=version) for one in dict.fromkeys(running)]
    )


async def _look_at(plan: Plan, environment: str, platform: Platform) -> tuple[Position, str]:
    """Read an environment's position, and the fingerprint of its platform's settings."""
    expect_jobs(platform, plan, environment)
    expect_shares(platform, plan, environment)
    position, cluster = await asyncio.gather(platform.current(), reached_by(platform))
    if "trouble" in position:
        raise WorldMoved(f"{environment}: {position['trouble']}")
    return position, settings_fingerprint(platform, cluster)


async def _read_edits(platforms: dict[str, Platform], version: str) -> dict[str, tuple[str, ...]]:
    """Read what would be set in Git; staging is left out, as it is from what runs."""
    editing = {name: platform for name, platform in platforms.items() if name != STAGING and isinstance(platform, Editing)}
    found = await asyncio.gather(*(platform.edits(version) for platform in editing.values()))
    return {name: tuple(lines) for name, lines in zip(editing, found, strict=True)}


async def _preview(platforms: dict[str, Platform], version: str) -> dict[str, Any]:
    """Preview on each platform that supports it."""
    found = await asyncio.gather(*(preview_environment(platform, version) for platform in platforms.values()))
    return {name: one for name, one in zip(platforms, found, strict=True) if one is not None}
