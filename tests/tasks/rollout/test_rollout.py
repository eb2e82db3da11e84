"""Moving an environment: on a real local platform, and on one where others act at the same time."""

from __future__ import annotations

from typing import Any

import pytest

from blocks.errors import Refused, RolloutFailed, Superseded, WorldMoved
from blocks.late import Late
from blocks.platform import Lease
from tasks.rollout.rollout import (
    abort_canary,
    acquire_lease,
    called,
    prepare_revision,
    promote_revision,
    read_position,
    release_lease,
    shift_traffic,
)
from tasks.rules.verification.log_lines import NewErrors, judge_logs
from tasks.verification.logs import search_logs
from tests.local_environments import MakeLocal
from tests.tasks.fake_platform import OURS, FakePlatform


async def test_a_course_in_which_each_effect_comes_twice_is_the_same_course(shared_local: MakeLocal, shared_lease: Lease) -> None:
    """What a restart repeats changes nothing on a real platform."""
    platform, lease = shared_local(), shared_lease
    for _ in range(2):
        assert (await prepare_revision.fn(platform, version="1.1", lease=lease, timeout_seconds=20, key="k"))["canary"] == "1.1"
    for _ in range(2):
        assert (await shift_traffic.fn(platform, version="1.1", percent=50, lease=lease, key="k"))["percent"] == 50
    for _ in range(2):
        assert (await promote_revision.fn(platform, version="1.1", lease=lease, key="k"))["baseline"] == "1.1"
    position = await shift_traffic.fn(platform, version="1.1", percent=50, lease=lease, key="k")
    assert (position["baseline"], position["canary"], position["percent"]) == ("1.1", None, 0)


async def test_an_aborted_canary_is_gone_and_the_environment_given_up(shared_local: MakeLocal, shared_lease: Lease) -> None:
    """The rollback on a real platform, twice; giving up is for the owner alone."""
    platform, lease = shared_local(), shared_lease
    await prepare_revision.fn(platform, version="1.1", lease=lease, timeout_seconds=20, key="k")
    for _ in range(2):
        assert (await abort_canary.fn(platform, lease=lease))["canary"] is None
    await release_lease.fn(platform, owner="another")
    assert (await read_position.fn(platform))["owner"] == lease["owner"]
    for _ in range(2):
        await release_lease.fn(platform, owner=lease["owner"])
        assert (await read_position.fn(platform))["owner"] is None


async def test_an_older_copy_of_the_same_run_is_fenced_out(shared_local: MakeLocal, shared_lease: Lease) -> None:
    """Each attempt claims anew; the lease of the one before moves nothing."""
    platform = shared_local()
    await acquire_lease.fn(platform, owner=shared_lease["owner"])
    with pytest.raises(Superseded):
        await prepare_revision.fn(platform, version="1.1", lease=shared_lease, timeout_seconds=20, key="k")
    with pytest.raises(Refused, match="owned by test"):
        await acquire_lease.fn(platform, owner="run-2")
    assert (await acquire_lease.fn(platform, owner="run-2", takeover="bug 812"))["owner"] == "run-2"


@pytest.mark.slow
async def test_a_version_that_dies_fails_the_rollout_with_its_last_words(shared_local: MakeLocal, shared_lease: Lease) -> None:
    """The evidence of the platform reaches the record."""
    with pytest.raises(RolloutFailed) as caught:
        await prepare_revision.fn(shared_local(mode="dies"), version="1.1", lease=shared_lease, timeout_seconds=20, key="k")
    assert any("on fire" in line for line in caught.value.evidence)


@pytest.mark.parametrize(
    ("task", "others", "said"),
    [
        (
            lambda fake: prepare_revision.fn(fake, version="1.1", lease=OURS, timeout_seconds=1, key="k"),
            {"canary": "9.9"},
            "9.9 is the canary",
        ),
        (lambda fake: shift_traffic.fn(fake, version="1.1", percent=50, lease=OURS, key="k"), {"percent": 7}, "gets 7 %"),
        (lambda fake: promote_revision.fn(fake, version="1.1", lease=OURS, key="k"), {"baseline": "9.9"}, "9.9 is the baseline"),
        (lambda fake: abort_canary.fn(fake, lease=OURS), {"canary": "1.1"}, "1.1 is still there"),
    ],
    ids=["prepare", "shift", "promote", "abort"],
)
async def test_an_effect_that_is_not_there_when_read_back_is_not_a_success(task: Any, others: dict[str, Any], said: str) -> None:
    """Another acts between the effect and its reading: the world has moved."""
    fake = FakePlatform(percent=100)
    fake.interferes = others
    with pytest.raises(WorldMoved, match=said):
        await task(fake)


@pytest.mark.parametrize(
    "task",
    [
        lambda fake: shift_traffic.fn(fake, version="1.1", percent=50, lease=OURS, key="k"),
        lambda fake: promote_revision.fn(fake, version="1.1", lease=OURS, key="k"),
    ],
    ids=["shift", "promote"],
)
@pytest.mark.parametrize("canary", ["9.9", None])
async def test_a_strange_canary_gets_no_traffic(task: Any, canary: str | None) -> None:
    """Nothing is touched where the canary is not the version under release."""
    fake = FakePlatform(canary=canary)
    with pytest.raises(WorldMoved, match=f"the canary is {canary}, not 1.1"):
        await task(fake)
    assert fake.calls == []


async def test_a_promotion_that_was_done_is_still_finished() -> None:
    """A process that died behind the last effect may have left notes unmade; another canary is not promoted by the way."""
    fake = FakePlatform(baseline="1.1", canary=None, percent=0)
    await promote_revision.fn(fake, version="1.1", lease=OURS, key="k")
    assert fake.calls == ["promote 1"]
    fake = FakePlatform(baseline="1.1", canary="9.9")
    await promote_revision.fn(fake, version="1.1", lease=OURS, key="k")
    assert fake.calls == []


async def test_the_logs_are_searched_for_error_lines_that_only_the_new_version_has() -> None:
    """All lines since a moment; what is found comes as plain values."""
    found = await search_logs.fn(FakePlatform(), since=5.0, version="1.1", previous="1.0", pattern="line [01]")
    assert found == {"found": {"kinds": [("line #", 2, "line 0")], "lines": 3, "fault": "", "known": [], "in_part": ""}, "missing": ""}


@pytest.mark.parametrize("incomplete", ["warn", "fail"])
@pytest.mark.parametrize("late", ["1.1", "1.0"])
async def test_a_version_that_logs_more_than_can_be_read_in_time_does_not_pass(late: str, incomplete: str) -> None:
    """It decides how much it logs, so that its errors would stay unread; of the baseline that is a log which is known in part."""

    class Loud(FakePlatform):
        async def logs(self, since: float, take: Any) -> dict[str, str]:
            await super().logs(since, take)
            return {late: Late(f"the lines of {late} take longer than 60 s to read")}

    found = await search_logs.fn(Loud(), since=5.0, version="1.1", previous="1.0", pattern="ERROR")
    outcome, reason, _ = judge_logs(NewErrors(**found["found"]), missing=found["missing"], allowed=0, incomplete=incomplete)
    assert outcome == ("error" if late == "1.1" else "passed")
    assert ("take longer than 60 s to read" in reason) is (late == "1.1")


async def test_a_version_that_came_back_with_its_previous_configuration_is_found_by_its_name() -> None:
    """What was asked for is what was prepared, under the name that the platform gives it; a version as it was asked for goes first."""
    fake = FakePlatform(baseline="1.2", canary="1.1+config.C0")
    fake.interferes = {"canary": "1.1+config.C0"}
    found = await prepare_revision.fn(fake, version="1.1", lease=OURS, timeout_seconds=1, key="k")
    assert called(found, "1.1") == "1.1+config.C0"
    assert called({"canary": "1.1", "baseline": "1.1+config.C0"}, "1.1") == "1.1"
    assert called({"canary": None, "baseline": "1.1+config.C0"}, "1.1") == "1.1+config.C0"
    assert called({"canary": None, "baseline": "1.0"}, "1.1") is None
