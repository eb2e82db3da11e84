"""Histories as teams make them: merges that drop a change, hotfixes that main has too, reverts, and clones that leave things out."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from blocks.errors import BadInput
from tasks.evidence.change_log import read_change_log
from tasks.rules.evidence.change_log import ChangeLog, describe, judge_changes
from tasks.rules.plan.plan import ChangeLog as Spec
from tests.tasks.evidence.test_change_log_from_git import WHO


def run(folder: Path, script: str) -> None:
    """Run Git's commands, a line each, in a new repository; `put FILE TEXT SUBJECT` commits a file."""
    put = 'put() { mkdir -p "$(dirname "$1")"; echo "$2" > "$1"; git add .; git commit -qm "$3"; }\n'
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", **WHO}
    begin = "git init -q -b main .; git config uploadpack.allowFilter true\n" if not (folder / ".git").exists() else ""
    subprocess.run(["sh", "-euc", begin + put + script], cwd=folder, env=environment, check=True, capture_output=True)


async def read(folder: Path, old: str, new: str, *paths: str) -> ChangeLog:
    """Read the changes of an upgrade."""
    return await read_change_log.fn(folder, Spec(paths=list(paths)), from_version=old, to_version=new)


def subjects(log: ChangeLog) -> tuple[set[str], set[str]]:
    """Return what it brings and takes back."""
    return {one.subject for one in log.commits}, {one.subject for one in log.taken_back}


BOTH_SIDES = """
put app/tax 19 Begin
put app/stock 1 Stock
git branch other
put app/tax 20 Tax
git tag v1
git checkout -q other
"""
INTO_MAIN = "git checkout -q main; git merge -q --no-commit other; git checkout other -- app/tax"
DROPPED = {
    "both-touch": f"{BOTH_SIDES} put app/stock 2 Restock; {INTO_MAIN}",
    "one-touches": f"{BOTH_SIDES} put docs/a 1 Explain; {INTO_MAIN}",
    "other-first": f"{BOTH_SIDES} put app/stock 2 Restock; git merge -q --no-commit main; git checkout other -- app/tax",
    "ours": f"{BOTH_SIDES} put app/stock 2 Restock; git merge -q -s ours --no-commit main",
}


@pytest.mark.parametrize("shape", DROPPED)
@pytest.mark.parametrize("path", ["app", "app/tax"])
async def test_a_merge_that_drops_a_change_is_listed(tmp_path: Path, shape: str, path: str) -> None:
    """Whichever side it dropped, and whether or not the plan names paths; no sentence says that all is kept."""
    run(tmp_path, f"{DROPPED[shape]}; git commit -qm Merge; git tag v2")
    log = await read(tmp_path, "1", "2", path)
    assert "Merge" in subjects(log)[0]
    assert (log.differs, judge_changes(log, allow_empty=False)) == (True, None)
    assert "kept" not in describe(log)


async def test_a_merge_of_something_else_is_not_listed(tmp_path: Path) -> None:
    """A branch about documents touches nothing of the plan's paths, and then nothing changes."""
    run(tmp_path, "put app/a 1 Begin; git checkout -qb d; put docs/a 1 Explain; git checkout -q main; put app/a 2 Two; git tag v1")
    run(tmp_path, "git merge -q d -m Documents; git tag v2")
    log = await read(tmp_path, "1", "2", "app")
    assert subjects(log) == (set(), set())
    assert "nothing changes" in str(judge_changes(log, allow_empty=False))


@pytest.mark.parametrize("paths", [(), ("app",)])
async def test_what_was_done_and_undone_changes_nothing(tmp_path: Path, paths: tuple[str, ...]) -> None:
    """The files decide, not the number of commits."""
    run(tmp_path, "put app/a 1 Begin; git tag v1; put app/a 2 Two; git revert -n HEAD; git commit -qm Undo; git tag v2")
    log = await read(tmp_path, "1", "2", *paths)
    assert subjects(log) == ({"Two", "Undo"}, set())
    assert "nothing changes" in str(judge_changes(log, allow_empty=False))
    assert judge_changes(log, allow_empty=True) is None


MAIN = """
put app/a 1 Begin
git tag v1.0
git branch hot
put app/b 1 Feature
put app/a 2 Fix
git branch fixed
put app/c 1 More
git tag v2.0
"""
TWO_MERGES = "git checkout -q hot; git merge -q --no-ff pr -m Pull; git merge -q --no-ff pr2 -m Second"
CHANGED_MERGE = "git merge -q --no-ff --no-commit pr; echo 9 > app/z; git add .; git commit -qm Pull"
PICKED = {
    "picked": (f"{MAIN} git checkout -q hot; git cherry-pick fixed", {"Feature", "More"}, set()),
    "picked-with-a-note": (f"{MAIN} git checkout -q hot; git cherry-pick -x fixed", {"Feature", "More"}, set()),
    "by-a-pull-request": (
        f"{MAIN} git checkout -q -b pr hot; git cherry-pick fixed; git checkout -q hot; git merge -q --no-ff pr -m Pull",
        {"Feature", "More"},
        set(),
    ),
    "by-two-pull-requests": (
        f"{MAIN} git checkout -q -b pr hot; git cherry-pick fixed; git checkout -q -b pr2 hot; git cherry-pick main; {TWO_MERGES}",
        {"Feature"},
        set(),
    ),
    "with-one-of-its-own": (f"{MAIN} git checkout -q hot; git cherry-pick fixed; put app/d 1 Own", {"Feature", "More"}, {"Own"}),
    "changed": (f"{MAIN} git checkout -q hot; put app/a 3 Fix", {"Feature", "More", "Fix"}, {"Fix"}),
    "merged-with-a-change": (
        f"{MAIN} git checkout -q -b pr hot; git cherry-pick fixed; git checkout -q hot; {CHANGED_MERGE}",
        {"Feature", "More"},
        {"Pull"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", PICKED)
@pytest.mark.parametrize("paths", [(), ("app",)])
async def test_the_same_patch_under_two_hashes_is_one(tmp_path: Path, shape: str, paths: tuple[str, ...]) -> None:
    """A hotfix that main has too is neither brought nor taken back; what only one side has is."""
    script, brings, takes = PICKED[shape]
    run(tmp_path, f"{script}; git tag v1.0.1")
    log = await read(tmp_path, "1.0.1", "2.0", *paths)
    assert (log.direction, *subjects(log)) == ("sideways", brings, takes)
    assert ("reverted" in describe(log)) == bool(takes)


@pytest.mark.slow
@pytest.mark.parametrize("kept", ["tree:0", "blob:none"])
@pytest.mark.parametrize("old", ["1.0", "1.0.1"])
async def test_a_partial_clone_is_read_whole_or_refused(tmp_path: Path, kept: str, old: str) -> None:
    """What it lacks is named with the command that fetches it, and that command helps."""
    (tmp_path / "from").mkdir()
    run(tmp_path / "from", f"{PICKED['picked'][0]}; git tag v1.0.1")
    run(tmp_path, f"git clone -q --no-checkout --filter={kept} file://{tmp_path}/from clone")
    expected = await read(tmp_path / "from", old, "2.0", "app")
    try:
        assert await read(tmp_path / "clone", old, "2.0", "app") == expected
    except BadInput as error:
        assert "git fetch --refetch --no-filter --tags" in str(error)  # noqa: PT017 - which of the two follows from what Git needs
        assert "fsck" not in str(error)  # noqa: PT017
    else:
        assert kept == "blob:none"
    run(tmp_path / "clone", "git fetch -q --refetch --no-filter --tags")
    assert await read(tmp_path / "clone", old, "2.0", "app") == expected


@pytest.mark.parametrize("graft", ["git replace --graft HEAD HEAD~2", "git rev-parse HEAD > .git/info/grafts"])
async def test_a_graft_hides_no_commit(tmp_path: Path, graft: str) -> None:
    """The history is the one that the hashes stand for."""
    run(tmp_path, f"put a 1 Begin; git tag v1; put a 2 Hidden; put a 3 Top; {graft}; git tag v2")
    assert subjects(await read(tmp_path, "1", "2")) == ({"Hidden", "Top"}, set())


async def test_a_tag_may_have_any_name_that_git_takes(tmp_path: Path) -> None:
    """As changesets writes it, and with letters of any script."""
    run(tmp_path, "put a 1 Begin; git tag @acme/shop@1.0; put a 2 Two; git tag @acme/shop@1.1")
    log = await read_change_log.fn(tmp_path, Spec(tag="@acme/shop@{version}"), from_version="1.0", to_version="1.1")
    assert subjects(log) == ({"Two"}, set())


async def test_a_missing_object_is_named_without_gits_hints(tmp_path: Path) -> None:
    """Git's words about grafts, of which there are none, do not stand where the reason does."""
    run(tmp_path, "put app/a 1 Begin; git tag v1; put app/a 2 Two; git tag v2")
    run(tmp_path, 'name=$(git rev-parse v1:app); rm -f ".git/objects/$(echo $name | cut -c1-2)/$(echo $name | cut -c3-)"')
    with pytest.raises(BadInput, match=r"\(fatal: unable to read tree [0-9a-f]+\)\. Check with `git fsck`"):
        await read(tmp_path, "1", "2", "app")
