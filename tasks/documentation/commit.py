"""Commit the page of a deployment to the service's repository: as new files, once, and nothing else is touched."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from prefect import task

from blocks.errors import BadInput, Refused, WorldMoved
from blocks.git.git import Git
from blocks.git.work_copy import Pushed, WorkCopy
from tasks.lifecycle.retries import OBSERVE
from tasks.rollout.platforms import load_block
from tasks.rules.documentation.message import DOCUMENTS, page_message

FIELD = "documentation.git"
MOST_PUSHES = 6
FIRST_WAIT_SECONDS = 0.1


async def repository_of_pages(name: str, *, service: str) -> Git:
    """Load the Git block to which a service's pages are committed.

    Args:
        name: The block, as the plan names it.
        service: Whose pages.

    Raises:
        BadInput: It is not there, or not for this service's pages, or takes pull requests only.
    """
    block = await load_block(name, field=FIELD)
    if not isinstance(block, Git):
        raise BadInput(f"{name} is not a Git block", field=FIELD, fix="Name one, as `git/shop`.")
    if service not in block.documents:
        fix = f"Let its owner add `{service}` to the block's `documents`."
        raise BadInput(f"{name} does not take the pages of {service}", field=FIELD, fix=fix)
    if block.pull_requests is not None:
        fix = "Name a block without `pull_requests`, whose branch takes pushes."
        raise BadInput(f"{name} takes pull requests only, and a page needs no review", field=FIELD, fix=fix)
    return block


@task(name="commit documentation", task_run_name="commit the page that documents it", **OBSERVE)
async def commit_page(git: Git, files: Mapping[str, bytes], *, run: str, subject: str) -> str:
    """Commit a run's page and push it; called again for the same run, it finds what was pushed, also if it was changed or removed since.

    Args:
        git: The branch.
        files: Paths from the repository's root, and contents.
        run: The run, by which the commit is found again.
        subject: The subject of the commit.

    Returns:
        The commit that has it.

    Raises:
        BadInput: A file is there already, which is not ours; or a folder cannot be used.
        Refused: The remote refuses us, or takes no push.
        Temporary: The remote does not answer, or others commit faster than we can push.
    """
    pushed: Pushed | None = None
    async with git.work_copy() as copy:
        for number in range(MOST_PUSHES):
            head = await copy.fetch()
            if found := await _found(copy, run, head=head, files=files):
                return found
            commit = await copy.commit(head, files, message=page_message(subject, run), are_new=True)
            pushed = await copy.push(commit, parent=head)
            if pushed.taken:
                return await _confirmed(copy, commit)
            await asyncio.sleep(FIRST_WAIT_SECONDS * 2**number)
        head = await copy.fetch()
        if found := await _found(copy, run, head=head, files=files):
            return found
    words = pushed.said if pushed else ""
    raise Refused(f"{copy!r} took none of {MOST_PUSHES} pushes: others commit all the time, or a rule of it. It said: {words}")


async def _found(copy: WorkCopy, run: str, *, head: str, files: Mapping[str, bytes]) -> str | None:
    """Find the commit of a run's page: one that says so, and has it; anyone may write a trailer."""
    found = await copy.find_trailer(DOCUMENTS, run, head=head)
    if found is None:
        return None
    try:
        for path in files:
            await copy.read(path, commit=found)
    except BadInput:
        return None
    return found


async def _confirmed(copy: WorkCopy, commit: str) -> str:
    if not await copy.contains(commit, head=await copy.fetch()):
        raise WorldMoved(f"{copy!r} took {commit} and does not contain it: its history was rewritten. Look at the branch")
    return commit
