"""What runs on a host: sent over a connection, for all orders that come over it, and gone with it; only the wrapper of a script stays.

An order, with the secrets, is a line of the standard input, done in a process of its own, and its answer is one line of JSON. It imports
the standard library and modules that are sent with it. Fencing: an order that acts carries the environment's id, the host's name and the
lease's generation, the newest of which is kept under the host's lock.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from blocks import processes
from blocks.script import alive, wrapper
from blocks.script.hosts.newest import Not, expect_newest, locked
from blocks.script.result import RESULT

Order = dict[str, Any]
Reply = dict[str, Any]
ANSWER = "\x1eshipway "
RUNS, MARK = "runs", "mark"
KEPT_RUNS, MOST_BYTES, TAIL_BYTES = 20, 500_000, 8_000
WAITING_SECONDS = 900
FIRST_LOOK_SECONDS, SLOWEST_LOOK_SECONDS = 0.02, 0.25


class Most:
    """Keeps the beginning of an output."""

    def __init__(self) -> None:
        """Nothing was kept yet."""
        self.kept, self.cut = bytearray(), False

    def add(self, piece: bytes) -> None:
        """Keep what there is room for."""
        room = max(0, MOST_BYTES - len(self.kept))
        self.kept += piece[:room]
        self.cut = self.cut or len(piece) > room


def main() -> None:
    """Do the orders that come over the standard input, one after the other, each in a process of its own, and print the answers.

    It ends with its input, and by SIGALRM if none comes for long: the end of a connection whose other machine lost power is not seen here.
    """
    while line := _next():
        if (child := os.fork()) == 0:
            _answer(line)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code < 0:
            os.kill(os.getpid(), -code)
        if code:
            sys.exit(code)


def _next() -> bytes:
    signal.alarm(WAITING_SECONDS)
    line = sys.stdin.buffer.readline()
    signal.alarm(0)
    return line


def _answer(line: bytes) -> NoReturn:
    """Do an order, print the answer, and end this process."""
    code = 1
    try:
        sys.stdout.write(f"\n{ANSWER}{json.dumps(_done(json.loads(line)))}\n")
        sys.stdout.flush()
        code = 0
    except BaseException:  # noqa: BLE001 - of a process that has no one else to tell
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _done(order: Order) -> Reply:
    try:
        return {"check": check, "begin": begin, "follow": follow, "read": read}[order["do"]](order)
    except Not as error:
        return {"not": error.kind, "why": error.why}
    except OSError as error:
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
        return {"not": "full" if is_full else "cannot", "why": f"{error.filename or 'a file'}: {error.strerror}"}


def check(order: Order) -> Reply:
    """Say which programs cannot be run, and how much room there is; the place of notes is made, and this owner noted."""
    place = _place(order)
    with locked(place):
        expect_newest(place, order)
    folder, faults = _folder(order), {}
    for name, words in order["commands"].items():
        if "/" not in words[0]:
            if shutil.which(words[0], path=_environment(order).get("PATH", "")) is None:
                faults[name] = f"the program `{words[0]}` was not found on PATH"
        elif not (Path(folder) / words[0]).is_file():
            faults[name] = f"{Path(folder) / words[0]} does not exist"
        elif not os.access(Path(folder) / words[0], os.X_OK):
            faults[name] = f"{Path(folder) / words[0]} is not executable"
    return {"faults": faults, "free_bytes": shutil.disk_usage(place).free}


def begin(order: Order) -> Reply:
    """Begin a run unless its number was used, and follow it."""
    place = _place(order)
    with locked(place) as lock:
        expect_newest(place, order)
        numbers = _numbers(place)
        if int(order["run"]) > max(numbers, default=0):
            folder, environment = _folder(order), {**_environment(order), alive.MARK: order["mark"]}
            for number in numbers[:-KEPT_RUNS]:
                shutil.rmtree(place / RUNS / str(number), ignore_errors=True)
            run = _run(place, order)
            _use_up(run, order)
            _fork(run, lock, {**order, "folder": folder, "environment": environment, "user": {}})
    return follow({**order, "lease": None})


def follow(order: Order) -> Reply:
    """Say how a run stands and what it printed since, as soon as there is something to say; with `stop`, let it be ended.

    A number that was never used is used up by this, under a lease, so that an order to begin it that is late begins nothing.
    """
    place = _place(order)
    run, deadline, delay = _run(place, order), time.monotonic() + order["wait_seconds"], FIRST_LOOK_SECONDS
    with locked(place):
        if order.get("lease") is not None:
            expect_newest(place, order)
            if int(order["run"]) > max(_numbers(place), default=0):
                _use_up(run, order)
        _expect_same(run, order)
    if order.get("stop") and not (run / wrapper.STOP).exists():  # it counts from when it was first asked for
        with contextlib.suppress(OSError):
            (run / wrapper.STOP).touch()
    while True:
        with locked(place):
            lives = alive.is_under_way(run, order["mark"])
        if lives:
            began = (run / wrapper.PROCESS).stat().st_mtime
            alive.end_if_late(run, order["mark"], deadline=began + order["limit_seconds"], stop_seconds=order["stop_seconds"])
        piece, where = _output(run, order["where"])
        if piece or not lives or time.monotonic() > deadline:
            break
        time.sleep(delay)
        delay = min(2 * delay, SLOWEST_LOOK_SECONDS)
    found: Reply = {"state": "under way", "output": _text(piece), "where": where}
    return found if lives else {**found, **_ended(run, order, has_more=len(piece) >= MOST_BYTES)}


def read(order: Order) -> Reply:
    """Run a command that only reads, and another one by what it printed, if there is one for that; each with its end."""
    found = _read(order)
    if found["exit_code"] == 0 and (then := order.get("then", {}).get(decoded(found["output"]).decode(errors="replace").strip())):
        found["then"] = _read({**order, **then})
    return found


def _read(order: Order) -> Reply:
    """Run a command that only reads, and end it with all that it started."""
    wrapper.adopt_orphans()
    kept, began = Most(), time.monotonic()
    ours, theirs = os.pipe()
    errors = os.memfd_create("errors")
    try:
        child = wrapper.start({**order, "folder": _folder(order), "environment": _environment(order), "user": {}}, theirs, errors)
    except OSError as error:
        return {"exit_code": None, "output": "", "cut": False, "tail": "", "not_run": error.strerror or str(error), "seconds": 0.0}
    finally:
        os.close(theirs)
    never = Path("/proc/self/shipway-never-stops")
    exit_code, _ = wrapper.follow(child, ours, kept, stop=never, limit_seconds=order["limit_seconds"], stop_seconds=order["stop_seconds"])
    wrapper.end_tree(ours, kept, stop_seconds=order["stop_seconds"])
    size = os.fstat(errors).st_size
    said = os.pread(errors, TAIL_BYTES, max(0, size - TAIL_BYTES))
    tail = (bytes(kept.kept) + said)[-TAIL_BYTES:]
    found: Reply = {"exit_code": exit_code, "output": _text(bytes(kept.kept)), "cut": kept.cut, "tail": _text(tail)}
    return {**found, "not_run": "", "seconds": time.monotonic() - began}


def _ended(run: Path, order: Order, *, has_more: bool) -> Reply:
    """Say how a run ended that is not under way; what it left without a wrapper is ended if that is asked for."""
    if has_more:
        return {}
    result: Reply | None = None
    with contextlib.suppress(OSError, ValueError):
        result = json.loads((run / RESULT).read_bytes())
    if result is None and order.get("stop"):
        processes.signal_all(0, f"{alive.MARK}={order['mark']}", signal.SIGKILL)
    log = b""
    with contextlib.suppress(OSError):
        log = (run / wrapper.LOG).read_bytes()[-TAIL_BYTES:]
    has_begun = (run / wrapper.PROCESS).exists()
    return {"state": "ended" if has_begun else "never", "result": result, "log": _text(log)}


def _use_up(run: Path, order: Order) -> None:
    """Make a run's folder in one step, with whose it is: a disk that fills up leaves none, and the number unused."""
    draft = run.with_suffix(".new")
    draft.mkdir(mode=0o700, exist_ok=True)
    (draft / MARK).write_text(order["mark"], encoding="ascii")
    draft.replace(run)


def _expect_same(run: Path, order: Order) -> None:
    """Expect that the number is this run's: notes from an older copy must not take an earlier script's ending for theirs."""
    with contextlib.suppress(FileNotFoundError):
        if (run / MARK).read_text(encoding="ascii") != order["mark"]:
            raise Not("refused", f"{run} is another run's: the notes on Shipway's machine are older than the host. Put the newest back")


def _fork(run: Path, lock: int, order: Order) -> None:
    """Let a process of its own wrap the script: without our connection, which would stay open for it."""
    log = os.open(run / wrapper.LOG, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    nothing = os.open(os.devnull, os.O_RDWR)
    if os.fork():
        os.close(log)
        os.close(nothing)
        return
    try:
        for ours, theirs in ((nothing, 0), (nothing, 1), (log, 2)):
            os.dup2(ours, theirs)
        os.chdir("/")
        wrapper.wrap(run, lock, order)
    except BaseException as error:  # noqa: BLE001 - of a process that has no one else to tell
        os.write(2, repr(error).encode())
    finally:
        os._exit(0)


def _place(order: Order) -> Path:
    place = Path.home() / ".shipway" / "hosts" / str(order["place"])
    (place / RUNS).mkdir(mode=0o700, parents=True, exist_ok=True)
    place.chmod(0o700)
    return place


def _run(place: Path, order: Order) -> Path:
    return place / RUNS / str(int(order["run"]))


def _numbers(place: Path) -> list[int]:
    return sorted(int(path.name) for path in (place / RUNS).iterdir() if path.name.isdigit())


def _folder(order: Order) -> str:
    """Give the folder of the scripts; a relative one is below the account's home."""
    folder = Path.home() / Path(order["folder"]).expanduser()
    if not folder.is_dir():
        raise Not("cannot", f"{folder} is not a folder. Fix `working_directory`")
    return str(folder)


def _environment(order: Order) -> dict[str, str]:
    return {**processes.passed_on(), **order["variables"]}


def _output(run: Path, where: list[int] | None) -> tuple[bytes, list[int] | None]:
    """Read on from a file's identity and place in it; behind a file that was turned over stands the newer one."""
    paths = [path for path in (run / wrapper.OLDER, run / wrapper.OUTPUT) if path.exists()]
    pieces = b""
    for path in paths:
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            if where is not None and where[0] == inode:
                file.seek(where[1])
            elif where is not None and path != paths[-1] and _has(paths[-1], where[0]):
                continue  # it was read before the newer one
            piece = file.read(MOST_BYTES - len(pieces))
            pieces, where = pieces + piece, [inode, file.tell()]
            if len(pieces) >= MOST_BYTES:
                break
    return pieces, where


def _has(path: Path, inode: int) -> bool:
    with contextlib.suppress(OSError):
        return path.stat().st_ino == inode
    return False


def _text(piece: bytes) -> str:
    return base64.b64encode(piece).decode()


def decoded(text: str) -> bytes:
    """Read bytes of an answer."""
    return base64.b64decode(text)
