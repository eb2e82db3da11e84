"""Read what Git says where a release would edit it; nothing is pushed."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task

from blocks.git.git import Git
from tasks.lifecycle.retries import OBSERVE
from tasks.rules.gitops.edit import Edit
from tasks.rules.gitops.reviewed import Reviewed, review


@task(name="review change in git", **OBSERVE)
async def review_change(git: Git, edits: Sequence[Edit]) -> Reviewed:
    """Read the files of some edits, and say what the edits would change.

    Raises:
        ShipwayError: As in `commit_change`.
    """
    async with git.work_copy() as copy:
        head = await copy.fetch()
        files = {name: await copy.read(name, commit=head) for name in dict.fromkeys(edit.file for edit in edits)}
        return review(head, files, edits)
