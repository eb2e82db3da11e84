"""Make the guestbook's Git repository: `python prepare.py FOLDER`, with the tags v1.0.0 to v1.3.0.

The files beside this one are the newest version. The patches in history/ lead there from 1.0.0, one commit each;
they are taken back first and then made again. Each version's report is written by its own tests. The user's own Git
configuration is neither needed nor read.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
SERVICE = [
    ".gitignore",
    "pytest.ini",
    "versions.json",
    "guestbook.py",
    "pages.py",
    "web.py",
    "store.py",
    "faults.py",
    "metrics.py",
    "log.py",
    "tests",
]
FIRST_COMMITS = [
    ("Start the guestbook\n\nA page and JSON with entries in SQLite, health, readiness, version and metrics.", SERVICE),
    ("Add smoke tests\n\nThey try again after a 5xx: whether it works is their question, how often is not.", ["smoke"]),
    ("Add the deployment plan", ["shipway.yaml", "data"]),
]
MARK = "shipway.example"
IDENTITY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Guestbook Team"), ("EMAIL", "team@guestbook.example"))
}


class PrepareError(Exception):
    """The repository cannot be made; the text says why and what to do."""


def environment() -> dict[str, str]:
    """Keep the user's Git settings out, and the variables of a Git hook that may be calling us."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | IDENTITY | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}


def git(folder: Path, *words: str) -> str:
    """Run git in a folder and return what it printed."""
    done = subprocess.run(["git", *words], cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise PrepareError(f"git {words[0]} failed: {done.stderr.strip()}")
    return done.stdout


def is_ours(folder: Path) -> bool:
    """Say whether this program made the repository."""
    if not (folder / ".git").is_dir():
        return False
    try:
        return git(folder, "config", "--local", "--default", "", "--get", MARK).strip() == "guestbook"
    except PrepareError:
        return False


def commit(folder: Path, message: str, paths: list[str]) -> None:
    """Commit these paths."""
    git(folder, "add", "--", *paths)
    git(folder, "commit", "--quiet", "--message", message)


def release(folder: Path, version: str) -> None:
    """Run the version's own tests, commit their report and tag the version."""
    report = Path("reports", "junit.xml")
    # Bytecode of one version must not be taken for the next one's, which is written in the same second.
    extra = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": ""}
    words = [sys.executable, "-m", "pytest", "--quiet", f"--junitxml={report}"]
    tests = subprocess.run(words, cwd=folder, env=environment() | extra, capture_output=True, text=True, check=False)
    if tests.returncode:
        raise PrepareError(f"the tests of {version} fail:\n{tests.stdout}{tests.stderr}")
    commit(folder, f"Release {version}\n\nWith the report of its tests.", [str(report)])
    git(folder, "tag", "--annotate", "--message", f"Guestbook {version}", f"v{version}")


def build(folder: Path) -> None:
    """Make the repository in an empty folder."""
    patches = sorted(SOURCE.joinpath("history").glob("*.patch"))
    git(folder, "init", "--quiet", "--initial-branch=main", "--template=")
    for name in [path for _, paths in FIRST_COMMITS for path in paths]:
        source = SOURCE / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    for patch in reversed(patches):
        git(folder, "apply", "--reverse", str(patch))
    for message, paths in FIRST_COMMITS:
        commit(folder, message, paths)
    release(folder, "1.0.0")
    for version, changes in groupby(patches, key=lambda patch: patch.name.split("-")[0]):
        for patch in changes:
            git(folder, "apply", str(patch))
            message = patch.read_text(encoding="utf-8").split("diff --git", maxsplit=1)[0].strip()
            commit(folder, message, ["."])
        release(folder, version)
    git(folder, "config", "--local", MARK, "guestbook")


def prepare(folder: Path) -> str:
    """Make the repository unless it is there already; it appears whole or not at all.

    Args:
        folder: Where; it must not exist yet, or be empty, or be the repository from an earlier call.

    Returns:
        What was done, for a person.

    Raises:
        PrepareError: The folder is somebody else's, or git or the tests failed.
    """
    if is_ours(folder):
        return f"{folder} is there already; nothing was changed"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PrepareError(f"{folder} is not empty and was not made by this program; name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        made = Path(scratch, "repository")
        made.mkdir()
        build(made)
        made.rename(folder)
    return f"{folder} is made: v1.0.0, v1.1.0, v1.2.0, v1.3.0"


def main() -> int:
    """Read the folder's name and make the repository."""
    parser = argparse.ArgumentParser(description="Make the guestbook's Git repository.")
    parser.add_argument("folder", type=Path, help="where to make it; must be new, empty, or made by an earlier call")
    try:
        print(prepare(parser.parse_args().folder.absolute()))
    except (PrepareError, OSError) as error:
        print(f"prepare.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
