"""One host of an environment: the rules of this machine's scripts, whose runs and readings are asked of the host."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from blocks.commands import Ended as Reading
from blocks.errors import BadInput, Permanent, Temporary, Unreachable
from blocks.outside_text import said
from blocks.platform import Lease
from blocks.script import state
from blocks.script.effects import Environment
from blocks.script.hosts.mirror import Mirror, is_over, keep, note_log
from blocks.script.hosts.on_host import decoded
from blocks.script.hosts.orders import Connection, ask
from blocks.script.output import Reader, Shown
from blocks.script.run import Command
from blocks.script.state import Notes, Run, run_folder
from blocks.script.tries import Ours
from blocks.script.words import Act, Running, filled, read_status

SHARED = ("owner", "generation", "rollback", "baseline", "canary", "previous")
WAIT_SECONDS, PATIENCE_SECONDS, AGAIN_SECONDS, ANSWER_SECONDS = 10.0, 60.0, 2.0, 30.0
ENDING_SECONDS = 60.0  # a run that had to be over for so long, and is under way by its host's word, is not believed
LEAST_FREE_BYTES = 20_000_000
TAIL_LIMIT = 8_000
NOT_RUN = 126


@dataclass(frozen=True)
class OnHost(Environment):
    """One host; its versions and its lease are those of all hosts together.

    Fields:
        host: Its name in the block.
        together: Folder of the notes of all hosts.
        environment: The id of the environment, which its hosts know; "" if it was never used.
        place: The name of its folder on the host.
        connection: How it is asked.
        python: The Python that is run there.
    """

    host: str
    together: Path
    environment: str
    place: str
    connection: Connection
    python: str

    @property
    def whose(self) -> str:
        """Name it for people."""
        return f"{self.service} on {self.host}"

    def named(self, act: Act) -> tuple[str, str]:
        """Name an effect with its host, as people let a script that failed run again on one host alone."""
        plain = "".join(one if one.isalnum() else "-" for one in self.host.lower()).strip("-")
        return f"{act} on {self.host}", f"{act.step}-on-{plain}"

    def locked(self) -> AbstractContextManager[int]:
        """Hold the lock of all hosts: for moments, as nothing is asked of a host under it."""
        return state.locked(self.together)

    def load(self) -> Notes:
        """Read what is noted of this host, and of all together."""
        shared = state.load(self.together, service=self.service)
        found: dict[str, Any] = {**state.load(self.folder, service=self.service)}
        return cast("Notes", found | {name: value for name, value in shared.items() if name in SHARED})

    async def check_programs(self) -> None:
        """Expect that every command can be run there, and that there is room for what is kept of a run.

        Raises:
            BadInput: One cannot; names its field.
            Temporary: The host is full.
        """
        notes = await self.notes()
        commands = {name: list(filled(name, words, {"service": self.service})) for name, words in self.commands.items()}
        found = await self._ask("check", notes["generation"], commands=commands, variables=self._variables({}))
        for name, fault in found["faults"].items():
            fix = "Install it there, or fix `working_directory`"
            raise BadInput(f"{self.host}: {said(fault)}", field=f"scripts.{name}[0]", fix=fix)
        if found["free_bytes"] < LEAST_FREE_BYTES:
            raise Temporary(
                f"{self.host} has {found['free_bytes'] // 1_000_000} MB left in ~/.shipway. Free some space there", delay_seconds=5
            )

    async def is_under_way(self, run: Run, lease: Lease | None = None) -> bool:
        """Ask whether a run has begun, and has not ended; under a lease the host refuses older ones from then on."""
        place = run_folder(self.folder, run)
        if await asyncio.to_thread(is_over, place):
            return False
        answer = await self._ask("follow", lease["generation"] if lease else None, run=run, wait_seconds=0)
        if answer["state"] == "under way":
            return True
        if lease is not None:
            await asyncio.to_thread(keep, place, answer)
        return False

    def begin(self, run: Run, command: Command, *, lock: int) -> None:
        """Begin nothing here: it is noted, and sent once the lock is free."""

    async def send(self, run: Run, lease: Lease, command: Command) -> None:
        """Have the host begin a run; whether it did, if the connection breaks meanwhile, is found by following it.

        Why it may not have reached the host stands where the log of its wrapper would.
        """
        more: dict[str, Any] = {"command": list(command.words), "folder": command.folder, "variables": dict(command.environment)}
        try:
            await self._ask("begin", lease["generation"], run=run, wait_seconds=0, **more)
        except Unreachable as error:
            await asyncio.to_thread(note_log, run_folder(self.folder, run), f"the order did not reach {self.host}: {error}")

    async def follow(self, run: Run, lease: Lease, shown: Shown) -> None:
        """Follow a run to its end, over connections that break; a host that does not answer for a minute is unknown."""
        await self._follow(run, lease, shown, stop=False)

    async def end(self, run: Run, lease: Lease, shown: Shown) -> None:
        """Let the host end a run with all that it started."""
        await self._follow(run, lease, shown, stop=True)

    async def _follow(self, run: Run, lease: Lease, shown: Shown, *, stop: bool) -> None:
        place = run_folder(self.folder, run)
        mirror = await asyncio.to_thread(Mirror, place)
        reader, where, began, is_over_now = Reader(place), None, time.monotonic(), False
        last_seen, most = began, (0 if stop else run["limit_seconds"]) + self.stop_seconds + ENDING_SECONDS
        try:
            while not is_over_now:
                try:
                    answer = await self._ask("follow", lease["generation"], run=run, where=where, wait_seconds=WAIT_SECONDS, stop=stop)
                except Unreachable:
                    if time.monotonic() - last_seen > PATIENCE_SECONDS:
                        raise
                    await asyncio.sleep(AGAIN_SECONDS)
                    continue
                where, last_seen = answer["where"], time.monotonic()
                is_over_now = await asyncio.to_thread(mirror.take, answer)
                if not is_over_now and last_seen - began > most:  # else one host would keep a rollback from all others
                    raise Permanent(f"{self.host} says that run {run['id']} is under way, {most:g} s after it had to end. Look at it there")
                for line in await asyncio.to_thread(reader.read, is_last=is_over_now):
                    shown.show(line)
        finally:
            reader.close()
            mirror.close()

    def _command(self, name: str, values: Mapping[str, str], *, is_renewed: bool = False) -> Command:
        known = {"service": self.service, **values}
        return Command(
            filled(name, self.commands[name], known), self._variables(known, is_renewed=is_renewed), self.working_directory, None
        )

    def _variables(self, known: Mapping[str, str], *, is_renewed: bool = False) -> dict[str, str]:
        own = self.renewed if is_renewed else self.variables
        return {**own, **{f"SHIPWAY_{name.upper()}": value for name, value in known.items()}}

    async def _fault(self, act: Act, limit_seconds: float, notes: Notes, ours: Ours | None, *, asks_health: bool) -> str:
        """Say why an effect is not brought about yet; where a script failed and the host was left out since, the next one always runs."""
        if act.is_forward and ours is None and notes.get("left_out"):
            return "it was left out before"
        return await super()._fault(act, limit_seconds, notes, ours, asks_health=asks_health)

    async def status_and_verify(self, versions: Collection[str], *, by_own: bool = False) -> tuple[Running, Reading | None]:
        """Ask what runs and, if it is one of these versions, what `verify` says of it, in one order; errors as of `status`."""
        if self.reads_renewed and not by_own:
            return await self.status(), None
        command = self._command("status", {})
        then = {version: self._command("verify", {"version": version}) for version in versions if version}
        found = await self._read_by(command, then={version: _words(one) for version, one in then.items()})
        output = self.expect_read("status", _reading(command, found, limit_seconds=self.reading_timeout_seconds)).output
        running = read_status(output.decode(errors="replace"), splits=self.splits)
        if running.serves not in then or "then" not in found:
            return running, None
        return running, _reading(then[running.serves], found["then"], limit_seconds=self.reading_timeout_seconds)

    async def _read(self, name: str, values: Mapping[str, str], *, is_renewed: bool = False) -> Reading:
        command = self._command(name, values, is_renewed=is_renewed)
        return _reading(command, await self._read_by(command), limit_seconds=self.reading_timeout_seconds)

    async def _read_by(self, command: Command, **more: Any) -> dict[str, Any]:
        limit, readings = self.reading_timeout_seconds, 2 if more.get("then") else 1
        return await self._ask(
            "read", None, patience_seconds=readings * limit + self.stop_seconds, limit_seconds=limit, **_words(command), **more
        )

    async def _ask(
        self, do: str, generation: int | None, *, run: Run | None = None, patience_seconds: float = 0, **more: Any
    ) -> dict[str, Any]:
        order: dict[str, Any] = {
            "do": do, "place": self.place, "environment": self.environment, "host": self.host, "lease": generation,
            "folder": self.working_directory, "where": None, "variables": {}, "stop_seconds": self.stop_seconds,
        }  # fmt: skip
        if run is not None:
            order |= {"run": run["id"], "mark": run["mark"], "limit_seconds": run["limit_seconds"]}
        patience = patience_seconds + more.get("wait_seconds", 0) + self.stop_seconds + ANSWER_SECONDS
        return await ask(self.connection, {**order, **more}, python=self.python, timeout_seconds=patience)


def _words(command: Command) -> dict[str, Any]:
    return {"command": list(command.words), "variables": dict(command.environment)}


def _reading(command: Command, found: Mapping[str, Any], *, limit_seconds: float) -> Reading:
    """Give what a command printed, and how it ended, as its host says."""
    code, program, fault = found["exit_code"], command.words[0], ""
    if found["not_run"]:
        fault = f"`{program}` cannot be run: {said(found['not_run'])}"
    elif code != 0:
        fault = f"`{program}` took longer than {limit_seconds:g} s" if code is None else f"`{program}` exited with {code}"
    tail = said(decoded(found["tail"]).decode(errors="replace"), limit=TAIL_LIMIT, lines=True)
    exit_code = NOT_RUN if found["not_run"] else code
    return Reading(exit_code, found["seconds"], decoded(found["output"]), found["cut"], tail, fault)
