"""The watch of a step: what it sees, when it ends, and whom it gives way to."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from blocks.errors import Superseded, Temporary, WorldMoved
from blocks.platform import Lease
from tasks.analysis.recovery import watch_recovery
from tasks.analysis.sources import Subject
from tasks.analysis.watch import begin_watch, read_counts, start_clock, watch_on, watch_step
from tasks.rules.analysis.step import MOST_MISSED
from tasks.rules.plan.plan import Judgement, PlatformSli
from tests.local_environments import MakeLocal
from tests.tasks.fake_platform import OURS, FakePlatform, counted

pytestmark = pytest.mark.usefixtures("offline")
JUDGEMENT = Judgement(slis=[PlatformSli(name="errors", indicator="errors", limit=0.05)], min_requests=50, interval_seconds=0.2)
HASTY = Subject("guestbook", "production", JUDGEMENT.model_copy(update={"interval_seconds": 0.01}))


async def watched(platform: Any, *, seconds: float = 5, percent: int = 25, lease: Lease = OURS, begun: Any = None) -> dict[str, Any]:
    """Watch one step at a hasty pace."""
    begun = begun or await begin(platform)
    found = await watch_step.fn(
        platform, subject=HASTY, version="1.1", percent=percent, watch_seconds=seconds, lease=lease, begun=begun, key="k"
    )
    return found.model_dump(mode="json")


async def begin(platform: Any) -> Any:
    """Remember the beginning."""
    return await begin_watch.fn(platform, subject=HASTY, version="1.1", key="k")


async def watched_on(platform: Any, *, looks: int) -> tuple[str, int]:
    """Watch a step that has passed on, for so many readings at most; gives the outcome and how many there were."""
    asked: list[float] = []

    async def ends(seconds: float) -> bool:
        asked.append(seconds)
        return asked.count(0) > looks

    begun = await begin(platform)
    found = await watch_on.fn(platform, subject=HASTY, version="1.1", percent=25, lease=OURS, begun=begun, ends=ends)
    return found.outcome, asked.count(0)


def from_look(number: int, act: Callable[[], object]) -> Callable[[int], None]:
    """Act at every reading of the counts from the given one on; the first reading is that of `begin_watch`."""
    return lambda look: act() if look >= number else None  # type: ignore[return-value]


async def test_a_canary_that_is_held_is_watched_on_until_it_is_told_to_end_or_fails() -> None:
    """A verdict that it is well does not end it, and counts from the step's beginning fail it."""
    platform = FakePlatform()
    platform.at_look = from_look(2, lambda: platform.serve(v1_0=counted(2000), v1_1=counted(2000)))
    assert await watched_on(platform, looks=4) == ("passed", 5)
    platform = FakePlatform()
    platform.at_look = from_look(3, lambda: platform.serve(v1_0=counted(2000), v1_1=counted(2000, 600)))
    assert await watched_on(platform, looks=100) == ("failed", 2)


async def test_a_watch_of_what_is_held_gives_way_when_another_owner_acts() -> None:
    """A rollback takes the lease, and the held release stops."""
    platform = FakePlatform()
    platform.at_look = from_look(3, lambda: platform.position.update(owner="run-2", generation=2))
    with pytest.raises(Superseded, match="belongs to run-2"):
        await watched_on(platform, looks=100)


@pytest.mark.parametrize(("errors", "outcome"), [(0, "passed"), (600, "failed")])
async def test_the_watch_ends_the_moment_its_verdict_is_in(errors: int, outcome: str) -> None:
    """No one waits for the end of the time where the counts have spoken."""
    platform = FakePlatform()
    platform.at_look = from_look(3, lambda: platform.serve(v1_0=counted(2000), v1_1=counted(2000, errors)))
    began = time.monotonic()
    found = await watched(platform, seconds=60)
    assert found["outcome"] == outcome
    assert time.monotonic() - began < 5
    assert [point["verdicts"][0]["outcome"] for point in found["points"]] == ["no_data", outcome]
    assert found["versions"] == {"canary": "1.1", "baseline": "1.0"}


@pytest.mark.parametrize(("errors", "outcome", "bake", "least"), [(0, "passed", 0.6, 0.6), (600, "failed", 30, 0)])
async def test_a_step_does_not_pass_before_its_least_time_and_fails_at_once(errors: int, outcome: str, bake: float, least: float) -> None:
    """A verdict of passed waits for it, a failed one does not."""
    platform = FakePlatform()
    platform.at_look = from_look(3, lambda: platform.serve(v1_0=counted(2000), v1_1=counted(2000, errors)))
    begun, began = await begin(platform), time.time()
    found = await watch_step.fn(
        platform,
        subject=HASTY,
        version="1.1",
        percent=25,
        watch_seconds=60,
        bake_seconds=bake,
        lease=OURS,
        begun={**begun, "at": began},
        key="k",
    )
    assert found.outcome == outcome
    assert least <= time.time() - began < 30


@pytest.mark.slow
@pytest.mark.parametrize("jump", [600, -600])
@pytest.mark.parametrize(("good", "outcome"), [(2000, "passed"), (5, "no_data")])
async def test_a_clock_that_is_set_ends_no_watch(good: int, outcome: str, jump: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the watch nor the time for which a version must have baked: the version is seen as long as the plan says, and no longer."""
    platform, real = FakePlatform(), time.time
    begun, began = await begin(platform), time.monotonic()
    platform.at_look = from_look(2, lambda: monkeypatch.setattr(time, "time", lambda: real() + jump))
    platform.serve(v1_0=counted(2000), v1_1=counted(good))
    found = await watch_step.fn(
        platform,
        subject=HASTY,
        version="1.1",
        percent=25,
        watch_seconds=1 if outcome == "no_data" else 60,
        bake_seconds=0.6,
        lease=OURS,
        begun=begun,
        key="k",
    )
    assert found.outcome == outcome
    assert (1 if outcome == "no_data" else 0.6) <= time.monotonic() - began < 30


@pytest.mark.parametrize(("action", "outcome"), [("warn", "passed"), ("ask", "mismatch"), ("rollback", "failed"), ("ignore", "passed")])
async def test_a_canary_with_another_share_than_was_set_counts_as_the_plan_says(action: str, outcome: str) -> None:
    """25 % was set, and 2 % come, none of them bad."""
    platform, judgement = FakePlatform(), HASTY.judgement.model_copy(update={"sample_ratio": action})
    subject = Subject("guestbook", "production", judgement)
    begun = {**await begin_watch.fn(platform, subject=subject, version="1.1", key="k"), "at": time.time() - 60}
    platform.at_look = lambda look: platform.serve(v1_0=counted(look * 1000), v1_1=counted(look * 20))
    found = await watch_step.fn(
        platform, subject=subject, version="1.1", percent=25, watch_seconds=90, bake_seconds=61, lease=OURS, begun=begun, key="k"
    )
    assert (found.outcome, "25 % of the requests were asked for, and 1.96 % came" in found.mismatch) == (outcome, action != "ignore")
    assert (found.mismatch in found.reason) is (outcome != "passed" or not found.mismatch)


@pytest.mark.parametrize(("action", "goes_on"), [("ask", True), ("rollback", False)])
async def test_a_watch_goes_on_after_a_mismatch_of_which_people_are_asked(action: str, *, goes_on: bool) -> None:
    """Who lets the release go on answers for the share alone: errors that come after the first mismatch still fail the version."""
    platform, judgement = FakePlatform(), HASTY.judgement.model_copy(update={"sample_ratio": action})
    subject, looks = Subject("guestbook", "production", judgement), list[int]()
    begun = {**await begin_watch.fn(platform, subject=subject, version="1.1", key="k"), "at": time.time() - 60}

    def serve(look: int) -> None:
        looks.append(look)
        platform.serve(v1_0=counted(look * 1000), v1_1=counted(look * 20, max(0, look - 6) * 20))

    platform.at_look = serve
    found = await watch_step.fn(
        platform, subject=subject, version="1.1", percent=25, watch_seconds=90, bake_seconds=85, lease=OURS, begun=begun, key="k"
    )
    assert found.outcome == "failed"
    assert found.mismatch
    assert (looks[-1] > 6, found.mismatch in found.reason) == (goes_on, not goes_on)


async def test_a_watch_whose_time_is_up_says_what_is_missing() -> None:
    """No data is not a pass."""
    found = await watched(FakePlatform(), seconds=0.1)
    assert found["outcome"] == "no_data"
    assert "no data is not a pass" in found["reason"]


async def test_a_watch_that_goes_on_after_a_crash_keeps_its_beginning() -> None:
    """Time and counts are those of the first attempt: a watch that died does not begin anew."""
    platform = FakePlatform()
    platform.serve(v1_0=counted(2000), v1_1=counted(2000, 900))
    begun = {"at": time.time() - 3600, "counts": {"1.0": counted(0), "1.1": counted(0)}}
    found = await watched(platform, seconds=60, begun=begun)
    assert (found["outcome"], found["started_at"], len(found["points"])) == ("failed", begun["at"], 1)


async def test_harm_between_the_shift_and_the_first_reading_is_judged() -> None:
    """The counts are of before the traffic moved, the time counts from when it had; a version that no one counted yet begins at nothing."""
    platform = FakePlatform()
    platform.numbers = {"1.0": counted(500)}
    begun = await begin(platform)
    platform.serve(v1_0=counted(500), v1_1=counted(40, 40))
    at = await start_clock.fn(key="k")
    found = await watched(platform, begun={**begun, "at": at})
    assert (found["outcome"], found["started_at"]) == ("failed", at)
    assert at >= begun["at"]


async def test_a_counter_that_begins_again_forgets_no_error() -> None:
    """The router restarted: its counts are at zero, and what the canary did before still counts."""
    platform = FakePlatform()
    platform.at_look = lambda look: platform.serve(
        v1_0=counted(400) if look == 2 else counted(0, started="b"), v1_1=counted(30, 30) if look == 2 else counted(0, started="b")
    )
    found = await watched(platform, seconds=60, begun={"at": time.time(), "counts": {"1.0": counted(0), "1.1": counted(0)}})
    assert found["outcome"] == "failed"
    platform = FakePlatform()
    begun = await begin(platform)
    platform.at_look = lambda look: platform.serve(
        v1_0=counted(100, started="a" if look < 4 else "b"), v1_1=counted(12, 6, started="a" if look < 4 else "b")
    )
    assert (await watched(platform, seconds=60, begun=begun))["outcome"] == "failed"


async def test_a_platform_that_is_silent_for_a_while_is_borne() -> None:
    """A few readings may be missed; the watch goes on."""
    platform = FakePlatform()
    begun = await begin(platform)
    platform.serve(v1_0=counted(2000), v1_1=counted(2000))
    platform.at_look = lambda look: platform.silent() if look <= 1 + MOST_MISSED else None
    assert (await watched(platform, begun=begun))["outcome"] == "passed"


async def test_a_platform_that_stays_silent_ends_the_watch() -> None:
    """What cannot be seen is not passed; the caller decides about another try."""
    platform = FakePlatform()
    begun = await begin(platform)
    platform.at_look = lambda _look: platform.silent()
    with pytest.raises(Temporary):
        await watched(platform, begun=begun)
    assert platform.looks == 2 + MOST_MISSED


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"owner": "run-2", "generation": 2}, Superseded, "belongs to run-2"),
        ({"trouble": "the HTTPRoute shop is not there. Apply it again"}, WorldMoved, "shop is not there. Apply it again"),
        ({"generation": 2}, Superseded, "generation 2"),
        ({"owner": None}, Superseded, "belongs to None"),
        ({"percent": 50}, WorldMoved, "50 %, not the 25 %"),
        ({"canary": "9.9"}, WorldMoved, "1.1 is not the canary any more"),
        ({"canary": None, "percent": 0}, WorldMoved, "1.1 is not the canary any more"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
async def test_a_watch_gives_way_when_another_acts(change: Any, error: type[Exception], said: str) -> None:
    """A newer owner, a shifted traffic, another canary: nothing is judged any more."""
    platform = FakePlatform()
    platform.at_look = from_look(3, lambda: platform.position.update(**change))
    with pytest.raises(error, match=said):
        await watched(platform)


async def test_a_version_that_was_promoted_meanwhile_is_still_watched() -> None:
    """After a restart behind the promotion the version is the baseline, and its watch may end in peace."""
    platform = FakePlatform(baseline="1.1", canary=None, percent=0)
    platform.serve(v1_1=counted(5000))
    begun = {"at": time.time(), "counts": {"1.1": counted(0)}}
    assert (await watched(platform, percent=100, begun=begun))["outcome"] == "passed"


async def test_errors_of_real_traffic_fail_a_real_canary(shared_local: MakeLocal, shared_lease: Lease) -> None:
    """From a request through the router's count to the verdict."""
    platform = shared_local()
    await platform.prepare("1.1", shared_lease, timeout_seconds=20)
    await platform.shift(50, shared_lease)
    begun = await begin(platform)
    public = (await platform.endpoints())["public"]
    async with httpx.AsyncClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) as client:
        first = (await client.get(public)).text
        for number in range(1, 200):  # the two take turns, and every request of the canary fails
            turn = first if number % 2 == 0 else {"1.0": "1.1", "1.1": "1.0"}[first]
            await client.get(f"{public}/status/500" if turn == "1.1" else public)
    found = await watched(platform, percent=50, lease=shared_lease, begun=begun)
    assert found["outcome"] == "failed", found["reason"]
    assert set(await read_counts.fn(platform)) >= {"1.0", "1.1"}


@pytest.mark.parametrize(
    ("before", "after", "outcome", "said"),
    [
        (counted(10), counted(110), "passed", "0 of 100 requests failed"),
        (counted(10), counted(110, 5), "passed", "5 of 100"),
        (counted(10), counted(110, 6), "failed", "6 of 100"),
        (counted(10, 10), counted(10, 10), "passed", "no request"),
        (counted(100, 90), counted(20, 10, started="b"), "failed", "10 of 20"),
        (None, counted(20), "passed", "0 of 20"),
        (counted(20), None, "passed", "no request"),
        (None, None, "passed", "the platform counts no requests of it, so"),
    ],
)
async def test_a_recovery_is_judged_by_what_came_after_it(before: Any, after: Any, outcome: str, said: str) -> None:
    """Earlier errors do not count, a counter that began again counts from zero, and silence is said."""
    platform = FakePlatform(canary=None, percent=0)
    platform.at_look = lambda look: platform.numbers.update({"1.0": before if look == 1 else after})
    found = await watch_recovery.fn(platform, version="1.0", watch_seconds=0.01, max_error_ratio=0.05)
    assert found.outcome == outcome
    assert said in found.reason


@pytest.mark.parametrize(
    ("errors", "outcome", "said"),
    [(0, "passed", "0 of 100 requests"), (6, "failed", "6 of 100"), (None, "passed", "(it is away), so")],
)
async def test_a_recovery_is_judged_by_all_requests_if_the_platform_counts_no_versions(errors: int | None, outcome: str, said: str) -> None:
    """One Service serves, so its counts are those of the one version; what cannot be counted is said, and ends no rollback."""

    class OneService(FakePlatform):
        read = 0

        async def counts(self) -> dict[str, Any]:
            return {}

        async def counts_of_all(self) -> dict[str, Any]:
            if errors is None:
                raise Temporary("it is away")
            self.read += 1
            return {"1.0": counted(10) if self.read == 1 else counted(110, errors)}

    found = await watch_recovery.fn(OneService(canary=None, percent=0), version="1.0", watch_seconds=0.01, max_error_ratio=0.05)
    assert (found.outcome, said in found.reason) == (outcome, True), found.reason


@pytest.mark.parametrize("change", [{"baseline": "1.1"}, {"ready": {"1.0": False}}, {"ready": {}}])
async def test_a_version_that_does_not_serve_has_not_recovered(change: Any) -> None:
    """However good its counts are."""
    platform = FakePlatform(canary=None, percent=0)
    platform.position.update(**change)
    found = await watch_recovery.fn(platform, version="1.0", watch_seconds=0.01, max_error_ratio=1)
    assert (found.outcome, "does not serve" in found.reason) == ("failed", True)


async def test_a_watch_does_not_hold_the_loop_up() -> None:
    """Other work goes on beside it."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.01)

    beside = asyncio.create_task(tick())
    await watched(FakePlatform(), seconds=0.2)
    beside.cancel()
    assert ticks > 3
