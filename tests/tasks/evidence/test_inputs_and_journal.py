"""What a release is about, and its story, on a real server with a real repository."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect import flow
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH

from blocks.errors import BadInput, Tampered
from tasks.evidence.inputs import collect_inputs, collect_inputs_again, digest_of, look, take_plan
from tasks.record.journal import append_entry, read_entries, read_entry
from tasks.record.without_key import rolling_back
from tasks.rules.evidence.differences import changed_parts, differences
from tests.local_environments import MakeLocal

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("server")]
EXAMPLE = Path(__file__).parents[3] / "examples/guestbook"
PLAN = (EXAMPLE / "shipway.yaml").read_text()


def git(folder: Path, *words: str) -> None:
    """Run git as no one in particular."""
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
async def plan(tmp_path: Path, make_local: MakeLocal) -> Path:
    """Lay out a repository with two versions, and platforms on which nothing was ever deployed."""
    folder, name = tmp_path / "repository", f"test-{uuid4().hex[:8]}"
    for environment in ("staging", "production"):
        await make_local(folder=str(tmp_path / environment)).save(f"{name}-{environment}")  # type: ignore[misc]
    (folder / "smoke").mkdir(parents=True)
    (folder / "smoke" / "test_critical.py").touch()
    shutil.copytree(EXAMPLE / "data", folder / "data")
    (folder / "shipway.yaml").write_text(PLAN.replace("local/guestbook-", f"local/{name}-"))
    git(folder, "init")
    for version in ("1.0", "1.1"):
        (folder / "VERSION").write_text(version)
        git(folder, "add", ".")
        git(folder, "commit", "-m", f"Make {version}")
        git(folder, "tag", f"v{version}")
    return folder / "shipway.yaml"


@flow
async def asked(path: str, key: str) -> list[Any]:
    """Collect as a release does, before and after the plan was changed."""
    before = [await take_plan(path, key=f"{key}/plan"), await collect_inputs(path, version="1.1", key=f"{key}/survey")]
    Path(path).write_text(Path(path).read_text().replace("quorum: 1", "quorum: 0"))  # noqa: ASYNC240
    (Path(path).parent / "smoke/test_critical.py").write_text("pass\n")
    after = [await take_plan(path, key=f"{key}/plan"), await collect_inputs(path, version="1.1", key=f"{key}/survey")]
    return [before, after, await collect_inputs_again(path, version="1.1")]


@pytest.mark.slow
async def test_a_survey_says_what_is_there_and_what_comes(plan: Path) -> None:
    """Positions, changes, folders; the same world has the same digest, another version another one."""
    found = await look(str(plan), version="1.1")
    assert (found.version, found.current, found.previous) == ("1.1", dict.fromkeys(found.current), dict.fromkeys(found.previous))
    assert found.folder == str(plan.parent)
    assert [commit.subject for commit in found.change_log.commits]
    assert (await look(str(plan), version="1.1")).digest == found.digest
    assert (await look(str(plan), version="1.0")).digest != found.digest
    (plan.parent / "smoke/test_critical.py").write_text("def test_nothing() -> None: ...\n")
    changed = await look(str(plan), version="1.1")
    assert differences(found, changed) == ["files: the plan's smoke/test_critical.py changed"]
    assert changed.digest != found.digest
    (plan.parent / "smoke/test_critical.py").unlink()
    with pytest.raises(BadInput, match=r"smoke\[1\]\.pytest: .*does not exist"):
        await look(str(plan), version="1.1")


@pytest.mark.slow
async def test_a_release_keeps_the_plan_it_began_with_and_sees_that_it_changed(plan: Path) -> None:
    """Under its key the first survey stays; a new look has another digest, which voids an approval."""
    before, after, again = await asked(str(plan), uuid4().hex)
    assert after == before
    assert digest_of(after[1]) == after[1].digest == before[1].digest, "what was remembered proves itself"
    assert again.digest != before[1].digest
    assert changed_parts(before[1], again) == ["plan", "files"]


async def test_a_plan_with_a_platform_that_no_one_made_is_bad_input(plan: Path) -> None:
    """The message names the plan's field."""
    plan.write_text(plan.read_text().replace("-staging", "-nowhere"))  # noqa: ASYNC240
    with pytest.raises(BadInput, match=r"staging\.platform"):
        await look(str(plan), version="1.1")


async def test_a_story_is_told_once_and_recalled() -> None:
    """A step that runs again finds what it said."""
    release = str(uuid4())
    first = await append_entry(release, "Moved", kind="effect", environment="staging", name="step", why="25 %", evidence={"percent": 25})
    assert await append_entry(release, "Moved again", kind="effect", environment="staging", name="step") == first
    assert await read_entry(release, "effect", environment="staging", name="step") == first
    assert await read_entry(release, "effect", environment="production", name="step") is None


def break_record(release: str) -> None:
    """Change a stored record's words behind its back."""
    stored = [path for path in (PREFECT_LOCAL_STORAGE_PATH.value() / "records" / release).rglob("*") if path.is_file()]
    assert stored
    for path in stored:
        path.write_bytes(path.read_bytes().replace(b"Asked", b"Never"))


async def test_a_record_that_someone_touched_holds_no_rollback_up() -> None:
    """The story goes on without the record: the service comes first."""
    release = str(uuid4())
    await append_entry(release, "Asked", kind="opened")
    break_record(release)
    with pytest.raises(Tampered, match="cannot be trusted"):
        await append_entry(release, "Goes forward", kind="effect")
    with rolling_back():
        assert (await append_entry(release, "Goes back", kind="rollback")).what == "Goes back"
    assert "Never" not in str(await read_entries(release))
