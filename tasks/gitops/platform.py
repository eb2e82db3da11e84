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

from blocks.errors import BadInput, ShipwayError, Superseded, WorldMoved
from blocks.git.remote import plain_remote
from blocks.kubernetes.platform import KubernetesPlatform
from blocks.platform import About, Counts, Endpoints, Lease, LogLine, Position, Preview
from tasks.gitops import by_weights, in_step
from tasks.gitops.checks import drift_in_git, expect_engine, expect_forge, reviewed, reviewed_canary
from tasks.gitops.parts import ALL, Parts
from tasks.gitops.review import review_change
from tasks.gitops.without_git import tell_git
from tasks.lifecycle.retries import retried
from tasks.record.journal import inform
from tasks.rules.gitops.note import Note
from tasks.rules.gitops.reviewed import steps_of
from tasks.rules.gitops.settings import ANY, edits_of, places_named
from tasks.rules.gitops.weights import weight_edits


class GitOpsPlatform:
    """An environment whose versions are in Git."""

    def __init__(self, of: Parts) -> None:
        """Keep what it is made of."""
        self.of = of

    @property
    def strategy(self) -> Literal["rolling", "canary"]:
        """The workload's own rollout, in which nothing of a version runs before its first share; or a canary by weights in Git."""
        return "canary" if self._is_by_weights else "rolling"

    @property
    def _is_by_weights(self) -> bool:
        """Whether the next version goes by weights; a rollback to an earlier one is one commit, and the workload's own rollout."""
        return self.of.settings.mode == "weights" and not self.of.is_rollback

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
        note = await self._note()
        beside = self._is_of_weights(note)
        position = await (self.of.beside if beside else self.of.workload).current()
        if position["canary"] and note is not None and note.under_way:
            position["under_way"] = note.under_way
        if (
            position["canary"]
            and (beside or position["percent"] == ALL)
            and "trouble" not in position
            and (found := await self._overridden())
        ):
            position["trouble"] = found
        return position

    async def _overridden(self) -> str:
        try:
            seen = await self.of.seen()
        except WorldMoved as error:  # others changed the note
            return str(error)
        if seen.note is not None and seen.note.by_weights and seen.note.deployed and not seen.note.due:
            runs = await self.of.canary.runs()
            if runs != seen.note.change.version:
                return f"the canary of {self.of.title} is set to {runs}, not to {seen.note.change.version}: another commit changed it"
        return seen.overridden(self.of.title)

    async def _read(self) -> KubernetesPlatform:
        """Return what is read: both sides while a canary by weights is under way, else the workload."""
        return self.of.beside if await self._goes_by_weights() else self.of.workload

    async def _goes_by_weights(self) -> bool:
        """Say whether what is under way goes by weights."""
        return self._is_of_weights(await self._note())

    def _is_of_weights(self, note: Note | None) -> bool:
        return self._is_by_weights if note is None else note.by_weights and not note.due

    async def _note(self) -> Note | None:
        """Read the note of what is under way; what others changed in it does not count."""
        try:
            return (await self.of.seen()).note
        except WorldMoved:
            return None

    async def identity(self) -> str:
        """Return the workload's identity: another block, with Git or without, does not hide whose it is."""
        return await self.of.workload.identity()

    async def touches(self) -> dict[str, str]:
        """Return what its workload is reached by, the engine's Application, and the values in Git: each is one environment's alone."""
        of = self.of
        settings = of.settings
        edits = (*edits_of([*settings.edits, *settings.canary_edits], ANY), *weight_edits(settings.weights, before=0, after=0))
        named = places_named(plain_remote(of.git.remote), of.git.branch, edits)
        objects = await (of.canary if settings.mode == "weights" else of.workload).touches()
        return {**objects, f"the Application of {of.settings.engine}": await of.engine.identity(), **named}

    async def acquire_lease(self, owner: str, *, takeover: bool = False) -> Lease:
        """Acquire the workload's lease."""
        return await self.of.workload.acquire_lease(owner, takeover=takeover)

    async def release_lease(self, lease: Lease) -> None:
        """Release the workload's lease."""
        await self.of.workload.release_lease(lease)

    async def prepare(self, version: str, lease: Lease, *, timeout_seconds: float) -> None:
        """Check in Git, the engine and the cluster that a version could be deployed; by weights, deploy it without requests by a commit."""
        del timeout_seconds
        if self._is_by_weights:
            await by_weights.prepare(self.of, version, lease)
            return
        if await self._goes_by_weights():
            await by_weights.abort(self.of, lease, waits=False)
        elif self.of.settings.mode == "weights" and not await self.is_due():
            try:
                await by_weights.bring_home(self.of, lease)
            except Superseded:
                raise
            except ShipwayError as error:  # the engine is held next, if Git does not answer or refuses
                inform(f"{self.of.title}: Git was not told that the baseline gets all requests: {error}")
        await in_step.prepare(self.of, version, lease)

    async def shift(self, percent: int, lease: Lease) -> None:
        """Deploy the version by a commit (100), or revert that commit (0); by weights, commit any share.

        Raises:
            BadInput: Another share: the workload's own rollout replaces all pods.
        """
        if not 0 <= percent <= ALL:
            raise BadInput(f"{percent} % is not a share", field="percent", fix="Give 0 to 100")
        if await self._goes_by_weights():
            await by_weights.shift(self.of, percent, lease)
            return
        if percent not in {0, ALL}:
            fix = "Write one step of 100 in production.steps"
            raise BadInput(f"{percent} % is not a share that a rollout in one step can make", field="percent", fix=fix)
        await (in_step.raise_to_all if percent else in_step.lower)(self.of, lease)

    async def promote(self, lease: Lease) -> None:
        """Make the version the baseline."""
        await (by_weights if await self._goes_by_weights() else in_step).promote(self.of, lease)

    async def abort(self, lease: Lease, *, waits: bool = True) -> None:
        """Revert what this release committed, on top of what others committed since; without Git if it does not answer."""
        note = (await self.of.seen()).note
        goes = self.of.settings.mode == "weights" if note is None else note.by_weights
        await (by_weights if goes else in_step).abort(self.of, lease, waits=waits)

    async def settle(self, lease: Lease) -> str:
        """Tell Git what a rollback could not, and end the hold; gives what was done, or ""."""
        return await tell_git(self.of, lease)

    async def is_due(self) -> bool:
        """Say whether Git has still to be told of a rollback."""
        note = (await self.of.seen()).note
        return note is not None and bool(note.due)

    async def endpoints(self) -> Endpoints:
        """Return the workload's addresses."""
        return await (await self._read()).endpoints()

    async def counts(self) -> dict[str, Counts]:
        """Return the gateway's counts of both Services by weights; else none, as one Service serves both versions."""
        return await (await self._read()).counts()

    async def counts_of_all(self) -> dict[str, Counts]:
        """Return the gateway's counts of that Service, while one version serves alone."""
        return await self.of.workload.counts_of_all()

    async def labels(self) -> dict[str, dict[str, str]]:
        """Return the metric labels of the version that runs."""
        return await (await self._read()).labels()

    async def logs(self, since: float, take: Callable[[LogLine], bool | None]) -> dict[str, str]:
        """Hand over the pods' own lines."""
        return await (await self._read()).logs(since, take)

    async def run_job(self, manifest: dict[str, Any], lease: Lease, *, name: str, timeout_seconds: float) -> list[str]:
        """Run a Job beside the workload."""
        return await self.of.workload.run_job(manifest, lease, name=name, timeout_seconds=timeout_seconds)

    async def progress(self) -> list[str]:
        """Report the workload, what the engine says, and what Git has still to be told."""
        lines, seen = await asyncio.gather((await self._read()).progress(), self.of.seen())
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
        changes = [*found.diff.splitlines(), *tried]
        drift = drift_in_git(of, found, serves) + ([] if engine.synced else [f"what runs is not what Git says: {'; '.join(engine.lines)}"])
        notes = [one for one in (ways, engine.waiting, engine.fault) if one]
        if of.settings.without_git == "accept" and (why := await of.engine.holdable()):
            notes.append(f"a rollback waits for Git if Git is unreachable: {why}")
        if seen.note is not None and seen.note.due:
            notes.append(f"the {seen.note.due} of {seen.note.change.version} is pushed to Git first: {seen.note.why}")
        if self._is_by_weights:
            canary, startable, _ = await asyncio.gather(
                reviewed_canary(of, version), of.canary.expect_startable(version), of.canary.touches()
            )
            changes = [*canary.diff.splitlines(), *changes, *startable]
            files = ", ".join(dict.fromkeys(one.file for one in of.settings.weights))
            notes.append(f"each share of the requests is a commit to {files}, and at the end the baseline has all of them again")
        return Preview(changes=changes, drift=drift, notes=notes)

    async def edits(self, version: str) -> list[str]:
        """Return what a release would set in Git, and what stands there: people approve this, and no other commit in between."""
        settings = self.of.settings
        edits = edits_of([*settings.edits, *settings.canary_edits], version)
        weights = weight_edits(settings.weights, before=0, after=0)
        places = (await retried(review_change)(self.of.git, (*edits, *weights))).places
        shares = [
            f"{edit.file} {edit.target}: {one.value} → the shares of the plan"
            for one, edit in zip(places[len(edits) :], weights, strict=True)
        ]
        return [*steps_of(places[: len(edits)], edits), *shares]
