"""A private copy of one branch: commits and folders, a file only when it is read. Nothing is checked out, so no filter or hook runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from blocks.errors import BadInput, Permanent, Temporary
from blocks.forge.forge import HASH
from blocks.git.faults import fault_of, words_of
from blocks.git.process import Ended, run
from blocks.git.remote import Remote

HEAD = "refs/shipway/head"
ALL = "refs/shipway/all"
SIDE = "refs/shipway/side"
LFS = b"version https://git-lfs.github.com/spec/"
NEW_MODE = "100644"
FILE_MODES = {NEW_MODE, "100755"}
KINDS = {"120000": "a symbolic link", "160000": "a submodule", "040000": "a folder"}
MOST_FILE_BYTES = 5_000_000


@dataclass(frozen=True)
class Pushed:
    """What git says of a push.

    Fields:
        taken: Whether the remote said that it took it.
        answered: Whether git came to an end in its time.
        said: Git's last words, for people only.
    """

    taken: bool
    answered: bool
    said: str


@dataclass(frozen=True)
class WorkCopy:
    """One branch of one remote, in a folder that is thrown away.

    Fields:
        folder: The private folder.
        remote: Where it came from.
        branch: Its branch.
        environment: The whole environment of git.
        secrets: What no message may quote.
        signs: Whether commits are signed.
        timeout_seconds: For each command of git.
    """

    folder: Path
    remote: Remote
    branch: str
    environment: Mapping[str, str]
    secrets: tuple[str, ...]
    signs: bool
    timeout_seconds: float

    def __repr__(self) -> str:
        """Show no secret."""
        return f"WorkCopy({self.remote.url}, {self.branch})"

    async def clone(self) -> None:
        """Fetch the branch for the first time; `fetch` then says its head.

        Raises:
            Temporary: The remote did not answer (Unreachable), or not as it should.
            Permanent: It refuses us, is not trusted, is not there, or has no such branch.
        """
        options = ("--bare", "--filter=blob:none", "--single-branch", "--no-tags", "--quiet", f"--branch={self.branch}")
        ended = await self._run("clone", *options, "--", self.remote.url, str(self._git), inside=False)
        if ended.exit_code != 0:
            raise fault_of(ended, what=self._what, secrets=self.secrets)

    async def fetch(self) -> str:
        """Fetch the branch as it is now, also if its history was rewritten.

        Returns:
            The hash of its head.

        Raises:
            ShipwayError: As in `clone`.
        """
        options = ("--no-tags", "--quiet", "--force", "--filter=blob:none")
        ended = await self._run("fetch", *options, "origin", f"+refs/heads/{self.branch}:{HEAD}")
        if ended.exit_code != 0:
            raise fault_of(ended, what=self._what, secrets=self.secrets)
        return await self._asked("rev-parse", "--verify", f"{HEAD}^{{commit}}")

    async def contains(self, commit: str, *, head: str) -> bool:
        """Say whether a commit is in the history of a head, or the head itself; one that is not known here is not."""
        ended = await self._run("merge-base", "--is-ancestor", _hash(commit), _hash(head))
        return ended.exit_code == 0

    async def find_trailer(self, name: str, value: str, *, head: str) -> str | None:
        """Find the newest commit in the history of a head that has this trailer.

        Args:
            name: The trailer's name.
            value: Its whole value.
            head: Where to begin.

        Returns:
            The commit's hash, or None.
        """
        form = f"%H%x1f%(trailers:key={name},valueonly,separator=%x1f)"
        said = await self._asked("log", "-F", f"--grep={name}: {value}", f"--format={form}", "--no-show-signature", _hash(head))
        lines = (line.split("\x1f") for line in said.splitlines())
        return next((commit for commit, *values in lines if value in values), None)

    async def parent_of(self, commit: str) -> str:
        """Give the first parent of a commit."""
        return await self._asked("rev-parse", "--verify", f"{_hash(commit)}^1")

    async def read(self, path: str, *, commit: str) -> bytes:
        """Read a file as Git has it.

        Args:
            path: From the root, with slashes, already checked by its words.
            commit: Of which commit.

        Raises:
            BadInput: It is not there, is not a regular file, lies behind a link or in a submodule, is kept by LFS, or has over 5 MB.
            Temporary: The remote did not give the file.
        """
        object_name = (await self._entry(path, commit=commit))[1]
        size = await self._run("cat-file", "-s", object_name)  # a file that is not here yet is fetched by this
        if size.exit_code and "promisor" in size.said:
            await self._fetch_all()
            size = await self._run("cat-file", "-s", object_name)
        if size.exit_code != 0:
            raise fault_of(size, what=self._what, secrets=self.secrets)
        if int(size.output) > MOST_FILE_BYTES:
            raise BadInput("the file has over 5 MB", field=path, fix="Name the file that holds the version.")
        ended = await self._run("cat-file", "blob", object_name)
        if ended.exit_code != 0:
            raise fault_of(ended, what=self._what, secrets=self.secrets)
        if ended.output.startswith(LFS):
            raise BadInput("the file is kept by Git LFS", field=path, fix="Keep it in Git itself: `git lfs untrack`.")
        return ended.output

    async def commit(self, parent: str, files: Mapping[str, bytes], *, message: str, are_new: bool = False) -> str:
        """Make a commit, here only.

        Args:
            parent: On what.
            files: What changes: path and whole content; each file is there already and keeps its mode.
            message: The commit's message.
            are_new: None of them is there yet.

        Returns:
            Its hash.

        Raises:
            BadInput: As in `read`, a new file is there already, or the signing key cannot be used.
        """
        await self._asked("read-tree", _hash(parent))
        for path, content in files.items():
            mode = await self._mode_of_new(path, commit=parent) if are_new else (await self._entry(path, commit=parent))[0]
            written = await self._asked("hash-object", "-w", "--no-filters", "--stdin", given=content)
            await self._asked("update-index", "--add", "--cacheinfo", f"{mode},{written},{path}")
        tree = await self._asked("write-tree", "--missing-ok")
        sign = ("-S",) if self.signs else ("--no-gpg-sign",)
        ended = await self._run("commit-tree", *sign, "-p", parent, tree, given=message.encode())
        if ended.exit_code != 0:
            said = words_of(ended, secrets=self.secrets)
            raise BadInput(f"the commit could not be made: {said}", field="signing_key", fix="Give a private SSH key without a passphrase.")
        return ended.output.decode().strip()

    async def push(self, commit: str, *, parent: str) -> Pushed:
        """Push a commit, only if the remote's branch is still at its parent.

        Args:
            commit: What is pushed.
            parent: Where the branch must be.

        Returns:
            What git says. It does not say why a push was not taken, and one without an answer may have been taken: fetch, and look.
        """
        lease = f"--force-with-lease=refs/heads/{self.branch}:{_hash(parent)}"
        ended = await self._run("push", "--quiet", "--no-verify", lease, "origin", f"{_hash(commit)}:refs/heads/{self.branch}")
        said = words_of(ended, secrets=self.secrets) or "no reason given"
        return Pushed(taken=ended.exit_code == 0, answered=ended.exit_code is not None, said=said)

    async def fetch_side(self, branch: str) -> str | None:
        """Fetch another branch as it is now.

        Returns:
            The hash of its head, or None if there is no such branch.

        Raises:
            ShipwayError: As in `clone`.
        """
        listed = await self._run("ls-remote", "--quiet", "origin", f"refs/heads/{branch}")
        if listed.exit_code != 0:
            raise fault_of(listed, what=self._what, secrets=self.secrets)
        if not listed.output.strip():
            return None
        options = ("--no-tags", "--quiet", "--force", "--filter=blob:none")
        ended = await self._run("fetch", *options, "origin", f"+refs/heads/{branch}:{SIDE}")
        if ended.exit_code != 0:
            raise fault_of(ended, what=self._what, secrets=self.secrets)
        return await self._asked("rev-parse", "--verify", f"{SIDE}^{{commit}}")

    async def push_side(self, commit: str | None, branch: str, *, found: str | None) -> Pushed:
        """Push a commit to another branch, or delete that, only if it is still as it was found.

        Args:
            commit: What it becomes; None deletes it.
            branch: Its name.
            found: Its head; None if it was not there.

        Returns:
            As in `push`.
        """
        lease = f"--force-with-lease=refs/heads/{branch}:{_hash(found) if found else ''}"
        refspec = f"{_hash(commit) if commit else ''}:refs/heads/{branch}"
        ended = await self._run("push", "--quiet", "--no-verify", lease, "origin", refspec)
        said = words_of(ended, secrets=self.secrets) or "no reason given"
        return Pushed(taken=ended.exit_code == 0, answered=ended.exit_code is not None, said=said)

    async def same_tree(self, one: str, other: str) -> bool:
        """Say whether two commits have the same files."""
        return await self._asked("rev-parse", f"{_hash(one)}^{{tree}}") == await self._asked("rev-parse", f"{_hash(other)}^{{tree}}")

    async def _fetch_all(self) -> None:
        """Fetch all files: a server of Git's first protocol gives none by its hash (as sshd without `AcceptEnv GIT_PROTOCOL`)."""
        options = ("--no-tags", "--quiet", "--refetch", "--no-filter")
        ended = await self._run("fetch", *options, "origin", f"+refs/heads/{self.branch}:{ALL}")
        if ended.exit_code != 0:
            raise fault_of(ended, what=self._what, secrets=self.secrets)

    @property
    def _git(self) -> Path:
        return self.folder / "repository.git"

    @property
    def _what(self) -> str:
        return f"branch {self.branch} of {self.remote.url}"

    async def _mode_of_new(self, path: str, *, commit: str) -> str:
        """Give the mode of a file that is not there yet, after a look at those folders above it that are."""
        for one in (*_above(path), path):
            if not await self._asked("ls-tree", "-z", "--full-tree", _hash(commit), "--", one):
                return NEW_MODE
            if one != path:
                await self._expect_folder(one, path, commit=commit)
        raise BadInput(f"it is there already (`{path}`)", field=path, fix="Look at who made it, or name another folder.")

    async def _expect_folder(self, above: str, path: str, *, commit: str) -> None:
        if (mode := (await self._listed(above, commit=commit))[0]) != "040000":
            what = KINDS.get(mode, "a file")
            raise BadInput(f"`{above}` is {what}, not a folder", field=path, fix="Name the file itself, in this repository.")

    async def _entry(self, path: str, *, commit: str) -> tuple[str, str]:
        """Give mode and object of a file, after a look at each folder above it."""
        for above in _above(path):
            await self._expect_folder(above, path, commit=commit)
        mode, name = await self._listed(path, commit=commit)
        if mode not in FILE_MODES:
            raise BadInput(f"this is {KINDS.get(mode, mode)}, not a file", field=path, fix="Name the file itself, in this repository.")
        return mode, name

    async def _listed(self, path: str, *, commit: str) -> tuple[str, str]:
        said = await self._asked("ls-tree", "-z", "--full-tree", _hash(commit), "--", path)
        if not said:
            fix = "Add it, or fix the path; it begins at the root of the repository."
            raise BadInput(f"it is not there (branch {self.branch}, `{path}`)", field=path, fix=fix)
        mode, _, name = said.partition("\t")[0].split(" ")
        return mode, name

    async def _asked(self, *arguments: str, given: bytes = b"") -> str:
        ended = await self._run(*arguments, given=given)
        if ended.exit_code is None:
            raise Temporary(f"git {arguments[0]} did not end within {self.timeout_seconds:g} s")
        if ended.exit_code != 0:
            raise Temporary(f"git {arguments[0]} failed: {words_of(ended, secrets=self.secrets)}")
        return ended.output.decode(errors="replace").strip("\n\0")

    async def _run(self, *arguments: str, given: bytes = b"", inside: bool = True) -> Ended:
        where = (f"--git-dir={self._git}",) if inside else ()
        command = ["git", "--no-pager", *where, *arguments]
        try:
            return await run(command, folder=self.folder, environment=self.environment, timeout_seconds=self.timeout_seconds, given=given)
        except FileNotFoundError:
            raise Permanent("git was not found on PATH. Install it where releases run") from None


def _above(path: str) -> list[str]:
    """List the folders above a file, the outermost first."""
    return [str(one) for one in PurePosixPath(path).parents if str(one) != "."][::-1]


def _hash(text: str) -> str:
    if not HASH.fullmatch(text):
        raise BadInput(f"{text[:50]!r} is not the full hash of a commit", field="commit", fix="Write all its hexadecimal digits.")
    return text
