"""What keeps a wave from its begin: windows by their name, its own schedule, a freeze; and what an override of them does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import Refused, Skipped
from blocks.key_folder.key_file import create_key, key_path
from flows.commands.override import _expect_held
from flows.lifecycle import suspend, windows
from flows.lifecycle.context import Phase
from flows.lifecycle.windows import Waits, _what_keeps, expect_in_time, wait_for_window, wait_while_frozen, what_holds_a_target
from tasks.lifecycle.kept_runs import forget_open, keep_open
from tasks.lifecycle.quietest import keep_quietest
from tasks.lifecycle.window_turns import take_turns
from tasks.rules.policy.windows import groups_of
from tasks.rules.record.entries import Entry, chain
from tasks.rules.windows.freeze import SCHEDULE, TURN, Hold
from tasks.rules.windows.opening import Group
from tasks.rules.windows.schedule import Due
from tasks.rules.windows.window import Calendar, Interval
from tasks.rules.windows.words import windows_name
from tests.flows.test_held_steps import FROZEN, RUN, Kept, nothing
from tests.rules.policy.test_rules import EU_AND_US, plan_of, policy_of
from tests.tasks.lifecycle.test_quietest import kept_of

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
GROUP = "db of the policies"
TWO_WAVES = EU_AND_US | {"targets": [one | {"wave": wave} for wave, one in enumerate(EU_AND_US["targets"], start=1)]}
CLOSED = {"deny": [{"from": "2026-11-01", "until": "2026-12-10", "zone": "UTC", "reason": "stocktaking", "owner": "platform"}]}


class World:
    """What one test sets."""

    def __init__(self) -> None:
        """Begin with nothing that holds."""
        self.aside: set[str] = set()
        self.due: Due | None = None
        self.frozen: Hold | None = None
        self.is_begun = False
        self.policies: tuple[Any, ...] = ()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Put the world in the place of server, platforms and files."""
    found = World()
    monkeypatch.setattr(Kept, "entries", [])

    def giving(name: str) -> Any:
        async def give(*_: Any) -> Any:
            return getattr(found, name)

        return give

    async def read(*_: Any) -> list[Entry]:
        return Kept.entries

    ways = {"what_is_set_aside": "aside", "due_of": "due", "what_freezes": "frozen", "is_begun": "is_begun"}
    for name, field in {**ways, "expect_policies_kept": "policies"}.items():
        monkeypatch.setattr(windows, name, giving(field))
    for name, way in {"read_entries": read, "now": lambda: AT, "wait_until": nothing}.items():
        monkeypatch.setattr(windows, name, way)
    monkeypatch.setattr(suspend, "read_entries", read)
    return found


def phase_of(*, production: dict[str, Any] | None = None, **more: Any) -> Kept:
    """Give a release of a plan with these windows."""
    taken: Any = None
    plan = plan_of(windows=more, **({"production": production} if production else {}))
    return Kept(RUN, 1, RUN, plan, "shipway.yaml", ".", taken)


async def keeps(phase: Phase, *, says: bool = True) -> Waits | None:
    """Say what keeps the first wave."""
    return await _what_keeps(phase, ["production"], says=says)


async def test_an_override_of_windows_counts_for_the_windows_that_there_were(world: World) -> None:
    """A window that is written into a policy afterwards holds the release again."""
    phase = phase_of(**CLOSED)
    found = await keeps(phase)
    assert found is not None
    world.aside = set(found.held_by)
    assert await keeps(phase) is None
    assert Kept.entries[-1].why.startswith("the windows are overridden: freeze of the plan")
    world.policies = (policy_of(windows={"deny": [{"from": "2026-11-30", "zone": "UTC", "reason": "incident", "owner": "platform"}]}),)
    again = await keeps(phase)
    assert again is not None
    assert again.held_by == (windows_name(groups_of(phase.plan, world.policies)),) != found.held_by


@pytest.mark.parametrize("more", [{}, CLOSED])
async def test_a_release_that_waits_for_its_own_time_is_not_held_by_a_window(world: World, more: dict[str, Any]) -> None:
    """So an override, which could change nothing, is refused, whatever it sets aside."""
    phase = phase_of(**more)
    world.due = Due(AT + 24 * 20 * HOUR, None)
    world.aside = {windows_name(groups_of(phase.plan, ()))}
    found = await keeps(phase)
    assert found is not None
    assert found.held_by == (SCHEDULE,)
    with pytest.raises(Refused, match="waits for the time that it was scheduled for"):
        _expect_held("release shop 1.1", list(found.held_by))


@pytest.mark.parametrize(("until", "skips"), [(None, False), (AT + HOUR, False), (AT + 3 * HOUR, True)])
async def test_a_freeze_that_outlasts_the_latest_moment_ends_a_scheduled_release(
    world: World, until: datetime | None, *, skips: bool
) -> None:
    """At once; one that may be lifted is waited for until that moment, not for days."""
    world.due, world.frozen = Due(None, AT + 2 * HOUR), FROZEN._replace(until=until)
    if skips:
        with pytest.raises(Skipped, match="0123456789ab"):
            await keeps(phase_of())
        return
    found = await keeps(phase_of())
    assert found is not None
    assert found.until == (until or AT + 2 * HOUR + timedelta(seconds=1))


async def test_a_wave_that_has_begun_is_not_skipped_and_says_whole_sentences(world: World) -> None:
    """Though its latest moment has passed: it finishes, or waits for what holds it."""
    world.due, world.is_begun = Due(None, AT - HOUR), True
    assert await keeps(phase_of(allow=[{**CLOSED["deny"][0]}])) is None
    assert Kept.entries[-1].what.startswith("Production is open until")
    world.frozen = FROZEN
    found = await keeps(phase_of())
    assert found is not None
    assert found.held_by == FROZEN.by


async def test_a_release_in_time_knows_what_is_overridden(world: World) -> None:
    """Windows that are closed until its latest moment skip it, unless they are set aside for it."""
    phase, world.due = phase_of(**CLOSED), Due(None, AT + HOUR)
    with pytest.raises(Skipped):
        await expect_in_time(phase)
    world.aside = {windows_name(groups_of(phase.plan, ()))}
    await expect_in_time(phase)


QUIETEST = {"minutes": 60, "zone": "UTC", "owner": "ada", "counter": "requests"}


async def test_a_wave_waits_for_the_quietest_time_and_never_begins_while_that_is_not_known(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured, it begins in it, which the record says with how old that is; an override counts for what there was."""
    phase = phase_of(quietest=QUIETEST)
    for module in ("tasks.approval.windows", "tasks.lifecycle.quietest", "tests.tasks.lifecycle.test_quietest"):
        monkeypatch.setattr(f"{module}.now", lambda: AT)
    unknown = await keeps(phase)
    assert unknown is not None
    assert "was not measured on this machine" in unknown.why
    keep_quietest(phase.plan.service, kept_of(phase.plan, minute=15 * 60))
    world.aside = set(unknown.held_by)
    later = await keeps(phase)
    assert later is not None
    assert later.until == AT + 3 * HOUR  # Monday 15:00
    keep_quietest(phase.plan.service, kept_of(phase.plan, minute=12 * 60, days_ago=9))
    world.aside = set()
    assert await keeps(phase) is None
    assert Kept.entries[-1].why.startswith("the quietest window: Mon 12:00–13:00 UTC")
    assert "9 days ago; it counts for 14" in Kept.entries[-1].why


async def test_the_record_says_how_old_the_calendar_is_by_which_a_wave_begins_or_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it opens production or closes it; and events that are added later hold a release for which it was overridden."""
    known = Calendar((Interval(AT, AT + HOUR, "sale"),), AT + 24 * HOUR, "digest", "as it was 3 h ago, and not read since: it is away")

    async def with_it(groups: Sequence[Group]) -> list[Group]:
        return [tuple(replace(one, calendar=known) for one in group) for group in groups]

    monkeypatch.setattr(windows, "with_calendars", with_it)
    assert await keeps(phase_of(allow=[{"ics": "https://example.com/token.ics", "zone": "UTC"}], if_too_short="proceed")) is None
    assert Kept.entries[-1].why == f"the calendar example.com: {known.note}"
    phase = phase_of(deny=[{"ics": "https://example.com/token.ics", "zone": "UTC"}])
    found = await keeps(phase)
    assert found is not None
    assert found.until == AT + HOUR
    assert (known.note in found.why, "by the calendar: sale" in found.why, "token" in found.why) == (True, True, False)
    world.aside = set(found.held_by)
    known = replace(known, note="as it was 4 h ago, and not read since: it is away")
    assert await keeps(phase) is None
    known = replace(known, digest="another")
    assert await keeps(phase) is not None


@pytest.fixture
async def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this machine a key's folder in which two runs are open."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    for run in (RUN, "another"):
        await keep_open(run)


@pytest.mark.usefixtures("key")
async def test_services_of_one_group_change_production_one_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group of the plan or of a policy; who waits looks again when the window closes, and no override helps."""
    opened = chain(None, at=AT, kind="opened", what="asked", who="rita", why="", evidence={"flow": "release", "version": "1.1"})

    async def read(*_: Any) -> Any:
        return opened

    monkeypatch.setattr(windows, "read_entry", read)
    world.policies = (policy_of(windows={"one_at_a_time": "db"}),)
    phase = phase_of(allow=CLOSED["deny"])
    assert await take_turns(["db", GROUP], run="another", what="release mail 2.0") is None
    found = await keeps(phase)
    assert found is not None
    assert (found.held_by, found.until) == ((TURN,), AT + timedelta(days=1))
    assert found.why.startswith("release mail 2.0 (")
    assert await keeps(phase, says=False) is None  # nothing is taken before what was approved is compared
    with pytest.raises(Refused, match="waits for its turn"):
        _expect_held("release shop 1.1", list(found.held_by))
    assert await what_holds_a_target(phase, "production") == found
    await forget_open("another")
    assert await keeps(phase) is None
    assert await take_turns(["db"], run="another", what="release of a plan that names it") is None
    assert await take_turns([GROUP], run="another", what="release mail 2.0") is not None


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    ("done", "gives"),
    [
        (None, True),
        ({"kind": "effect", "environment": "staging", "name": "promote"}, True),
        ({"kind": "effect", "environment": "production/eu", "name": "promote"}, False),
        ({"kind": "migration", "environment": "production/eu", "name": "expand"}, False),
    ],
)
async def test_a_release_that_waits_gives_its_turn_up_until_it_has_changed_production(
    world: World, monkeypatch: pytest.MonkeyPatch, done: dict[str, Any] | None, *, gives: bool
) -> None:
    """The next one goes first, as for a freeze; but not between two waves, beside a service that is half deployed."""
    assert await take_turns(["db"], run=RUN, what="release shop 1.1") is None
    for name in ("_holds_lease", "check_not_stopped"):
        monkeypatch.setattr(windows, name, nothing)
    if done is not None:
        Kept.entries.append(chain(None, at=AT, what="", who="shipway", why="", evidence={}, **done))
    world.frozen = FROZEN
    await wait_for_window(phase_of(production=TWO_WAVES, one_at_a_time="db"), ["production/us"])
    assert Kept.entries[-1].what.startswith("Waits: production is frozen")
    assert (await take_turns(["db"], run="another", what="release mail 2.0") is None) is gives


@pytest.mark.usefixtures("key")
async def test_who_has_changed_production_keeps_its_turns_while_it_waits_for_another_one() -> None:
    """As of a policy that names a group by now."""
    assert await take_turns(["db"], run=RUN, what="release shop 1.1") is None
    assert await take_turns(["mail"], run="another", what="release mail 2.0") is None
    assert await take_turns(["db", "mail"], run=RUN, what="release shop 1.1", keeps=True) is not None
    assert await take_turns(["db"], run="another", what="release mail 2.0") is not None


@pytest.mark.parametrize("waits", [lambda phase: wait_for_window(phase, ["production"]), wait_while_frozen], ids=["production", "staging"])
async def test_what_is_lifted_between_the_look_and_the_wait_wakes_the_release(
    world: World, monkeypatch: pytest.MonkeyPatch, waits: Any
) -> None:
    """It is named what holds it before it is looked: by a later name it would sleep until the next day."""
    assert world.frozen is None
    holds, named = ["frozen"], list[str]()

    async def look(_phase: Any) -> Hold:
        holds[0] = "lifted"  # right after this look
        return FROZEN

    async def wait(_until: Any, *, held: str, **_: Any) -> None:
        named.append(held)

    ways: dict[str, Any] = {"what_freezes": look, "what_holds": lambda _service: holds[0], "wait_until": wait, "tell_what_is_over": nothing}
    for name, way in {**ways, **dict.fromkeys(("_holds_lease", "_is_changed", "check_not_stopped"), nothing)}.items():
        monkeypatch.setattr(windows, name, way)
    await waits(phase_of())
    assert [held.rpartition(" ")[2] for held in named] == ["frozen"]


async def test_a_release_whose_people_are_asked_gives_its_turn_up_before(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may take hours: the next one of the group goes first."""
    assert world.frozen is None
    done: list[str] = []

    async def give(_run: str) -> None:
        done.append("given up")

    async def ask(*_: Any, **__: Any) -> None:
        done.append("asked")
        raise Skipped("suspended")

    ways: dict[str, Any] = {"give_turns": give, "ask_to_begin": ask, "said_about": nothing}
    for name, way in {**ways, **dict.fromkeys(("_holds_lease", "_is_changed", "check_not_stopped"), nothing)}.items():
        monkeypatch.setattr(windows, name, way)
    soon = {**CLOSED["deny"][0], "until": f"{AT + timedelta(minutes=2):%Y-%m-%dT%H:%M}"}
    with pytest.raises(Skipped):
        await wait_for_window(phase_of(allow=[soon], if_too_short="ask"), ["production"])
    assert done == ["given up", "asked"]
