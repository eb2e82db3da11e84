"""A change on its way into a branch by a pull request: its own branch, the pull request, the merge, or its withdrawal.

Each step reads the branch and the forge, does at most one thing, and reads again. What an earlier process did is found by the name of the
change's own branch, so nothing is done twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal

from blocks.errors import BadInput, Refused, RolloutFailed, Superseded, Temporary, Unreachable, WorldMoved
from blocks.forge.forge import Forge, PullRequest
from blocks.forge.settings import PullRequests
from blocks.git.git import Git
from blocks.git.work_copy import WorkCopy
from tasks.gitops.commit import Check, Committed, find_made, has_change, has_made, landing, refuse_rewritten
from tasks.gitops.proposal import Proposal
from tasks.rules.gitops.message import CHANGE
from tasks.rules.gitops.proposal import Can, Standing, next_move
from tasks.rules.gitops.reviewed import differing, review

MOST_MOVES, MOST_PUSHES = 20, 4
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 30.0
NEWS_SECONDS = 300.0  # then the branch is looked at again, too
PATIENCE_SECONDS = 60.0  # with a forge that does not answer, or does not take what it is asked, before there is a pull request
Tell = Callable[[PullRequest], Awaitable[None]]


async def untold(_request: PullRequest) -> None:
    """Tell it to no person."""


@dataclass
class Course:
    """One pull request.

    Fields:
        git: The target branch.
        settings: How changes go in.
        forge: Whose pull request it is.
        proposal: What it brings in.
        before: Called before each effect and each look; what it raises ends the course.
        tell: Called with the pull request each time that it is another one or stands otherwise.
        known_head: A commit that the target's history must contain.
    """

    git: Git
    settings: PullRequests
    forge: Forge
    proposal: Proposal
    before: Check
    tell: Tell = untold
    known_head: str | None = None
    seen: PullRequest | None = None

    async def follow(self) -> Committed:
        """Bring the change in, and return once the target branch has it.

        Raises:
            RolloutFailed: It was closed without being merged, or not merged in time.
            Refused: The forge or the branch refuses us, or its own branch has commits of others.
            WorldMoved: Git is not as it was reviewed, or what was merged is not our edit.
            Superseded: Another owner acts, or the change was undone.
            Temporary: The forge does not answer, and no pull request was opened yet.
        """
        seconds = self.settings.merge_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._follow()
        except TimeoutError:
            name, why = (self.seen.name, self.seen.why) if self.seen else ("the pull request", "")
            raise RolloutFailed(f"{name} was not merged within {seconds:g} s{f': {why}' if why else ''}") from None

    async def _follow(self) -> Committed:
        clock = asyncio.get_running_loop().time
        until: float | None = None
        while True:
            try:
                now = await self.advance()
                if isinstance(now, Committed):
                    return now
                await self._await_news(now)
            except Temporary as error:
                until = until or clock() + PATIENCE_SECONDS
                if self.seen is None and clock() + error.delay_seconds > until:
                    raise
                await asyncio.sleep(max(error.delay_seconds, FIRST_PAUSE_SECONDS))

    async def advance(self) -> Committed | PullRequest:
        """Do what can be done now.

        Returns:
            Where the change stands in the target branch, or the pull request that waits.

        Raises:
            ShipwayError: As in `follow`.
        """
        async with self.git.work_copy() as copy:
            for _ in range(MOST_MOVES):
                now = await self._step(copy)
                if now is not None:
                    return now
        raise Temporary(f"{self.proposal.branch} changes all the time")

    async def withdraw(self) -> PullRequest | None:
        """Close the pull request and delete its branch, unless it is merged.

        Returns:
            The pull request as it stands then; None if there never was one.
        """
        async with self.git.work_copy() as copy:
            head = await copy.fetch()
            for _ in range(MOST_PUSHES):
                request = await self.forge.find(self.proposal.branch)
                if request is not None and request.state == "open":
                    await self.before()
                    await self.forge.close(request.number)
                side = await copy.fetch_side(self.proposal.branch)
                if side is not None and await self._is_ours(copy, side, head):  # without a branch no late request opens another one
                    await self.before()
                    await copy.push_side(None, self.proposal.branch, found=side)
                request = await self.forge.find(self.proposal.branch)
                if request is None or request.state != "open":
                    return request
                await asyncio.sleep(FIRST_PAUSE_SECONDS / 2)
        raise Temporary(f"the pull request of {self.proposal.branch} was closed and is open again")

    async def _step(self, copy: WorkCopy) -> Committed | PullRequest | None:
        """Look, and do one thing; gives None if that was done."""
        request = await self._request()
        head = await copy.fetch()
        landed = await self._landed(copy, head, request)
        side = None if landed else await copy.fetch_side(self.proposal.branch)
        standing = await self._standing(copy, head, request, side, landed=landed)
        move = next_move(standing)
        if move == "landed" and landed:
            await self._tidy(copy, head)
            return Committed(landed, head, pushed=False)
        if move == "refused":
            raise self._refusal(request)
        if move == "push":
            return await self._push(copy, head, side)
        if move == "open":
            await self._open(copy, side or head)
            return None
        if move == "merge" and request is not None:
            return await self._merge(copy, request)
        return request and await self._waiting(request, standing)

    async def _request(self) -> PullRequest | None:
        request = await self.forge.find(self.proposal.branch)
        if request is not None and request.into != self.git.branch:
            raise WorldMoved(f"{request.name} goes into {request.into} now, not into {self.git.branch}. Look at it, then release again")
        return request and await self._told(request)

    async def _told(self, request: PullRequest) -> PullRequest:
        if request != self.seen:
            await self.tell(request)
            self.seen = request
        return request

    async def _landed(self, copy: WorkCopy, head: str, request: PullRequest | None) -> str | None:
        """Find the commit of the target branch that has the change, and look that it does."""
        await refuse_rewritten(copy, self.known_head, head=head)
        change, reverts = self.proposal.change, self.proposal.reverts
        if not reverts and await find_made(copy, change, head=head, reverts=True) is not None:
            raise Superseded(f"the change {change.key} was reverted in {copy!r} meanwhile, so it is not brought in again")
        found = await copy.find_trailer(CHANGE, self.proposal.key, head=head)
        if found is not None and request is not None and request.state == "open":  # it was merged between the two looks
            request = await self._request()
        merged_as = request.merged_as if request is not None else ""
        found = merged_as if await self._is_merged_as(copy, merged_as, head=head) else found
        if found is not None and reverts and await has_change(copy, found, change):
            return None  # it says that it is the revert, and is not
        if found is not None and not reverts:
            files = {name: await copy.read(name, commit=found) for name in dict.fromkeys(edit.file for edit in change.edits)}
            if wrong := differing(review(found, files, change.edits).places, change.edits):
                name = request.name if request is not None else self.proposal.branch
                raise WorldMoved(
                    f"{name} is merged as {found[:12]} with another content: {'; '.join(wrong)}. Look at it, then release again"
                )
        return found

    async def _is_merged_as(self, copy: WorkCopy, merged_as: str, *, head: str) -> bool:
        """Say whether Git, too, says that a commit of the branch brought it in; the forge alone is not believed.

        A commit with other values in the places of the change is given as well, so that it is said what it has.
        """
        if not merged_as or not await copy.contains(merged_as, head=head):
            return False
        change = self.proposal.change
        if not self.proposal.reverts:
            return await has_made(copy, merged_as, change) or not await has_change(copy, merged_as, change)
        undone = await landing(copy, change, head=head, merged_as=self.proposal.merged_as)
        return undone is not None and await copy.contains(undone, head=merged_as) and not await has_change(copy, merged_as, change)

    async def _standing(self, copy: WorkCopy, head: str, request: PullRequest | None, side: str | None, *, landed: str | None) -> Standing:
        branch: Literal["absent", "ours", "others"] = "absent"
        if side is not None:
            branch = "ours" if await self._is_ours(copy, side, head) else "others"
        can: Can = "waits"
        if request is not None and side is not None and request.head == side:  # a forge comes to know of a push a little later
            is_newest = request.standing in {"stale", "behind"} and await copy.parent_of(side) == head  # then anew would be the same
            can = "waits" if is_newest else request.standing
        return Standing(
            landed=landed is not None,
            branch=branch,
            request=request.state if request is not None else "none",
            can=can,
            merges=self.settings.merge,
        )

    async def _is_ours(self, copy: WorkCopy, side: str, head: str) -> bool:
        """Say whether a branch is one commit of our edit alone on a commit of the target branch."""
        try:
            parent = await copy.parent_of(side)
        except Temporary:  # it has none
            return False
        if not await copy.contains(parent, head=head):
            return False
        try:
            made = await self.proposal.make(copy, parent)
        except (BadInput, WorldMoved):  # the edit cannot be made there
            return False
        return await copy.same_tree(side, await copy.commit(parent, made.after, message=made.message))

    async def _push(self, copy: WorkCopy, head: str, side: str | None) -> Committed | None:
        """Push our commit on its own branch, in the place of one on an older head."""
        made = await self.proposal.make(copy, head)
        if made.before == made.after:
            return Committed(None, head, pushed=False)
        commit = await copy.commit(head, made.after, message=made.message)
        for number in range(MOST_PUSHES):
            await self.before()
            pushed = await copy.push_side(commit, self.proposal.branch, found=side)
            if await copy.fetch_side(self.proposal.branch) != side:
                return None
            if not pushed.answered:
                raise Unreachable(f"{copy!r} gave no answer to a push of {self.proposal.branch} and does not have it: {pushed.said}")
            await asyncio.sleep(0.1 * 2**number)
        raise Refused(f"{copy!r} does not take the branch {self.proposal.branch}. It said: {pushed.said}")

    async def _open(self, copy: WorkCopy, side: str) -> None:
        draft = self.proposal.draft(await self.proposal.make(copy, await copy.parent_of(side)))
        await self.before()
        request = await self.forge.open(draft)
        try:
            await self._told(request)
            await self.before()
        except (Superseded, Refused):  # whoever acts now may have looked for it already
            await self.forge.close(request.number)
            raise

    async def _merge(self, copy: WorkCopy, request: PullRequest) -> PullRequest | None:
        draft = self.proposal.draft(await self.proposal.make(copy, await copy.parent_of(request.head)))
        await self.before()
        why = await self.forge.merge(request, draft)
        return await self._told(replace(request, why=why)) if why else None

    async def _waiting(self, request: PullRequest, standing: Standing) -> PullRequest:
        why = request.why
        if standing.branch == "others":
            why = f"others committed to its branch, so people merge it{f'; {why}' if why else ''}"
        return await self._told(replace(request, why=why)) if why != request.why else request

    def _refusal(self, request: PullRequest | None) -> Refused | RolloutFailed:
        if request is None:
            return Refused(f"the branch {self.proposal.branch} has commits that are not this release's. Look at it, and delete it")
        if self.proposal.reverts:
            fix = "Reopen it, or push the revert by hand"
            return Refused(f"{request.name}, which reverts {self.proposal.change.version}, was closed without being merged. {fix}")
        return RolloutFailed(f"{request.name} was closed without being merged, so {self.proposal.change.version} is not released")

    async def _tidy(self, copy: WorkCopy, head: str) -> None:
        """Delete our branch once it is merged, unless others have committed to it; that it stays does no harm."""
        side = await copy.fetch_side(self.proposal.branch)
        if side is not None and await self._is_ours(copy, side, head):
            await self.before()
            await copy.push_side(None, self.proposal.branch, found=side)

    async def _await_news(self, last: PullRequest) -> None:
        """Ask the forge again after 2 s, then at most each 30 s, until the pull request stands otherwise."""
        clock, pause = asyncio.get_running_loop().time, FIRST_PAUSE_SECONDS
        is_ours_to_merge = last.state == "merged" or (last.standing == "ready" and self.settings.merge)
        until = clock() + (LONGEST_PAUSE_SECONDS if is_ours_to_merge else NEWS_SECONDS)
        while clock() < until:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
            await self.before()
            now = await self.forge.read(last.number)
            if replace(now, why="") != replace(last, why="") or (now.state == "merged"):
                return
