"""The platform of scripts on hosts: an environment of several hosts, reached by SSH, each of which runs one version at a time."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, model_validator

from blocks import processes
from blocks.errors import BadInput, WorldMoved
from blocks.hidden_values import hide_values
from blocks.own_place import expect_own_place, home
from blocks.platform import Counts, Endpoints, Lease, LogLine, Position, Preview
from blocks.script.block import ScriptBlock
from blocks.script.counts import read_counts
from blocks.script.effects import Environment
from blocks.script.hosts.counts import summed
from blocks.script.hosts.effects import OnHost
from blocks.script.hosts.joined import Joined
from blocks.script.hosts.needed import expect_answers, expect_known
from blocks.script.hosts.places import environment_id, make_places
from blocks.script.hosts.pool import Connect, Key
from blocks.script.hosts.position import (
    addresses,
    changes,
    counted,
    having,
    left_before,
    left_in_words,
    left_now,
    needed,
    of_others,
    trouble_of_others,
)
from blocks.script.hosts.reach import CONNECTING, Reach
from blocks.script.hosts.settings import HostText, expect_meant
from blocks.script.hosts.shares import course, number_of
from blocks.script.hosts.ssh import Access, connected
from blocks.script.hosts.together import Looked, Together
from blocks.script.programs import plain
from blocks.script.settings import ENVIRONMENT, FOLDER, READING_TIMEOUT, ROTATES, SCRIPTS, TIMEOUT, Scripts
from blocks.script.words import ALL_PERCENT, check_version, previous_after, progress_lines


class ScriptHosts(ScriptBlock):
    """Deploys by the service's own scripts on hosts, reached by SSH; what runs is what their `status` prints."""

    _block_type_name = "Script hosts"
    _block_type_slug = "script-hosts"
    _description = "Deploys a service by its own deployment scripts on several hosts, reached by SSH."
    model_config = ConfigDict(json_schema_extra=hide_values)

    address: Annotated[str, Field(pattern="^https?://")] = Field(description="Where users reach the service.")
    host_address: str = Field(default="", description="Where it is reached on one host, with `{host}` in it, as `http://{host}:8080`.")
    hosts: list[HostText] = Field(min_length=1, max_length=500, description="Each as `[USER@]HOST[:PORT]`, in the order of a release.")
    at_once: Annotated[int, Field(ge=1, le=100)] = Field(default=1, description="On how many hosts a script acts at the same time.")
    user: str = Field(default="", description="Who logs in where a host names no user.")
    key: SecretStr = Field(description="The private key, as ssh-keygen writes it, without a passphrase.")
    known_hosts: list[str] = Field(min_length=1, max_length=2_000, description="The hosts' public keys, in lines as of known_hosts(5).")
    jump_hosts: list[HostText] = Field(default_factory=list, max_length=5, description="The hosts that lead there, in order.")
    python: str = Field(default="python3", description="Python on the hosts, 3.9 or newer.")
    scripts: Scripts = Field(description=SCRIPTS)
    working_directory: str = Field(default=".", description="Where the scripts run; below the account's home, or absolute.")
    environment: dict[str, SecretStr] = Field(default_factory=dict, description=ENVIRONMENT)
    rotates: list[str] = Field(default_factory=list, description=ROTATES)
    folder: str = Field(default="", description=FOLDER)
    timeout_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(default=600, description=TIMEOUT)
    reading_timeout_seconds: Annotated[float, Field(gt=0, le=3_600)] = Field(default=30, description=READING_TIMEOUT)
    stop_seconds: Annotated[float, Field(ge=0, le=600)] = Field(default=5, description="Longest wait between SIGTERM and SIGKILL.")
    _connect: Connect | None = PrivateAttr(default=None)
    _joined: Joined[Looked] | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        """Refuse what cannot be meant."""
        expect_meant(self.hosts, self.jump_hosts, user=self.user, scripts=self.scripts)
        return self

    @property
    def strategy(self) -> str:
        """Name the strategy as for Kubernetes: the shares are hosts, each of which runs one version."""
        return "rolling"

    async def current(self) -> Position:
        """Read what runs now: the canary's share is the hosts that run it; a host of which nothing is known is in `trouble`, by name.

        Raises:
            Unreachable: A host does not answer, which may pass, and it is not a rollback that asks.
        """
        found = await self._look()
        if not self._rolls_back and not found.is_rolled_back:
            expect_answers(needed(found.answers))
        return found.position

    async def acquire_lease(self, owner: str, *, takeover: bool = False) -> Lease:
        """Become the owner under the next generation; hosts refuse older ones from the first order on. Hosts that are left out are noted.

        Raises:
            Refused: Another owner holds it and `takeover` is not set.
            BadInput: The folder cannot be used.
        """
        shared = self._shared()
        lease = await shared.own(owner, takeover=takeover)
        await asyncio.to_thread(make_places, shared, self.hosts)
        if self._again.left_out and not takeover:
            async with self._together() as together:
                await together.leave_out(lease)
        return lease

    async def release_lease(self, lease: Lease) -> None:
        """Give the environment up; a no-op if this lease no longer owns it."""
        await self._shared().disown(lease)

    async def prepare(self, version: str, lease: Lease, *, timeout_seconds: float) -> None:  # noqa: ARG002 - nothing is started yet
        """Make `version` the canary of all hosts, on none of which it runs yet, once each of them can run the scripts.

        A rollback is not kept by hosts that do not answer from restoring the others; `shift` then fails by their names.

        Raises:
            BadInput: The version or a script cannot be used.
            WorldMoved: A host runs another version than was noted.
            Unreachable: A host does not answer.
        """
        check_version(version)
        async with self._together() as together:
            await together.prepare(lease, version)

    async def shift(self, percent: int, lease: Lease) -> None:
        """Have `percent` of the hosts run the canary: the next ones of the list deploy it, or the last ones return to the baseline.

        Raises:
            BadInput: It is not a share, or no number of hosts makes it.
            WorldMoved: There is no canary, or a host runs something else.
            RolloutFailed: A script failed, or did not do it; says on which hosts it was done.
            Unreachable: A host does not answer.
        """
        number = number_of(percent, len(self.hosts))
        async with self._together() as together:
            notes = await together.shared.expect(lease)
            await together.settle(lease)
            position, answers = await together.position()
            if (canary := position["canary"]) is None:
                if percent:
                    raise WorldMoved(f"{self.service} has no canary to send {percent} % to. Prepare a version first")
                return
            rolls_back, left = notes.get("rollback", False), left_now(notes, answers)
            if percent and not rolls_back:
                expect_known(of_others(counted(notes, answers)), what=f"a share of {percent} %")
                if trouble := trouble_of_others(notes, counted(notes, answers)):
                    raise WorldMoved(trouble)
            which = course(together.names, having(notes, answers), number, at_once=self.at_once, left_out=left)
            await together.act(lease, which, canary, position["baseline"] or "", goes_on=rolls_back)

    async def promote(self, lease: Lease) -> None:
        """Make the canary the baseline, once every host that is not left out runs it. A no-op if there is none.

        Raises:
            WorldMoved: Not every host runs it.
            Unreachable: Of some host that is not known.
        """
        async with self._together() as together:
            notes = await together.shared.expect(lease)
            await together.settle(lease)
            position, answers = await together.position()
            if (canary := position["canary"]) is None:
                return
            expect_known(counted(notes, answers), what=f"promoting {canary}")
            if position["percent"] != ALL_PERCENT:
                raise WorldMoved(
                    f"the canary {canary} of {self.service} runs on {position['percent']} % of the hosts: it cannot be promoted yet"
                )
            await together.promote(lease, canary, previous_after(await together.shared.notes(), canary))

    async def abort(self, lease: Lease, *, waits: bool = True) -> None:  # noqa: ARG002 - each host's script says itself if it did it
        """Have each host that a script touched return to the baseline, in reverse. A no-op if there is no canary.

        Raises:
            RolloutFailed: It was not done on all of them; says on which it was.
            Unreachable: One of them does not answer: what it runs is not known.
        """
        async with self._together() as together:
            await together.shared.expect(lease)
            await together.settle(lease)
            await together.undo(lease)

    async def endpoints(self) -> Endpoints:
        """Say where the service is reached, and each version on the first host that runs it, if hosts have an address."""
        found = await self._look()
        return addresses(found.position, found.answers, public=self.address, of_host=self.host_address)

    async def preview(self, version: str) -> Preview:
        """Say which hosts would run another version than they do; a host that shows another key, or runs what was not noted, refuses it.

        Raises:
            BadInput: The version cannot be used.
            WorldMoved: A release would not begin, and why.
            Unreachable: A host does not answer.
        """
        check_version(version)
        async with self._together() as together:
            position, answers = await together.position(asks_all=True)
            expect_answers(needed(counted(await together.shared.notes(), answers)))
        if "trouble" in position:
            raise WorldMoved(position["trouble"])
        found = Preview(changes=changes(answers, version), drift=[])
        return Preview(**found, notes=left) if (left := left_before(answers, version)) else found

    def expect_share(self, percent: int) -> None:
        """Expect that a number of these hosts makes a share; see `blocks.shares`."""
        number_of(percent, len(self.hosts))

    async def counts(self) -> dict[str, Counts]:
        """Read the counts that `counts` prints on every host, summed; Temporary if one does not say them, empty if there is no script."""
        if not self.scripts.counts:
            return {}
        async with self._together() as together:
            serves = await together.serving()
            found = {host.host: await host.read("counts", {}) for host in serves}
        if any(one.cut for one in found.values()):
            raise BadInput("it prints more than 500 kB", field="scripts.counts", fix="Print the samples that docs/scripts.md names")
        return summed({host: read_counts(one.output.decode(errors="replace")) for host, one in found.items()})

    async def progress(self) -> list[str]:
        """Say in a few lines for an operator what runs on which hosts."""
        async with self._together() as together:
            position, answers = await together.position(asks_all=True)
            on = having(await together.shared.notes(), answers)
        runs = [f"{position['canary']} runs on {', '.join(on)}"] if on else []
        return [*progress_lines(self.service, position), *runs, *left_in_words(answers)]

    async def logs(self, since: float, take: Callable[[LogLine], bool | None]) -> dict[str, str]:  # noqa: ARG002 - as the protocol has it
        """Say that none can be read."""
        return {"": "scripts tell nothing of the service's own log"}

    async def refused(self) -> str:
        """Say which hosts refuse the block's key, or fail to say what runs, "" if none does; one that does not answer says neither."""
        async with self._together(anew=True) as together:
            return await together.refused()

    async def identity(self) -> str:
        """Return the machine and the folder in which the environment is noted."""
        if self.folder:
            await asyncio.to_thread(expect_own_place, self._folder())
        return f"script-hosts {processes.machine_id()} {self._folder()}"

    async def _look(self) -> Looked:
        """Ask every host, once for all who want to know at this moment; the position is the caller's own."""
        if self._joined is None or self._joined.owner is not self:
            self._joined = Joined(self, self._ask)
        found = await self._joined.get()
        return found._replace(position=deepcopy(found.position))

    async def _ask(self) -> Looked:
        async with self._together() as together:
            return await together.look()

    def _folder(self) -> Path:
        return Path(self.folder or home() / "script-hosts" / self._place()).expanduser().resolve()

    def _place(self) -> str:
        return self._block_document_name or self.service

    def _settings(self) -> dict[str, Any]:
        fields = ("service", "working_directory", "timeout_seconds", "reading_timeout_seconds", "stop_seconds")
        found: dict[str, Any] = {name: getattr(self, name) for name in fields}
        found |= {"rolls_back": self._rolls_back, "again": self._again, **self._kept.settings(), "user": ""}
        return {**found, "commands": self.scripts.given(), "variables": plain(self.environment)}

    def _shared(self) -> Environment:
        return Environment(folder=self._folder(), **self._settings())

    def _block_digest(self) -> str:
        """Name this block with all that it holds: only calls of the same one share connections, so a rotated key makes new ones."""
        secrets = {"key": self.key.get_secret_value(), "environment": plain(self.environment), "place": self._place()}
        return hashlib.sha256(json.dumps({**self.model_dump(mode="json"), **secrets}, default=str).encode()).hexdigest()

    @asynccontextmanager
    async def _together(self, *, anew: bool = False) -> AsyncIterator[Together]:
        """Give all hosts, each connected once it is asked something, by a connection that is kept unless it must be made anew."""
        key, settings, folder = self.key.get_secret_value(), self._settings(), self._folder()
        access = Access("\n".join(self.known_hosts), key, self.user, self.jump_hosts)
        connect, block = self._connect or (lambda host: connected(host, access)), "" if anew else self._block_digest()
        async with AsyncExitStack() as stack:
            hosts: list[OnHost] = []
            known: dict[str, Any] = {"together": folder, "environment": environment_id(folder), "place": self._place()}
            gate = asyncio.Semaphore(CONNECTING)
            for name in self.hosts:
                reach = await stack.enter_async_context(Reach(name, connect, gate, Key(block, name) if block else None))
                hosts.append(OnHost(folder=folder / "hosts" / name, host=name, connection=reach, python=self.python, **known, **settings))
            yield Together(Environment(folder=folder, **settings), hosts, self.at_once, self.timeout_seconds)
