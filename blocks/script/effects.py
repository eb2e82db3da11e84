"""Brings effects about by scripts: reads, acts on the difference once, follows what acts to its end, and reads again.

Nothing is run twice for one owner: what runs already is followed, what failed fails again, and what is gone without an exit code is decided
by `status` and `verify`. Only a script that asks for it (exit code 75), one that never began, a rollback's that failed, or one that plan or
people let be run again, is run again. A rollback does not wait for what moves forward: it ends that first, with all that it started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from blocks.errors import BadInput, Permanent, RolloutFailed, ScriptFailed, ShipwayError, Temporary
from blocks.fencing import check_lease
from blocks.outside_text import error_text, last_lines
from blocks.platform import Lease, Position
from blocks.script import run as runs
from blocks.script import state
from blocks.script.output import Shown
from blocks.script.reading import Observed
from blocks.script.run import TEMPFAIL, Command, Ended
from blocks.script.state import Notes, Run, act_of, run_folder
from blocks.script.tries import FIRST, Again, Ours, failed_before, is_owed, ours_of, owed_after, still_owed
from blocks.script.words import ALL_PERCENT, OWED, Act, fault_of

MOST_RUNS, AGAIN_SECONDS = 3, 5.0  # of a rollback's script that fails: one fault that passes must not leave the bad version


class Environment(Observed):
    """One environment of the script platform, whose scripts bring effects about."""

    async def settle(self, lease: Lease) -> tuple[Notes, Ended | None]:
        """Follow what still runs to its end, whoever had it run; gives the notes, and how the newest run ended.

        Under a takeover what moves forward is ended instead, also if it hangs; another rollback's script is followed.
        """
        notes = await self.expect(lease)
        if (run := notes["run"]) is None:
            return notes, None
        shown = self._shown(run, lease)
        if await self.is_under_way(run, lease):
            ends = notes.get("rollback", False) and not run.get("rolls_back", False)
            shown.say(f"run {run['id']} is under way; it is {'ended, as a rollback took over' if ends else 'followed to its end'}")
            await (self.end if ends else self.follow)(run, lease, shown)
            notes = await self.expect(lease)
        ended = shown.end(await self._ended(run))
        if notes.get("rollback", False) and ended.stopped and ended.left and not notes.get("not_ended"):
            await self.note(lease, not_ended=[*ended.left])
        return notes, ended

    async def note_canary(self, lease: Lease, version: str, position: Position) -> None:
        """Note a version as the canary, and that a rollback owes all that brings it; what `status` says of a canary does not count.

        What a rollback owes is not owed by a release of the same version, and a rollback that takes a release's canary over owes all.
        """
        notes = await self.expect(lease)
        owed = [*OWED] if notes.get("rollback", False) else []
        if notes["canary"] != version or position["canary"] != version:
            known = {"baseline": position["baseline"], "previous": position["previous"], "canary": version}
            await self.note(lease, **known, touched=False, promotes=False, owed=owed)
        elif bool(notes.get("owed")) != bool(owed):
            await self.note(lease, owed=owed)

    async def bring_about(self, lease: Lease, act: Act, *, limit_seconds: float, proves: bool = True) -> None:
        """Bring an effect about, and read back that it is so.

        Args:
            lease: The caller's lease.
            act: What is to be brought about.
            limit_seconds: The longest time of its script.
            proves: Whether it must be so, and the version well; else it will do that its script exited with 0.

        Raises:
            RolloutFailed: Its script failed, or did not do it; carries the last lines.
            Temporary: Its script asks for another try.
            BadInput: It cannot be run.
        """
        began: str = ""
        while True:
            notes, ended = await self.settle(lease)
            run = notes["run"]
            if began and run and run["id"] == began and ended and not ended.has_begun:
                raise Temporary(f"{act}: {await asyncio.to_thread(runs.why_not_begun, self.folder, run)}")
            ours = ours_of(run, ended, act, lease, is_new=bool(began))
            if ours and not began:
                self._shown(ours.run, lease).found(ours.ended)
            again = self._another_try(notes, act, ours) if ours else None
            if again is None:
                if ours:
                    await self._judge(notes, act, *ours)
                    if not proves and ours.ended.exit_code == 0 and not self._has_turn(notes, ours):
                        return None
                fault = await self._fault(act, limit_seconds, notes, ours, asks_health=proves)
                if not fault and (ours or not is_owed(notes, act, ended)):
                    return await self._note_share(lease, notes, act)
                again = self._after(notes, act, ours) if ours else Again(failed_before(run, act, lease))
            if ours and again is None:
                why = "exited with 0, but" if ours.ended.is_known else f"{ours.ended.in_words()}, and is not run again:"
                raise await self._failed(notes, act, ours.run, f"{why} {fault}")
            if ours and again:
                await asyncio.sleep(0 if again.is_renewed and again.failed_before == 1 else AGAIN_SECONDS)
            began = await self._begun(lease, act, after=run, limit_seconds=limit_seconds, again=again or FIRST)

    async def finish(self, lease: Lease, canary: str, previous: str, *, limit_seconds: float) -> None:
        """Retire what served before a canary with all requests; without `promote` a rollback still has its end proved.

        Raises:
            RolloutFailed: `promote` failed, or `status` and `verify` do not prove a rollback's end.
            Temporary: `promote` asks for another try, or `status` cannot be read for now.
        """
        if "promote" in self.commands:
            await self.bring_about(lease, Act("promote", canary, previous), limit_seconds=limit_seconds)
        elif self.splits and (await self.notes()).get("rollback"):
            await self._expect_end(lease, Act("shift", canary, previous, ALL_PERCENT), limit_seconds=limit_seconds)

    async def _expect_end(self, lease: Lease, act: Act, *, limit_seconds: float) -> None:
        """Expect that `status` and `verify` prove a rollback's end, once each of its scripts has exited with 0."""
        notes, fault = await self.expect(lease), ""
        try:
            fault = fault_of(act, await self.status(), splits=self.splits)
        except Permanent as error:
            fault = error_text(error)
        fault = fault or await self.ill(act.version, patience_seconds=limit_seconds)
        if fault and notes["run"]:
            raise await self._failed(notes, act, notes["run"], f"exited with 0, but {fault}")

    async def _fault(self, act: Act, limit_seconds: float, notes: Notes, ours: Ours | None, *, asks_health: bool) -> str:
        """Say why an effect is not brought about, by `status` and, if a version is to be well, by `verify`.

        A `status` that cannot be read keeps no rollback from its script. Between a rollback's scripts it is not asked: the bad version may
        answer it, and what must be proved is the end. A run with present secrets is not proved by what they read, while those of the
        release have a try left: what they lead to may be of others.
        """
        rolls_back, by_own = notes.get("rollback", False), bool(ours and self._has_turn(notes, ours))
        version, said = act.previous if act.effect == "rollback" else act.version, None
        if self.splits and (act.effect == "shift" or (act.effect == "promote" and not rolls_back)):
            asks_health = False
        if not (ours and self._goes_on(notes, act, ours)):
            try:
                running, said = await self.status_and_verify({version} if asks_health else (), by_own=by_own)
                fault = fault_of(act, running, splits=self.splits)
            except ShipwayError as error:
                if not rolls_back or (ours and isinstance(error, Temporary) and not by_own):
                    raise
                fault = error_text(error)
            if fault:
                return fault
        if not asks_health or not version:
            return ""
        return await self.ill(version, patience_seconds=limit_seconds, by_own=by_own, first=said)

    def _goes_on(self, notes: Notes, act: Act, ours: Ours) -> bool:
        """Say whether a script that exited with 0 lets a rollback's next one run, whatever `status` says."""
        is_between = self.splits and act.effect in {"deploy", "shift"}
        return notes.get("rollback", False) and is_between and ours.ended.exit_code == 0 and not self._has_turn(notes, ours)

    def _has_turn(self, notes: Notes, ours: Ours) -> bool:
        """Say whether a run with present secrets, which may be what others wrote, leaves a try to those of the release."""
        is_renewed = notes.get("rollback", False) and ours.run.get("renewed", False)
        return is_renewed and ours.failed < self._most_runs

    @property
    def _most_runs(self) -> int:
        return MOST_RUNS + self._differs

    @property
    def _differs(self) -> bool:
        return bool(self.renewed) and self.renewed != self.variables

    async def _note_share(self, lease: Lease, notes: Notes, act: Act) -> None:
        """Note what a rollback owes once it has shifted: `status` does not say it."""
        owed = owed_after(notes, act)
        if owed != notes.get("owed", []):
            await self.note(lease, owed=owed)

    def _another_try(self, notes: Notes, act: Act, ours: Ours) -> Again | None:
        """Say how a script that failed is run once more: in a rollback by itself, else if plan or people say so.

        A rollback takes turns with secrets that differ since the last release, if there are. They may have been rotated, or be what others
        wrote; then those of the release still serve, so however a run with the others failed, it leaves them their turn.
        """
        ended = ours.ended
        exited_badly = ended.is_known and not ended.not_run and not ended.timed_out and ended.exit_code not in {0, TEMPFAIL}
        if notes.get("rollback", False):
            has_failed = exited_badly or not ended.is_known
            has_failed = has_failed or (self._has_turn(notes, ours) and bool(ended.not_run or ended.timed_out))
            may_try = has_failed and ours.failed < self._most_runs
            return Again(ours.failed, is_renewed=self._differs and not ours.run.get("renewed")) if may_try else None
        by_plan = act.is_forward and exited_badly and not ended.left and ours.failed <= self.again.retries
        by_people = (exited_badly or ended.timed_out) and self._is_let_by_people(notes, act, ours.run)
        return Again(ours.failed) if by_plan or by_people else None

    def _after(self, notes: Notes, act: Act, ours: Ours) -> Again | None:
        """Say how a script is run once more that did not fail, and did not do it."""
        return Again(ours.failed) if self._has_turn(notes, ours) or self._is_let_by_people(notes, act, ours.run) else None

    def _is_let_by_people(self, notes: Notes, act: Act, run: Run) -> bool:
        """Say whether people let a script that failed be run once more; a rollback asks no one."""
        failed = run.get("failed_before", 0) + 1
        return act.is_forward and not notes.get("rollback", False) and failed <= self.again.by_people.get(self.named(act)[0], 0)

    async def _judge(self, notes: Notes, act: Act, run: Run, ended: Ended) -> None:
        """Raise what a run's ending means; one that exited with 0, or is gone without an exit code, is decided by what there is."""
        if ended.not_run:
            fix = "Look at its first line (`#!`), its rights, and its user's"
            raise BadInput(f"`{self.commands[act.effect][0]}` cannot be run: {ended.not_run}", field=f"scripts.{act.effect}[0]", fix=fix)
        if ended.asks_again:
            raise Temporary(f"{act} of {self.whose} asks for another try (exit code {TEMPFAIL}){ended.beside}{await self._last_lines(run)}")
        if ended.timed_out or (ended.is_known and ended.exit_code != 0):
            raise await self._failed(notes, act, run, ended.in_words(), left=ended.left)

    async def _failed(self, notes: Notes, act: Act, run: Run, why: str, *, left: Sequence[str] = ()) -> RolloutFailed:
        lines = await asyncio.to_thread(runs.evidence, self.folder, run)
        kept = f"output: {run_folder(self.folder, run)}"
        by = f" (the rollback goes by {self.kept}; remove it if the block as it is now must count)" if self.kept else ""
        message, evidence = f"{act} of {self.whose}: its script {why}{by}{last_lines(lines)}", (why, kept, *lines)
        if notes.get("rollback", False) or not act.is_forward:
            return RolloutFailed(message, evidence=evidence)
        runs_so_far = run.get("failed_before", 0) + 1
        (name, step), shown = self.named(act), tuple(lines)
        return ScriptFailed(message, evidence=evidence, act=name, step=step, runs=runs_so_far, lines=shown, left=tuple(left))

    async def _last_lines(self, run: Run) -> str:
        return last_lines(await asyncio.to_thread(runs.evidence, self.folder, run))

    async def _begun(self, lease: Lease, act: Act, *, after: Run | None, limit_seconds: float, again: Again = FIRST) -> str:
        """Begin a run and follow it; gives its id, "" if another one was begun since `after`."""
        command = await asyncio.to_thread(self._command, act.effect, act.values(self.service), is_renewed=again.is_renewed)

        def begin() -> Run | None:
            with self.locked() as lock:
                notes = self.load()
                check_lease(cast("Any", notes), lease)
                if notes["run"] != after:
                    return None
                run = state.new_run(notes, act, lease, limit_seconds=limit_seconds)
                run["renewed"], run["failed_before"] = again.is_renewed, again.failed_before
                notes["run"], notes["next_run"], notes["touched"], notes["owed"] = run, notes["next_run"] + 1, True, still_owed(notes, act)
                notes["promotes"] = notes.get("promotes", False) or act.effect == "promote"
                if not notes.get("rollback", False):
                    notes.pop("not_ended", None)
                state.save(self.folder, notes)
                state.forget_old_runs(self.folder)
                self.begin(run, command, lock=lock)
                return run

        run = await asyncio.to_thread(begin)
        if run is None:
            return ""
        await self.send(run, lease, command)
        shown = self._shown(run, lease)
        how = f" once more, as it failed {again.failed_before}x" if again.failed_before else ""
        how += f", with the secrets that the block has now instead of those in {self.kept}" if again.is_renewed else ""
        shown.say(f"begins as run {run['id']}{how}, for {limit_seconds:g} s at most")
        await self.follow(run, lease, shown)
        shown.end(await self._ended(run))
        return run["id"]

    async def _ended(self, run: Run) -> Ended:
        return await asyncio.to_thread(runs.ended, self.folder, run)

    async def is_under_way(self, run: Run, lease: Lease | None = None) -> bool:  # noqa: ARG002 - a host is asked under it
        """Say whether a run has begun, and has not ended; None for the lease if that is only looked at."""

        def look() -> bool:
            with self.locked():
                return runs.is_under_way(self.folder, run)

        return await asyncio.to_thread(look)

    def begin(self, run: Run, command: Command, *, lock: int) -> None:
        """Begin a run, under the lock under which it was noted."""
        runs.begin(self.folder, run, command, lock=lock, stop_seconds=self.stop_seconds)

    async def send(self, run: Run, lease: Lease, command: Command) -> None:
        """Begin a run that was noted and is begun elsewhere: not here."""

    async def follow(self, run: Run, lease: Lease, shown: Shown) -> None:  # noqa: ARG002 - as above
        """Follow a run to its end."""
        await runs.follow(self.folder, run, shown, stop_seconds=self.stop_seconds)

    async def end(self, run: Run, lease: Lease, shown: Shown) -> None:  # noqa: ARG002 - as above
        """End a run with all that it started."""
        await runs.end(self.folder, run, shown, stop_seconds=self.stop_seconds)

    def named(self, act: Act) -> tuple[str, str]:
        """Name an effect for people, and as part of a key."""
        return str(act), act.step

    def _shown(self, run: Run, lease: Lease) -> Shown:
        return Shown(lease["owner"], self.named(act_of(run))[0], kept=run_folder(self.folder, run), whose=self.whose)
