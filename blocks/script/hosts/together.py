"""All hosts of an environment together: what they answer, and effects on many of them, in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from blocks.commands import Ended as Reading
from blocks.errors import Permanent, Refused, ShipwayError, Superseded, Temporary, WorldMoved
from blocks.outside_text import error_text
from blocks.platform import Lease, Position
from blocks.script.effects import Environment
from blocks.script.hosts.effects import OnHost
from blocks.script.hosts.left_out import is_left_now, left_out_of
from blocks.script.hosts.needed import expect_known
from blocks.script.hosts.outcome import error_of, may_go_on
from blocks.script.hosts.position import Answer, counted, needed, position_of_hosts, to_restore
from blocks.script.hosts.shares import Course, backward
from blocks.script.state import LeftOut, Notes, Run
from blocks.script.tries import as_replaced
from blocks.script.words import OWED, Act, Running

T = TypeVar("T")
AT_ONCE = 25  # of hosts that are only asked
NO_CANARY: dict[str, Any] = {"canary": None, "owed": []}
Outcomes = dict[str, ShipwayError | None]


class Looked(NamedTuple):
    """What was read of every host: where the environment stands, the answers that count, and whether a rollback holds it."""

    position: Position
    answers: list[Answer]
    is_rolled_back: bool


@dataclass(frozen=True)
class Together:
    """The hosts of an environment.

    Fields:
        shared: What is noted of all: the lease, and the versions.
        hosts: Each of them, in the list's order.
        at_once: The most that a script acts on at the same time.
        limit_seconds: After this time a script is ended.
    """

    shared: Environment
    hosts: Sequence[OnHost]
    at_once: int
    limit_seconds: float

    @property
    def names(self) -> tuple[str, ...]:
        """The hosts' names."""
        return tuple(one.host for one in self.hosts)

    async def answers(self, versions: Collection[str] = (), *, asks_all: bool = False) -> tuple[list[Answer], dict[str, Reading]]:
        """Ask every host what runs, or all whose answers count; gives the answers, and what `verify` said."""
        verified: dict[str, Reading] = {}

        async def ask(host: OnHost) -> Answer:
            touched, left_out = True, ""
            try:
                notes = await host.notes()
                touched, left_out = notes["touched"], left_out_of(notes)
                if is_left_now(notes) and not asks_all:
                    return Answer(host.host, None, "it is left out, and was not asked", touched, left_out=left_out)
                running, said = await host.status_and_verify(versions)
                if said is not None:
                    verified[host.host] = said
                return Answer(host.host, running, touched=touched, left_out=left_out)
            except ShipwayError as error:
                return Answer(host.host, None, error_text(error), touched, isinstance(error, Temporary), left_out)

        return await _each(self.hosts, ask, at_once=AT_ONCE), verified

    async def is_rolled_back(self) -> bool:
        """Say whether a rollback holds the lease now."""
        notes = await self.shared.notes()
        return notes["owner"] is not None and notes.get("rollback", False)

    async def refused(self) -> str:
        """Say which hosts refuse us, or fail to say what runs, "" if none does; what people left out says nothing of us."""
        answers, _ = await self.answers()
        return "; ".join(one.fault for one in answers if one.running is None and not one.may_pass and not one.left_out)

    async def well(self, answers: Sequence[Answer], position: Position, verified: Mapping[str, Reading]) -> set[tuple[str, str]]:
        """Ask every host whether what it runs is well, unless `verify` said it already; gives those that are, with the version."""

        async def ask(host: OnHost) -> str | None:
            running: Running | None = next(one.running for one in answers if one.host == host.host)
            version = running.serves if running is not None else None
            if version is None or version not in {position["baseline"], position["canary"]}:
                return None
            try:
                return None if await host.ill(version, first=verified.get(host.host)) else version
            except ShipwayError:
                return None

        found = await _each(self.hosts, ask, at_once=AT_ONCE)
        return {(host, version) for host, version in zip(self.names, found, strict=True) if version is not None}

    async def position(self, *, verifies: bool = False, asks_all: bool = False) -> tuple[Position, list[Answer]]:
        """Say where the environment stands, by what its hosts answer."""
        notes = await self.shared.notes()
        versions = [one for one in (notes["baseline"], notes["canary"]) if one is not None]
        answers, verified = await self.answers(versions if verifies else (), asks_all=asks_all)
        position = position_of_hosts(notes, answers, owner=notes["owner"], generation=notes["generation"])
        if verifies:
            well = await self.well(answers, position, verified)
            position = position_of_hosts(notes, answers, well, owner=notes["owner"], generation=notes["generation"])
        return position, answers

    async def look(self) -> Looked:
        """Say where the environment stands, with what is well there, and whose it is."""
        position, answers = await self.position(verifies=True)
        return Looked(position, counted(await self.shared.notes(), answers), await self.is_rolled_back())

    async def settle(self, lease: Lease) -> None:
        """Follow to its end what still runs on any host, or end it under a takeover; a host that does not answer is met later."""

        async def settle(host: OnHost) -> None:
            await host.settle(lease)

        hosts = await self._hosts_of((await self.shared.notes())["canary"])
        outcomes = await self._outcomes(lease, hosts, settle, at_once=AT_ONCE)
        for error in outcomes.values():
            if isinstance(error, Superseded | Refused):
                raise error

    async def _hosts_of(self, version: str | None) -> list[OnHost]:
        """Choose the hosts that a version is for: all but those that are left out of it."""
        return await self._chosen(lambda notes: version is None or left_out_of(notes) != version)

    async def serving(self) -> list[OnHost]:
        """Choose the hosts whose answers count."""
        return await self._chosen(lambda notes: not is_left_now(notes))

    async def _chosen(self, is_meant: Callable[[Notes], bool]) -> list[OnHost]:
        return await asyncio.to_thread(lambda: [host for host in self.hosts if is_meant(host.load())])

    async def leave_out(self, lease: Lease) -> None:
        """Note on each host that people left out of the canary that it is, so that every later attempt and reader knows it."""
        notes = await self.shared.expect(lease)
        for host in self.hosts:
            version = self.shared.again.left_out.get(host.host)
            if version is not None and version == notes["canary"]:
                await host.note(lease, left_out=LeftOut(version=version, owner=lease["owner"]))

    async def check(self, lease: Lease, version: str, *, needs_all: bool) -> None:
        """Expect that every host can run the scripts, or that one can, as for a rollback.

        Raises:
            ShipwayError: The first host's that cannot, in the list's order.
        """
        outcomes = await self._outcomes(lease, await self._hosts_of(version), OnHost.check_programs, at_once=AT_ONCE)
        errors = [error for error in outcomes.values() if error is not None]
        if errors and (needs_all or len(errors) == len(outcomes)):
            raise errors[0]

    async def prepare(self, lease: Lease, version: str) -> None:
        """Make a version the canary of all hosts; see the platform's `prepare`, which has checked it."""
        notes = await self.shared.expect(lease)
        await self.settle(lease)
        rolls_back = notes.get("rollback", False)
        await self.check(lease, version, needs_all=not rolls_back)
        position, answers = await self.position()
        if not rolls_back:
            expect_known(needed(answers), what=f"preparing {version}")
        if position["canary"] not in {None, version} or version == position["baseline"] or position["percent"]:
            await self.undo(lease)
            position = (await self.position())[0]
        if "trouble" in position and not rolls_back:
            raise WorldMoved(position["trouble"])
        position = as_replaced({**notes, "run": await self._run_for(lease, version)}, version, position, rolls_back=self.shared.rolls_back)
        if version != position["baseline"]:
            await self.note_canary(lease, version, position)

    async def _run_for(self, lease: Lease, version: str) -> Run | None:
        """Find a script that this owner ran for a version on any of the hosts."""
        runs = [(await host.notes())["run"] for host in self.hosts]
        return next((run for run in runs if run and (run["owner"], run["version"]) == (lease["owner"], version)), None)

    async def promote(self, lease: Lease, canary: str, before: str | None) -> None:
        """Note that the canary serves: hosts that are left out of it stay so, and those of an earlier version are not any more."""
        for host in await self._chosen(lambda notes: bool(notes.get("left_out")) and left_out_of(notes) != canary):
            await host.note(lease, left_out=None)
        await self.shared.note(lease, baseline=canary, previous=before, **NO_CANARY)

    async def undo(self, lease: Lease) -> None:
        """Have each host that a script touched return to the baseline, in reverse; errors as of `act`."""
        position, answers = await self.position()
        if (canary := position["canary"]) is None:
            return
        which = backward(self.names, to_restore(await self.shared.notes(), answers), at_once=self.at_once)
        await self.act(lease, which, canary, position["baseline"] or "", goes_on=True)
        await self.shared.note(lease, **NO_CANARY)

    async def note_canary(self, lease: Lease, version: str, position: Position) -> None:
        """Note a version as the canary of all hosts, on none of which a script acted for it; what a rollback owes, too."""
        notes = await self.shared.expect(lease)
        owed = [*OWED[:1]] if notes.get("rollback", False) else []
        if notes["canary"] == version and bool(notes.get("owed")) == bool(owed):
            return
        for host in self.hosts:
            await host.note(lease, **({} if notes["canary"] == version else {"touched": False}), promotes=False, owed=owed)
        await self.shared.note(lease, baseline=position["baseline"], previous=position["previous"], canary=version, owed=owed)

    async def act(self, lease: Lease, course: Course, canary: str, previous: str, *, goes_on: bool) -> None:
        """Bring a course about: it stops after the batch in which one failed, or goes on, as a rollback does.

        Raises:
            ShipwayError: It was not done on all of its hosts; says on which it was.
        """
        deploy, rollback = Act("deploy", canary, previous), Act("rollback", canary, previous)
        first = (course.there,) if course.there else ()
        await self._batches(lease, (*first, *course.deploys), deploy, is_forward=not goes_on)
        await self._batches(lease, course.returns, rollback, is_forward=False)

    async def _batches(self, lease: Lease, batches: Sequence[Sequence[str]], act: Act, *, is_forward: bool) -> None:
        outcomes: Outcomes = {}

        async def bring_about(host: OnHost) -> None:
            await host.bring_about(lease, act, limit_seconds=self.limit_seconds)
            if act.effect == "rollback":
                await host.note(lease, touched=False, left_out=None)
            elif (await host.notes()).get("left_out"):
                await host.note(lease, left_out=None)

        for batch in batches:
            chosen = [one for one in self.hosts if one.host in batch]
            outcomes |= await self._outcomes(lease, chosen, bring_about, at_once=self.at_once)
            if not may_go_on(outcomes, is_forward=is_forward):
                break
        every = [host for batch in batches for host in batch]
        if (error := error_of(outcomes, every, what=str(act), is_forward=is_forward, of=len(self.hosts))) is not None:
            raise error

    async def _outcomes(
        self, lease: Lease, hosts: Sequence[OnHost], what: Callable[[OnHost], Awaitable[None]], *, at_once: int
    ) -> Outcomes:
        async def tried(host: OnHost) -> ShipwayError | None:
            try:
                await what(host)
            except (Superseded, Refused) as error:
                return await self._by_lease(lease, error)
            except ShipwayError as error:
                return error
            return None

        found = await _each(hosts, tried, at_once=at_once)
        return {host.host: error for host, error in zip(hosts, found, strict=True)}

    async def _by_lease(self, lease: Lease, error: Superseded | Refused) -> ShipwayError:
        """Tell who may not act any more, which the lease on this machine says, from a host that says so of itself: that is its fault alone.

        Whoever has the account there can write any owner into its notes, and must not end a rollback of the other hosts by it.
        """
        try:
            notes = await self.shared.expect(lease)
        except ShipwayError as ended:
            return ended
        if isinstance(error, Superseded):
            fix = f"Remove ~/.shipway/hosts/{self.hosts[0].place} there if no script runs"
            return Permanent(f"{error}. But this lease is the newest: the notes here are older than the host, or others wrote there. {fix}")
        return Permanent(str(error)) if notes.get("rollback", False) else error


async def _each(hosts: Sequence[OnHost], what: Callable[[OnHost], Awaitable[T]], *, at_once: int) -> list[T]:
    """Ask hosts, so many at the same time; gives what each said, in their order. What one raises ends the others' asking."""
    room = asyncio.Semaphore(at_once)

    async def one(host: OnHost) -> T:
        async with room:
            return await what(host)

    async with asyncio.TaskGroup() as group:
        tasks: list[asyncio.Task[Any]] = [group.create_task(one(host)) for host in hosts]
    return [task.result() for task in tasks]
