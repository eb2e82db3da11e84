"""What the tests of changes by pull requests share: a change, the way into a forge's repository, and a forge of each kind."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import ShipwayError
from tasks.gitops import commit, pull_request, ways_in
from tasks.gitops.commit import Committed
from tasks.gitops.ways_in import Way
from tasks.rules.gitops.message import Change
from tasks.rules.gitops.proposal import branch_of
from tests.forge_server import KINDS, ForgeServer, serving_forge
from tests.git_changes import CHANGE
from tests.git_remotes import VALUES, Repository
from tests.waiting import until

NEW = VALUES.replace(b"1.0.0", b"1.1.0")
BRANCH, BACK_BRANCH = branch_of(CHANGE), branch_of(CHANGE, reverts=True)
# How each forge merges: the method that the block names, and what the project says of itself.
METHODS = [
    ("github", "merge", {}),
    ("github", "squash", {}),
    ("github", "rebase", {}),
    ("gitlab", "merge", {"merge_method": "merge"}),
    ("gitlab", "squash", {"merge_method": "merge"}),
    ("gitlab", "squash", {"merge_method": "ff"}),
    ("gitlab", "rebase", {"merge_method": "ff"}),
]


@pytest.fixture
def at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait little, and keep work copies in a folder of the test."""
    for module, name, seconds in (
        (pull_request, "FIRST_PAUSE_SECONDS", 0.05),
        (pull_request, "LONGEST_PAUSE_SECONDS", 0.1),
        (pull_request, "PATIENCE_SECONDS", 3.0),
        (ways_in, "PAUSE_SECONDS", 0.05),
        (ways_in, "MERGE_SECONDS", 5.0),
        (commit, "MOST_WAIT_SECONDS", 0.01),
    ):
        monkeypatch.setattr(module, name, seconds)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


@pytest.fixture(params=KINDS)
def forge(request: pytest.FixtureRequest, repository: Repository) -> Iterator[ForgeServer]:
    """Serve one forge, and the other."""
    with serving_forge(request.param, repository) as server:
        yield server


PROTECTED = """while read -r old new name; do
  [ "$name" = refs/heads/main ] && echo main is protected >&2 && exit 1
done
exit 0"""


def way(forge: ForgeServer, **fields: Any) -> Way:
    """Return the way into the forge's repository."""
    return Way(forge.git(**fields))


@asynccontextmanager
async def waiting(forge: ForgeServer, change: Change = CHANGE, **fields: Any) -> AsyncIterator[asyncio.Task[Committed]]:
    """Bring a change in beside the test, and go on once its pull request is open."""
    course = asyncio.create_task(way(forge, **fields).bring_in(change))

    async def is_open() -> bool:
        return any(one.state == "open" for one in forge.requests.of) or course.done()

    try:
        await until(is_open, timeout_seconds=20)
        yield course
    finally:
        course.cancel()
        with suppress(asyncio.CancelledError, ShipwayError):
            await course


async def ended(course: asyncio.Task[Committed]) -> Committed:
    """Wait for its end."""
    return await asyncio.wait_for(course, 30)
