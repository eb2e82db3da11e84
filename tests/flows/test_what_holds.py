"""What holds a wave that has begun: a freeze always, a closed window only if the plan says so; and what cannot be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import Refused
from blocks.key_folder.key_file import create_key, key_path
from blocks.key_folder.policy_files import write_policy_file
from flows.lifecycle import what_holds
from flows.lifecycle.context import Phase
from flows.lifecycle.what_holds import what_freezes, what_holds_a_step
from flows.lifecycle.windows import expect_an_opening
from tasks.lifecycle.clock import now
from tasks.lifecycle.freezes import end_freeze, set_freeze
from tasks.rules.approval.override import Override
from tasks.rules.approval.proofs import Proof
from tasks.rules.policy.windows import groups_of
from tasks.rules.record.durations import HELD_BY
from tasks.rules.windows.freeze import UNREADABLE, Lifted
from tasks.rules.windows.words import windows_name
from tests.flows.test_held_steps import Kept
from tests.rules.policy.test_rules import plan_of
from tests.rules.windows.calendars import calendar

CLOSED = {"deny": [{"from": "2020-01-01", "zone": "UTC", "reason": "stocktaking", "owner": "platform"}]}
RUN = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(autouse=True)
def _key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())


def phase_of(**windows: Any) -> Phase:
    """Give a release whose plan has windows."""
    taken: Any = None
    return Phase(RUN, 1, RUN, plan_of(windows=windows), "shipway.yaml", ".", taken)


async def by(phase: Phase) -> tuple[str, ...]:
    """Say what holds a step."""
    found = await what_holds_a_step(phase)
    return () if found is None else found.by


async def test_a_window_that_closes_holds_a_step_only_if_the_plan_says_so() -> None:
    """Open, it never does."""
    assert await by(phase_of(**CLOSED)) == ()
    assert await by(phase_of(**CLOSED, when_it_closes="hold")) == (windows_name(groups_of(phase_of(**CLOSED).plan, ())),)
    assert await by(phase_of(when_it_closes="hold")) == ()


async def test_a_freeze_holds_a_step_whatever_the_plan_says() -> None:
    """That of another service does not."""
    set_freeze(who="ada", reason="incident", service="other")
    assert await by(phase_of()) == ()
    freeze = set_freeze(who="ada", reason="incident", service="shop")
    assert await by(phase_of()) == (freeze.id,)
    assert await by(phase_of(**CLOSED, when_it_closes="hold")) == (freeze.id,)


async def test_policies_that_cannot_be_read_hold_what_closed_windows_would() -> None:
    """They may have windows; staging has none."""
    write_policy_file("shop", b"torn")
    assert await by(phase_of()) == ()
    found = await what_holds_a_step(phase_of(when_it_closes="hold"))
    assert found is not None
    assert found.by == (UNREADABLE,)
    assert found.what == "held, as the windows of policies and plan cannot be read"
    assert "policies/shop.yaml" in found.why
    assert "freeze" not in f"{found.what} {found.why}"  # it would send the reader to another folder
    assert await what_freezes(phase_of(when_it_closes="hold")) is None


async def test_who_lifted_a_freeze_is_recorded_although_it_was_overridden_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it was overridden it went on; how it ended comes later."""
    taken: Any = None
    phase = Kept(RUN, 1, RUN, plan_of(), "shipway.yaml", ".", taken)
    monkeypatch.setattr(Kept, "entries", [])

    async def read(*_: Any) -> Any:
        return phase.entries

    monkeypatch.setattr(what_holds, "read_entries", read)
    freeze = set_freeze(who="ada", reason="incident", service="shop")
    await phase.append("Waits", kind="gate", name="wait", evidence={HELD_BY: [freeze.id]})
    for _ in range(2):
        await what_holds.tell_what_is_over(phase)
    end_freeze(freeze, Lifted(who="grace", at=now(), reason="over", proved="machine"))
    for _ in range(2):
        await what_holds.tell_what_is_over(phase)
    assert [(entry.name, entry.who) for entry in phase.entries[1:]] == [
        (f"overridden {freeze.id}", "shipway"),
        (f"over {freeze.id}", "grace"),
    ]


async def test_the_events_of_a_calendar_hold_a_step_and_so_does_a_calendar_that_was_never_read(tmp_path: Path) -> None:
    """As any closed window."""
    file = tmp_path / "team.ics"
    file.write_bytes(calendar("DTSTART;VALUE=DATE:20200101|RRULE:FREQ=DAILY|SUMMARY:sale"))
    found = await what_holds_a_step(phase_of(deny=[{"ics": str(file), "zone": "UTC"}], when_it_closes="hold"))
    assert found is not None
    assert "by the calendar: sale" in found.why
    found = await what_holds_a_step(phase_of(deny=[{"ics": str(tmp_path / "missing.ics"), "zone": "UTC"}], when_it_closes="hold"))
    assert found is not None
    assert "never read" in found.why
    assert await by(phase_of(deny=[{"ics": str(tmp_path / "missing.ics"), "zone": "UTC"}])) == ()


@pytest.mark.parametrize("round_", [1, 2])
async def test_only_a_first_round_is_refused_as_production_never_opens(round_: int) -> None:
    """By the time of the next one staging has changed and people approved: a freeze that was set since holds it, and the way on is open."""
    phase = replace(phase_of(**CLOSED), round=round_)
    if round_ > 1:
        await expect_an_opening(phase, ())
        return
    with pytest.raises(Refused, match="production never opens: closed"):
        await expect_an_opening(phase, ())


async def test_an_override_is_written_and_announced_once_with_name_and_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the plan's receivers, as a warning; by one key, so that who has it is not told twice."""
    taken: Any = None
    phase = Kept(RUN, 1, RUN, plan_of(notify=["slack-webhook/team"]), "shipway.yaml", ".", taken)
    monkeypatch.setattr(Kept, "entries", [])
    told: list[tuple[Any, ...]] = []

    async def notified(blocks: list[str], facts: list[str], *, about: str, reason: str, run: str, key: str) -> None:
        told.append((blocks, facts, about, reason, run, key))

    async def read(*_: Any) -> Any:
        return phase.entries

    bound = {"run": RUN, "gate": "override", "question": 1, "service": "shop", "version": "1.4.2", "digest": "a" * 64, "nonce": "b" * 32}
    proof = Proof(**bound, kind="code", approver="grace", decision="approve", at=now(), comment="the shop is down")

    async def overrides(*_: Any) -> Any:
        return [Override(holds=("freeze 0123456789ab",), proof=proof)]

    ways: dict[str, Any] = {"read_entries": read, "overrides_of": overrides, "notify": notified}
    for name, way in ways.items():
        monkeypatch.setattr(what_holds, name, way)
    for _ in range(2):
        await what_holds.tell_what_is_over(phase)
    (entry,) = phase.entries
    assert (entry.who, entry.why, entry.what) == ("grace", "the shop is down", "grace set aside for this release: freeze 0123456789ab")
    why = "grace set aside for this release: freeze 0123456789ab, because: the shop is down"
    assert told == [(["slack-webhook/team"], ["overridden"], "shop 1.4.2", why, RUN, f"{RUN}/{entry.name}")] * 2
