"""The promises of effects: prepared, shifted, promoted or aborted; in force at return; the same if asked for again; refused unmoved."""

from __future__ import annotations

import pytest

from blocks.errors import BadInput, RolloutFailed, WorldMoved
from blocks.platform import Position
from tests.platform_contract.environment import ALL, ContractEnvironment


def where(position: Position) -> tuple[str | None, str | None, int]:
    """Give baseline, canary and share."""
    return position["baseline"], position["canary"], position["percent"]


class EffectContract:
    """What each effect leaves."""

    async def test_a_release_goes_through_and_each_share_is_in_force_at_return(self, environment: ContractEnvironment) -> None:
        """At 0 % the baseline answers alone, between both do, at 100 % the canary alone; the promotion remembers what served."""
        lease = await environment.platform().acquire_lease("run-1")
        await environment.bring(lease, environment.second)
        position = await environment.platform().current()
        assert where(position) == (environment.first, environment.second, 0)
        assert position["ready"] == {environment.first: True, environment.second: not environment.in_place}
        await environment.expect_answers(environment.first)
        for share in environment.steps:
            await environment.platform().shift(share, lease)
            assert where(await environment.platform().current()) == (environment.first, environment.second, share)
            if share == ALL:
                await environment.expect_answers(environment.second)
            else:
                await environment.expect_answers(environment.first, environment.second, number=40)
        await environment.platform().promote(lease)
        position = await environment.platform().current()
        assert (where(position), position["previous"]) == ((environment.second, None, 0), environment.first)
        assert position["ready"] == {environment.second: True}
        await environment.expect_answers(environment.second)

    async def test_each_effect_given_again_by_a_new_instance_changes_nothing(self, environment: ContractEnvironment) -> None:
        """A process that died after an effect and before its note repeats it, under a newer lease of the same owner."""
        lease = await environment.platform().acquire_lease("run-1")
        for share in (0, *environment.steps):
            for _ in range(2):
                if share:
                    await environment.platform().shift(share, lease)
                else:
                    await environment.bring(lease, environment.second)
                assert where(await environment.platform().current()) == (environment.first, environment.second, share)
                lease = await environment.platform().acquire_lease("run-1")
        for _ in range(2):
            await environment.platform().promote(lease)
            position = await environment.platform().current()
            assert (where(position), position["previous"]) == ((environment.second, None, 0), environment.first)
            lease = await environment.platform().acquire_lease("run-1")

    async def test_an_abort_gives_everything_back_to_the_baseline(self, environment: ContractEnvironment) -> None:
        """From the first share and from full traffic; again, and with no canary at all, it is a no-op."""
        lease = await environment.platform().acquire_lease("run-1")
        before = await environment.platform().current()
        await environment.platform().abort(lease)
        assert await environment.platform().current() == before
        for share in {environment.steps[0], ALL}:
            await environment.bring(lease, environment.second, share)
            for _ in range(2):
                await environment.platform().abort(lease)
                assert await environment.platform().current() == before
            await environment.expect_answers(environment.first)

    async def test_a_share_goes_down_again_to_nothing(self, environment: ContractEnvironment) -> None:
        """Stopping the requests to a canary is a shift like any other; the canary stays."""
        lease = await environment.platform().acquire_lease("run-1")
        await environment.bring(lease, environment.second, environment.steps[0], 0)
        assert where(await environment.platform().current()) == (environment.first, environment.second, 0)
        await environment.expect_answers(environment.first)

    async def test_a_version_prepared_again_is_back_at_nothing(self, environment: ContractEnvironment) -> None:
        """What an earlier release left with a share begins anew without one."""
        lease = await environment.platform().acquire_lease("run-1")
        await environment.bring(lease, environment.second, environment.steps[0])
        await environment.bring(lease, environment.second)
        assert where(await environment.platform().current()) == (environment.first, environment.second, 0)
        await environment.expect_answers(environment.first)

    async def test_a_rollback_that_takes_over_before_the_promotion_goes_on_with_the_version_that_has_all_requests(
        self, environment: ContractEnvironment
    ) -> None:
        """Two rollbacks to the same version: the second one shifts and promotes what the first one started, and nothing is given back."""
        first = await environment.platform().acquire_lease("rollback-1", takeover=True)
        await environment.bring(first, environment.second, ALL)
        second = await environment.platform().acquire_lease("rollback-2", takeover=True)
        assert where(await environment.platform().current()) == (environment.first, environment.second, ALL)
        await environment.platform().shift(ALL, second)
        await environment.expect_answers(environment.second)
        await environment.platform().promote(second)
        assert where(await environment.platform().current()) == (environment.second, None, 0)
        await environment.expect_answers(environment.second)

    @pytest.mark.parametrize("percent", [0, ALL])
    async def test_whatever_the_baseline_is_a_rollback_puts_another_version_in_the_place_of_any_canary(
        self, environment: ContractEnvironment, percent: int
    ) -> None:
        """An abort that waits for nothing makes way for it: that the baseline is never well is why one rolls back to an older one."""
        lease = await environment.platform().acquire_lease("run-1")
        await environment.bring(lease, environment.second, *([percent] if percent else []))
        if not await environment.make_ill(environment.first):
            pytest.skip("no version of this environment can be made ill")
        lease = await environment.platform().acquire_lease("rollback", takeover=True)
        for _ in range(2):
            await environment.platform().abort(lease, waits=False)
            assert (await environment.platform().current())["canary"] is None
        await environment.bring(lease, environment.third, ALL)
        await environment.platform().promote(lease)
        assert where(await environment.platform().current()) == (environment.third, None, 0)
        await environment.expect_answers(environment.third)

    async def test_another_version_replaces_the_canary_and_the_baseline_removes_it(self, environment: ContractEnvironment) -> None:
        """There is one canary at most; the version that serves needs none."""
        lease = await environment.platform().acquire_lease("run-1")
        await environment.bring(lease, environment.second, environment.steps[0])
        await environment.bring(lease, environment.third)
        assert where(await environment.platform().current()) == (environment.first, environment.third, 0)
        await environment.bring(lease, environment.first)
        position = await environment.platform().current()
        assert (where(position), position["ready"]) == ((environment.first, None, 0), {environment.first: True})
        await environment.expect_answers(environment.first)

    async def test_what_a_rollback_takes_away_is_never_previous_until_a_release_replaces_it(self, environment: ContractEnvironment) -> None:
        """A rollback after a promotion promotes the earlier version under a takeover: a second one must not find the bad one behind it."""
        first, second, third = environment.first, environment.second, environment.third
        turns = (
            ("run-1", second, first),
            ("run-2", third, second),
            ("rollback", first, second),  # to an older one by name: what served before stays known
            ("run-3", third, first),
            ("rollback", first, None),
            ("run-4", second, first),
        )
        for owner, version, previous in turns:
            lease = await environment.platform().acquire_lease(owner, takeover=owner == "rollback")
            await environment.bring(lease, version, ALL)
            await environment.platform().promote(lease)
            lease = await environment.platform().acquire_lease(owner, takeover=owner == "rollback")  # of a process that goes on
            await environment.platform().promote(lease)
            position = await environment.platform().current()
            assert (where(position), position["previous"]) == ((version, None, 0), previous), owner
            await environment.platform().release_lease(lease)
        again = await environment.platform().acquire_lease("rollback", takeover=True)
        assert (await environment.platform().current())["previous"] == first
        await environment.platform().release_lease(again)
        await environment.expect_answers(second)

    async def test_a_version_that_cannot_come_up_fails_with_evidence_and_gets_no_request(self, environment: ContractEnvironment) -> None:
        """The baseline serves all along; after the abort nothing of the version is left."""
        lease = await environment.platform().acquire_lease("run-1")
        before = await environment.platform().current()
        platform, version = environment.broken()

        async def come_up() -> None:
            await platform.prepare(version, lease, timeout_seconds=environment.ready_seconds)
            assert environment.in_place, "prepare returned, though the version is not up"
            await platform.shift(ALL, lease)

        with pytest.raises(RolloutFailed) as caught:
            await come_up()
        assert caught.value.evidence
        assert all(isinstance(line, str) for line in caught.value.evidence)
        await environment.expect_answers(environment.first)
        await environment.platform().abort(lease)
        assert await environment.platform().current() == before

    @pytest.mark.parametrize("percent", [-1, 101])
    async def test_a_share_that_is_not_one_is_refused(self, environment: ContractEnvironment, percent: int) -> None:
        """The field is named, and nothing moves."""
        lease = await environment.platform().acquire_lease("run-1")
        await environment.bring(lease, environment.second)
        before = await environment.platform().current()
        with pytest.raises(BadInput, match="percent"):
            await environment.platform().shift(percent, lease)
        assert await environment.platform().current() == before

    async def test_without_a_canary_there_is_nothing_to_shift_or_promote(self, environment: ContractEnvironment) -> None:
        """A share for nothing says that the world moved; a promotion of nothing is one that was done."""
        lease = await environment.platform().acquire_lease("run-1")
        before = await environment.platform().current()
        with pytest.raises(WorldMoved):
            await environment.platform().shift(ALL, lease)
        await environment.platform().promote(lease)
        assert await environment.platform().current() == before
