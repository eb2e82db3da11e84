"""The local platform: real processes on loopback behind a weighted HTTP router, run by a detached agent that outlives every release."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Self

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr

from blocks import processes
from blocks.block_copy import copied
from blocks.errors import BadInput, RolloutFailed, Superseded, Temporary
from blocks.hidden_values import hide_values
from blocks.local import logs
from blocks.local.client import LocalClient
from blocks.local.state.file import Specification
from blocks.local.state.view import RunView, View, in_words
from blocks.outside_text import last_lines
from blocks.own_place import expect_own_place, home
from blocks.platform import Counts, Endpoints, Lease, LogLine, Position

VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,127}")
EVIDENCE_LINES = 20
REST_SECONDS = 20.0
ALL_PERCENT = 100
NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"


class LocalPlatform(Block):
    """Runs a service's versions as processes on this machine, behind a router that splits traffic and counts it."""

    _block_type_name = "Local platform"
    _block_type_slug = "local"
    _description = "Runs a service's versions as processes on this machine, behind a weighted HTTP router."
    model_config = ConfigDict(json_schema_extra=hide_values)

    service: Annotated[str, Field(pattern=NAME)] = Field(default="service", description="The service's name.")
    command: list[str] = Field(
        default_factory=list,
        max_length=100,
        description="Program and arguments; `{port}`, `{version}` and `{folder}` (its data folder) are filled in. No shell reads them.",
    )
    port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        default=0, description="Public port on 127.0.0.1; 0 lets the system choose once, and the choice is kept."
    )
    folder: str = Field(default="", description="Where the environment lives; empty means a folder of the block's name in Shipway's home.")
    working_directory: str = Field(default="", description="Where the processes start; empty means the data folder.")
    environment: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Environment variables of the processes, beside some of the system's (PATH, HOME …), SHIPWAY_VERSION, SHIPWAY_PORT. "
        "All values are secrets: the API shows none, and no text of a release does.",
    )
    ready_path: Annotated[str, Field(pattern=r"^/")] = Field(
        default="/readyz", description="A path that answers with a status from 200 to 299 once a process can serve."
    )
    drain_seconds: Annotated[float, Field(ge=0, le=3_600)] = Field(
        default=10, description="Longest wait for requests in flight before a process gets SIGTERM."
    )
    stop_seconds: Annotated[float, Field(ge=0, le=600)] = Field(default=5, description="Longest wait between SIGTERM and SIGKILL.")
    answer_timeout_seconds: Annotated[float, Field(gt=0, le=3_600)] = Field(
        default=60,
        description="A request without a sign of an answer for this long has failed (status 504). Keep it shorter than the steps: a watch "
        "does not know of it before, unless its caller gives up.",
    )
    _is_rolling_back: bool = PrivateAttr(default=False)
    _place: tuple[str, Path] | None = PrivateAttr(default=None)

    async def current(self) -> Position:
        """Read what runs now; an environment that was stopped is read without being started."""
        seen, ready = await asyncio.gather(self._client().view(), self._client().read("/ready"))
        versions = [version for version in (seen["baseline"], seen["canary"]) if version is not None]
        return Position(
            baseline=seen["baseline"],
            canary=seen["canary"],
            percent=seen["percent"],
            ready={version: bool(ready.get(version)) for version in versions},
            previous=seen["previous"],
            owner=seen["owner"],
            generation=seen["generation"],
        )

    async def acquire_lease(self, owner: str, *, takeover: bool = False) -> Lease:
        """Become the owner under the next generation; starts the environment if it does not run.

        Args:
            owner: Id of the flow run that will act.
            takeover: Take it from another owner.

        Raises:
            Refused: Another owner holds it and `takeover` is not set.
            BadInput: Folder or port cannot be used.
        """
        seen = await self._client().order("acquire_lease", owner=owner, takeover=takeover)
        return Lease(owner=owner, generation=seen["generation"])

    async def release_lease(self, lease: Lease) -> None:
        """Give the environment up; a no-op if this lease no longer owns it."""
        await self._client().order("release_lease", lease=lease)

    async def prepare(self, version: str, lease: Lease, *, timeout_seconds: float) -> None:
        """Bring `version` up as the canary at 0 %, and return once it is ready.

        Where `version` is the baseline already, no canary is made, and one that is there goes; callers see it in `current`.

        Args:
            version: What to run.
            lease: The caller's lease.
            timeout_seconds: The version must be ready by then.

        Raises:
            RolloutFailed: It exits three times before it is ready, cannot be started, or is not ready in time. The canary is removed then.
            BadInput: The version or the command cannot be used.
        """
        if not VERSION.fullmatch(version):
            fix = "Use up to 128 letters, digits, dots, dashes, underscores and plus signs, beginning with a letter or digit"
            raise BadInput(f"{version[:40]!r} is not a version", field="version", fix=fix)
        client = self._client()
        by_baseline = self._is_rolling_back and (await client.view())["baseline"] is not None
        specification = None if by_baseline else await asyncio.to_thread(self._specification)
        seen = await client.order("prepare", lease=lease, version=version, specification=specification)
        run = _role(seen, "canary")
        if run is None:
            return
        seen = await client.wait_until(lambda now: _settled(now, run["id"]), timeout_seconds=timeout_seconds)
        after = next((other for other in seen["runs"] if other["id"] == run["id"] and other["role"] != "leaving"), None)
        if after is None:
            raise Superseded(f"{version} was removed from {self.service} while it came up: another owner acts here. Stop")
        if not after["accepting"]:
            raise await self._failure(after, lease, timeout_seconds)

    def rolling_back(self) -> Self:
        """Return this platform for a rollback: what it starts is run by the settings of the version that serves, not by the block's."""
        found = copied(self)
        found._is_rolling_back = True  # noqa: SLF001 - of a copy of its own
        return found

    async def shift(self, percent: int, lease: Lease) -> None:
        """Send `percent` of new requests to the canary, in force at return.

        Args:
            percent: 0 to 100.
            lease: The caller's lease.

        Raises:
            WorldMoved: There is no canary.
            Temporary: More is asked for than now, and the canary is not there to take it.
        """
        if not 0 <= percent <= ALL_PERCENT:
            raise BadInput(f"{percent} % is not a share", field="percent", fix="Give 0 to 100")
        await self._client().order("shift", lease=lease, percent=percent)

    async def promote(self, lease: Lease) -> None:
        """Make the canary the baseline; drain and stop the one before. A no-op if that is done already."""
        await self._settle(await self._client().order("promote", lease=lease))

    async def abort(self, lease: Lease, *, waits: bool = True) -> None:  # noqa: ARG002 - the agent asks no baseline
        """Send everything to the baseline; drain and remove the canary. A no-op if there is none."""
        await self._settle(await self._client().order("abort", lease=lease))

    async def endpoints(self) -> Endpoints:
        """Say where the service and each of its revisions are reached."""
        seen = await self._client().view()
        found = Endpoints(public=_url(seen["port"]))
        if (baseline := _role(seen, "baseline")) and baseline["port"]:
            found["baseline"] = _url(baseline["port"])
        if (canary := _role(seen, "canary")) and canary["port"]:
            found["canary"] = _url(canary["port"])
        return found

    async def counts(self) -> dict[str, Counts]:
        """Read the router's counts by version; they start from zero with each start of the agent.

        A latency ends with the answer's headers or, for answers up to 64 KiB, with their last byte.
        """
        counts: dict[str, Counts] = await self._client().read("/counts")
        return counts

    async def labels(self) -> dict[str, dict[str, str]]:
        """Say the number of each version's revision; of two revisions of one version the newer one's."""
        seen = await self._client().view()
        return {run["version"]: {"revision": run["id"]} for run in sorted(seen["runs"], key=lambda run: int(run["id"]))}

    async def progress(self) -> list[str]:
        """Say in a few lines for an operator what the platform is doing."""
        return in_words(await self._client().view())

    async def logs(self, since: float, take: Callable[[LogLine], bool | None]) -> dict[str, str]:
        """Hand over the revisions' own log lines since a moment, also of the last few that are gone; returns which lines are lost.

        A line's `at` is late by up to a second, never early.
        """
        return await asyncio.to_thread(logs.read, self._folder(), since, take)

    async def stop(self) -> None:
        """Drain and end the agent and all processes; the folder stays, and the next order starts the same versions again."""
        await self._client().stop()

    async def identity(self) -> str:
        """Return the machine and the folder in which the environment lives, links followed.

        Raises:
            BadInput: Others could put another folder in its place.
        """
        if self.folder and not self._is_rolling_back:
            await asyncio.to_thread(expect_own_place, self._folder())
        return f"local {processes.machine_id()} {self._folder()}"

    def _folder(self) -> Path:
        """Return the folder with links followed, once: what is compared with other environments is what is acted on."""
        named = self.folder or str(home() / "local" / (self._block_document_name or self.service))
        if self._place is None or self._place[0] != named:
            self._place = (named, Path(os.path.realpath(Path(named).expanduser())))
        return self._place[1]

    def _client(self) -> LocalClient:
        return LocalClient(self._folder(), service=self.service, port=self.port)

    def _specification(self) -> Specification:
        """Check and collect all that a process needs."""
        environment = processes.passed_on() | {name: secret.get_secret_value() for name, secret in self.environment.items()}
        directory = str(Path(self.working_directory).expanduser().absolute()) if self.working_directory else ""
        if directory and not Path(directory).is_dir():
            raise BadInput(f"{directory} is not a folder", field="working_directory", fix="Name a folder that exists")
        return Specification(
            command=[self._program(environment.get("PATH", ""), directory), *self.command[1:]],
            working_directory=directory,
            environment=environment,
            ready_path=self.ready_path,
            drain_seconds=self.drain_seconds,
            stop_seconds=self.stop_seconds,
            answer_timeout_seconds=self.answer_timeout_seconds,
        )

    def _program(self, search_path: str, directory: str) -> str:
        """Find the program as an absolute path, so that it means the same to the agent."""
        if not self.command:
            raise BadInput("there is no command", field="command", fix="Give the program and its arguments as a list")
        name = self.command[0]
        if "{" in name:
            return name
        found = shutil.which(str(Path(directory or ".") / name) if "/" in name else name, path=search_path)
        if found is None:
            fix = "Install it, or give its full path"
            raise BadInput(f"the program {name} is not found, or may not be run", field="command[0]", fix=fix)
        return str(Path(found).absolute())

    async def _settle(self, seen: View) -> None:
        """Wait until the revisions that left by this order are drained and gone."""
        leaving = {run["id"] for run in seen["runs"] if run["role"] == "leaving"}
        if leaving:
            patience = self.drain_seconds + self.stop_seconds + REST_SECONDS
            seen = await self._client().wait_until(lambda now: not leaving & {run["id"] for run in now["runs"]}, timeout_seconds=patience)
            if leaving & {run["id"] for run in seen["runs"]}:
                raise Temporary(f"a revision of {self.service} is not gone after {patience:g} s, though traffic has left it; ask again")

    async def _failure(self, run: RunView, lease: Lease, timeout_seconds: float) -> RolloutFailed:
        """Collect why a version did not come up, and remove it."""
        evidence: list[str] = [f"process: {run['last_exit']}"] if run["last_exit"] else []
        tail = await asyncio.to_thread(logs.tail, self._folder(), run["id"], run["version"], lines=EVIDENCE_LINES)
        path = logs.log_path(self._folder(), run["id"], run["version"])
        await self.abort(lease)
        reason = run["failed"] or (
            f"not ready within {timeout_seconds:g} s: {self.ready_path} did not answer with a status from 200 to 299"
            + (f", and it exited {run['exits']} time(s)" if run["exits"] else "")
            + (f"; {run['stranger']}" if run["stranger"] else "")
        )
        message = f"{run['version']} of {self.service} does not come up: {reason}{last_lines(tail)}. Its log: {path}"
        fix = "Fix the version or its command, then release again"
        return RolloutFailed(f"{message}. {fix}", evidence=(*evidence, f"log: {path}", *tail))


def _role(seen: View, role: str) -> RunView | None:
    return next((run for run in seen["runs"] if run["role"] == role), None)


def _settled(seen: View, revision_id: str) -> bool:
    run: Any = next((run for run in seen["runs"] if run["id"] == revision_id), None)
    return run is None or run["role"] == "leaving" or run["accepting"] or run["failed"] is not None


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"
