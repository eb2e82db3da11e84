"""A service of scripts that do as they are asked, at once and in this process, and whose `status` can lie."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from blocks.errors import Refused, ShipwayError
from blocks.platform import Lease, Position
from blocks.script import effects, run, state
from blocks.script.effects import Environment
from blocks.script.platform import ScriptPlatform
from blocks.script.programs import Renewed
from blocks.script.reading import Observed
from blocks.script.run import Command, Ended
from blocks.script.state import Run
from blocks.script.words import Running, read_status
from tasks.rollout.rollout import prepare_revision, promote_revision, shift_traffic
from tasks.rules.rollout.replaced import as_replaced, fault_of_replaced
from tasks.rules.rollout.rollback import RollbackChoice, choose_rollback
from tasks.rules.rollout.waves import version_to_leave

ALL = 100


class World:
    """A service whose scripts do as they are asked, at once and in this process, and a `status` that can lie.

    Fields:
        acts: What was run, with ` elsewhere` if it had present secrets.
        fails: The scripts that fail, each time or, in `fails_once`, before they act; `how` says how that ends.
        elsewhere: How a script ends that has present secrets, which are of an account of others; None if there are none.
        splits, promotes: Which scripts there are.
    """

    def __init__(self, folder: Path) -> None:
        """Begin with 0.9."""
        self.folder, self.runs = folder, Running("0.9")
        self.acts: list[str] = []
        self.fails: set[str] = set()
        self.fails_once, self.how = "", Ended(exit_code=1)
        self.elsewhere: Ended | None = None
        self.splits = self.promotes = True
        self.lies: Iterator[str | ShipwayError] | None = None

    def platform(self) -> ScriptPlatform:
        """Give a new instance."""
        more = {"shift": self.splits, "promote": self.splits and self.promotes}
        scripts = {name: ["true"] for name in ("deploy", "rollback", "verify", "status", *(one for one, there in more.items() if there))}
        address, secrets = "http://127.0.0.1:1", {"TOKEN": SecretStr("of the release")}
        found = ScriptPlatform(
            scripts=scripts, address=address, version_address=address + "/{version}", folder=str(self.folder / "notes"), environment=secrets
        )
        if self.elsewhere:
            found._kept = Renewed("keys/places/shop", {"TOKEN": SecretStr("of others")})
        return found

    def begin(self, _: Path, one: Run, command: Command, **__: Any) -> None:
        """Run a script: it acts, and may fail afterwards, as a promotion that retired the baseline."""
        assert command.words
        act = f"{one['effect']} {one['version']}" + (f" {one['percent']}" if one["effect"] == "shift" else "")
        self.acts.append(act + (" elsewhere" if one.get("renewed") else ""))
        if one.get("renewed") or self._fails_now(one):
            return
        beside = Running(self.runs.canary if self.runs.percent == ALL else self.runs.serves, one["version"])
        self.runs = {
            "deploy": beside if self.splits else Running(one["version"]),
            "shift": self.runs._replace(percent=one["percent"]) if "shift" not in self.fails else self.runs,
            "promote": Running(one["version"]),
            "rollback": Running(one["previous"] or None),
        }[one["effect"]]

    def ended(self, _: Path, one: Run) -> Ended:
        """Say how it ended."""
        if one.get("renewed") and self.elsewhere:
            return self.elsewhere
        return self.how if one["effect"] in self.fails or self._fails_now(one) else Ended(exit_code=0)

    def _fails_now(self, one: Run) -> bool:
        return one["effect"] == self.fails_once and not one.get("failed_before")

    async def status(self) -> Running:
        """Say what runs, or the next lie."""
        if self.lies is None:
            return self.runs
        lie = next(self.lies, "2.0")
        if isinstance(lie, ShipwayError):
            raise lie
        return read_status(lie, splits=self.splits)

    async def deploy(self, version: str, owner: str) -> None:
        """Release a version."""
        platform = self.platform()
        lease = await platform.acquire_lease(owner)
        await bring(platform, version, lease)
        await platform.release_lease(lease)

    async def roll_back(self, owner: str = "rollback", *, bad: str = "2.0", to: str = "") -> RollbackChoice:
        """Choose and act in the order of the flows."""
        platform = self.platform().rolling_back()
        lease = await platform.acquire_lease(owner, takeover=True)
        position = as_replaced(await platform.current(), to=to, bad=bad)
        choice = chosen(position, bad, to)
        if choice.kind == "redeploy" and position["canary"] == choice.version:
            await platform.abort(lease)  # the flow keeps that no rollback started it
            choice = chosen(await platform.current(), bad, to)
        if choice.kind == "abort":
            await platform.abort(lease)
        elif choice.kind == "redeploy":
            await bring(platform.rolling_back(), str(choice.version), lease)
        return choice

    async def on_demand(self, *, bad: str = "", to: str = "") -> RollbackChoice:
        """Decide before the takeover what is bad and whether it can be done, then choose and act."""
        position = as_replaced(await self.platform().rolling_back().current(), to=to, bad=bad)
        fault = "" if bad or to else fault_of_replaced(position, environment="production")
        bad = bad or version_to_leave({"production": position}, to=to or "previous") or position["baseline"] or ""
        choice = chosen(position, bad, to)
        if fault or choice.kind in {"nothing", "impossible"}:
            raise Refused(fault or choice.reason)
        return await self.roll_back("on demand", bad=bad, to=to)


def chosen(position: Position, bad: str = "2.0", to: str = "") -> RollbackChoice:
    """Choose as an automatic rollback from 2.0 does, or one on demand."""
    return choose_rollback(**{name: position[name] for name in ("baseline", "canary", "previous")}, bad=bad, to=to or "previous")  # type: ignore[literal-required]


async def once(what: Callable[..., Awaitable[Any]], *args: Any, **more: Any) -> Any:
    """Call it."""
    return await what(*args, **more)


async def bring(platform: ScriptPlatform, version: str, lease: Lease, *, by: Callable[..., Awaitable[Any]] = once) -> None:
    """Deploy, shift and promote, each read back as the flows do."""
    await by(prepare_revision.fn, platform, version=version, lease=lease, timeout_seconds=5, key="")
    await by(shift_traffic.fn, platform, version=version, percent=100, lease=lease, key="")
    await by(promote_revision.fn, platform, version=version, lease=lease, key="")


@contextmanager
def world() -> Iterator[World]:
    """Give a world in which no process is started."""

    async def well(*_: Any, **__: Any) -> str:
        return ""

    async def nothing(*_: Any, **__: Any) -> None:
        return None

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        found = World(Path(folder))
        patch.setattr(effects, "AGAIN_SECONDS", 0)
        patch.setattr(state.os, "fsync", lambda _: None)
        patch.setattr(Environment, "check_programs", nothing)
        patch.setattr(Observed, "ill", well)
        patch.setattr(Observed, "status", lambda *_, **__: found.status())
        patch.setattr(run, "begin", found.begin)
        patch.setattr(run, "ended", found.ended)
        patch.setattr(run, "follow", nothing)
        patch.setattr(run, "is_under_way", lambda *_: False)
        yield found
