"""The script platform: an environment of this machine whose effects are the service's own deployment scripts."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, model_validator

from blocks import processes
from blocks.errors import BadInput, RolloutFailed, WorldMoved
from blocks.hidden_values import hide_values
from blocks.own_place import expect_own_place, home
from blocks.platform import Counts, Endpoints, Lease, LogLine, Position
from blocks.script import run as runs
from blocks.script.block import ScriptBlock
from blocks.script.counts import read_counts
from blocks.script.effects import Environment
from blocks.script.programs import commands_before, plain, working_folder
from blocks.script.settings import ENVIRONMENT, FOLDER, READING_TIMEOUT, ROTATES, SCRIPTS, TIMEOUT, VERSION_ADDRESS, Scripts, fault
from blocks.script.state import Notes
from blocks.script.tries import as_replaced, has_failed
from blocks.script.words import ALL_PERCENT, Act, check_version, previous_after, progress_lines

NO_CANARY: dict[str, Any] = {"canary": None, "touched": False, "promotes": False, "owed": []}


class ScriptPlatform(ScriptBlock):
    """Deploys by the service's own scripts on this machine; what runs is what its `status` prints."""

    _block_type_name = "Script platform"
    _block_type_slug = "script"
    _description = "Deploys a service by its own deployment scripts on this machine."
    model_config = ConfigDict(json_schema_extra=hide_values)

    address: Annotated[str, Field(pattern="^https?://")] = Field(description="Where users reach the service, as `http://127.0.0.1:8080`.")
    scripts: Scripts = Field(description=SCRIPTS)
    version_address: str = Field(default="", description=VERSION_ADDRESS)
    working_directory: str = Field(default=".", description="Where the scripts run; in a file of blocks, relative to that file.")
    environment: dict[str, SecretStr] = Field(default_factory=dict, description=ENVIRONMENT)
    rotates: list[str] = Field(default_factory=list, description=ROTATES)
    user: str = Field(default="", description="Who runs them, if Shipway runs as root: a user of the group shipway-scripts.")
    folder: str = Field(default="", description=FOLDER)
    timeout_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(default=600, description=TIMEOUT)
    reading_timeout_seconds: Annotated[float, Field(gt=0, le=3_600)] = Field(default=30, description=READING_TIMEOUT)
    stop_seconds: Annotated[float, Field(ge=0, le=600)] = Field(default=5, description="Longest wait between SIGTERM and SIGKILL.")
    _place: tuple[str, Path] | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _reaches_its_canary(self) -> Self:
        """Refuse shares without an address of a canary, which is verified before its first request."""
        if self.scripts.shift and "{version}" not in self.version_address:
            raise fault("`shift` needs `version_address`", fix="Write where one version is reached, with `{version}` in it.")
        return self

    @property
    def strategy(self) -> str:
        """Name the strategy as for Kubernetes: without `shift` nothing of a version is started before its first share."""
        return "canary" if self.scripts.shift else "rolling"

    async def current(self) -> Position:
        """Read what runs now, as `status` prints it, and what is well, as `verify` says.

        Raises:
            Temporary: `status` timed out, or asks to be asked again.
            Permanent: It failed, or cannot be run, and nothing is noted; else the position is by the notes, and in trouble.
        """
        environment = self._environment()
        position, may_run = await environment.look_for_health()
        present = [version for version in (position["baseline"], position["canary"]) if version is not None]
        up = [version for version in present if version in may_run]
        ill = await asyncio.gather(*(environment.ill(version) for version in up))
        well = {version for version, fault in zip(up, ill, strict=True) if not fault}
        return Position(**{**position, "ready": {version: version in well for version in present}})

    async def acquire_lease(self, owner: str, *, takeover: bool = False) -> Lease:
        """Become the owner under the next generation; a script that runs goes on, and is followed by the next effect.

        Raises:
            Refused: Another owner holds it and `takeover` is not set.
            BadInput: The folder cannot be used.
        """
        return await self._environment().own(owner, takeover=takeover)

    async def release_lease(self, lease: Lease) -> None:
        """Give the environment up; a no-op if this lease no longer owns it."""
        await self._environment().disown(lease)

    async def prepare(self, version: str, lease: Lease, *, timeout_seconds: float) -> None:
        """Make `version` the canary at 0 %: with `shift` it is deployed beside the baseline; else it is checked that it can be deployed.

        Raises:
            RolloutFailed: A script failed, or did not do it; carries its last lines.
            BadInput: The version or a script cannot be used.
            WorldMoved: Neither the baseline nor the canary runs.
        """
        check_version(version)
        environment = self._environment()
        notes, ended = await environment.settle(lease)
        await environment.check_programs()
        act_failed = has_failed(notes, ended, lease)
        position = await environment.position(observes=act_failed)
        if position["canary"] not in {None, version} or version == position["baseline"] or (not environment.splits and position["percent"]):
            position = await self._undo(environment, lease, position)
        if "trouble" in position and not notes.get("rollback") and not (act_failed and position["canary"] == version):
            raise WorldMoved(position["trouble"])
        position = as_replaced(notes, version, position, rolls_back=self._rolls_back)
        if version == position["baseline"]:
            return
        await environment.note_canary(lease, version, position)
        if environment.splits:
            limit = min(timeout_seconds, self.timeout_seconds)
            previous = position["baseline"] or ""
            await environment.bring_about(lease, Act("deploy", version, previous), limit_seconds=limit)
            if (await environment.position())["percent"]:
                await environment.bring_about(lease, Act("shift", version, previous), limit_seconds=self.timeout_seconds)

    async def shift(self, percent: int, lease: Lease) -> None:
        """Send `percent` of new requests to the canary; without `shift` 100 deploys it, and 0 rolls it back.

        Args:
            percent: 0 to 100.
            lease: The caller's lease.

        Raises:
            BadInput: It is not a share, or without `shift` not 0 or 100.
            WorldMoved: There is no canary, or something else runs.
            RolloutFailed: A script failed, or did not do it; carries its last lines.
        """
        environment = self._environment()
        if not 0 <= percent <= ALL_PERCENT:
            raise BadInput(f"{percent} % is not a share", field="percent", fix="Give 0 to 100")
        if not environment.splits and percent not in {0, ALL_PERCENT}:
            fix = "Let production have one step of 100 %, or give the block a script `shift`"
            raise BadInput(f"without a script `shift` {percent} % cannot be made", field="percent", fix=fix)
        notes, ended = await environment.settle(lease)
        position = await environment.position(observes=has_failed(notes, ended, lease))
        if (canary := position["canary"]) is None:
            if percent:
                raise WorldMoved(f"{self.service} has no canary to send {percent} % to. Prepare a version first")
            return
        previous = position["baseline"] or ""
        act = Act("shift", canary, previous, percent) if environment.splits else Act("deploy", canary, previous)
        if "trouble" in position and percent and not notes.get("rollback") and not has_failed(notes, ended, lease, act):
            raise WorldMoved(position["trouble"])
        if percent or environment.splits:
            await environment.bring_about(lease, act, limit_seconds=self.timeout_seconds)
        else:
            await self._restore(environment, lease, position)

    async def promote(self, lease: Lease) -> None:
        """Make the canary the baseline, and let `promote` retire what served before. A no-op if that is done already.

        Raises:
            WorldMoved: The canary does not have all requests.
            RolloutFailed: `promote` failed, or did not do it, or a rollback's end is not proved; carries its last lines.
        """
        environment = self._environment()
        await environment.settle(lease)
        position = await environment.position()
        if (canary := position["canary"]) is not None:
            if position["percent"] != ALL_PERCENT:
                raise WorldMoved(f"the canary {canary} of {self.service} gets {position['percent']} %, so it cannot be promoted yet")
            await environment.finish(lease, canary, position["baseline"] or "", limit_seconds=self.timeout_seconds)
            before = previous_after(await environment.notes(), canary)
            await environment.note(lease, baseline=canary, previous=before, **NO_CANARY)
        elif (await environment.notes())["baseline"] != position["baseline"]:  # `promote` ran, and who had it run died before its note
            await environment.note(lease, baseline=position["baseline"], previous=position["previous"], **NO_CANARY)

    async def abort(self, lease: Lease, *, waits: bool = True) -> None:
        """Send everything to the baseline and remove the canary, by `rollback` if a script acted for it. A no-op if there is none.

        Raises:
            RolloutFailed: `rollback` failed, or did not do it; carries its last lines. It counts only if no other version comes next.
        """
        environment = self._environment()
        await environment.settle(lease)
        await self._undo(environment, lease, await environment.position(), proves=waits)

    async def endpoints(self) -> Endpoints:
        """Say where the service is reached, and each of its versions that runs."""
        position, runs_now = await self._environment().look()
        found = Endpoints(public=self.address)
        if (baseline := position["baseline"]) in runs_now:
            found["baseline"] = self._address_of(baseline or "")
        if (canary := position["canary"]) in runs_now:
            found["canary"] = self._address_of(canary or "")
        return found

    async def counts(self) -> dict[str, Counts]:
        """Read the counts of each version that `counts` prints; empty if there is no such script.

        Raises:
            Temporary: It timed out, or printed what cannot be read.
        """
        if not self.scripts.counts:
            return {}
        found = await self._environment().read("counts", {})
        if found.cut:
            raise BadInput("it prints more than 2 MB", field="scripts.counts", fix="Print the samples that docs/scripts.md names")
        return read_counts(found.output.decode(errors="replace"))

    async def progress(self) -> list[str]:
        """Say in a few lines for an operator what runs, and which script is under way."""
        environment = self._environment()
        position, notes = await asyncio.gather(environment.position(observes=True), environment.notes())
        run = notes["run"]
        is_under_way = run is not None and await environment.is_under_way(run)
        return [*progress_lines(self.service, position), *([runs.in_words(run, now=time.time())] if run and is_under_way else [])]

    async def logs(self, since: float, take: Callable[[LogLine], bool | None]) -> dict[str, str]:  # noqa: ARG002 - as the protocol has it
        """Say that none can be read: where a service writes its log is its own affair. What scripts print is in the log of their run."""
        return {"": "scripts tell nothing of the service's own log"}

    async def identity(self) -> str:
        """Return the machine and the folder in which the environment is noted, links followed; BadInput if others could exchange it."""
        if self.folder:
            await asyncio.to_thread(expect_own_place, self._folder())
        return f"script {processes.machine_id()} {self._folder()}"

    def programs(self, version: str) -> tuple[str, dict[str, list[str]]]:
        """Return the folder of the scripts, and each command, see `blocks.runs_programs`."""
        return working_folder(self.working_directory), commands_before(self.scripts.given(), {"service": self.service, "version": version})

    async def _undo(self, environment: Environment, lease: Lease, position: Position, *, proves: bool = True) -> Position:
        """Remove the canary, and give the position that this leaves."""
        if position["canary"] is None:
            return position
        await self._restore(environment, lease, position, proves=proves)
        await environment.note(lease, baseline=position["baseline"], previous=position["previous"], **NO_CANARY)
        return await environment.position()

    async def _restore(self, environment: Environment, lease: Lease, position: Position, *, proves: bool = True) -> None:
        """Have the baseline serve again alone, unless no script ever acted for the canary."""
        notes: Notes = await environment.notes()
        if notes["touched"] or position["percent"] or "trouble" in position or environment.splits:
            act = Act("rollback", position["canary"] or "", position["baseline"] or "")
            with suppress(RolloutFailed) if not proves else nullcontext():
                await environment.bring_about(lease, act, limit_seconds=self.timeout_seconds, proves=proves)

    def _address_of(self, version: str) -> str:
        return processes.fill(self.version_address, {"version": version}) if self.scripts.shift else self.address

    def _folder(self) -> Path:
        """Return the folder with links followed, once: what is compared with other environments is what is acted on."""
        named = self.folder or str(home() / "scripts" / (self._block_document_name or self.service))
        if self._place is None or self._place[0] != named:
            self._place = (named, Path(os.path.realpath(Path(named).expanduser())))
        return self._place[1]

    def _environment(self) -> Environment:
        return Environment(
            folder=self._folder(),
            service=self.service,
            commands=self.scripts.given(),
            variables=plain(self.environment),
            **self._kept.settings(),
            rolls_back=self._rolls_back,
            again=self._again,
            working_directory=self.working_directory,
            user=self.user,
            timeout_seconds=self.timeout_seconds,
            reading_timeout_seconds=self.reading_timeout_seconds,
            stop_seconds=self.stop_seconds,
        )
