"""Where asking about a script that failed ends: a platform that does not run it again, and a question that was asked too often."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import Refused, ScriptFailed
from flows import release
from flows.approval import failed_script
from flows.approval.failed_script import ends_after
from flows.lifecycle.context import Phase
from tasks.rules.approval.script_failure import hosts_left_out, runs_allowed
from tasks.rules.lifecycle.results import FailedScript, PhaseResult, TargetResult, script_failed
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.script_failure import ScriptFailure
from tasks.rules.record.entries import Entry, Kind, chain
from tests.rules.record.test_markdown import START

SCRIPT = FailedScript(act="deploy 1.1", step="deploy", runs=1)
FOUND = TargetResult(outcome="error", reason="deploy 1.1 failed", environment="staging", is_inconclusive=True, script=SCRIPT)  # type: ignore[arg-type]


class RunsIt:
    """A platform that says it runs scripts again."""

    def running_again(self, allowed: Any) -> RunsIt:  # noqa: ARG002 - it does not keep the promise
        """Give itself."""
        return self


class World:
    """A release with its record in memory, whose people answer as the test says."""

    def __init__(self, patch: pytest.MonkeyPatch, *, platform: Any, answer: Any) -> None:
        """Stand in for what is outside."""
        self.entries: list[Entry] = []
        self.asked, self.asks = 0, ""

        async def people(*_: Any, asks: str, **__: Any) -> Any:
            self.asked, self.asks = self.asked + 1, asks
            if isinstance(answer, Exception):
                raise answer
            return None, SimpleNamespace(state=answer, why="1 of 1 approvals", skipped_by=("ada",)), []

        async def given(*_: Any, **__: Any) -> Any:
            return platform

        patch.setattr(failed_script, "put_to_people", people)
        patch.setattr(failed_script, "platform_of", given)
        patch.setattr(failed_script, "collect_inputs", given)
        patch.setattr(Phase, "append", self.append)
        patch.setattr(Phase, "read", self.read)
        plan: Any = Plan.model_construct(service="shop", on_script_failure=ScriptFailure(then="ask"))
        self.phase = Phase("run-1", 1, "run-1", plan, "plan.yaml", ".", None)  # type: ignore[arg-type]

    async def append(self, what: str, *, kind: Kind, name: str = "", **more: Any) -> Entry:
        """Keep an entry."""
        last = self.entries[-1] if self.entries else None
        self.entries.append(chain(last, at=START, kind=kind, who="x", what=what, name=name, **more))
        return self.entries[-1]

    async def read(self, kind: Kind, *, name: str = "", **_: Any) -> Entry | None:
        """Find an entry."""
        return next((entry for entry in self.entries if (entry.kind, entry.name) == (kind, name)), None)

    async def ends(self, asked: set[str], found: TargetResult = FOUND) -> PhaseResult | None:
        """Ask what becomes of the release."""
        return await ends_after(self.phase, found, found.script or SCRIPT, version="1.1", requester="mira", asked=asked)


async def test_people_are_told_what_a_script_that_failed_has_left_and_so_is_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who lets it run again lets it run beside that."""
    why = "deploy 1.1 of shop: its script timed out after 2.0 s; could not be ended: 812 (apt-get)"
    error = ScriptFailed(why, evidence=(), act="deploy 1.1", step="deploy", runs=1, lines=(), left=("812 (apt-get)",))
    world = World(monkeypatch, platform=RunsIt(), answer="approved")
    assert await world.ends(set(), script_failed(error, "staging")) is None
    assert "could not be ended, and may still run: 812 (apt-get)" in world.asks
    assert "could not be ended: 812 (apt-get)" in world.entries[0].why


async def test_people_are_not_asked_about_a_script_that_its_platform_does_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform of third parties may raise the error without the optional part: their answer would change nothing."""
    world = World(monkeypatch, platform=object(), answer="approved")
    ends = await world.ends(set())
    assert ends is not None
    assert not ends.passed
    assert "does not run scripts again" in ends.reason
    assert world.asked == 0


async def test_a_script_that_was_not_run_again_although_people_approved_ends_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same failure once more in one attempt ends it; an attempt after a crash goes by the answer that is recorded."""
    world = World(monkeypatch, platform=RunsIt(), answer="approved")
    asked: set[str] = set()
    assert await world.ends(asked) is None
    ends = await world.ends(asked)
    assert ends is not None
    assert not ends.passed
    assert await world.ends(set()) is None
    assert world.asked == 1


async def test_the_loop_of_a_release_ends_with_a_platform_that_fails_the_same_way_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It deployed twice, and not for ever."""
    world = World(monkeypatch, platform=RunsIt(), answer="approved")
    runs: list[str] = []

    async def staging(*_: Any, **__: Any) -> TargetResult:
        runs.append("staging")
        assert len(runs) < 9
        return FOUND

    async def requester(_: Any) -> str:
        return "mira"

    monkeypatch.setattr(release, "staging", staging)
    monkeypatch.setattr(release, "_requester", requester)
    assert not (await release._stage(world.phase, "1.1")).passed
    assert len(runs) == 2


async def test_a_question_that_was_asked_too_often_rolls_back_and_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The release moved something: it has failed, and was not refused."""
    world = World(monkeypatch, platform=RunsIt(), answer=Refused("the gate was asked 200 times; ask for the release again"))
    for _ in range(2):
        ends = await world.ends(set())
        assert ends is not None
        assert not ends.passed
        assert ends.reason == "deploy 1.1 failed. It is not run again: the gate was asked 200 times"
    assert world.asked == 1


async def test_a_host_that_people_left_out_lets_the_release_go_on_and_is_in_its_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt after a crash knows it from there; it is another thing than to run the script again."""
    world = World(monkeypatch, platform=RunsIt(), answer="skipped")
    script = FailedScript(act="deploy 1.1 on web-3", step="deploy-on-web-3", runs=1, host="web-3", hosts=4)
    for _ in range(2):
        assert await ends_after(world.phase, FOUND, script, version="1.1", requester="mira", asked=set()) is None
    assert world.asked == 1
    decision = world.entries[-1]
    assert (decision.name, decision.what) == (
        "script-host-staging-deploy-on-web-3-1 decision", "web-3 is left out in staging: the release goes on without it",
    )  # fmt: skip
    assert hosts_left_out(world.entries, "staging") == {"web-3": "1.1"}
    assert hosts_left_out(world.entries, "production") == runs_allowed(world.entries, "staging") == {}
