"""Copy Git objects out of a repository that may lie: Git does not compute the hash of an object again when it reads one.

Who can write a repository's folder can give the object of a signed commit, tree or file another content under its old name.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from blocks.errors import BadInput
from tasks.evidence.change_log import ask_git, ask_git_for_bytes

HASHES = {40: "sha1", 64: "sha256"}  # by the length of a name in hexadecimal digits
TREE_MODE = b"40000"


class Forged(BadInput):
    """An object of the repository does not have the content that its name stands for."""


class SignedObjects:
    """A private repository of objects, each under the name that its content has."""

    def __init__(self, source: str, folder: str) -> None:
        """Copy from `source` to the bare repository in `folder`."""
        self.source, self.folder = source, folder

    async def take(self, kind: str, name: str) -> bytes:
        """Copy one object and give its content.

        Args:
            kind: `tag`, `commit`, `tree` or `blob`.
            name: Its name in hexadecimal digits.

        Raises:
            Forged: Its content has another name.
            BadInput: There is no such object of this kind, or it is longer than 2 MB.
        """
        content = await ask_git_for_bytes(self.source, "cat-file", kind, name)
        stored = f"{kind} {len(content)}\0".encode() + content
        if hashlib.new(HASHES[len(name)], stored, usedforsecurity=False).hexdigest() != name:
            fix = f"Run `git fsck` in {self.source}, find out who changed it, and make a fresh clone."
            raise Forged(f"the {kind} {name[:10]} does not have the content that its name stands for", field="source", fix=fix)
        _store(self.folder, name, stored)
        return content

    async def take_file(self, commit: str, path: str) -> bytes:
        """Copy a commit, and what leads from it to a file; gives the file's content.

        Args:
            commit: The commit's name.
            path: The file, from the top of the repository, parts divided by `/`.

        Raises:
            Forged: One of the objects has another content than its name says.
            BadInput: The commit has no such file.
        """
        first, _, _ = (await self.take("commit", commit)).partition(b"\n")
        name, parts = first.removeprefix(b"tree ").decode(), path.split("/")
        for left, part in enumerate(parts, start=1 - len(parts)):
            entries = dict(_entries(await self.take("tree", name), digits=len(name)))
            is_tree, name = entries.get(part.encode(), (False, ""))
            if not name or is_tree != (left < 0):
                raise BadInput(f"{commit[:10]} has no file {path}", field="source", fix="Commit the plan before you tag the version.")
        return await self.take("blob", name)


@asynccontextmanager
async def signed_objects(source: str) -> AsyncIterator[SignedObjects]:
    """Make a private repository for a moment; only this user can change what is verified in it.

    Args:
        source: A folder inside the repository to copy from.
    """
    kind = (await ask_git(source, "rev-parse", "--show-object-format")).strip()
    with TemporaryDirectory(prefix="shipway-signed-") as folder:
        await ask_git(folder, "init", "--quiet", "--bare", f"--object-format={kind}", "--template=")
        yield SignedObjects(source, folder)


def _store(folder: str, name: str, stored: bytes) -> None:
    file = Path(folder, "objects", name[:2], name[2:])
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(zlib.compress(stored))


def _entries(tree: bytes, *, digits: int) -> list[tuple[bytes, tuple[bool, str]]]:
    """Read a tree: for each entry its name, whether it is a tree, and its object's name."""
    found, at = [], 0
    while at < len(tree):
        mode, _, rest = tree[at:].partition(b" ")
        name, _, _ = rest.partition(b"\0")
        begin = at + len(mode) + 1 + len(name) + 1
        at = begin + digits // 2
        found.append((name, (mode == TREE_MODE, tree[begin:at].hex())))
    return found
