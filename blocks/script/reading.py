"""One environment of the script platform as it is found: its lease and notes, and what the scripts say that only read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from blocks.commands import Ended as Reading
from blocks.commands import run_command
from blocks.errors import Permanent, ShipwayError, Temporary
from blocks.fencing import check_free, check_lease
from blocks.outside_text import error_text, last_lines
from blocks.platform import Lease, Position
from blocks.run_again import Allowed
from blocks.script import state
from blocks.script.programs import check_program, environment_of, user_of, working_folder
from blocks.script.run import TEMPFAIL, Command
from blocks.script.state import Notes
from blocks.script.words import Running, filled, is_shifted, position_of, read_status

VERIFY_AGAIN_SECONDS = 1.0


@dataclass(frozen=True)
class Observed:
    """One environment of the script platform, as its block describes it.

    Fields:
        folder: Where its notes and runs lie.
        service: Whose it is.
        commands: Each command that there is, by the block's field.
        variables: What every script gets besides; secrets in plain text.
        renewed: The same with rotated secrets, which a rollback's script is run with if it failed; else empty.
        reads_renewed: Whether `status` and `verify` may answer with those, if they fail with `variables`: these are refused by now, or the
            version answers unsteadily.
        kept: The file that says what it is, in a rollback; else "".
        rolls_back: Whether it is read for a rollback: then it is read as under a takeover, also before that.
        again: How often a script that moves a release forward may be run.
        working_directory, user: As in the block.
        timeout_seconds, reading_timeout_seconds, stop_seconds: As in the block.
    """

    folder: Path
    service: str
    commands: Mapping[str, list[str]]
    variables: Mapping[str, str]
    renewed: Mapping[str, str]
    reads_renewed: bool
    kept: str
    rolls_back: bool
    again: Allowed
    working_directory: str
    user: str
    timeout_seconds: float
    reading_timeout_seconds: float
    stop_seconds: float

    @property
    def splits(self) -> bool:
        """Whether shares are shifted, so that a canary stands beside the baseline."""
        return bool(self.commands.get("shift"))

    @property
    def whose(self) -> str:
        """Name it for people."""
        return self.service

    def locked(self) -> AbstractContextManager[int]:
        """Hold its lock, see `blocks.script.state.locked`."""
        return state.locked(self.folder)

    def load(self) -> Notes:
        """Read what is noted, without leaving this thread."""
        return state.load(self.folder, service=self.service)

    async def notes(self) -> Notes:
        """Read what is noted."""
        return await asyncio.to_thread(self.load)

    async def own(self, owner: str, *, takeover: bool) -> Lease:
        """Acquire the lease."""

        def acquire() -> Lease:
            state.make(self.folder)
            with self.locked():
                notes = self.load()
                check_free(cast("Any", notes), owner, takeover=takeover)
                notes["owner"], notes["generation"], notes["rollback"] = owner, notes["generation"] + 1, takeover
                state.save(self.folder, notes)
                return Lease(owner=owner, generation=notes["generation"])

        return await asyncio.to_thread(acquire)

    async def disown(self, lease: Lease) -> None:
        """Release the lease, if it is still this one."""

        def release() -> None:
            with self.locked():
                notes = self.load()
                if (notes["owner"], notes["generation"]) == (lease["owner"], lease["generation"]):
                    notes["owner"] = None
                    state.save(self.folder, notes)

        if self.folder.exists():
            await asyncio.to_thread(release)

    async def note(self, lease: Lease, **what: Any) -> None:
        """Change what is noted, under the lease; what a script did before has then been seen to."""

        def change() -> None:
            with self.locked():
                notes = self.load()
                check_lease(cast("Any", notes), lease)
                state.save(self.folder, cast("Notes", {**notes, **what}))

        await asyncio.to_thread(change)

    async def expect(self, lease: Lease) -> Notes:
        """Let only the newest owner act; gives the notes."""
        notes = await self.notes()
        check_lease(cast("Any", notes), lease)
        return notes

    async def status(self, *, by_own: bool = False) -> Running:
        """Ask what runs.

        Args:
            by_own: Whether it is asked with the secrets of the release alone.

        Raises:
            Temporary: `status` timed out, or asks to be asked again.
            Permanent: It failed, or printed something else.
        """
        try:
            return await self._status()
        except Permanent:
            if by_own or not self.reads_renewed:
                raise
            with suppress(ShipwayError):
                return await self._status(is_renewed=True)
            raise

    async def _status(self, *, is_renewed: bool = False) -> Running:
        found = await self.read("status", {}, is_renewed=is_renewed)
        return read_status(found.output.decode(errors="replace"), splits=self.splits)

    async def position(self, *, observes: bool = False) -> Position:
        """Say where the environment stands; nothing is verified."""
        return (await self.look(observes=observes))[0]

    async def look(self, *, observes: bool = False) -> tuple[Position, frozenset[str]]:
        """Say where the environment stands, and which versions `status` names; by the notes where they count and it cannot be read.

        Args:
            observes: Whether nothing is changed by it: then the position says why it is in trouble.

        Raises:
            Temporary, Permanent: As `status`, unless the notes count.
        """
        notes, seen, fault = await self.notes(), None, ""
        try:
            seen = await self.status()
        except ShipwayError as error:
            if not notes_count(notes, error, observes=observes, rolls_back=self.rolls_back, splits=self.splits):
                raise
            fault = f"{error_text(error)}. The position is by the notes"
        known = cast("Notes", {**notes, "rollback": notes.get("rollback", False) or self.rolls_back})
        position = position_of(
            known, seen, splits=self.splits, owner=notes["owner"], generation=notes["generation"], fault=fault,
        )  # fmt: skip
        return position, frozenset(one for one in (seen[:2] if seen else ()) if one)

    async def look_for_health(self) -> tuple[Position, frozenset[str]]:
        """Say where the environment stands, and which versions `verify` is asked about: those that `status` names.

        In one step also the canary, if a script ran for it: one that failed half-way may have started it, and `status` go by a file.
        """
        (position, named), notes = await self.look(observes=True), await self.notes()
        canary = position["canary"]
        may_run = canary is not None and notes["touched"] and not self.splits and "trouble" not in position
        return position, (named | {canary}) if may_run and canary else named

    async def read(self, name: str, values: Mapping[str, str], *, is_renewed: bool = False) -> Reading:
        """Run a command that only reads, and give what it printed; it is ended with all that it started.

        Raises:
            Temporary: It timed out, or exited with 75.
            Permanent: It failed.
        """
        return self.expect_read(name, await self._read(name, values, is_renewed=is_renewed))

    def expect_read(self, name: str, found: Reading) -> Reading:
        """Expect that a command that only reads exited with 0; errors as of `read`."""
        if found.exit_code == 0:
            return found
        message = f"`{name}` of {self.whose}: {found.fault}{last_lines(found.tail.splitlines())}"
        if found.exit_code in {TEMPFAIL, None}:
            raise Temporary(message)
        raise Permanent(message)

    async def status_and_verify(self, versions: Collection[str], *, by_own: bool = False) -> tuple[Running, Reading | None]:
        """Ask what runs, and what `verify` says of it if it is one of these and that costs no more: on hosts it is one order.

        Errors as of `status`.
        """
        del versions
        return await self.status(by_own=by_own), None

    async def ill(self, version: str, *, patience_seconds: float = 0, by_own: bool = False, first: Reading | None = None) -> str:
        """Say why a version is not well by `verify`, "" if it is; one that asks for it (exit code 75) is asked again for some time.

        Args:
            version: The version.
            patience_seconds: For how long it is asked again.
            by_own: Whether it is asked with the secrets of the release alone.
            first: What it said already, just now.
        """
        deadline = time.monotonic() + patience_seconds
        while True:
            found, first = first or await self._read("verify", {"version": version}), None
            if found.exit_code not in {0, TEMPFAIL, None} and self.reads_renewed and not by_own:
                renewed = await self._read("verify", {"version": version}, is_renewed=True)
                found = renewed if renewed.exit_code == 0 else found
            if found.exit_code == 0:
                return ""
            if found.exit_code != TEMPFAIL or time.monotonic() > deadline:
                return f"`verify` of {version}: {found.fault}{last_lines(found.tail.splitlines())}"
            await asyncio.sleep(VERIFY_AGAIN_SECONDS)

    async def check_programs(self) -> None:
        """Expect that every command can be run.

        Raises:
            BadInput: One cannot; names its field.
        """
        for name in self.commands:
            command = await asyncio.to_thread(self._command, name, {})
            check_program(name, command.words, folder=command.folder, search_path=command.environment.get("PATH", ""))

    def _command(self, name: str, values: Mapping[str, str], *, is_renewed: bool = False) -> Command:
        user, who = user_of(self.user)
        known = {"service": self.service, **values}
        words = filled(name, self.commands[name], known)
        return Command(
            words,
            environment_of(self.renewed if is_renewed else self.variables, who, known=known),
            working_folder(self.working_directory),
            user,
        )

    async def _read(self, name: str, values: Mapping[str, str], *, is_renewed: bool = False) -> Reading:
        command = await asyncio.to_thread(self._command, name, values, is_renewed=is_renewed)
        await asyncio.to_thread(check_program, name, command.words, folder=command.folder, search_path=command.environment.get("PATH", ""))
        return await run_command(
            command.words,
            folder=command.folder,
            timeout_seconds=self.reading_timeout_seconds,
            environment=command.environment,
            other=command.user,
        )


def notes_count(notes: Notes, error: ShipwayError, *, observes: bool, rolls_back: bool, splits: bool) -> bool:
    """Say whether the notes count where `status` cannot be read: to look, and for a rollback, but never to move forward.

    A fault that may pass, as of a version that hangs, counts only until a script ran for the rollback; after that it is asked again, as
    what the script did is not known otherwise.

    Args:
        notes: What is noted.
        error: Why `status` cannot be read.
        observes: Whether nothing is changed by it.
        rolls_back: Whether it is read for a rollback, which may not have taken the environment over yet.
        splits: Whether shares are shifted.
    """
    if notes["baseline"] is None and notes["canary"] is None:
        return False
    took_over = notes.get("rollback", False)
    if not isinstance(error, Temporary):
        return observes or took_over
    if took_over and notes["owner"] is not None:
        return not _has_moved(notes, splits=splits)
    return observes and rolls_back


def _has_moved(notes: Notes, *, splits: bool) -> bool:
    """Say if the owner's newest script moved requests, so that the notes are not right any more; they know no share but all of them."""
    run = notes["run"]
    if run is None or run["owner"] != notes["owner"] or is_shifted(notes):
        return False
    if run["effect"] == "shift":
        return run["percent"] > 0
    return run["effect"] in {"rollback", "promote"} or not splits
