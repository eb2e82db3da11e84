"""Brings effects about by scripts: reads, acts on the difference once, follows what acts to its end, and reads again.

Nothing is run twice for one owner: what runs already is followed, what failed fails again, and what is gone without an exit code is decided
by `status` and `verify`. Only a script that asks for it (exit code 75), or one that never began, is run again.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from blocks.commands import Ended as Reading
from blocks.commands import run_command
from blocks.errors import BadInput, Permanent, RolloutFailed, Temporary
from blocks.fencing import check_free, check_lease
from blocks.outside_text import last_lines
from blocks.platform import Lease, Position
from blocks.script import run as runs
from blocks.script import state
from blocks.script.output import Shown
from blocks.script.programs import check_program, environment_of, user_of, working_folder
from blocks.script.run import TEMPFAIL, Command, Ended
from blocks.script.state import Notes, Run, act_of, run_folder
from blocks.script.words import Act, Running, fault_of, filled, position_of, read_status
from blocks.script.wrapper import LOG

VERIFY_AGAIN_SECONDS = 1.0


@dataclass(frozen=True)
class Environment:
    """One environment of the script platform, as its block describes it.

    Fields:
        folder: Where its notes and runs lie.
        service: Whose it is.
        commands: Each command that there is, by the block's field.
        variables: What every script gets besides; secrets in plain text.
        working_directory, user: As in the block.
        timeout_seconds, reading_timeout_seconds, stop_seconds: As in the block.
    """

    folder: Path
    service: str
    commands: Mapping[str, list[str]]
    variables: Mapping[str, str]
    working_directory: str
    user: str
    timeout_seconds: float
    reading_timeout_seconds: float
    stop_seconds: float

    @property
    def splits(self) -> bool:
        """Whether shares are shifted, so that a canary stands beside the baseline."""
        return bool(self.commands.get("shift"))

    async def notes(self) -> Notes:
        """Read what is noted."""
        return await asyncio.to_thread(state.load, self.folder, service=self.service)

    async def own(self, owner: str, *, takeover: bool) -> Lease:
        """Acquire the lease."""

        def acquire() -> Lease:
            state.make(self.folder)
            with state.locked(self.folder):
                notes = state.load(self.folder, service=self.service)
                check_free(cast("Any", notes), owner, takeover=takeover)
                notes["owner"], notes["generation"], notes["rollback"] = owner, notes["generation"] + 1, takeover
                state.save(self.folder, notes)
                return Lease(owner=owner, generation=notes["generation"])

        return await asyncio.to_thread(acquire)

    async def disown(self, lease: Lease) -> None:
        """Release the lease, if it is still this one."""

        def release() -> None:
            with state.locked(self.folder):
                notes = state.load(self.folder, service=self.service)
                if (notes["owner"], notes["generation"]) == (lease["owner"], lease["generation"]):
                    notes["owner"] = None
                    state.save(self.folder, notes)

        if self.folder.exists():
            await asyncio.to_thread(release)

    async def note(self, lease: Lease, **what: Any) -> None:
        """Change what is noted, under the lease; what a script did before has then been seen to."""

        def change() -> None:
            with state.locked(self.folder):
                notes = state.load(self.folder, service=self.service)
                check_lease(cast("Any", notes), lease)
                state.save(self.folder, cast("Notes", {**notes, **what}))

        await asyncio.to_thread(change)

    async def expect(self, lease: Lease) -> Notes:
        """Let only the newest owner act; gives the notes."""
        notes = await self.notes()
        check_lease(cast("Any", notes), lease)
        return notes

    async def status(self) -> Running:
        """Ask what runs.

        Raises:
            Temporary: `status` timed out, or asks to be asked again.
            Permanent: It failed, or printed something else.
        """
        found = await self.read("status", {})
        return read_status(found.output.decode(errors="replace"), splits=self.splits)

    async def position(self) -> Position:
        """Say where the environment stands; nothing is verified."""
        notes, running = await asyncio.gather(self.notes(), self.status())
        return position_of(notes, running, splits=self.splits, owner=notes["owner"], generation=notes["generation"])

    async def read(self, name: str, values: Mapping[str, str]) -> Reading:
        """Run a command that only reads, and give what it printed; it is ended with all that it started.

        Raises:
            Temporary: It timed out, or exited with 75.
            Permanent: It failed.
        """
        found = await self._read(name, values)
        if found.exit_code == 0:
            return found
        message = f"`{name}` of {self.service}: {found.fault}{last_lines(found.tail.splitlines())}"
        if found.exit_code in {TEMPFAIL, None}:
            raise Temporary(message)
        raise Permanent(message)

    async def ill(self, version: str, *, patience_seconds: float = 0) -> str:
        """Say why a version is not well by `verify`, "" if it is; one that asks for it (exit code 75) is asked again for some time."""
        deadline = time.monotonic() + patience_seconds
        while True:
            found = await self._read("verify", {"version": version})
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

    async def settle(self, lease: Lease) -> tuple[Notes, Ended | None]:
        """Follow what still runs to its end, whoever had it run; gives the notes, and how the newest run ended."""
        notes = await self.expect(lease)
        if (run := notes["run"]) is None:
            return notes, None
        if await asyncio.to_thread(self.is_under_way, run):
            shown = self._shown(run, lease)
            shown.say(f"run {run['id']} is under way; it is followed to its end")
            await runs.follow(self.folder, run, shown, stop_seconds=self.stop_seconds)
            notes = await self.expect(lease)
        return notes, await asyncio.to_thread(runs.ended, self.folder, run)

    async def bring_about(self, lease: Lease, act: Act, *, limit_seconds: float) -> None:
        """Bring an effect about, and read back that it is so.

        Raises:
            RolloutFailed: Its script failed, or did not do it; carries the last lines.
            Temporary: Its script asks for another try.
            BadInput: It cannot be run.
        """
        began: str = ""
        while True:
            notes, ended = await self.settle(lease)
            run = notes["run"]
            is_ours = _is_by(run, act, lease) and ended is not None and ended.has_begun and (not ended.asks_again or began)
            if began and run and run["id"] == began and ended and not ended.has_begun:
                raise Temporary(f"{act}: its wrapper did not begin it; see {run_folder(self.folder, run) / LOG}")
            if is_ours and run and ended:
                await self._judge(act, run, ended)
            fault = await self._fault(act, limit_seconds)
            if not fault:
                return
            if is_ours and run and ended:
                why = "exited with 0, but" if ended.is_known else f"{ended.in_words()}, and is not run again:"
                raise await self._failed(act, run, f"{why} {fault}")
            began = await self._begun(lease, act, after=run, limit_seconds=limit_seconds)

    async def _fault(self, act: Act, limit_seconds: float) -> str:
        """Say why an effect is not brought about, by `status` and, where a version is to be well, by `verify`."""
        if fault := fault_of(act, await self.status(), splits=self.splits):
            return fault
        version = act.previous if act.effect == "rollback" else act.version
        if not version or (act.effect in {"shift", "promote"} and self.splits):
            return ""
        return await self.ill(version, patience_seconds=limit_seconds)

    async def _judge(self, act: Act, run: Run, ended: Ended) -> None:
        """Raise what a run's ending means; one that exited with 0, or is gone without an exit code, is decided by what there is."""
        if ended.not_run:
            fix = "Look at its first line (`#!`), its rights, and its user's"
            raise BadInput(f"`{self.commands[act.effect][0]}` cannot be run: {ended.not_run}", field=f"scripts.{act.effect}[0]", fix=fix)
        if ended.asks_again:
            raise Temporary(f"{act} of {self.service} asks for another try (exit code {TEMPFAIL}){await self._last_lines(run)}")
        if ended.timed_out or (ended.is_known and ended.exit_code != 0):
            raise await self._failed(act, run, ended.in_words())

    async def _failed(self, act: Act, run: Run, why: str) -> RolloutFailed:
        lines = await asyncio.to_thread(runs.evidence, self.folder, run)
        kept = f"output: {run_folder(self.folder, run)}"
        return RolloutFailed(f"{act} of {self.service}: its script {why}{last_lines(lines)}", evidence=(why, kept, *lines))

    async def _last_lines(self, run: Run) -> str:
        return last_lines(await asyncio.to_thread(runs.evidence, self.folder, run))

    async def _begun(self, lease: Lease, act: Act, *, after: Run | None, limit_seconds: float) -> str:
        """Begin a run and follow it; gives its id, "" if another one was begun since `after`."""
        command = await asyncio.to_thread(self._command, act.effect, act.values(self.service))

        def begin() -> Run | None:
            with state.locked(self.folder) as lock:
                notes = state.load(self.folder, service=self.service)
                check_lease(cast("Any", notes), lease)
                if notes["run"] != after:
                    return None
                run = self._new_run(notes, act, lease, limit_seconds)
                state.save(self.folder, {**notes, "run": run, "next_run": notes["next_run"] + 1, "touched": True})
                state.forget_old_runs(self.folder)
                runs.begin(self.folder, run, command, lock=lock, stop_seconds=self.stop_seconds)
                return run

        run = await asyncio.to_thread(begin)
        if run is None:
            return ""
        shown = self._shown(run, lease)
        shown.say(f"begins as run {run['id']}, for {limit_seconds:g} s at most")
        await runs.follow(self.folder, run, shown, stop_seconds=self.stop_seconds)
        ended = await asyncio.to_thread(runs.ended, self.folder, run)
        shown.say(ended.in_words() + (f"; it left running: {', '.join(ended.left)}" if ended.left else ""))
        return run["id"]

    def _new_run(self, notes: Notes, act: Act, lease: Lease, limit_seconds: float) -> Run:
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
        )

    def is_under_way(self, run: Run) -> bool:
        """Say whether a run has begun, and has not ended."""
        with state.locked(self.folder):
            return runs.is_under_way(self.folder, run)

    def _shown(self, run: Run, lease: Lease) -> Shown:
        return Shown(lease["owner"], str(act_of(run)), kept=run_folder(self.folder, run))

    def _command(self, name: str, values: Mapping[str, str]) -> Command:
        user, who = user_of(self.user)
        known = {"service": self.service, **values}
        words = filled(name, self.commands[name], known)
        return Command(words, environment_of(self.variables, who, known=known), working_folder(self.working_directory), user)

    async def _read(self, name: str, values: Mapping[str, str]) -> Reading:
        command = await asyncio.to_thread(self._command, name, values)
        await asyncio.to_thread(check_program, name, command.words, folder=command.folder, search_path=command.environment.get("PATH", ""))
        return await run_command(
            command.words,
            folder=command.folder,
            timeout_seconds=self.reading_timeout_seconds,
            environment=command.environment,
            other=command.user,
        )


def _is_by(run: Run | None, act: Act, lease: Lease) -> bool:
    return run is not None and act_of(run) == act and run["owner"] == lease["owner"]
