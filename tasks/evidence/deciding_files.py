"""Files whose content decides and that a plan only names: data suites, smoke tests, and the programs of its commands and scripts.

A hash of each is part of what people approve. It is an HMAC under a key derived from the approval key: a plan can name any file that the
worker reads, and its hash must say nothing about it.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from blocks.errors import BadInput
from blocks.key_folder.key_file import derive, key_path, read_key
from blocks.platform import Platform
from blocks.runs_programs import RunsPrograms
from tasks.process.files import repository_of, resolve_inside
from tasks.rules.evidence.inputs import TakenPlan
from tasks.rules.plan.plan import Command, Plan
from tasks.rules.plan.targets import place_of

MOST_FILES, MOST_BYTES, PIECE_BYTES = 1_000, 256_000_000, 1_000_000
INTERPRETERS = re.compile(r"(ba|da|k|z)?sh|perl|ruby|php|lua|node|deno|bun|python[0-9.]*")
SCRIPTS = {".bash", ".cjs", ".js", ".ksh", ".lua", ".mjs", ".php", ".pl", ".py", ".rb", ".sh", ".ts", ".zsh"}
MAGIC = (b"#!", b"\x7fELF")  # with what a script and a program begin
CONFIGURATION = ("conftest.py", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")  # which pytest looks for
NOT_TESTS = {"__pycache__", "node_modules", "venv"}  # folders that pytest does not look into, as those that begin with a dot
FEWER = "Name a file, or a folder that holds the tests alone"
READABLE = "Its content is part of what people approve: let Shipway's user read it"


async def hash_deciding_files(taken: TakenPlan, platforms: Mapping[str, Platform], version: str) -> dict[str, str]:
    """Hash each file that decides: each is read once, in bounds of number and size.

    Args:
        taken: The plan, and where it lies.
        platforms: Its platforms, by environment.
        version: The version under release, which is filled into the commands of platforms.

    Returns:
        The hash of each file, by its name: `the plan's data/entries.yaml`, `production's ./deploy.sh`.

    Raises:
        BadInput: One does not exist or cannot be read, or they are too many or too large.
        Refused: The approval key cannot be used.
    """
    return await asyncio.to_thread(_hash_all, taken.parsed(), Path(taken.folder), dict(platforms), version)


def unreadable_files(plan: Plan, folder: Path) -> list[str]:
    """Say why the files that a plan names could not be hashed, without those of its platforms; empty if they can."""
    try:
        _hash(_named(plan, folder), b"")
    except BadInput as error:
        return [str(error)]
    return []


def hash_programs(platform: RunsPrograms, given: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Hash the programs that a platform runs, whatever they are called and wherever they lie, and with which words.

    Args:
        platform: It.
        given: Its commands as the block has them, with their placeholders; of one that is not there the filled words count.

    Returns:
        By the block's field, the name of a program that is found by PATH, the hash of each file of its command, and that of all words, in
        which a file is its content.

    Raises:
        BadInput: One does not exist or cannot be read, or they are too many or too large.
        Refused: The approval key cannot be used.
    """
    reader = _Reader(derive(read_key(key_path()), "digest: files"), MOST_BYTES)
    folder, commands = platform.programs("")
    found: dict[str, tuple[str, ...]] = {}
    for where, command in commands.items():
        by_path = [] if "/" in command[0] else [Path(command[0]).name]
        files = {word: reader.hash(Named(word, path, where)) for word, path in program_files(command, Path(folder))}
        own = given.get(where.rpartition(".")[2], command)
        words = [files.get(filled) or word for filled, word in zip(command, own, strict=True)]
        found[where] = (*by_path, *files.values(), hash_words(words))
    return found


def hash_words(words: Sequence[str]) -> str:
    """Hash the words of a command, which say what an interpreter runs, or that a script only pretends to.

    Raises:
        Refused: The approval key cannot be used.
    """
    return hmac.digest(derive(read_key(key_path()), "digest: words"), json.dumps(list(words)).encode(), "sha256").hex()


@dataclass(frozen=True)
class Named:
    """A file that decides.

    Fields:
        name: As which it stands among the inputs.
        path: Where it is.
        field: Where it is named, for messages.
    """

    name: str
    path: Path
    field: str


@dataclass
class _Reader:
    key: bytes
    left: int
    known: dict[str, str] = field(default_factory=dict)

    def hash(self, one: Named) -> str:
        """Hash a file, once however often it is named."""
        path = str(one.path)
        if path not in self.known:
            if len(self.known) >= MOST_FILES:
                raise BadInput(f"more than {MOST_FILES:,} files decide about this release", field=one.field, fix=FEWER)
            self.known[path] = self._read(one)
        return self.known[path]

    def _read(self, one: Named) -> str:
        try:
            with _opened(one.path) as file:
                digest = hmac.new(self.key, digestmod="sha256")
                while piece := file.read(min(PIECE_BYTES, self.left + 1)):
                    self.left -= len(piece)
                    if self.left < 0:
                        wrong = f"the files that decide about this release have more than {MOST_BYTES // 1_000_000} MB, {one.name} the last"
                        raise BadInput(wrong, field=one.field, fix=FEWER)
                    digest.update(piece)
                return digest.hexdigest()
        except (FileNotFoundError, NotADirectoryError):
            raise BadInput(f"{one.path} does not exist", field=one.field, fix="Add it, or fix the path") from None
        except (OSError, ValueError) as error:
            raise BadInput(f"{one.path} cannot be read: {_words(error)}", field=one.field, fix=READABLE) from None


def _opened(path: Path) -> BinaryIO:
    """Open a regular file; a pipe would wait for its writer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        message = "it is not a regular file"
        raise ValueError(message)
    return os.fdopen(descriptor, "rb")


def _words(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _hash_all(plan: Plan, folder: Path, platforms: Mapping[str, Platform], version: str) -> dict[str, str]:
    programs = (one for name, platform in platforms.items() for one in _programs(plan, name, platform, version))
    return _hash(chain(_named(plan, folder), programs), derive(read_key(key_path()), "digest: files"))


def _hash(named: Iterator[Named], key: bytes) -> dict[str, str]:
    """Hash them one by one as they are found: the bounds end the search, too."""
    reader = _Reader(key, MOST_BYTES)
    return {one.name: reader.hash(one) for one in named}


def _named(plan: Plan, folder: Path) -> Iterator[Named]:
    """Give the files that a plan names itself."""
    for number, suite in enumerate(plan.data):
        where = f"data[{number}].suite"
        yield Named(f"the plan's {suite.suite}", resolve_inside(folder, suite.suite, field=where), where)
    for number, test in enumerate(plan.verification.smoke):
        if test.pytest is not None:
            yield from _tests(folder, test.pytest, field=f"verification.smoke[{number}].pytest")
    commands = {f"tests[{number}].command": one.command for number, one in enumerate(plan.tests) if isinstance(one, Command)}
    commands |= {f"checklist.commands[{number}].command": one.command for number, one in enumerate(plan.checklist.commands)}
    for where, command in commands.items():
        yield from (Named(f"the plan's {word}", path, where) for word, path in program_files(command, folder))


def _programs(plan: Plan, environment: str, platform: Platform, version: str) -> Iterator[Named]:
    """Give the files that a platform runs to act on an environment."""
    if not isinstance(platform, RunsPrograms):
        return
    folder, commands = platform.programs(version)
    for where, command in commands.items():
        named = f"{where} of {place_of(plan, environment).platform}"
        yield from (Named(f"{environment}'s {word}", path, named) for word, path in program_files(command, Path(folder)))


def program_files(command: Sequence[str], folder: Path) -> Iterator[tuple[str, Path]]:
    """Give the files that a command runs, by the words that name them.

    They are its program, if that is named by a path, and each argument that is the path of a program: a file whose name ends as a script's
    does, that begins as a script or a program does, or that follows an interpreter. So `python3 check.py`, `sh ./deploy` and
    `sudo -n ./deploy.sh` count with their scripts. A program that is found by PATH, and what a program reads in turn, are not known here.
    """
    is_given = False  # whether an interpreter waits for its script
    for number, word in enumerate(command):
        path = folder / word
        if (number == 0 and "/" in word) or _is_program(path) or (is_given and path.is_file()):
            yield word, path
        is_given = bool(INTERPRETERS.fullmatch(Path(word).name)) or (is_given and word.startswith("-"))


def _is_program(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        if path.suffix in SCRIPTS:
            return True
        with _opened(path) as file:
            return file.read(4).startswith(MAGIC)
    except (OSError, ValueError):
        return False  # as most words of a command, it is not a file


def _tests(folder: Path, path: str, *, field: str) -> Iterator[Named]:
    """Give the files of a smoke test: its file, or all in its folder, and what configures pytest in the folders above."""
    top, top_folder = resolve_inside(folder, path, field=field), repository_of(folder)
    if top.is_dir():
        yield from (Named(f"the plan's {os.path.relpath(one, folder)}", one, field) for one in _files_below(top, field=field))
    else:
        yield Named(f"the plan's {path}", top, field)
    for above in (top, *top.parents):
        if not above.is_relative_to(top_folder):
            return
        for one in (above / name for name in CONFIGURATION):
            if one.is_file():
                yield Named(f"the plan's {os.path.relpath(one, folder)}", one, field)


def _files_below(top: Path, *, field: str) -> Iterator[Path]:
    """Walk a folder of tests in the order of names; links are followed, as pytest does, each folder once. Hidden files are left out."""
    seen: set[str] = set()

    def fail(error: OSError) -> None:
        raise BadInput(f"{error.filename} cannot be read: {error.strerror}", field=field, fix=READABLE) from None

    for place, folders, files in os.walk(top, onerror=fail, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        if len(seen) > MOST_FILES:
            raise BadInput(f"{top} has more than {MOST_FILES:,} folders", field=field, fix=FEWER)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in NOT_TESTS)
        kept = (Path(place, name) for name in sorted(files) if not name.startswith(".") and not name.endswith(".pyc"))
        yield from (path for path in kept if path.is_file())
