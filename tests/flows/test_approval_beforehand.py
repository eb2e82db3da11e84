"""A release that waits for its window is approved at any time before, and asked again in time if the approval would not hold until then."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import Refused
from flows import production as alone
from flows import release as releases
from flows.approval import gate as gates
from flows.lifecycle import windows
from flows.lifecycle.windows import opens_at, wait_for_window
from flows.release import UNCHANGED, _is_settled, _still_the_same, _to_be_renewed
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.lifecycle.results import Approval, TargetResult, WaveResult
from tasks.rules.rollout.waiting import wake_time
from tasks.rules.windows.schedule import Due
from tests.flows.test_gate_in_time import Asked, passed_at, phase
from tests.flows.test_held_steps import Kept, nothing
from tests.flows.test_what_keeps_a_wave import AT, CLOSED, FROZEN, World, phase_of, world

__all__ = ["phase", "world"]
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
OPENS = datetime.fromisoformat(f"{CLOSED['deny'][0]['until']}T00:00:00+00:00")
INPUTS: Any = SimpleNamespace(rules=lambda: SimpleNamespace(quorum=1), digest="ab" * 32)


@pytest.mark.parametrize(("opens", "open_for"), [(None, 4 * HOUR), (HOUR, 4 * HOUR), (9 * DAY, 9 * DAY)])
async def test_people_may_approve_until_production_opens(
    phase: Kept, monkeypatch: pytest.MonkeyPatch, opens: timedelta | None, open_for: timedelta
) -> None:
    """The gate is open for the plan's time at least; once asked, it stays so, whatever the windows say by then."""
    with pytest.raises(Asked) as asked:
        await passed_at(phase, monkeypatch, AT, opens=opens and AT + opens)
    assert asked.value.args[0] == AT + open_for
    monkeypatch.setattr(gates, "asked_keys", set)
    with pytest.raises(Asked) as again:
        await passed_at(phase, monkeypatch, AT + HOUR)
    assert again.value.args[0] == AT + open_for


async def test_when_it_opens_is_asked_of_windows_and_not_of_freezes(world: World) -> None:
    """A freeze may be lifted at any moment."""
    assert await opens_at(phase_of(**CLOSED)) == OPENS
    assert await opens_at(phase_of()) is None
    world.frozen = FROZEN
    assert await opens_at(phase_of()) is None


async def test_a_release_that_has_begun_asks_no_policy_when_production_opens(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was changed meanwhile, or cannot be read, would end it."""

    async def broken(_phase: Any) -> Any:
        raise Refused(str(world))

    monkeypatch.setattr(windows, "expect_policies_kept", broken)
    phase = phase_of(**CLOSED)
    with pytest.raises(Refused):
        await opens_at(phase)
    await phase.append("is up", kind="effect", environment="production", name="prepare")
    assert await opens_at(phase) is None


async def test_what_never_opens_by_what_is_known_opens_at_no_moment(world: World) -> None:
    """It is looked at again in a day, but that does not open it: no approval is renewed for it, and no gate is held open."""
    endless = {"deny": [{"from": "2026-11-01", "zone": "UTC", "reason": "incident", "owner": "platform"}]}
    assert await opens_at(phase_of(**endless)) is None
    world.due = Due(AT + DAY, None)
    assert await opens_at(phase_of(**endless)) is None
    assert await opens_at(phase_of()) == AT + DAY
    assert await opens_at(phase_of(**CLOSED)) == OPENS


@pytest.fixture
def approved(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a release that was approved at noon."""

    async def settled(_phase: Any) -> bool:
        return world.is_begun

    monkeypatch.setattr(releases, "_is_settled", settled)
    monkeypatch.setattr(releases, "retried", lambda _task: nothing)
    return world


async def decided(phase: Kept) -> Kept:
    """Let people have approved."""
    await phase.append("passed", kind="gate", name="decision")
    entry = Kept.entries[-1]
    Kept.entries[-1] = entry.model_copy(update={"at": f"{AT:%Y-%m-%dT%H:%M:%S}.000Z"})
    return phase


async def test_an_approval_that_will_be_too_old_is_renewed_as_soon_as_a_new_one_holds_until_the_opening(
    approved: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Production opens in nine and a half days, and an approval holds for three: people need not be there at night."""
    phase = await decided(phase_of(**CLOSED))
    assert await _to_be_renewed(phase, INPUTS) == OPENS - 3 * DAY
    soon = await decided(phase_of(deny=[{**CLOSED["deny"][0], "until": "2026-12-04"}]))
    assert await _to_be_renewed(soon, INPUTS) == AT + 3 * DAY
    held = await decided(phase_of(deny=[{**CLOSED["deny"][0], "until": "2026-12-03"}]))
    assert await _to_be_renewed(held, INPUTS) is None
    for days in (0, 2, 4):
        monkeypatch.setattr(windows, "now", lambda days=days: AT + days * DAY)
        endless = await decided(phase_of(deny=[{**CLOSED["deny"][0], "until": None}]))
        assert await _to_be_renewed(endless, INPUTS) is None
    approved.is_begun = True
    assert await _to_be_renewed(phase, INPUTS) is None


async def test_the_run_is_woken_for_it_and_asks_again(approved: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for the window all the same, by its record."""
    assert not approved.is_begun
    for name in ("_holds_lease", "_is_changed", "check_not_stopped"):
        monkeypatch.setattr(windows, name, nothing)
    phase = await decided(phase_of(**CLOSED))
    await wait_for_window(phase, ["production"], begins=False, wakes=OPENS - 3 * DAY)
    assert wake_time(Kept.entries) == OPENS - 3 * DAY
    assert Kept.entries[-1].evidence["waits_until"] == OPENS.isoformat()
    monkeypatch.setattr(releases.clock, "now", lambda: OPENS - 3 * DAY)
    assert not await _still_the_same(phase, INPUTS)
    assert (Kept.entries[-1].kind, Kept.entries[-1].name) == ("refused", "void")
    assert "it will be older than `approval.valid_for_minutes`" in Kept.entries[-1].why


async def test_a_release_begins_by_no_approval_that_grew_too_old_while_it_waited(approved: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else changed, and production is open: people are asked again all the same."""
    assert not approved.is_begun
    for name in ("_holds_lease", "_is_changed", "check_not_stopped", "tell_what_is_over"):
        monkeypatch.setattr(windows, name, nothing)
    phase = await decided(phase_of())
    monkeypatch.setattr(gates, "now", lambda: AT + 3 * DAY + HOUR)
    assert not await _still_the_same(phase, INPUTS)
    assert "it is 4380 min old, more than the 4320" in Kept.entries[-1].why


async def test_what_was_approved_is_compared_again_after_each_wait_before_production(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it was, it counts until the release waits for a window, a freeze or its turn."""
    assert world.frozen is None
    for name in ("_holds_lease", "check_not_stopped"):
        monkeypatch.setattr(windows, name, nothing)
    phase = phase_of(**CLOSED)
    assert not await _is_settled(phase)
    await phase.append("Nothing changed", kind="gate", name=UNCHANGED)
    assert await _is_settled(phase)
    await wait_for_window(phase, ["production"])
    assert not await _is_settled(phase)
    world.is_begun = True
    assert await _is_settled(phase)  # what has begun finishes


async def test_production_alone_does_not_begin_by_an_approval_that_grew_too_old(approved: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waited longer for its window than an approval holds; a wave that has begun, and later waves, go on."""
    done = TargetResult(outcome=Outcome.PASSED, reason="deployed", environment="production")

    async def roll_out(*_: Any, **__: Any) -> WaveResult:
        return WaveResult(outcome=Outcome.PASSED, reason="deployed", targets={"production": done})

    async def is_begun(*_: Any) -> bool:
        return approved.is_begun

    for name, way in {"wait_for_window": nothing, "roll_out_wave": roll_out, "is_begun": is_begun}.items():
        monkeypatch.setattr(alone, name, way)
    phase = await decided(phase_of(**CLOSED))

    async def begins(after: timedelta, inputs: Any = INPUTS) -> WaveResult:
        monkeypatch.setattr(gates, "now", lambda: AT + after)
        return await alone._when_it_may(phase, "1.1", wave=["production"], approval=Approval(), inputs=inputs)

    assert (await begins(3 * DAY)).passed
    with pytest.raises(Refused, match=r"it is 4380 min old, more than the 4320 of `approval.valid_for_minutes`. Run it again"):
        await begins(3 * DAY + HOUR)
    assert (await begins(3 * DAY + HOUR, None)).passed
    approved.is_begun = True
    assert (await begins(3 * DAY + HOUR)).passed
