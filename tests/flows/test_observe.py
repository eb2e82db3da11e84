"""A look at what was deployed: what it does with what it sees, and that a late failure is acted on once."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from blocks.errors import BadInput, Refused, Temporary
from blocks.key_folder.key_file import create_key, key_path
from blocks.platform import LogLine
from flows.lifecycle import context
from flows.lifecycle.context import Phase
from flows.rollout import log_check, look_again
from flows.rollout.log_check import LogsFound
from tasks.lifecycle import asking, under_way
from tasks.lifecycle.kept_runs import forget_open, keep_open
from tasks.lifecycle.looked import looks_of
from tasks.lifecycle.observed import begin_observed, read_observed, replace_observed
from tasks.notify import unobserved
from tasks.record.kept_index import keep_run
from tasks.record.left import keep_left
from tasks.rollout import late_rollback
from tasks.rollout.late_rollback import MOST_ASKED
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.lifecycle.observed import Observed, observed_from
from tasks.rules.lifecycle.results import PhaseResult
from tasks.rules.plan.targets import place_of
from tasks.rules.record.entries import Entry, chain
from tasks.rules.rollout.deployed import places_of
from tasks.rules.rollout.migrations import Here
from tests.rules.lifecycle.test_observed import taken
from tests.tasks.conftest import offline
from tests.tasks.fake_platform import FakePlatform, counted
from tests.tasks.lifecycle.test_keys_others_cannot_know import Server, Thing
from tests.tasks.lifecycle.test_keys_others_cannot_know import run as run_of

__all__ = ["offline"]
pytestmark = pytest.mark.usefixtures("offline")
SHOP, LOOK = "shop", "look-1"
OWNER = "5c2d0a1e-0000-0000-0000-000000000001"
T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
RECORD = ["health", "metrics", "logs", "verdict", "closed"]


class World:
    """A deployed version, and who looks at it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        """Let all be well."""
        self.flow: Any = importlib.import_module("flows.observe")
        self.platform = FakePlatform("1.1", None, percent=0, previous="1.0")
        self.platform.position["owner"] = None
        self.platform.numbers = {"1.1": counted(0)}
        self.health, self.logs, self.answers = "passed", "passed", True
        self.approved = self.refuses = False
        self.api, self.told, self.entries = Server(), list[dict[str, Any]](), list[str]()
        patch.setattr(late_rollback, "get_client", lambda: self.api)
        patch.setattr(context, "append_entry", self.append)
        patch.setattr(self.flow, "notify", self.notify)
        patch.setattr(unobserved, "notify", self.notify)
        patch.setattr(under_way, "get_client", lambda: self.api)
        patch.setattr(self.flow, "read_entries", self.read_entries)
        for name in ("load_platform_to_roll_back", "probe", "new_errors"):
            patch.setattr(look_again, name, getattr(self, name))

    async def append(self, _run: str, _what: str, *, kind: str, **_: Any) -> None:
        """Record."""
        self.entries.append(kind)

    async def load_platform_to_roll_back(self, name: str, **_: Any) -> FakePlatform:
        """Give the platform, if it answers."""
        if not self.answers:
            raise Temporary(f"{name} does not answer")
        return self.platform

    async def probe(self, *_: Any, **__: Any) -> tuple[Any, dict[str, Any]]:
        """Ask for health, if the credentials of its checks are there."""
        if self.refuses:
            raise BadInput("the credential probe does not exist", field="verification.health", fix="Make it.")
        return await self.platform.current(), {"outcome": self.health, "reason": f"health {self.health}"}

    async def new_errors(self, *_: Any, **__: Any) -> LogsFound:
        """Search the logs."""
        return LogsFound(PhaseResult(outcome=Outcome(self.logs), reason=f"logs {self.logs}"), "", {})

    async def read_entries(self, _: str) -> list[Entry]:
        """Give the record of the release that is under way: it waits at its gate, or was approved."""
        proofs = {"proofs": [{"name": "ada"}]} if self.approved else {}
        kind: Any = "gate"
        return [
            chain(None, at=datetime.now(UTC), who="x", what="x", kind=kind, name="decision" if proofs else "question 1", evidence=proofs)
        ]

    def replace(self, **changes: Any) -> None:
        """Change what is kept."""
        assert replace_observed(SHOP, self.kept, self.kept.model_copy(update=changes))

    async def notify(self, blocks: list[str], facts: Any, **said: Any) -> None:
        """Tell people."""
        self.told.append({"blocks": blocks, "facts": facts, **said})

    async def rolled_back(self, version: str, serves: str) -> None:
        """Keep what a rollback left."""
        here = Here("production", place_of(self.kept.taken.parsed(), "production").platform)
        await keep_left(SHOP, here=here, version=version, serves=serves, run="rollback-1")

    def renamed(self, name: str) -> None:
        """Let a ConfigMap change: the same pods are called otherwise."""
        self.platform.numbers[name] = self.platform.numbers.pop(str(self.platform.position["baseline"]))
        self.platform.position["baseline"] = name

    def deploy(self, version: str = "1.1", **observe: Any) -> Observed:
        """Deploy the version, of which a look is due by now."""
        at, plan = datetime.now(UTC) - timedelta(minutes=20), taken(**observe)
        plan.plan["verification"]["max_error_ratio"] = 0.1
        told: Any = {"release": "r1", "plan": "/srv/a plan.yaml", "version": version}
        found = observed_from(plan, [], promoted=["production"], round=1, since=at, at=at, **told)
        assert found is not None
        begin_observed(SHOP, found, release="r1", since=at)
        return found

    async def look(self, *, requests: int = 100, failed: int = 0) -> Any:
        """Let so many requests come, and look."""
        (name,) = self.platform.numbers
        before = self.platform.numbers[name]
        self.platform.numbers[name] = counted(before["requests"] + requests, before["errors"] + failed)
        phase = Phase(LOOK, 1, LOOK, self.kept.taken.parsed(), self.kept.plan, "/srv", self.kept.taken)
        return await self.flow._look(phase, SHOP, self.kept)

    @property
    def kept(self) -> Observed:
        """Read what is kept."""
        found = read_observed(SHOP)
        assert found is not None
        return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a world with a key folder of its own."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    return World(monkeypatch)


async def test_while_all_is_well_nothing_is_recorded_and_no_one_is_told(world: World) -> None:
    """The first look only begins to count, as the release left no counts here."""
    world.deploy()
    states = [(await world.look()).name for _ in range(3)]
    assert states == ["NoData", "Passed", "Passed"]
    assert (world.kept.looks, world.kept.passed, world.kept.number) == (3, 2, 4)
    assert (world.told, world.entries, world.api.runs) == ([], [], {})


async def test_a_late_failure_is_rolled_back_once_it_is_confirmed(world: World) -> None:
    """By the deployment `rollback`, with the version by name; people are told what fails and that it is rolled back."""
    world.deploy(on_failure="roll_back")
    await world.look()
    first = await world.look(failed=30)
    assert (first.name, world.told, world.api.runs) == ("Failed", [], {})
    assert world.entries == RECORD
    assert world.kept.due - datetime.now(UTC) < timedelta(minutes=1)
    second = await world.look(failed=31)
    ((run,), (told,)) = world.api.runs.values(), world.told
    assert {name: run.parameters[name] for name in ("bad", "environment", "plan")} == {
        "bad": "1.1", "environment": "production", "plan": "/srv/a plan.yaml",
    }  # fmt: skip
    assert "in two looks in a row: requests of production; production: 31 of 100 requests failed" in run.parameters["reason"]
    assert told["facts"] == ("late_failure", "error_rate_high")
    assert str(run.id) in told["reason"]
    assert str(run.id) in second.message
    assert (world.kept.rollback, world.kept.ended) == (str(run.id), "")


async def test_told_is_told_once_an_episode_with_the_command_that_rolls_back(world: World) -> None:
    """It goes on being looked at."""
    world.deploy()
    for health in ("failed", "failed", "failed", "passed", "failed", "failed"):
        world.health = health
        await world.look()
    assert world.entries == RECORD * 4, "two of each episode"
    assert [one["facts"] for one in world.told] == [("late_failure", "health_check_failed")] * 2
    assert world.told[0]["key"] != world.told[1]["key"]
    assert "`shipway rollback '/srv/a plan.yaml' --bad 1.1 --reason …`" in world.told[0]["to_do"]
    assert (world.kept.ended, world.api.runs) == ("", {})
    assert looks_of([world.kept.release])[world.kept.release]["production"].late_failures == 2


async def test_a_platform_that_does_not_answer_is_neither_well_nor_ill(world: World) -> None:
    """However often: nothing is done, and people are told once, since a failure would not be seen."""
    world.deploy(on_failure="roll_back")
    world.answers = False
    states = [await world.look() for _ in range(5)]
    assert {one.name for one in states} == {"NoData"}
    assert "does not answer" in states[0].message
    assert (world.kept.passed, world.kept.ended, world.api.runs) == (0, "", {})
    (told,) = world.told
    assert (told["facts"], "is not known" in told["reason"]) == (["unobserved"], True)


async def test_health_that_cannot_be_checked_as_a_credential_is_gone_is_told_at_once_and_once(world: World) -> None:
    """Until it is well again; the other checks go on meanwhile."""
    world.deploy()
    await world.look()
    for gone in (True, True, False, True):
        world.refuses = gone
        await world.look()
    assert [one["facts"] for one in world.told] == [["unobserved"]] * 2
    assert "the credential probe does not exist" in world.told[0]["reason"]
    assert world.kept.places["production"].requests == 400


async def test_nothing_is_judged_while_it_is_not_known_what_serves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be another version, or a release may be under way."""

    async def silent() -> Any:
        return world.platform.silent()

    world.deploy(on_failure="roll_back")
    await world.look()
    monkeypatch.setattr(world.platform, "current", silent)
    assert [(await world.look(failed=100)).name for _ in range(2)] == ["NoData"] * 2
    assert world.api.runs == {}


async def test_a_look_is_put_off_while_a_release_holds_production(world: World) -> None:
    """Whatever it would see then is not the version's fault; and it looks itself, so that no one is told however long it takes."""
    world.deploy(on_failure="roll_back")
    world.health, world.platform.position["owner"] = "failed", OWNER
    await keep_open(OWNER, service=SHOP)
    assert [(await world.look()).name for _ in range(4)] == ["PutOff"] * 4
    assert (world.kept.looks, world.kept.number, world.told) == (0, 5, [])


async def test_people_are_told_once_if_an_open_release_of_another_service_puts_looks_off(world: World) -> None:
    """Whoever writes the workload can name any release that waits."""
    world.deploy(on_failure="roll_back")
    world.health, world.platform.position["owner"] = "failed", OWNER
    await keep_open(OWNER, service="wiki", blocks=["local/wiki"])
    assert [(await world.look()).name for _ in range(4)] == ["PutOff"] * 4
    assert [one["facts"] for one in world.told] == [["unobserved"]]


@pytest.mark.parametrize("owner", ["eve", OWNER, "00000000-0000-0000-0000-00000000dead"])
async def test_no_look_is_put_off_for_an_owner_that_is_not_a_run_which_goes_on(world: World, owner: str) -> None:
    """Whoever writes the workload can write one there, and a backup can bring one back: the failure is confirmed and rolled back."""
    world.deploy(on_failure="roll_back")
    world.health, world.platform.position["owner"] = "failed", owner
    assert [(await world.look()).name for _ in range(2)] == ["Failed", "Failed"]
    assert (len(world.told), len(world.api.runs)) == (1, 1)


async def test_people_are_told_once_if_a_run_that_only_the_server_has_puts_looks_off(world: World) -> None:
    """It may be made up, by who writes the workload and has the API's password."""
    world.deploy(on_failure="roll_back")
    world.api.runs["x"] = Thing(id=UUID(OWNER), state=Thing(is_final=lambda: False), tags=[])
    world.health, world.platform.position["owner"] = "failed", OWNER
    assert [(await world.look()).name for _ in range(4)] == ["PutOff"] * 4
    ((told,), kept) = world.told, world.kept
    assert (told["facts"], "so that no failure of it would be seen; a release or rollback is" in told["reason"]) == (["unobserved"], True)
    assert (kept.untold, kept.silent_told) == ("", True)
    world.replace(until=datetime.now(UTC) - timedelta(minutes=11))
    await world.look()
    assert (len(world.told), bool(world.kept.ended)) == (2, True)
    assert "`shipway rollback '/srv/a plan.yaml' --bad 1.1 --reason …`" in world.told[1]["to_do"]


async def test_a_failure_that_the_last_look_confirms_is_rolled_back_after_a_release_that_held_it_up(world: World) -> None:
    """A plan may have one look alone, and its time is over by then; the observation ends with the rollback."""
    world.deploy(on_failure="roll_back", every_minutes=120)
    world.replace(until=datetime.now(UTC))
    world.health, world.approved = "failed", True
    await keep_open("r2", service=SHOP)
    for _ in range(2):
        await world.look()
    assert (len(world.told), world.api.runs, world.kept.ended) == (1, {}, "")
    assert world.kept.is_due(datetime.now(UTC) + timedelta(minutes=120))
    await forget_open("r2")
    await world.look()
    (run,) = world.api.runs.values()
    assert (world.kept.rollback, world.kept.ended) == (str(run.id), "")


async def test_requests_that_were_lost_are_not_asked_for_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look that cannot request the rollback makes new ones."""
    monkeypatch.setattr(asking, "secret_name", str)
    world.deploy(on_failure="roll_back")
    for number in range(MOST_ASKED):
        world.api.runs[f"late-failure-r1-{number}"] = run_of(uuid4(), "CANCELLED")
    world.health = "failed"
    for _ in range(2):
        await world.look()
    assert ("COULD NOT BE REQUESTED" in world.told[0]["reason"], world.kept.asked) == (True, MOST_ASKED)
    await world.look()
    assert world.kept.rollback == str(world.api.runs[f"late-failure-r1-{MOST_ASKED}"].id)


async def test_it_ends_if_another_version_serves(world: World) -> None:
    """As after a rollback by people."""
    world.deploy(on_failure="roll_back")
    world.platform.position["baseline"], world.health = "1.0", "failed"
    await world.rolled_back("1.1", "1.0")
    await world.look()
    assert world.kept.ended == "1.1 does not serve any more"
    assert (world.told, world.entries) == ([], [])


async def test_a_line_of_the_log_counts_in_one_look_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One error while health is asked for, or in the second of the look, does not make a failure in two looks in a row."""
    monkeypatch.setattr(look_again, "new_errors", log_check.new_errors)
    moments = iter([T0 + timedelta(seconds=4.7), T0 + timedelta(seconds=64.7)])
    monkeypatch.setattr(look_again, "now", lambda: next(moments))
    world.deploy(on_failure="roll_back")
    world.replace(since=T0, places={"production": world.kept.places["production"].model_copy(update={"in_whole": True})})
    times = [T0 + timedelta(seconds=seconds) for seconds in (3.2, 4.0, 4.6)]

    async def logs(_since: float, take: Any) -> dict[str, str]:
        for at in times:
            take(LogLine(at=at.timestamp(), version="1.1", text=f"ERROR {'abc'[times.index(at)] * 9} failed"))
        return {}

    monkeypatch.setattr(world.platform, "logs", logs)
    messages = [(await world.look()).message for _ in range(2)]
    found = [{name for name in "abc" if name * 9 in one} for one in messages]
    assert (sum(map(len, found)), found[0] & found[1]) == (2, set()), messages
    assert world.kept.places["production"].read == T0 + timedelta(seconds=64)


@pytest.mark.parametrize("deployed_as", ["1.1", "1.1+config.aaaaaaaaaa"])
async def test_a_version_whose_configuration_changed_is_observed_under_its_new_name(world: World, deployed_as: str) -> None:
    """A renewed certificate renames it on Kubernetes, and may be what breaks it; counts have the new name, too."""
    world.deploy(version=deployed_as, on_failure="roll_back")
    world.renamed("1.1+config.0f3a9c21b7")
    states = [(await world.look(failed=failed)).name for failed in (0, 50, 50)]
    assert states == ["NoData", "Failed", "Failed"]
    ((run,), (told,)) = world.api.runs.values(), world.told
    assert (run.parameters["bad"], "50 of 100 requests failed" in told["reason"]) == (deployed_as, True)


async def test_another_version_that_no_release_or_rollback_brought_is_told(world: World) -> None:
    """Once: with it the observation ends, and no one would know."""
    world.deploy(on_failure="roll_back")
    world.platform.position["baseline"] = "1.0"
    await world.look()
    assert world.kept.ended == "1.1 does not serve any more"
    (told,) = world.told
    assert (told["facts"], "no release or rollback did that" in told["reason"]) == (["unobserved"], True)


async def test_another_version_that_a_release_brought_is_not_told(world: World) -> None:
    """As one that is deployed in one target, and whose record is not closed as deployed."""
    world.deploy(on_failure="roll_back")
    world.platform.position["baseline"] = "1.2"
    here = Here("production", place_of(world.kept.taken.parsed(), "production").platform)
    for place in places_of(here):
        facts = {"at": datetime.now(UTC).isoformat()}
        await keep_run("deployed", SHOP, run="r2", version="1.2", place=place, facts=facts)
    await world.look()
    assert (world.kept.ended, world.told) == ("1.1 does not serve any more", [])


async def test_a_configuration_that_a_rollback_brought_back_ends_the_observation(world: World) -> None:
    """Its version is called alike, but is not what was deployed."""
    world.deploy(on_failure="roll_back")
    world.platform.position["baseline"] = "1.1+config.0f3a9c21b7"
    await world.rolled_back("1.1", "1.1+config.0f3a9c21b7")
    await world.look()
    assert (world.kept.ended, world.told) == ("1.1 does not serve any more", [])


async def test_nothing_is_done_for_a_release_whose_place_a_newer_one_took_meanwhile(world: World) -> None:
    """It is about another version."""
    old = world.deploy(on_failure="roll_back")
    failing = old.model_copy(update={"places": {"production": old.places["production"].model_copy(update={"failing": ("health",)})}})
    newer = old.model_copy(update={"release": "r2", "since": datetime.now(UTC)})
    begin_observed(SHOP, newer, release="r2", since=newer.since)
    world.health = "failed"
    phase = Phase(LOOK, 1, LOOK, old.taken.parsed(), old.plan, "/srv", old.taken)
    assert (await world.flow._look(phase, SHOP, failing)).name == "Over"
    assert (world.told, world.api.runs, world.kept) == ([], {}, newer)


async def test_a_rollback_that_cannot_be_requested_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """People do it by hand, and the observation goes on."""

    async def refuse(*_: Any, **__: Any) -> str:
        raise Refused("others made a run in its place")

    world.deploy(on_failure="roll_back")
    monkeypatch.setattr(world.flow, "retried", lambda task: refuse if task is world.flow.request_rollback else task.fn)
    world.health = "failed"
    for _ in range(3):
        await world.look()
    (told,) = world.told
    assert "THE ROLLBACK COULD NOT BE REQUESTED" in told["reason"]
    assert "--bad 1.1" in told["to_do"]
    assert world.kept.ended == ""


async def test_a_release_that_people_approved_is_not_ended_by_the_rollback_for_one_pause(world: World) -> None:
    """It may be the fix. People are told; after the pause, or if it comes to nothing, the rollback is requested, and that is told, too."""
    world.deploy(on_failure="roll_back")
    world.health, world.approved = "failed", True
    await keep_open("r2", service=SHOP)
    for _ in range(3):
        await world.look()
    (told,) = world.told
    assert "it is not rolled back while the release" in told["reason"]
    assert (world.api.runs, world.kept.ended) == ({}, "")
    held = world.kept.held
    assert held is not None
    world.replace(held=held - world.kept.pause)
    await world.look()
    assert (len(world.told), len(world.api.runs)) == (2, 1)


async def test_a_release_that_waits_at_its_gate_holds_no_rollback_up(world: World) -> None:
    """Whoever has the API's password can have one wait there at any time."""
    world.deploy(on_failure="roll_back")
    world.health = "failed"
    await keep_open("r2", service=SHOP)
    for _ in range(2):
        await world.look()
    assert (len(world.told), len(world.api.runs)) == (1, 1)


async def test_a_rollback_that_was_held_up_is_requested_once_the_release_is_over(world: World) -> None:
    """It was not the fix."""
    world.deploy(on_failure="roll_back")
    world.health, world.approved = "failed", True
    await keep_open("r2", service=SHOP)
    for _ in range(2):
        await world.look()
    await forget_open("r2")
    await world.look()
    assert (len(world.told), len(world.api.runs)) == (2, 1)


async def test_a_storage_that_is_away_keeps_no_failure_from_being_acted_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be recorded is said."""

    async def refuse(*_: Any, **__: Any) -> None:
        raise Temporary("the storage does not answer")

    world.deploy(on_failure="roll_back")
    monkeypatch.setattr(context, "append_entry", refuse)
    world.health = "failed"
    for _ in range(2):
        await world.look()
    assert (len(world.told), len(world.api.runs)) == (1, 1)


async def test_a_run_that_others_start_does_nothing_unless_a_look_is_due(world: World) -> None:
    """Whoever has the API's password can start one at any time, for any release."""
    kept = world.deploy(on_failure="roll_back")
    soon = datetime.now(UTC) + timedelta(minutes=10)
    begin_observed("till", kept.model_copy(update={"due": soon, "release": "r2"}), release="r2", since=kept.since)
    begin_observed("post", kept.model_copy(update={"ended": "its time is over", "release": "r3"}), release="r3", since=kept.since)
    world.health = "failed"
    assert [(await world.flow.observe.fn(run)).name for run in ("r2", "r3", "unknown")] == ["NotDue", "Over", "Over"]
    assert (world.entries, world.told, world.kept) == ([], [], kept)
