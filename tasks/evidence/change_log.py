"""Change log: the changes between two versions, from Git."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from prefect import task

from blocks.commands import Ended, run_command
from blocks.errors import BadInput, Temporary
from blocks.outside_text import outside
from blocks.platform import source_version
from tasks.lifecycle.retries import OBSERVE
from tasks.rules.evidence.change_log import MAX_COMMITS, ChangeLog, Commit, direction_of
from tasks.rules.plan.plan import ChangeLog as Spec
from tasks.rules.plan.version import check_version

TIMEOUT_SECONDS = 30.0
TEXT_LIMIT = 300
FORMAT = "%H%x1f%at%x1f%an%x1f%s"
MAX_MERGES = 30  # of more than that each is shown: checking one costs five calls of Git
KEPT = ("PATH", "HOME", "TMPDIR")
ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_LITERAL_PATHSPECS": "1",
}
SETTINGS = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "advice.graftFileDeprecated=false",
    "i18n.logOutputEncoding=UTF-8",
    "core.quotePath=false",
    "log.mailmap=false",
)
OURS = ("--no-pager", *(word for one in SETTINGS for word in ("-c", one)))


@task(name="read change log", **OBSERVE)
async def read_change_log(repository: str | Path, spec: Spec, *, from_version: str | None, to_version: str) -> ChangeLog:
    """Read which changes a version adds, and which it reverts.

    Args:
        repository: The plan's folder, inside a Git repository; the plan's paths start in it.
        spec: The plan's section.
        from_version: The running version, or None without one: then the whole history is read.
        to_version: The version under release.

    Returns:
        The changes, at most 500 each way.

    Raises:
        BadInput: The repository is missing, a version has no tag, or the history is shallow.
        Temporary: Git timed out.
    """
    await _refuse_shallow(repository)
    new = await commit_of(repository, spec, to_version)
    if from_version is None:
        commits = await _log(repository, new, paths=spec.paths)
        return ChangeLog(None, to_version, "first", tuple(commits[:MAX_COMMITS]), more=len(commits) > MAX_COMMITS, differs=bool(commits))
    old = await commit_of(repository, spec, from_version)
    direction = direction_of(from_commit=old, to_commit=new, base=await _base(repository, old, new))
    if direction == "sideways":
        commits = await _other_side(repository, old, new, paths=spec.paths)
        taken_back = await _other_side(repository, new, old, paths=spec.paths)
    else:
        commits = await _log(repository, f"{old}..{new}", paths=spec.paths)
        taken_back = await _log(repository, f"{new}..{old}", paths=spec.paths)
    return ChangeLog(
        from_version,
        to_version,
        direction,
        tuple(commits[:MAX_COMMITS]),
        tuple(taken_back[:MAX_COMMITS]),
        more=max(len(commits), len(taken_back)) > MAX_COMMITS,
        differs=await _differ(repository, old, new, paths=spec.paths),
    )


async def run_git(repository: str | Path, *arguments: str, settings: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """Run git in a repository that is not trusted: none of its hooks, filters or helpers that we know of runs.

    Args:
        repository: A folder inside it.
        arguments: The command and its arguments.
        settings: More settings as `name=value`, which precede the repository's own.

    Returns:
        The exit code, the output, and the end of what it wrote.

    Raises:
        Temporary: It timed out.
        BadInput: Its output is too long.
    """
    ended = await _run(repository, *arguments, settings=settings)
    return ended.exit_code or 0, ended.output.decode(errors="replace"), ended.tail.strip()


async def _run(repository: str | Path, *arguments: str, settings: tuple[str, ...] = ()) -> Ended:
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | ENVIRONMENT
    ended = await run_command(
        ["git", *OURS, *(word for one in settings for word in ("-c", one)), *arguments],
        folder=repository,
        environment=environment,
        timeout_seconds=TIMEOUT_SECONDS,
    )
    if ended.exit_code is None:
        raise Temporary(f"git {arguments[0]} did not answer within {TIMEOUT_SECONDS:g} s in {repository}")
    if ended.cut:
        raise BadInput("Git's answer is longer than 2 MB", field="change_log", fix="Name fewer `change_log.paths`.")
    return ended


async def _refuse_shallow(repository: str | Path) -> None:
    code, answer, said = await run_git(repository, "rev-parse", "--is-shallow-repository")
    if code:
        fix = "Keep the plan in the service's Git repository, and install git on the worker's machine."
        raise BadInput(f"{repository} cannot be read as a Git repository ({said[-200:]})", field="change_log", fix=fix)
    if answer.strip() == "true":
        fix = "Run `git fetch --unshallow --tags` there."
        raise BadInput("the Git history is shallow, so changes would be missing", field="change_log", fix=fix)


def tag_of(spec: Spec, version: str) -> str:
    """Name the tag of a version."""
    return spec.tag.replace("{version}", source_version(check_version(version)))


async def commit_of(repository: str | Path, spec: Spec, version: str) -> str:
    """Find the commit of a version by its tag.

    Raises:
        BadInput: There is no such tag.
    """
    tag = tag_of(spec, version)
    code, answer, _ = await run_git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"refs/tags/{tag}^{{commit}}")
    if code:
        fix = f"Run `git fetch --tags`, or tag the commit: `git tag {shlex.quote(tag)} COMMIT`."
        raise BadInput(f"the repository has no tag {tag} for version {version}", field="version", fix=fix)
    return answer.strip()


async def _base(repository: str | Path, old: str, new: str) -> str | None:
    code, answer, _ = await run_git(repository, "merge-base", old, new)
    return answer.strip() if code == 0 else None


async def _log(repository: str | Path, commits: str, *options: str, paths: list[str]) -> list[Commit]:
    """List commits; with paths those that touch them, and the merges in which the two sides meet over them.

    Git's own simplification follows one side where a merge took its files, and so leaves out what the merge dropped, and itself.
    """
    limits = ["-z", f"--max-count={MAX_COMMITS + 1}", f"--format={FORMAT}", "--no-color", "--no-show-signature"]
    merges = ["--simplify-merges"] if paths else []
    answer = await ask_git(repository, "log", *limits, *merges, *options, "--end-of-options", commits, "--", *paths)
    return [_commit(entry) for entry in answer.split("\0") if entry.strip()]


async def _other_side(repository: str | Path, here: str, there: str, *, paths: list[str]) -> list[Commit]:
    """List the commits that only `there` has: not those whose patch `here` has under another hash, nor merges that change nothing."""
    sides, range_ = ("--cherry-pick", "--right-only"), f"{here}...{there}"
    commits = await _log(repository, range_, "--no-merges", *sides, paths=paths)
    merges = await _log(repository, range_, "--merges", "--right-only", paths=paths)
    if len(merges) <= MAX_MERGES:
        merges = [one for one in merges if await _has_changes_of_its_own(repository, one.hash, paths=paths)]
    return sorted([*merges, *commits], key=lambda one: -one.at)


async def _has_changes_of_its_own(repository: str | Path, merge: str, *, paths: list[str]) -> bool:
    """Return whether a merge differs from what its sides add up to: a file that neither has, or a side's change that it drops."""
    _, first, *others = (await ask_git(repository, "rev-list", "--parents", "--max-count=1", merge)).split()
    code, base, _ = await run_git(repository, "merge-base", first, *others)
    if code or len(others) != 1:
        return True
    sides = (first, others[0])
    changed = [await _names(repository, base.strip(), side, paths=paths) for side in sides]
    kept = [await _names(repository, side, merge, paths=paths) for side in sides]
    both = changed[0] & changed[1] & (kept[0] | kept[1])
    return bool(both or kept[0] - changed[1] or kept[1] - changed[0])


async def _names(repository: str | Path, one: str, other: str, *, paths: list[str]) -> set[str]:
    answer = await ask_git(repository, "diff-tree", "-r", "-z", "--name-only", "--no-renames", one, other, "--", *paths)
    return {name for name in answer.split("\0") if name}


async def _differ(repository: str | Path, old: str, new: str, *, paths: list[str]) -> bool:
    """Compare the two versions' files themselves: later commits of a log may revert earlier ones."""
    code, _, said = await run_git(repository, "diff-tree", "-r", "--quiet", old, new, "--", *paths)
    if code not in {0, 1}:
        raise _unreadable(said)
    return code == 1


async def ask_git(repository: str | Path, *arguments: str) -> str:
    """Give the output of a git command.

    Raises:
        BadInput: It failed.
    """
    return (await ask_git_for_bytes(repository, *arguments)).decode(errors="replace")


async def ask_git_for_bytes(repository: str | Path, *arguments: str) -> bytes:
    """Give the output of a git command as it is.

    Raises:
        BadInput: It failed.
    """
    ended = await _run(repository, *arguments)
    if ended.exit_code:
        raise _unreadable(ended.tail.strip())
    return ended.output


def _unreadable(said: str) -> BadInput:
    """Return why Git could not read the history, with the fix."""
    if "promisor" in said or "lazy fetching" in said:
        wrong = "the clone leaves out objects that are needed (a partial clone, as `git clone --filter=tree:0` makes one)"
        return BadInput(wrong, field="change_log", fix="Run `git fetch --refetch --no-filter --tags` there, or make a full clone.")
    return BadInput(
        f"Git could not list the changes ({said[-200:]})", field="change_log", fix="Check with `git fsck`, or make a full clone."
    )


def _commit(entry: str) -> Commit:
    parts = entry.strip("\n").split("\x1f", 3)
    if len(parts) != FORMAT.count("%x1f") + 1:
        raise _unreadable(f"an entry of its log has {len(parts)} parts")
    name, at, author, subject = parts
    return Commit(name, outside(author, limit=TEXT_LIMIT), int(at) if at.isdigit() else 0, outside(subject, limit=TEXT_LIMIT))
