"""GitOps platform: versions are deployed by commits, an engine applies them, and Kubernetes says what became of that.

Composition: Git makes the only write that Git has to make, the version. Everything else is the Kubernetes platform's: lease, position,
addresses, health, counts, logs and Jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal, Self

from blocks.errors import BadInput, ShipwayError, WorldMoved
from blocks.git.remote import plain_remote
from blocks.platform import About, Counts, Endpoints, Lease, LogLine, Position, Preview
from tasks.gitops import in_step
from tasks.gitops.checks import drift_in_git, expect_engine, expect_forge, reviewed
from tasks.gitops.parts import ALL, Parts
from tasks.gitops.review import review_change
from tasks.gitops.without_git import tell_git
from tasks.lifecycle.retries import retried
from tasks.rules.gitops.reviewed import steps_of
from tasks.rules.gitops.settings import edits_of, places_named

ANY = "1.0.0"


class GitOpsPlatform:
    """An environment whose versions are in Git."""

    def __init__(self, of: Parts) -> None:
        """Keep what it is made of."""
        self.of = of

    @property
    def strategy(self) -> Literal["rolling"]:
        """The workload's own rollout: nothing of a version runs before its first share."""
        return "rolling"

    def parts(self) -> Mapping[str, Any]:
        """Return the blocks that act, for the fingerprint of what was approved and for the policies that protect one of them."""
        of, named = self.of, self.of.settings
        return {"": named, named.git: of.git, named.engine: of.engine, named.platform: of.kubernetes}

    def informed(self, about: About) -> Self:
        """Return this platform with what its commits say."""
        return type(self)(replace(self.of, about=about))

    def rolling_back(self) -> Self:
        """Return this platform for a rollback, which goes on without Git."""
        return type(self)(replace(self.of, is_rollback=True))

    async def current(self) -> Position:
        """Read what runs now; a version of others in the place of the one that is rolled out is trouble."""
        position = await self.of.workload.current()
        if position["canary"] and position["percent"] == ALL and (found := await self._overridden()):
            position["trouble"] = found
        return position

    async def _overridden(self) -> str:
        try:
            return (await self.of.seen()).overridden(self.of.title)
        except WorldMoved as error:  # others changed the note
            return str(error)

    async def identity(self) -> str:
        """Return the workload's identity: another block, with Git or without, does not hide whose it is."""
        return await self.of.workload.identity()

    async def touches(self) -> dict[str, str]:
        """Return what its workload is reached by, the engine's Application, and the values in Git: each is one environment's alone."""
        of = self.of
        named = places_named(plain_remote(of.git.remote), of.git.branch, edits_of(of.settings.edits, ANY))
        return {**await of.workload.touches(), f"the Application of {of.settings.engine}": await of.engine.identity(), **named}

    async def acquire_lease(self, owner: str, *, takeover: bool = False) -> Lease:
        """Acquire the workload's lease."""
        return await self.of.workload.acquire_lease(owner, takeover=takeover)

    async def release_lease(self, lease: Lease) -> None:
        """Release the workload's lease."""
        await self.of.workload.release_lease(lease)

    async def prepare(self, version: str, lease: Lease, *, timeout_seconds: float) -> None:
        """Check in Git, the engine and the cluster that a version could be deployed; nothing of it runs yet."""
        del timeout_seconds
        await in_step.prepare(self.of, version, lease)

    async def shift(self, percent: int, lease: Lease) -> None:
        """Deploy the version by a commit (100), or revert that commit (0).

        Raises:
            BadInput: Another share: the workload's own rollout replaces all pods.
        """
        if percent not in {0, ALL}:
            fix = "Write one step of 100 in production.steps"
            raise BadInput(f"{percent} % is not a share that a rollout in one step can make", field="percent", fix=fix)
        await (in_step.raise_to_all if percent else in_step.lower)(self.of, lease)

    async def promote(self, lease: Lease) -> None:
        """Make the version the baseline."""
        await in_step.promote(self.of, lease)

    async def abort(self, lease: Lease) -> None:
        """Revert what this release committed, on top of what others committed since; without Git if it does not answer."""
        await in_step.abort(self.of, lease)

    async def settle(self, lease: Lease) -> str:
        """Tell Git what a rollback could not, and end the hold; gives what was done, or ""."""
        return await tell_git(self.of, lease)

    async def is_due(self) -> bool:
        """Say whether Git has still to be told of a rollback."""
        note = (await self.of.seen()).note
        return note is not None and bool(note.due)

    async def endpoints(self) -> Endpoints:
        """Return the workload's addresses."""
        return await self.of.workload.endpoints()

    async def counts(self) -> dict[str, Counts]:
        """Return none: one Service serves both versions."""
        return {}

    async def counts_of_all(self) -> dict[str, Counts]:
        """Return the gateway's counts of that Service, while one version serves alone."""
        return await self.of.workload.counts_of_all()

    async def labels(self) -> dict[str, dict[str, str]]:
        """Return the metric labels of the version that runs."""
        return await self.of.workload.labels()

    async def logs(self, since: float, take: Callable[[LogLine], None]) -> str:
        """Hand over the pods' own lines."""
        return await self.of.workload.logs(since, take)

    async def run_job(self, manifest: dict[str, Any], lease: Lease, *, name: str, timeout_seconds: float) -> list[str]:
        """Run a Job beside the workload."""
        return await self.of.workload.run_job(manifest, lease, name=name, timeout_seconds=timeout_seconds)

    async def progress(self) -> list[str]:
        """Report the workload, what the engine says, and what Git has still to be told."""
        lines, seen = await asyncio.gather(self.of.workload.progress(), self.of.seen())
        with suppress(ShipwayError):
            lines += (await self.of.engine.look()).lines
        if seen.note is not None and seen.note.via:
            lines.append(f"{seen.note.change.version} goes through the pull request {seen.note.via}")
        if seen.note is not None and seen.note.due:
            lines.append(f"Git still has to be told the {seen.note.due} of {seen.note.change.version}: {seen.note.why}")
        return lines

    async def link(self) -> str:
        """Return the page of the pull request by which the change under way goes in; "" if there is none."""
        note = (await self.of.seen()).note
        return note.via if note is not None else ""

    async def preview(self, version: str) -> Preview:
        """Return the edit as a diff, what the cluster would change, and where Git, engine and cluster differ.

        Raises:
            ShipwayError: A release would be refused, or Git, the engine or the cluster does not answer.
        """
        of = self.of
        seen = await of.seen()
        serves = seen.state.baseline if seen.state.canary else seen.runs
        found, engine, tried, ways = await asyncio.gather(
            reviewed(of, version, serves), expect_engine(of), of.followed.expect_startable(version), expect_forge(of)
        )
        drift = drift_in_git(of, found, serves) + ([] if engine.synced else [f"what runs is not what Git says: {'; '.join(engine.lines)}"])
        notes = [one for one in (ways, engine.waiting, engine.fault) if one]
        if of.settings.without_git == "accept" and (why := await of.engine.holdable()):
            notes.append(f"a rollback waits for Git if Git is unreachable: {why}")
        if seen.note is not None and seen.note.due:
            notes.append(f"the {seen.note.due} of {seen.note.change.version} is pushed to Git first: {seen.note.why}")
        return Preview(changes=[*found.diff.splitlines(), *tried], drift=drift, notes=notes)

    async def edits(self, version: str) -> list[str]:
        """Return what a release would set in Git, and what stands there: people approve this, and no other commit in between."""
        edits = edits_of(self.of.settings.edits, version)
        return steps_of((await retried(review_change)(self.of.git, edits)).places, edits)
