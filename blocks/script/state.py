"""The folder of one environment of the script platform: its notes, written whole or not at all, under a lock, and a folder for each run."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from blocks.errors import BadInput, Temporary
from blocks.platform import Lease
from blocks.script.words import Act, Effect

FORMAT = "shipway-script/1"
STATE, LOCK, RUNS = "state.json", "lock", "runs"
KEPT_RUNS = 20
LOCK_SECONDS, LOCK_TRY_SECONDS = 30.0, 0.02


class Run(TypedDict):
    """One script that was started, or was about to be.

    Fields:
        id: Names its folder.
        mark: Value of the variable that all its processes have in their environment.
        effect: Which command.
        version, previous, percent: As in `Act`.
        owner: Who had it run.
        began: Seconds since the epoch.
        limit_seconds: It is ended after this time.
        renewed: Whether it was run with rotated secrets, as it failed with those of the last release.
        rolls_back: Whether it was begun under a lease that was taken over.
        failed_before: How often the same failed for the same owner before.
    """

    id: str
    mark: str
    effect: Effect
    version: str
    previous: str
    percent: int
    owner: str
    began: float
    limit_seconds: float
    renewed: NotRequired[bool]
    rolls_back: NotRequired[bool]
    failed_before: NotRequired[int]


class LeftOut(TypedDict):
    """A host that people left out of a version: which one, and whose release it was."""

    version: str
    owner: str


class Notes(TypedDict):
    """All that is noted of an environment; what runs is said by `status`.

    Fields:
        format: Of this file.
        service: Whose environment it is.
        owner, generation: Fencing.
        baseline: What served when the canary was prepared, or was promoted last.
        canary: The version that was prepared, or None.
        previous: What served before the baseline.
        rollback: Whether the lease was acquired with `takeover`.
        touched: Whether a script ran for the canary, so that an abort has something to undo.
        promotes, owed: As in `blocks.script.words.Known`.
        left_out: Of one host: the version that it was left out of, until a script of a later release or of a rollback has done it there.
        not_ended: What a rollback that took over could not end, each as `id (name)`, until a release runs a script there.
        next_run: Number of the next run.
        run: The newest run, also once it has ended.
    """

    format: str
    service: str
    owner: str | None
    generation: int
    baseline: str | None
    canary: str | None
    previous: str | None
    rollback: NotRequired[bool]
    touched: bool
    promotes: NotRequired[bool]
    owed: NotRequired[list[Effect]]
    left_out: NotRequired[LeftOut | None]
    not_ended: NotRequired[list[str]]
    next_run: int
    run: Run | None


def new_run(notes: Notes, act: Act, lease: Lease, *, limit_seconds: float) -> Run:
    """Give the next run, which begins now."""
    return Run(
        id=str(notes["next_run"]),
        mark=uuid.uuid4().hex,
        effect=act.effect,
        version=act.version,
        previous=act.previous,
        percent=act.percent,
        owner=lease["owner"],
        began=time.time(),
        limit_seconds=limit_seconds,
        rolls_back=notes.get("rollback", False),
    )


def act_of(run: Run) -> Act:
    """Give what a run was to bring about."""
    return Act(run["effect"], run["version"], run["previous"], run["percent"])


def run_folder(folder: Path, run: Run) -> Path:
    """Say where a run keeps its process, its output and its result."""
    return folder / RUNS / run["id"]


def load(folder: Path, *, service: str) -> Notes:
    """Read the notes; those of an environment that was never used if there is none.

    Raises:
        BadInput: The file is damaged, or another service's, or cannot be read.
    """
    try:
        notes = json.loads((folder / STATE).read_bytes())
    except FileNotFoundError:
        return Notes(
            format=FORMAT, service=service, owner=None, generation=0, baseline=None, canary=None, previous=None, touched=False,
            next_run=1, run=None,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder / STATE} cannot be read: {error}", field="folder", fix="Put it back from a copy") from None
    if not isinstance(notes, dict) or notes.get("format") != FORMAT:
        raise BadInput(f"{folder / STATE} is of another version of Shipway", field="folder", fix="Give this block a folder of its own")
    if notes.get("service") != service:
        message = f"{folder} belongs to the service {notes.get('service')}, not to {service}"
        raise BadInput(message, field="folder", fix="Give this block a folder of its own")
    return cast("Notes", notes)


def save(folder: Path, notes: Notes) -> None:
    """Replace the notes in one step that survives a power cut.

    Raises:
        Temporary: They cannot be written; nothing was changed.
    """
    draft = folder / f"{STATE}.{os.getpid()}.tmp"
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(notes, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / STATE)
        _sync(folder)
    except OSError as error:
        raise Temporary(f"the notes in {folder} cannot be written: {error.strerror}. Free some space there", delay_seconds=5) from None


def make(folder: Path) -> None:
    """Make the folder, for this user alone.

    Raises:
        BadInput: It is another user's, or cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise BadInput(f"{folder} was made by another user", field="folder", fix="Remove it, or name a folder of this user")
        folder.chmod(0o700)
        (folder / RUNS).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        message = f"{folder} cannot be made or written: {error.strerror}"
        raise BadInput(message, field="folder", fix="Name a folder that this user may write to") from None


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold the environment's lock, so that one alone reads, decides and writes; gives its descriptor.

    A run that is being started inherits the descriptor and holds the lock until its process is written down. So under the lock a run
    without that note was never begun, and never will be.

    Raises:
        Temporary: Another holds it for longer than half a minute.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _is_taken(descriptor):
            if time.monotonic() > deadline:
                raise Temporary(f"another process holds {folder / LOCK} for more than {LOCK_SECONDS:g} s")
            time.sleep(LOCK_TRY_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)


def forget_old_runs(folder: Path) -> None:
    """Drop the runs of long ago."""
    runs = sorted((path for path in (folder / RUNS).iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    for path in runs[:-KEPT_RUNS]:
        shutil.rmtree(path, ignore_errors=True)


def _is_taken(descriptor: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _sync(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
