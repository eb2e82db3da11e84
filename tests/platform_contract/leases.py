"""The promises of leases: one owner at a time, a generation that only rises, and no effect under any other lease than the newest."""

from __future__ import annotations

import asyncio

import pytest

from blocks.errors import Refused, Superseded
from blocks.platform import Lease
from tests.platform_contract.environment import ACTS, ContractEnvironment


class LeaseContract:
    """Fencing: of all who may act, the newest owner alone does."""

    async def test_a_lease_names_its_owner_and_a_generation_that_rises(self, environment: ContractEnvironment) -> None:
        """Another instance reads the owner and the generation; the same owner again gets the next one."""
        before = await environment.platform().current()
        lease = await environment.platform().acquire_lease("run-1")
        again = await environment.platform().acquire_lease("run-1")
        assert lease == Lease(owner="run-1", generation=before["generation"] + 1)
        assert again == Lease(owner="run-1", generation=before["generation"] + 2)
        position = await environment.platform().current()
        assert (before["owner"], position["owner"], position["generation"]) == (None, "run-1", again["generation"])

    async def test_another_owner_is_refused_by_name_unless_it_takes_over(self, environment: ContractEnvironment) -> None:
        """A refusal names the owner and changes nothing; a takeover fences that owner out."""
        held = await environment.platform().acquire_lease("run-1")
        before = await environment.platform().current()
        with pytest.raises(Refused, match="run-1"):
            await environment.platform().acquire_lease("run-2")
        assert await environment.platform().current() == before
        taken = await environment.platform().acquire_lease("rollback", takeover=True)
        assert taken["owner"] == "rollback"
        assert taken["generation"] > held["generation"]
        with pytest.raises(Superseded):
            await environment.platform().abort(held)
        await environment.platform().abort(taken)

    async def test_of_many_at_once_exactly_one_becomes_the_owner(self, environment: ContractEnvironment) -> None:
        """The others are refused, and hold nothing."""
        found = await asyncio.gather(
            *(environment.platform().acquire_lease(f"run-{number}") for number in range(4)), return_exceptions=True
        )
        leases = [one for one in found if isinstance(one, dict)]
        assert [type(one) for one in found if not isinstance(one, dict)] == [Refused] * 3
        position = await environment.platform().current()
        assert [Lease(owner=str(position["owner"]), generation=position["generation"])] == leases

    async def test_an_older_lease_moves_nothing(self, environment: ContractEnvironment) -> None:
        """A copy of the same run that wakes up late is superseded at its first effect, whichever that is."""
        old = await environment.platform().acquire_lease("run-1")
        await environment.bring(old, environment.second, environment.steps[0])
        await environment.platform().acquire_lease("run-1")
        before = await environment.platform().current()
        for name, act in ACTS.items():
            with pytest.raises(Superseded):
                await act(environment, environment.platform(), old)
            assert await environment.platform().current() == before, name

    async def test_without_the_lease_nothing_moves(self, environment: ContractEnvironment) -> None:
        """A made-up owner, a generation that was never given out, and a lease that was released are refused."""
        lease = await environment.platform().acquire_lease("run-1")
        await environment.bring(lease, environment.second)
        before = await environment.platform().current()
        stranger = Lease(owner="stranger", generation=lease["generation"])
        future = Lease(owner="run-1", generation=lease["generation"] + 1)
        for name, act in ACTS.items():
            for false in (stranger, future):
                with pytest.raises(Refused):
                    await act(environment, environment.platform(), false)
                assert await environment.platform().current() == before, name
        await environment.platform().release_lease(lease)
        for act in ACTS.values():
            with pytest.raises(Refused):
                await act(environment, environment.platform(), lease)
        assert await environment.platform().current() == {**before, "owner": None}

    async def test_a_lease_is_released_by_its_owner_alone_and_as_often_as_wanted(self, environment: ContractEnvironment) -> None:
        """Stale and foreign leases release nothing; twice is once; afterwards anybody may own it, under a newer generation."""
        old = await environment.platform().acquire_lease("run-1")
        lease = await environment.platform().acquire_lease("run-1")
        for false in (old, Lease(owner="stranger", generation=lease["generation"])):
            await environment.platform().release_lease(false)
            assert (await environment.platform().current())["owner"] == "run-1"
        for _ in range(2):
            await environment.platform().release_lease(lease)
            position = await environment.platform().current()
            assert (position["owner"], position["generation"]) == (None, lease["generation"])
        newer = await environment.platform().acquire_lease("run-2")
        assert newer["generation"] > lease["generation"]
        await environment.platform().release_lease(lease)
        assert (await environment.platform().current())["owner"] == "run-2"
