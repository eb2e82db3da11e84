"""Kubeconfigs: which of them may name programs and files of this machine, and what the others may say.

A path in a block does not prove that its file is the operator's: a log or a checked-out repository belongs to the worker's user, too,
and others choose what is in it.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from blocks.errors import BadInput

MOST_NAMES = 10
MOST_BYTES = 2_000_000
OF_THIS_MACHINE = ("exec", "auth-provider", "tokenFile")  # what a user of a kubeconfig may have a client run or read and send
RELATIVE = (("clusters", "cluster", "certificate-authority"), ("users", "user", "client-certificate"), ("users", "user", "client-key"))
FOLDER = "~/.kube"
FROM_OUTSIDE = (
    "Whoever can edit blocks must not choose what is run or read here: put it into a kubeconfig in ~/.kube on the worker, or into one that "
    "the worker's KUBECONFIG names"
)


def default_paths() -> str:
    """Give the worker's own kubeconfigs, as in KUBECONFIG: with a colon between them."""
    return os.environ.get("KUBECONFIG") or f"{FOLDER}/config"


def are_own(paths: str) -> bool:
    """Say if kubeconfigs are in ~/.kube, or named by the worker's KUBECONFIG, links followed.

    Args:
        paths: Paths as in KUBECONFIG, with a colon between them.
    """
    named, folder = {path.resolve() for path in _split(os.environ.get("KUBECONFIG", ""))}, Path(FOLDER).expanduser().resolve()
    return all(path.resolve() in named or path.resolve().is_relative_to(folder) for path in _split(paths))


def expect_unchangeable(paths: str) -> None:
    """Look whether only this user and root can change kubeconfigs: they may name programs, which run as the worker's user.

    Args:
        paths: Paths as in KUBECONFIG, with a colon between them.

    Raises:
        BadInput: One belongs to another user than this one or root, or other users may write to it.
    """
    for path in _split(paths):
        if not path.exists():
            continue
        found = path.stat()
        foreign_group = found.st_mode & stat.S_IWGRP and found.st_gid != os.getegid()
        if found.st_uid not in {0, os.geteuid()} or found.st_mode & stat.S_IWOTH or foreign_group:
            fix = f"Make it yours: `chown {os.geteuid()} {path}; chmod go-w {path}`"
            raise BadInput(f"the kubeconfig {path} can be changed by other users of this machine", field="kubeconfig", fix=fix)


def read_other(path: str) -> dict[str, Any]:
    """Read a kubeconfig that is not the worker's own: what it says counts, but for programs and files that are sent.

    Args:
        path: Its path; names of files in it start in its folder.

    Raises:
        BadInput: It is not a file of at most 2 MB, or has a user that names a program or a token's file.
        ValueError: It is not YAML.
    """
    file = Path(path).expanduser()
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:  # a pipe would wait for its writer
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise BadInput(f"{file} is not a file", field="kubeconfig", fix="Name a kubeconfig")
        content = opened.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise BadInput(f"{file} is longer than {MOST_BYTES // 1_000_000} MB", field="kubeconfig", fix="Name a kubeconfig")
    found = parse(content, where=str(file), field="kubeconfig")
    for section, inner, name in RELATIVE:
        for one in found.get(section) or []:
            if (one.get(inner) or {}).get(name):
                one[inner][name] = str(file.parent / one[inner][name])
    return found


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
    try:
        found: dict[str, Any] = yaml.safe_load(content)
    except yaml.YAMLError:
        raise ValueError from None  # its own message would quote the secret
    if context and context not in (names := [str(one["name"]) for one in found["contexts"]]):
        fix = f"Name one that it has ({', '.join(names[:MOST_NAMES]) or 'it has none'}), or none for its current one"
        raise BadInput(f"the kubeconfig in {where} has no context {context}", field="context", fix=fix)
    for user in found.get("users") or []:
        if reached := [name for name in OF_THIS_MACHINE if name in (user.get("user") or {})]:
            said = f"the user {user.get('name')} of the kubeconfig in {where} has {', '.join(reached)}"
            raise BadInput(said, field=field, fix=FROM_OUTSIDE)
    return found


def with_users_of(was: SecretStr, now: SecretStr) -> str:
    """Give a kubeconfig with the users of another one: it leads to the same clusters, with other credentials.

    What cannot be read is left as it was.
    """
    kept, given = (_parsed(one.get_secret_value()) for one in (was, now))
    if not isinstance(kept, dict) or not isinstance(given, dict) or not isinstance(given.get("users"), list):
        return was.get_secret_value()
    return json.dumps({**kept, "users": given["users"]})


def _parsed(content: str) -> Any:
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError:
        return None


def _split(paths: str) -> list[Path]:
    return [Path(one).expanduser() for one in paths.split(os.pathsep) if one]
