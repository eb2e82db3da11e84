"""What a pull request brings in: a change of a release, or its revert, made on whatever head the branch has."""

from __future__ import annotations

from dataclasses import dataclass

from blocks.forge.forge import Draft
from blocks.git.work_copy import WorkCopy
from tasks.gitops.commit import Made, diff_of, edited, landing, make_revert
from tasks.rules.gitops.message import Change, message_of, trailers_of
from tasks.rules.gitops.proposal import body_of, branch_of, title_of


@dataclass(frozen=True)
class Proposal:
    """What a pull request brings in.

    Fields:
        change: The change.
        reverts: Whether it is undone.
        merged_as: If it is undone: the commit that the forge says it was merged as; "" if none.
    """

    change: Change
    reverts: bool = False
    merged_as: str = ""

    @property
    def key(self) -> str:
        """The key in the commit's trailer."""
        return self.change.revert_key if self.reverts else self.change.key

    @property
    def branch(self) -> str:
        """Its own branch."""
        return branch_of(self.change, reverts=self.reverts)

    async def make(self, copy: WorkCopy, head: str) -> Made:
        """Make the edit on a head, or its revert."""
        if not self.reverts:
            return Made(*await edited(copy, head, self.change), message_of(self.change))
        commit = await landing(copy, self.change, head=head, merged_as=self.merged_as)
        return await make_revert(copy, head, self.change, commit=commit)

    def draft(self, made: Made) -> Draft:
        """Write the pull request."""
        trailers = trailers_of(made.message)
        body = body_of(self.change, diff=diff_of(made.before, made.after), trailers=trailers, reverts=self.reverts)
        return Draft(self.branch, title_of(self.change, reverts=self.reverts), body, trailers)
