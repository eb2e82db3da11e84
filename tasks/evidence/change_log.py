"""Read the changes between two versions from Git."""

from __future__ import annotations

import os
from pathlib import Path

from prefect import task

from blocks.errors import BadInput, Temporary
from blocks.outside_text import outside
from blocks.platform import source_version
from tasks.lifecycle.policy import OBSERVE
from tasks.process.commands import run_command
from tasks.rules.evidence.change_log import MAX_COMMITS, ChangeLog, Commit, direction_of
from tasks.rules.plan.plan import ChangeLog as Spec
from tasks.rules.plan.version import check_version

TIMEOUT_SECONDS = 30.0
TEXT_LIMIT = 300
FORMAT = "%H%x1f%at%x1f%an%x1f%s"
KEPT = ("PATH", "HOME", "TMPDIR")
ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_LITERAL_PATHSPECS": "1",
}
OURS = ("--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


@task(name="read change log", **OBSERVE)
async def read_change_log(repository: str | Path, spec: Spec, *, from_version: str | None, to_version: str) -> ChangeLog:
    """Read what a version brings, and what it takes back.

    Args:
        repository: The plan's folder, inside a Git repository; the plan's paths start in it.
        spec: The plan's section.
        from_version: The version that runs, or None where none does: then the whole history is read.
        to_version: The version under release.

    Returns:
        The changes, at most 500 each way.

    Raises:
        BadInput: There is no repository, a version has no tag, or the history is cut off.
        Temporary: Git did not answer in time.
    """
    await _refuse_shallow(repository)
    new = await _commit_of(repository, spec, to_version)
    old = None if from_version is None else await _commit_of(repository, spec, from_version)
    base = None if old is None else await _base(repository, old, new)
    commits = await _log(repository, new if old is None else f"{old}..{new}", paths=spec.paths)
    taken_back = [] if old is None else await _log(repository, f"{new}..{old}", paths=spec.paths)
    return ChangeLog(
        from_version,
        to_version,
        direction_of(from_commit=old, to_commit=new, base=base),
        tuple(commits[:MAX_COMMITS]),
        tuple(taken_back[:MAX_COMMITS]),
        more=max(len(commits), len(taken_back)) > MAX_COMMITS,
    )


async def _git(repository: str | Path, *arguments: str) -> tuple[int, str, str]:
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | ENVIRONMENT
    ended = await run_command(["git", *OURS, *arguments], folder=repository, environment=environment, timeout_seconds=TIMEOUT_SECONDS)
    if ended.exit_code is None:
        raise Temporary(f"git {arguments[0]} did not answer within {TIMEOUT_SECONDS:g} s in {repository}")
    if ended.cut:
        raise BadInput("Git's answer is longer than 2 MB", field="change_log", fix="Name fewer `change_log.paths`.")
    return ended.exit_code, ended.output.decode(errors="replace"), ended.tail.strip()


async def _refuse_shallow(repository: str | Path) -> None:
    code, answer, said = await _git(repository, "rev-parse", "--is-shallow-repository")
    if code:
        fix = "Keep the plan in the service's Git repository, and have git installed where releases run."
        raise BadInput(f"{repository} cannot be read as a Git repository ({said[-200:]})", field="change_log", fix=fix)
    if answer.strip() == "true":
        fix = "Run `git fetch --unshallow --tags` there."
        raise BadInput("the Git history is cut off (a shallow clone), so changes would be missing", field="change_log", fix=fix)


async def _commit_of(repository: str | Path, spec: Spec, version: str) -> str:
    tag = spec.tag.replace("{version}", source_version(check_version(version)))
    code, answer, _ = await _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"refs/tags/{tag}^{{commit}}")
    if code:
        fix = f"Run `git fetch --tags`, or tag the commit: `git tag {tag} COMMIT`."
        raise BadInput(f"the repository has no tag {tag} for version {version}", field="version", fix=fix)
    return answer.strip()


async def _base(repository: str | Path, old: str, new: str) -> str | None:
    code, answer, _ = await _git(repository, "merge-base", old, new)
    return answer.strip() if code == 0 else None


async def _log(repository: str | Path, commits: str, *, paths: list[str]) -> list[Commit]:
    limits = ["-z", f"--max-count={MAX_COMMITS + 1}", f"--format={FORMAT}", "--no-color", "--no-show-signature"]
    code, answer, said = await _git(repository, "log", *limits, "--end-of-options", commits, "--", *paths)
    if code:
        raise BadInput(f"Git could not list the changes ({said[-200:]})", field="change_log", fix="Look with `git fsck`.")
    return [_commit(entry) for entry in answer.split("\0") if entry.strip()]


def _commit(entry: str) -> Commit:
    name, at, author, subject = entry.strip("\n").split("\x1f", 3)
    return Commit(name, outside(author, limit=TEXT_LIMIT), int(at) if at.isdigit() else 0, outside(subject, limit=TEXT_LIMIT))
