"""The promises of what a platform may do besides; each is asked only of a platform that has the method."""

from __future__ import annotations

from typing import Any

import pytest

from blocks.errors import BadInput, Refused, RolloutFailed, Superseded, WorldMoved
from blocks.platform import Identified, Labelled, Lease, Platform, Previewing, RollsBack, RunsJobs, Strategic
from tests.platform_contract.environment import ALL, ContractEnvironment


def expect(protocol: type, platform: Platform) -> Any:
    """Give the platform if it has a protocol, and skip if it does not."""
    if not isinstance(platform, protocol):
        pytest.skip(f"{type(platform).__name__} is not {protocol.__name__}")
    return platform


class OptionContract:
    """Identified, Labelled, Previewing, RollsBack, RunsJobs and Strategic; and what others deploy by hand."""

    async def test_labels_name_each_revision_that_runs(self, environment: ContractEnvironment) -> None:
        """Baseline and canary are told apart by `revision`, which stays the same from one reading to the next."""
        platform = expect(Labelled, environment.platform())
        lease = await environment.platform().acquire_lease("run-1")
        await environment.bring(lease, environment.second, *([ALL] if environment.in_place else []))
        labels = await platform.labels()
        wanted = {environment.second} if environment.in_place else {environment.first, environment.second}
        assert set(labels) == wanted
        assert len({one["revision"] for one in labels.values()}) == len(wanted)
        assert all(set(one) <= {"revision", "namespace"} and all(one.values()) for one in labels.values())
        assert await expect(Labelled, environment.platform()).labels() == labels

    async def test_a_preview_says_what_would_change_and_changes_nothing(self, environment: ContractEnvironment) -> None:
        """It needs no lease, and the position is as before."""
        platform = expect(Previewing, environment.platform())
        before = await environment.platform().current()
        found = await platform.preview(environment.second)
        assert found["changes"]
        assert all(isinstance(line, str) for part in found.values() for line in part)
        assert await environment.platform().current() == before

    async def test_what_others_deployed_is_named_and_a_rollback_returns_to_what_they_replaced(
        self, environment: ContractEnvironment
    ) -> None:
        """It stays the baseline, and stops a release; only a rollback brings it back, by effects as any version, and once."""
        lease = await environment.platform().acquire_lease("run-1")
        await environment.bring(lease, environment.second, ALL)
        await environment.platform().promote(lease)
        await environment.platform().release_lease(lease)
        if not await environment.deploy_by_hand(environment.third):
            pytest.skip("the platform names none that runs instead")
        position = await environment.platform().current()
        assert (position["baseline"], position["canary"], position.get("instead")) == (environment.second, None, environment.third)
        lease = await environment.platform().acquire_lease("run-2")
        with pytest.raises(WorldMoved):
            await environment.platform().prepare(environment.first, lease, timeout_seconds=environment.ready_seconds)
        lease = await environment.platform().acquire_lease("rollback-1", takeover=True)
        rollback = expect(RollsBack, environment.platform())
        await rollback.rolling_back().prepare(environment.second, lease, timeout_seconds=environment.ready_seconds)
        await rollback.rolling_back().shift(ALL, lease)
        await rollback.rolling_back().promote(lease)
        await rollback.rolling_back().prepare(environment.second, lease, timeout_seconds=environment.ready_seconds)  # it is there already
        await environment.expect_answers(environment.second)
        found = await environment.platform().current()
        assert (found["baseline"], found["canary"], found["previous"]) == (environment.second, None, position["previous"])
        assert not {"instead", "trouble"} & set(found)

    async def test_a_job_runs_once_however_often_it_is_asked_for(self, environment: ContractEnvironment) -> None:
        """A second call of the same owner, under a newer lease too, finds the first one's Job; another owner's is another Job."""
        platform = expect(RunsJobs, environment.platform())
        runs, manifest = await environment.job_runs(), environment.job(succeeds=True)
        lease = await environment.platform().acquire_lease("run-1")
        first = await platform.run_job(manifest, lease, name="contract", timeout_seconds=60)
        lease = await environment.platform().acquire_lease("run-1")
        again = await expect(RunsJobs, environment.platform()).run_job(manifest, lease, name="contract", timeout_seconds=60)
        assert first == again
        assert await environment.job_runs() == runs + 1
        lease = await environment.platform().acquire_lease("run-2", takeover=True)
        await platform.run_job(manifest, lease, name="contract", timeout_seconds=60)
        assert await environment.job_runs() == runs + 2

    async def test_a_job_that_fails_says_so_each_time(self, environment: ContractEnvironment) -> None:
        """Its last lines are the evidence; asked for again, it is the same failure of the same Job."""
        platform = expect(RunsJobs, environment.platform())
        runs, lease = await environment.job_runs(), await environment.platform().acquire_lease("run-1")
        for _ in range(2):
            with pytest.raises(RolloutFailed) as caught:
                await platform.run_job(environment.job(succeeds=False), lease, name="contract-fails", timeout_seconds=60)
            assert caught.value.evidence
        assert await environment.job_runs() == runs + 1

    async def test_a_job_is_not_begun_without_the_lease(self, environment: ContractEnvironment) -> None:
        """An older lease is superseded, a stranger's refused."""
        platform = expect(RunsJobs, environment.platform())
        runs, old = await environment.job_runs(), await environment.platform().acquire_lease("run-1")
        lease = await environment.platform().acquire_lease("run-1")
        for false, error in ((old, Superseded), (Lease(owner="stranger", generation=lease["generation"]), Refused)):
            with pytest.raises(error):
                await platform.run_job(environment.job(succeeds=True), false, name="contract-stale", timeout_seconds=60)
        assert await environment.job_runs() == runs

    async def test_two_instances_on_one_environment_have_the_same_identity(self, environment: ContractEnvironment) -> None:
        """So a second block does not hide whose environment it is."""
        first, second = (expect(Identified, environment.platform()) for _ in range(2))
        assert await first.identity() == await second.identity() != ""

    async def test_a_strategy_is_chosen_by_name_and_a_wrong_one_is_refused(self, environment: ContractEnvironment) -> None:
        """Each gives a platform on the same environment; the platform that was asked keeps its own."""
        platform = expect(Strategic, environment.platform())
        with pytest.raises(BadInput, match="strategy"):
            platform.following("no-such-strategy")
        before = await platform.current()
        assert environment.strategies, "name the platform's strategies"
        for name in environment.strategies:
            assert isinstance(platform.following(name), Platform)
            assert await platform.following(name).current() == before
