"""Kubeconfigs: which of them may name programs and files of this machine, and what the others may say.

A path in a block does not prove that its file is the operator's: a log or a checked-out repository belongs to the worker's user, too,
and others choose what is in it.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from blocks.errors import BadInput
from blocks.own_path import NotOwn, open_own, own_path

MOST_NAMES = 10
MOST_BYTES = 2_000_000
OF_THIS_MACHINE = ("exec", "auth-provider", "tokenFile")  # what a user of a kubeconfig may have a client run or read and send
RELATIVE = (
    ("clusters", "cluster", "certificate-authority"),
    ("users", "user", "client-certificate"),
    ("users", "user", "client-key"),
    ("users", "user", "tokenFile"),
)
FOLDER = "~/.kube"
FROM_OUTSIDE = (
    "Whoever can edit blocks must not choose what is run or read here: put it into a kubeconfig in ~/.kube on the worker, or into one that "
    "the worker's KUBECONFIG names"
)


def default_paths() -> str:
    """Give the worker's own kubeconfigs, as in KUBECONFIG: with a colon between them."""
    return os.environ.get("KUBECONFIG") or f"{FOLDER}/config"


def stamp(paths: str) -> tuple[tuple[str, int, int], ...]:
    """Tell one content of kubeconfigs from another: where each leads, its inode, and when it was written."""
    found = []
    for path in _split(paths):
        with suppress(OSError):
            status = path.stat()
            found.append((str(path.resolve()), status.st_ino, status.st_mtime_ns))
    return tuple(found)


def read_kubeconfigs(paths: str) -> dict[str, Any]:
    """Read kubeconfigs, each opened once by a path that others cannot change, and merge them as kubectl does.

    Only those in ~/.kube, or named by the worker's KUBECONFIG, may name programs and files that are sent; links are followed for this.

    Args:
        paths: Paths as in KUBECONFIG, with a colon between them; names of files in one start in its folder.

    Raises:
        BadInput: Other users can change one, or lead its path elsewhere; it is not a file of at most 2 MB; or it is not the worker's own,
            and has a user that names a program or a token's file, or is not the only one.
        ValueError: One is not YAML.
        OSError: None exists, or one cannot be read.
    """
    found = [_read(path) for path in _split(paths) if path.exists()]
    if not found:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), paths)
    own = [_is_own(path) for path, _ in found]
    if len(found) > 1 and not all(own):
        fix = "Name one file: else one could send the credentials of another elsewhere"
        raise BadInput(f"the kubeconfigs {paths} are not all the worker's own", field="kubeconfig", fix=fix)
    read = [
        _with_whole_names(_yaml(content) if is_own else parse(content, where=str(path), field="kubeconfig"), path.parent)
        for (path, content), is_own in zip(found, own, strict=True)
    ]
    return _merged(read) if len(read) > 1 else read[0]


def _read(path: Path) -> tuple[Path, bytes]:
    """Read a file by the path to which it leads, and give both."""
    try:
        real, file = open_own(path)
    except NotOwn as error:
        fix = f"Make it yours (`chown {os.geteuid()} {error.place}; chmod go-w {error.place}`), or put the kubeconfig into ~/.kube"
        said = f"the kubeconfig {path} can be changed by other users of this machine: {error}"
        raise BadInput(said, field="kubeconfig", fix=fix) from None
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise BadInput(f"{real} is not a file", field="kubeconfig", fix="Name a kubeconfig")
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise BadInput(f"{real} is longer than {MOST_BYTES // 1_000_000} MB", field="kubeconfig", fix="Name a kubeconfig")
    return real, content


def _is_own(real: Path) -> bool:
    """Say if a file is in ~/.kube, or named by the worker's KUBECONFIG, by paths that others cannot change."""
    named: list[Path] = []
    for path in _split(os.environ.get("KUBECONFIG", "")):
        with suppress(NotOwn, OSError):
            named.append(own_path(path))
    with suppress(NotOwn, OSError):
        return real in named or real.is_relative_to(own_path(Path(FOLDER).expanduser()))
    return real in named


def _with_whole_names(found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Let the names of files, and of a program in a folder, start in the kubeconfig's."""
    for section, inner, name in RELATIVE:
        for one in found.get(section) or []:
            if (one.get(inner) or {}).get(name):
                one[inner][name] = str(folder / one[inner][name])
    for one in found.get("users") or []:
        program = (one.get("user") or {}).get("exec") or {}
        if "/" in str(program.get("command") or ""):
            program["command"] = str(folder / program["command"])
    return found


def _merged(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Merge kubeconfigs: the first that has a name, or a current context, counts."""
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config"}
    for section in ("clusters", "contexts", "users"):
        by_name: dict[str, Any] = {}
        for one in (one for config in found for one in config.get(section) or []):
            by_name.setdefault(one["name"], one)
        merged[section] = list(by_name.values())
    if current := next((config["current-context"] for config in found if config.get("current-context")), None):
        merged["current-context"] = current
    return merged


def parse(content: str | bytes, *, where: str, field: str, context: str = "") -> dict[str, Any]:
    """Parse a kubeconfig that others could have written.

    Args:
        content: Its text.
        where: How to name it in an error.
        field: The block's field that leads to it.
        context: The context that it must have; "" for any.

    Raises:
        BadInput: It has no context of that name, or a user of it names a program or a file of this machine.
        ValueError: It is not YAML.
    """
    found = _yaml(content)
    if context and context not in (names := [str(one["name"]) for one in found["contexts"]]):
        fix = f"Name one that it has ({', '.join(names[:MOST_NAMES]) or 'it has none'}), or none for its current one"
        raise BadInput(f"the kubeconfig in {where} has no context {context}", field="context", fix=fix)
    for user in found.get("users") or []:
        if reached := [name for name in OF_THIS_MACHINE if name in (user.get("user") or {})]:
            said = f"the user {user.get('name')} of the kubeconfig in {where} has {', '.join(reached)}"
            raise BadInput(said, field=field, fix=FROM_OUTSIDE)
    return found


def _yaml(content: str | bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = yaml.safe_load(content)
    except yaml.YAMLError:
        raise ValueError from None  # its own message would quote the secret
    return found


def _split(paths: str) -> list[Path]:
    return [Path(one).expanduser() for one in paths.split(os.pathsep) if one]
