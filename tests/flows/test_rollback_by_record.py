"""What a rollback is about is read from its record and from what lies beside the key, never from what the API can write."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import BadInput, Refused, WorldMoved
from blocks.key_folder.key_file import key_path
from blocks.outside_text import as_name, as_reason
from flows import rollback
from flows.lifecycle import frame
from flows.lifecycle.context import Phase
from flows.rollout import bad_version, choice, known, left, overtaken, revert, under_release, under_way
from flows.rollout.bad_version import version_to_leave_by
from tasks.record import journal, store
from tasks.record.without_key import rolling_back
from tasks.rules.rollout.migrations import Here
from tests.tasks.conftest import offline  # noqa: F401 - a fixture
from tests.tasks.fake_platform import FakePlatform

pytestmark = pytest.mark.usefixtures("offline")
RUN = "run-1"  # as the fake platform is owned by


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the storage of records."""

    async def here() -> Path:
        return tmp_path

    monkeypatch.setattr(journal, "default_storage", here)
    return tmp_path


async def same(_: Any, platform: Any, **__: Any) -> Any:
    """Give the platform as it is."""
    return platform


async def none(*_: Any, **__: Any) -> None:
    """Find no contract."""


async def none_of(*_: Any) -> dict[str, str]:
    """Find no environment that is another's."""
    return {}


async def read(platform: FakePlatform) -> Any:
    """Read its position."""
    return await platform.current()


async def abort(platform: FakePlatform, *, lease: Any, waits: bool = True) -> None:
    """Remove its canary."""
    await platform.abort(lease, waits=waits)


async def here(_: Any, __: Any, environment: str) -> Here:
    """Say where an environment is."""
    return Here(environment, f"local/{environment}", f"local {environment}")


async def with_lease(_: Any, platform: FakePlatform, *, act: Any, **__: Any) -> Any:
    """Take it over and act."""
    return await act(await platform.acquire_lease(RUN, takeover=True), 0)


class World:
    """An environment, and the releases that tags name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, platform: FakePlatform) -> None:
        """Stand in for platforms and server."""
        self.platform, self.tagged = platform, list[str]()
        plan = SimpleNamespace(service="shop", rollback=SimpleNamespace(to="previous", watch_seconds=0), notify=[])
        self.phase = Phase(RUN, 1, RUN, plan, "plan.yaml", ".", None)  # type: ignore[arg-type]

        stand_ins = {"platform_of": self.give, "retried": lambda work: work, "read_position": read, "expect_no_contract": none}
        for module in (bad_version, revert, left, choice, under_way, known, overtaken):
            for name, stand_in in {**stand_ins, "abort_canary": abort, "named": lambda work, _: work, "read_here": here}.items():
                monkeypatch.setattr(module, name, stand_in, raising=False)
        monkeypatch.setattr(under_release, "releases_there", self.releases_there)
        monkeypatch.setattr(bad_version, "faults_of_others", none_of)
        for name, stand_in in {"informed": same, "with_lease": with_lease}.items():
            monkeypatch.setattr(revert, name, stand_in)

    async def give(self, *_: Any) -> FakePlatform:
        """Give the environment's platform."""
        return self.platform

    async def releases_there(self, *_: Any, besides: str) -> dict[str, list[tuple[int, str]]]:
        """Give the releases that are kept as open."""
        return {one: [(1, "production")] for one in self.tagged if one != besides}

    async def decide(self, *, to: str = "", bad: str = "") -> str:
        """Decide which version is bad."""
        with rolling_back():
            return await version_to_leave_by(self.phase, ["production"], to=to, bad=bad, restored=[])

    async def released(self, run: str, version: str, *, closed: bool = False) -> str:
        """Write the record of a release that moved production."""
        await journal.append_entry(run, "Asked", kind="opened", evidence={"flow": "release", "version": version})
        await journal.append_entry(run, "It is up", kind="effect", environment="production", name="prepare")
        if closed:
            await journal.append_entry(run, "Done", kind="closed", evidence={"outcome": "deployed"})
        self.tagged.append(run)
        return run


def lose_records(storage: Path) -> None:
    """Remove what the storage has, as who writes there can."""
    shutil.rmtree(storage / "records", ignore_errors=True)
    store._tails.clear()


@pytest.mark.usefixtures("storage")
async def test_a_tag_on_an_old_run_does_not_choose_the_bad_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is an open record: V0 was deployed long ago, and now someone writes a lock's tag on its run."""
    world = World(monkeypatch, FakePlatform(baseline="V0", canary="BAD", previous="V-1"))
    world.platform.position["owner"] = None
    await world.released("old", "V0", closed=True)
    await world.released("new", "BAD")
    assert await world.decide() == "BAD"


@pytest.mark.usefixtures("storage")
async def test_the_release_that_owns_the_environment_is_the_one_that_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although its tags were taken away, and another open release of the service has them."""
    world = World(monkeypatch, FakePlatform(baseline="V0", canary="BAD"))
    world.platform.position["owner"] = await world.released("untagged", "BAD")
    world.tagged.clear()
    await world.released("another", "V0")
    assert await world.decide() == "BAD"


@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize(
    ("baseline", "canary", "previous", "asked", "said"),
    [
        ("V0", "BAD", None, {"bad": "V0"}, "no earlier version is known here"),
        ("BAD", None, "V0", {"bad": "V0"}, "BAD is being released or rolled back now, and this rollback would leave it serving"),
    ],
    ids=["half-way", "promoted"],
)
async def test_a_rollback_that_can_do_nothing_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, baseline: str, canary: str | None, previous: str | None, asked: dict[str, str], said: str
) -> None:
    """It is refused before it takes the environment over: the release under way would have rolled back by itself."""
    world = World(monkeypatch, FakePlatform(baseline=baseline, canary=canary, previous=previous))
    world.platform.position["owner"] = await world.released("release", "BAD")
    with pytest.raises(Refused, match=said):
        await world.decide(**asked)
    assert world.platform.calls == []


@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize("asked", [{"bad": "V9"}, {"bad": "V9", "to": "V1"}])
async def test_a_rollback_that_would_change_nothing_is_refused_and_says_what_runs(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, str]
) -> None:
    """It must not end as if the bad version were gone; no release is stopped for it."""
    world = World(monkeypatch, FakePlatform(baseline="V1", canary=None, previous="V0"))
    world.platform.position["owner"] = None
    with pytest.raises(Refused, match=r"what runs is production V1, and it was left as it is.*`--bad VERSION`"):
        await world.decide(**asked)
    assert await world.phase.read("rollback", name="bad version") is None
    assert await world.decide() == "V1", "if none is named it is what serves"


@pytest.mark.usefixtures("storage")
async def test_what_others_deployed_by_hand_is_left_for_what_it_replaced_if_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name the rollback is refused before it stops anything, and says which one leads where."""
    world = World(monkeypatch, FakePlatform(baseline="V1", canary=None, previous="V0"))
    world.platform.position |= {"owner": None, "instead": "V1.1"}
    with pytest.raises(Refused, match=r"`--bad V1` returns to V0; .* `--bad V1\.1` .* returns to V1"):
        await world.decide()
    assert await world.decide(bad="V1.1") == "V1.1"
    asked: dict[str, Any] = {"environment": "production", "reason": as_reason("x"), "bad": "V1.1", "to": "previous", "restored": []}
    with rolling_back():
        choice = await revert._choose(world.phase, world.platform, **asked, is_first=False, on_demand=True)
        left = await bad_version.last_left(world.phase, ["production"])
    assert (choice.kind, choice.version, left["production"].version) == ("redeploy", "V1", "V1.1")


@pytest.mark.usefixtures("storage")
async def test_a_release_that_went_back_by_itself_meanwhile_is_what_the_rollback_was_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stopped and what serves is verified: that is a success."""
    world = World(monkeypatch, FakePlatform(baseline="V0", canary=None, previous=None))
    world.platform.position["owner"] = None
    await world.released("release", "BAD")
    assert await world.decide() == "BAD"
    await bad_version.expect_moved(world.phase, ["production"])


@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize(
    ("kinds", "moves", "refused"),
    [
        (("nothing", "nothing"), False, True),
        (("nothing", "nothing"), True, True),
        (("nothing", None), False, True),
        (("nothing", None), True, False),  # the other one's rollback failed, and that is told
        (("nothing", "redeploy"), False, False),
        (("nothing", "redeploy"), True, False),
    ],
)
async def test_a_rollback_that_found_nothing_anywhere_did_not_succeed(
    monkeypatch: pytest.MonkeyPatch, kinds: tuple[str | None, ...], *, moves: bool, refused: bool
) -> None:
    """Also if one environment answers only when the rollback has begun, and whatever was read before."""
    world = World(monkeypatch, FakePlatform(baseline="V1", canary=None, previous="V0"))
    names = ["production/eu", "production/us"]
    await world.phase.append("Decided", kind="rollback", name="bad version", evidence={"bad": "V9", "moves": moves, "under": False})
    for name, kind in zip(names, kinds, strict=True):
        if kind:
            evidence = {"choice": {"kind": kind, "version": "V1", "reason": ""}, "position": {"baseline": "V1", "canary": None}}
            await world.phase.append("Chosen", kind="rollback", environment=name, name="choice", evidence=evidence)
    if refused:
        with pytest.raises(Refused, match=r"production/eu V1.*--bad"):
            await bad_version.expect_moved(world.phase, names)
    else:
        await bad_version.expect_moved(world.phase, names)


@pytest.mark.usefixtures("storage")
async def test_a_rollback_after_which_the_version_serves_on_by_another_name_is_not_told_as_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a target that was silent until the others had left it, and is within the hour of a rollback of its configuration."""
    world = World(monkeypatch, FakePlatform(baseline="V1", canary=None))
    await world.phase.append("Decided", kind="rollback", name="bad version", evidence={"bad": "V1", "moves": True, "under": False})
    for name, kind, version in (("eu", "nothing", "V1+config.a"), ("us", "redeploy", "V0")):
        found = {"kind": kind, "version": version, "reason": ""}
        evidence = {"choice": found, "position": {"baseline": "V1+config.a", "canary": None}}
        await world.phase.append("Chosen", kind="rollback", environment=f"production/{name}", name="choice", evidence=evidence)
    with pytest.raises(WorldMoved, match=r"V1\+config\.a serves on in production/eu.*`--bad V1\+config\.a`"):
        await bad_version.expect_moved(world.phase, ["production/eu", "production/us"])


async def test_a_version_is_not_left_and_returned_to_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is a release stopped for that."""

    async def begun(*_: Any, **__: Any) -> None:
        """Write nothing."""

    async def opened(_: str, asked: rollback.RollbackRequest) -> rollback.RollbackRequest:
        return asked

    monkeypatch.setattr(rollback, "retried", lambda work: work)
    monkeypatch.setattr(rollback, "begin_attempt", begun)
    monkeypatch.setattr(rollback, "_opened", opened)
    ending = await rollback._attempt(RUN, asked_for(version="V0", bad="V0"))
    assert (ending.name, "nothing was stopped" in ending.reason) == ("refused", True)


@pytest.mark.usefixtures("storage")
async def test_a_canary_whose_release_was_fenced_out_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment changed between look and takeover: where no version can be returned to, the canary goes all the same."""
    world = World(monkeypatch, FakePlatform(baseline="V0", canary="BAD"))
    with rolling_back():
        found = await revert.roll_back(world.phase, "production", reason=as_reason("x"), to="", bad="V0")
    assert not found.passed
    assert (world.platform.position["baseline"], world.platform.position["canary"]) == ("V0", None)


@pytest.mark.usefixtures("storage")
async def test_a_credential_that_is_refused_in_its_verification_does_not_stop_a_rollback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bad version is gone by then, as with a secret that is missing."""
    world = World(monkeypatch, FakePlatform(baseline="V0", canary="BAD"))

    async def verified(*_: Any, **__: Any) -> Any:
        raise BadInput("credential/token is not for versions on local/shop", field="verification.health[0]", fix="Name another one.")

    monkeypatch.setattr(revert, "verified", verified)
    with rolling_back(), pytest.raises(BadInput, match="credential/token"):
        await revert.roll_back(world.phase, "production", reason=as_reason("x"), to="", bad="BAD")
    assert (world.platform.position["baseline"], world.platform.position["canary"]) == ("V0", None)


async def test_a_rollback_that_loses_its_record_does_not_turn_round(monkeypatch: pytest.MonkeyPatch, storage: Path) -> None:
    """By what runs after its own promotion, the version to return to would be the bad one."""
    world = World(monkeypatch, FakePlatform(baseline="BAD", canary=None, previous="V0"))
    world.platform.position["owner"] = None
    assert await world.decide() == "BAD"
    world.platform = FakePlatform(baseline="V0", canary=None, previous="BAD")
    lose_records(storage)
    assert await world.decide() == "BAD", "it is kept beside the key"
    lose_records(storage)
    shutil.rmtree(key_path().parent / "entries")
    with pytest.raises(WorldMoved, match="name it with `bad`"):
        await world.decide()
    assert await world.decide(bad="BAD") == "BAD"


def asked_for(**changes: Any) -> rollback.RollbackRequest:
    """Give the parameters of a rollback."""
    usual: dict[str, Any] = {"plan": "/srv/plan.yaml", "environment": "production", "version": "", "bad": "", "restored": ()}
    return rollback.RollbackRequest(reason=as_reason("x"), requester=as_name("rita"), **(usual | changes))


@pytest.mark.parametrize(
    ("name", "other"), [("plan", "/home/eve/plan.yaml"), ("environment", "staging"), ("version", "V9"), ("bad", "V0"), ("restored", ["m"])]
)
async def test_a_rollback_goes_by_what_it_was_opened_with(storage: Path, name: str, other: Any) -> None:
    """Also when the storage lost its record: its run's parameters are the API's."""
    with rolling_back():
        first = await rollback._opened(RUN, asked_for())
        for is_lost in (False, True):
            if is_lost:
                lose_records(storage)
            again = await rollback._opened(RUN, asked_for(**{name: other}))
            assert getattr(again, name) == (list(first.restored) if name == "restored" else getattr(first, name))
            noted = await journal.read_entry(RUN, "note", name="changed parameters")
            assert noted is None if is_lost else noted and noted.what.startswith(f"{name} of this run changed")


@pytest.mark.parametrize("parameters", [{"plan": "p", "version": "1", "release": "x"}, {}])
@pytest.mark.parametrize("parent", [None, "task run"])
async def test_a_cancelled_release_is_rolled_back_whatever_its_parameters_say(
    monkeypatch: pytest.MonkeyPatch, parameters: dict[str, str], parent: str | None
) -> None:
    """A phase is known by the task run that called it, which the API cannot write on a run."""
    done: list[str] = []

    async def finalize(run: str, **_: Any) -> None:
        done.append(run)

    async def note(_: str) -> None:
        """Write nothing."""

    monkeypatch.setattr(frame, "finalize", finalize)
    monkeypatch.setattr(frame, "retried", lambda work: work)
    monkeypatch.setattr(frame, "let_go", note)
    monkeypatch.setattr(frame, "unmark", note)
    run: Any = SimpleNamespace(id=RUN, parameters=parameters, parent_task_run_id=parent)
    await frame.roll_back_cancelled(None, run, SimpleNamespace(message=""))  # type: ignore[arg-type]
    assert done == ([] if parent else [RUN])
