"""The promises in a crash: an effect that ended in the middle is begun anew and finished, and a late copy of it changes nothing."""

from __future__ import annotations

import asyncio

import pytest

from blocks.errors import Superseded
from tests.platform_contract.effects import where
from tests.platform_contract.environment import ALL, ContractEnvironment


class CrashContract:
    """Callers that die between a read and a write, or act on after another took over."""

    async def test_a_preparation_that_was_cut_off_is_finished_by_the_next_process(self, environment: ContractEnvironment) -> None:
        """Cut off at several moments, each time begun anew under the next lease; in the end there is one canary, ready at 0 %."""
        for seconds in environment.abandon_seconds:
            lease = await environment.platform().acquire_lease("run-1")
            await environment.abandon(seconds, lambda lease=lease: environment.bring(lease, environment.second))
        lease = await environment.platform().acquire_lease("run-1")
        await environment.bring(lease, environment.second)
        assert where(await environment.platform().current()) == (environment.first, environment.second, 0)
        await environment.expect_answers(environment.first)

    async def test_a_shift_that_was_cut_off_is_finished_by_the_next_process(self, environment: ContractEnvironment) -> None:
        """The share is in the end what was asked for."""
        await environment.bring(await environment.platform().acquire_lease("run-1"), environment.second)
        for seconds in environment.abandon_seconds:
            lease = await environment.platform().acquire_lease("run-1")
            await environment.abandon(seconds, lambda lease=lease: environment.platform().shift(ALL, lease))
        lease = await environment.platform().acquire_lease("run-1")
        await environment.platform().shift(ALL, lease)
        assert where(await environment.platform().current()) == (environment.first, environment.second, ALL)
        await environment.expect_answers(environment.second)

    async def test_a_promotion_that_was_cut_off_is_finished_by_the_next_process(self, environment: ContractEnvironment) -> None:
        """One version serves alone, and what served before is remembered."""
        lease = await environment.platform().acquire_lease("run-1")
        await environment.bring(lease, environment.second, ALL)
        for seconds in environment.abandon_seconds:
            lease = await environment.platform().acquire_lease("run-1")
            await environment.abandon(seconds, lambda lease=lease: environment.platform().promote(lease))
        lease = await environment.platform().acquire_lease("run-1")
        await environment.platform().promote(lease)
        position = await environment.platform().current()
        assert (where(position), position["previous"]) == ((environment.second, None, 0), environment.first)
        assert position["ready"] == {environment.second: True}
        await environment.expect_answers(environment.second)

    async def test_an_abort_that_was_cut_off_is_finished_by_the_next_process(self, environment: ContractEnvironment) -> None:
        """The baseline serves alone."""
        lease = await environment.platform().acquire_lease("run-1")
        await environment.bring(lease, environment.second, environment.steps[0])
        for seconds in environment.abandon_seconds:
            lease = await environment.platform().acquire_lease("rollback", takeover=True)
            await environment.abandon(seconds, lambda lease=lease: environment.platform().abort(lease))
        lease = await environment.platform().acquire_lease("rollback", takeover=True)
        await environment.platform().abort(lease)
        position = await environment.platform().current()
        assert (where(position), position["ready"]) == ((environment.first, None, 0), {environment.first: True})
        await environment.expect_answers(environment.first)

    async def test_a_promotion_on_its_way_changes_nothing_once_another_took_over(self, environment: ContractEnvironment) -> None:
        """Either it was through before the takeover, or it is superseded; whichever it is, what the newer owner left stands."""
        old = await environment.platform().acquire_lease("run-1")
        await environment.bring(old, environment.second, ALL)
        late = asyncio.ensure_future(environment.platform().promote(old))
        await asyncio.wait({late}, timeout=environment.abandon_seconds[-1])
        newer = await environment.platform().acquire_lease("rollback", takeover=True)
        await environment.platform().abort(newer)
        left = await environment.platform().current()
        await asyncio.wait({late})
        if (error := late.exception()) is not None:
            assert isinstance(error, Superseded)
        else:
            assert left["baseline"] == environment.second
        assert await environment.platform().current() == left
        assert (left["baseline"] in {environment.first, environment.second}, left["canary"]) == (True, None)
        await environment.expect_answers(str(left["baseline"]))
        with pytest.raises(Superseded):
            await environment.platform().abort(old)
