"""A canary is verified as the list of steps asks, once, and what is found is in the record; no Prefect server takes part."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from blocks.platform import Endpoints
from flows.rollout import stop, verify_canary
from flows.rollout.verify_canary import canary_fault
from tasks.rules.plan.plan import Plan
from tests.tasks.fake_platform import OURS, FakePlatform

EU = "production/eu"


@pytest.fixture(autouse=True)
def without_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Call tasks as plain functions."""
    for module in (stop, verify_canary):
        monkeypatch.setattr(module, "named", lambda task, _: task.fn)


class Reached(FakePlatform):
    """A platform whose canary is reached at an address of its own."""

    address: str = ""
    strategy: str | None = None

    async def endpoints(self) -> Endpoints:
        """Say where the canary is; the public address answers nothing."""
        found = Endpoints(public="http://127.0.0.1:9")
        return Endpoints(**found, canary=self.address) if self.address else found


class Scene:
    """A release's phase with a record in memory."""

    def __init__(self, strategy: str | None = None) -> None:
        """Take a plan with one target."""
        target = {"name": "eu", "platform": "local/eu", "strategy": strategy}
        self.owner, self.folder, self.entries = "run-1", ".", []  # type: ignore[var-annotated]
        self.plan = Plan.model_validate(
            {
                "shipway": 1,
                "service": "guestbook",
                "verification": {
                    "health": [{}],
                    "stability": {"successes": 1, "interval_seconds": 0.01, "timeout_seconds": 0.05},
                },
                "checklist": {"tests_passed": False},
                "judgement": {"slis": [{"name": "errors", "indicator": "errors"}]},
                "staging": {"platform": "local/a"},
                "approval": {"quorum": 0},
                "rollback": {},
                "production": {"targets": [target], "steps": [{"percent": 10}, {"percent": 100}]},
            }
        )

    def key(self, name: str) -> str:
        """Make a key."""
        return f"run-1/{name}"

    async def append(self, what: str, **fields: Any) -> None:
        """Keep an entry."""
        self.entries.append({"what": what, **fields})

    async def read(self, kind: str, **fields: Any) -> Any:
        """Find an entry."""
        wanted = {"kind": kind, **fields}
        found = [entry for entry in self.entries if all(entry.get(name) == value for name, value in wanted.items())]
        return type("Entry", (), found[0]) if found else None

    def kinds(self) -> list[tuple[str, int, str]]:
        """List the entries by what identifies them."""
        return [(entry["kind"], entry["step"], entry["name"]) for entry in self.entries]


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    """Answer every request with the status that the test sets, and count them."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server: Any = self.server
            server.asked += 1
            self.send_response(server.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.status, server.asked = 200, 0
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def reached(service: Any) -> Reached:
    """Give a platform with a canary that has no traffic yet."""
    platform = Reached(percent=0)
    platform.address = f"http://127.0.0.1:{service.server_address[1]}" if service else ""
    return platform


async def fault_before_traffic(scene: Any, platform: Reached) -> str:
    """Verify the canary before its first request."""
    return await canary_fault(scene, platform, "1.1", environment=EU, percent=0, lease=OURS)


async def test_a_well_canary_is_verified_once(service: Any) -> None:
    """At its own address; the second time its verdict comes from the record, and it is asked nothing."""
    scene, platform = Scene(), reached(service)
    assert await fault_before_traffic(scene, platform) == ""
    assert scene.kinds() == [("health", 0, "1.1"), ("verdict", 0, "verified")]
    asked = service.asked
    assert asked == 1
    assert await fault_before_traffic(scene, platform) == ""
    assert service.asked == asked


async def test_a_bad_canary_is_a_fault_and_stays_one(service: Any) -> None:
    """The reason names the check; the traffic was never moved."""
    scene, platform = Scene(), reached(service)
    service.status = 500
    fault = await fault_before_traffic(scene, platform)
    assert fault.startswith(f"1.1 before its first request in {EU}: health: ")
    assert scene.entries[-1]["evidence"] == {"outcome": "failed"}
    service.status = 200
    assert await fault_before_traffic(scene, platform) == fault
    assert platform.calls == []


@pytest.mark.parametrize("dies_at", ["effect", "verdict"])
async def test_a_canary_that_was_stopped_is_not_tried_again(service: Any, monkeypatch: pytest.MonkeyPatch, dies_at: str) -> None:
    """The run dies between the stop and its entry, or before the verdict: without requests it looks well, and is a fault all the same."""
    scene, platform = Scene(), reached(service)
    await platform.shift(10, OURS)
    append = scene.append

    async def die(what: str, **fields: Any) -> None:
        if fields["kind"] == dies_at:
            raise KeyboardInterrupt
        await append(what, **fields)

    service.status = 500
    monkeypatch.setattr(scene, "append", die)
    with pytest.raises(KeyboardInterrupt):
        await after_ten_percent(scene, platform)
    assert platform.position["percent"] == 0
    service.status = 200
    monkeypatch.setattr(scene, "append", append)
    fault = await after_ten_percent(scene, platform)
    assert fault.startswith(f"1.1 at 10 % in {EU}: "), fault
    assert platform.position["percent"] == 0
    assert scene.entries[-1]["evidence"] == {"outcome": "failed"}


async def after_ten_percent(scene: Any, platform: Reached) -> str:
    """Verify the canary at the end of its step of 10 %."""
    return await canary_fault(scene, platform, "1.1", environment=EU, percent=10, lease=OURS)


async def test_a_canary_without_an_address_is_a_fault() -> None:
    """What cannot be verified gets no traffic."""
    scene = Scene()
    assert "1.1 has no private address" in await fault_before_traffic(scene, reached(None))


async def test_another_canary_is_a_fault(service: Any) -> None:
    """Another version's good answers say nothing about this one."""
    scene, platform = Scene(), reached(service)
    platform.position["canary"] = "1.2"
    assert "1.2 is the canary" in await fault_before_traffic(scene, platform)
    assert service.asked == 0


async def test_a_platform_that_updates_by_rolling_is_not_asked_before_its_first_step() -> None:
    """The plan does not name its strategy; the record says why nothing was verified."""
    scene, platform = Scene(), reached(None)
    platform.strategy = "rolling"
    assert await fault_before_traffic(scene, platform) == ""
    assert scene.kinds() == [("note", 0, "verified")]


async def test_nothing_is_checked_where_the_list_has_no_verification() -> None:
    """After the last step the whole verification follows; a plan that says rolling has no canary to ask."""
    last = await canary_fault(Scene(), reached(None), "1.1", environment=EU, percent=100, lease=OURS)  # type: ignore[arg-type]
    assert last == ""
    assert await fault_before_traffic(Scene("rolling"), reached(None)) == ""
