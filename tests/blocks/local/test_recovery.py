"""The local platform when its parts are killed."""

import asyncio
import os
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from blocks.errors import RolloutFailed
from blocks.local.platform import LocalPlatform
from blocks.local.state.file import load_state
from blocks.platform import Lease
from tests.waiting import until

MakeLocal = Callable[..., LocalPlatform]
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # nothing here speaks TLS, and loading the system's certificates takes long


async def deployed(platform: LocalPlatform, *, canary: str | None = None) -> Lease:
    """Bring 1.0 up as the baseline, and a canary where one is asked for."""
    lease = await platform.acquire_lease("run-1")
    await platform.prepare("1.0", lease, timeout_seconds=30)
    await platform.shift(100, lease)
    await platform.promote(lease)
    if canary:
        await platform.prepare(canary, lease, timeout_seconds=30)
    return lease


def process_of(platform: LocalPlatform, part: str) -> psutil.Process:
    """Find the agent or the watchdog of this very environment."""
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        if f"blocks.local.agent.{part}" in line and platform.folder in line:
            return process
    pytest.fail(f"no {part} lives")


def pids(platform: LocalPlatform) -> dict[str, int | None]:
    """Process ids by version, as the state file has them."""
    state = load_state(Path(platform.folder))
    assert state is not None
    return {revision["version"]: revision["pid"] for revision in state["revisions"].values()}


def lives_other_than(platform: LocalPlatform, part: str, previous: int) -> bool:
    """Say whether a successor of an agent or watchdog lives."""
    return any(
        process.info["cmdline"] and f"blocks.local.agent.{part}" in process.info["cmdline"] and platform.folder in process.info["cmdline"]
        for process in psutil.process_iter(["cmdline", "pid"])
        if process.info["pid"] != previous
    )


async def test_a_killed_agent_is_back_by_itself_with_the_same_processes(make_local: MakeLocal) -> None:
    """The watchdog starts it again; service, port, split and owner are as before, and requests made meanwhile wait instead of failing."""
    platform = make_local()
    lease = await deployed(platform, canary="1.1")
    await platform.shift(50, lease)
    before, endpoints, counts = pids(platform), await platform.endpoints(), await platform.counts()
    agent = process_of(platform, "agent")
    agent.kill()
    async with httpx.AsyncClient(verify=PLAIN, timeout=15) as client:
        replies = [(await client.get(endpoints["public"])).text for _ in range(10)]
    assert sorted(replies) == ["1.0"] * 5 + ["1.1"] * 5
    assert pids(platform) == before
    assert await platform.endpoints() == endpoints
    position = await platform.current()
    assert (position["percent"], position["owner"], position["generation"]) == (50, "run-1", 1)
    assert (await platform.counts())["1.0"]["started"] != counts["1.0"]["started"]
    await platform.promote(lease)


@pytest.mark.slow
async def test_a_killed_watchdog_is_replaced_and_so_is_an_agent_after_it(make_local: MakeLocal) -> None:
    """Agent and watchdog bring each other back."""
    platform = make_local()
    await deployed(platform)
    watchdog = process_of(platform, "watchdog")
    watchdog.kill()
    await until(lambda: lives_other_than(platform, "watchdog", watchdog.pid))
    await asyncio.sleep(0.3)
    agent = process_of(platform, "agent")
    agent.kill()
    await until(lambda: lives_other_than(platform, "agent", agent.pid))
    assert (await platform.current())["ready"] == {"1.0": True}


async def test_when_both_are_killed_the_next_call_brings_them_back(make_local: MakeLocal) -> None:
    """Whoever calls recovers the environment; the service ran on all the time."""
    platform = make_local()
    lease = await deployed(platform)
    before, direct = pids(platform), (await platform.endpoints())["baseline"]
    process_of(platform, "watchdog").kill()
    process_of(platform, "agent").kill()
    assert (await asyncio.to_thread(httpx.get, direct, verify=PLAIN)).text == "1.0"
    await platform.shift(0, lease)
    assert pids(platform) == before
    assert (await platform.current())["ready"] == {"1.0": True}


async def test_a_killed_baseline_is_restarted_and_new_requests_wait_for_it(make_local: MakeLocal) -> None:
    """A crash of the process costs time, not answers."""
    platform = make_local()
    await deployed(platform)
    public = (await platform.endpoints())["public"]
    previous = pids(platform)["1.0"]
    psutil.Process(previous).kill()
    await asyncio.sleep(0.02)
    async with httpx.AsyncClient(verify=PLAIN, timeout=15) as client:
        statuses = {(await client.get(public)).status_code for _ in range(5)}
    assert statuses <= {200, 503}
    await until(lambda: pids(platform)["1.0"] not in (None, previous))
    assert any("exited 1 time(s), last was ended by SIGKILL" in line for line in await platform.progress())


async def test_requests_for_a_dead_canary_count_as_its_errors(make_local: MakeLocal) -> None:
    """A dying canary is seen, not hidden by the baseline."""
    program, service = make_local().command[:2]
    script = f"[ -e {{folder}}/gone ] && exec sleep 60; exec {program} {service} {{port}} fine"
    platform = make_local(command=["/bin/sh", "-c", script])
    lease = await deployed(platform, canary="1.1")
    await platform.shift(100, lease)
    (Path(platform.folder) / "data" / "gone").touch()
    psutil.Process(pids(platform)["1.1"]).kill()
    public = (await platform.endpoints())["public"]
    async with httpx.AsyncClient(verify=PLAIN) as client:
        statuses = [(await client.get(public)).status_code for _ in range(10)]
        assert statuses == [502] * 10
        counts = (await platform.counts())["1.1"]
        assert (counts["requests"], counts["errors"]) == (10, 10)
        await platform.abort(lease)
        assert (await client.get(public)).text == "1.0"


async def test_a_process_that_was_started_but_never_noted_is_adopted(make_local: MakeLocal) -> None:
    """An agent killed between start and note leaves no second copy behind."""
    platform = make_local()
    lease = await deployed(platform)
    process_of(platform, "watchdog").suspend()
    agent, watchdog = process_of(platform, "agent"), process_of(platform, "watchdog")
    agent.kill()
    path = Path(platform.folder) / "state.json"
    before = pids(platform)["1.0"]
    path.write_text(path.read_text().replace(f'"pid": {before}', '"pid": null'))
    watchdog.resume()
    await platform.shift(0, lease)
    await until(lambda: pids(platform)["1.0"] is not None)
    assert pids(platform)["1.0"] == before


async def test_a_foreign_process_under_a_noted_id_is_left_alone(make_local: MakeLocal) -> None:
    """An id that the system gave to another proves nothing."""
    platform = make_local()
    await deployed(platform)
    await platform.stop()
    path = Path(platform.folder) / "state.json"
    path.write_text(path.read_text().replace('"pid": null', f'"pid": {os.getpid()}').replace('"born": null', '"born": "other:1"'))
    await platform.acquire_lease("run-1")
    await until(lambda: pids(platform)["1.0"] not in (None, os.getpid()))
    await platform.stop()


async def test_a_process_that_ignores_sigterm_is_ended_in_time(make_local: MakeLocal) -> None:
    """The stop is bounded, whatever the service does."""
    platform = make_local(command=["/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.2; done"], stop_seconds=0.3)
    lease = await platform.acquire_lease("run-1")
    with pytest.raises(RolloutFailed):
        await platform.prepare("1.0", lease, timeout_seconds=0.3)
    assert pids(platform) == {}
