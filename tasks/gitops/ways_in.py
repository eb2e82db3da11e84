"""The way of a change into the branch, and back out of it: pushed, or by pull requests, as the block of the branch says.

A rollback waits for no person: it is pushed. Where that is refused, or the block asks for a pull request, one is opened, and what is not
merged at once is refused here, so that the cluster is rolled back without Git.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from blocks.errors import Refused, Temporary
from blocks.forge.forge import PullRequest
from blocks.forge.settings import PullRequests
from blocks.git.git import Git
from tasks.gitops.commit import Check, Committed, commit_change, nothing, revert_change
from tasks.gitops.proposal import Proposal
from tasks.gitops.pull_request import Course, Tell, untold
from tasks.lifecycle.retries import retried
from tasks.rules.gitops.message import Change

MERGE_SECONDS, PAUSE_SECONDS = 10.0, 1.0  # how long a rollback waits for a merge that is made by us
DELAYS_SECONDS, MOST_DELAY_SECONDS = (0.5, 1.0, 2.0, 4.0), 5.0


@dataclass(frozen=True)
class Way:
    """A branch, and what is called on the way.

    Fields:
        git: The branch.
        before: Called before each effect; what it raises ends the way.
        tell: Called with each pull request that is on its way.
    """

    git: Git
    before: Check = nothing
    tell: Tell = untold

    async def bring_in(self, change: Change, *, known_head: str | None = None, at_once: bool = False) -> Committed:
        """Bring a change into the branch; again finds what is there.

        Args:
            change: The change.
            known_head: A commit that the branch's history must contain, as the head that was reviewed; None does not look.
            at_once: Whether it is a rollback, which waits for no person.

        Returns:
            Where it stands in the branch.

        Raises:
            RolloutFailed: Its pull request was closed, or not merged in time.
            Refused: At once, it waits for people.
            ShipwayError: As in `commit_change`.
        """
        settings = self.git.pull_requests
        if settings is None:
            return await retried(commit_change)(self.git, change, known_head=known_head, before_push=self.before)
        course = self._course(settings, Proposal(change), known_head=known_head)
        if not at_once:
            return await course.follow()
        push = partial(retried(commit_change), self.git, change, known_head=known_head, before_push=self.before)
        return await _patiently(partial(self._at_once, course, push))

    async def take_out(self, change: Change) -> Committed:
        """Undo a change: withdraw its pull request, and revert it if the branch has it; again finds what is there.

        Returns:
            Where the revert stands; its `commit` is None if the branch never had the change.

        Raises:
            Refused: The revert waits for people, or its pull request was closed.
            ShipwayError: As in `revert_change`.
        """
        settings = self.git.pull_requests
        if settings is None:
            return await retried(revert_change)(self.git, change, before_push=self.before, fence=True)
        return await _patiently(partial(self._take_out, settings, change))

    async def _take_out(self, settings: PullRequests, change: Change) -> Committed:
        request = await self._course(settings, Proposal(change)).withdraw()
        merged_as = (request.merged_as or request.head) if request is not None and request.state == "merged" else ""
        course = self._course(settings, Proposal(change, reverts=True, merged_as=merged_as))
        push = partial(retried(revert_change), self.git, change, before_push=self.before, merged_as=merged_as)
        return await self._at_once(course, push)

    def _course(self, settings: PullRequests, proposal: Proposal, *, known_head: str | None = None) -> Course:
        return Course(self.git, settings, self.git.forge(settings), proposal, self.before, self.tell, known_head)

    async def _at_once(self, course: Course, push: Callable[[], Awaitable[Committed]]) -> Committed:
        """Push, or open the pull request, and merge it if that may be done by us now."""
        found = await course.forge.find(course.proposal.branch)
        refused = ""
        if course.settings.revert == "push" and (found is None or found.state == "closed"):
            try:
                return await push()
            except Refused as error:  # a protected branch, as a rule
                refused = f" ({error})"
        until = asyncio.get_running_loop().time() + MERGE_SECONDS
        while True:
            now = await course.advance()
            if isinstance(now, Committed):
                return now
            if asyncio.get_running_loop().time() > until or (not course.settings.merge and now.state == "open"):
                raise _waits(now, course.proposal, refused=refused)
            await asyncio.sleep(PAUSE_SECONDS)


async def _patiently(call: Callable[[], Awaitable[Committed]]) -> Committed:
    """Try what is temporary a few times more, as a commit that is pushed."""
    for delay in DELAYS_SECONDS:
        try:
            return await call()
        except Temporary as error:
            if error.delay_seconds > MOST_DELAY_SECONDS:
                raise
        await asyncio.sleep(delay)
    return await call()


def _waits(request: PullRequest, proposal: Proposal, *, refused: str) -> Refused:
    what = f"the {'revert' if proposal.reverts else 'commit'} of {proposal.change.service} {proposal.change.version}"
    why = f": {request.why}" if request.why else ""
    return Refused(f"{what} waits for the merge of {request.name}{why}{refused}. Have it merged")
