"""The local platform with real processes: what it promises beside the contract of every platform (tests/platform_contract)."""

import asyncio
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from blocks import processes
from blocks.errors import BadInput, Refused, RolloutFailed, Superseded, Temporary
from blocks.local.agent import launch
from blocks.local.platform import LocalPlatform
from blocks.local.state.file import load_state, new_state, save_state
from blocks.platform import Lease, LogLine
from tests.blocks.local.test_recovery import until

MakeLocal = Callable[..., LocalPlatform]
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # nothing here speaks TLS, and loading the system's certificates takes long


async def deploy(platform: LocalPlatform, version: str = "1.0") -> Lease:
    """Bring a version up as the baseline."""
    lease = await platform.acquire_lease("run-1")
    await platform.prepare(version, lease, timeout_seconds=20)
    await platform.shift(100, lease)
    await platform.promote(lease)
    return lease


async def answers(platform: LocalPlatform, number: int) -> Counter[str]:
    """Ask the service so many times, and count who answered."""
    public = (await platform.endpoints())["public"]
    async with httpx.AsyncClient(verify=PLAIN) as client:
        return Counter([(await client.get(public)).text for _ in range(number)])


async def test_a_share_is_exact_and_what_left_is_gone(make_local: MakeLocal) -> None:
    """Of 50 requests 10 % are five; after the promotion one revision is kept."""
    platform = make_local()
    lease = await deploy(platform)
    await platform.prepare("1.1", lease, timeout_seconds=20)
    await platform.shift(10, lease)
    assert await answers(platform, 50) == {"1.0": 45, "1.1": 5}
    await platform.promote(lease)
    assert len(load_state(Path(platform.folder))["revisions"]) == 1


async def test_counts_record_errors_and_latencies_by_version(shared_local: MakeLocal, shared_lease: Lease) -> None:
    """The router counts what the judgement needs, and Prometheus can scrape it."""
    platform = shared_local()
    await platform.prepare("2.0", shared_lease, timeout_seconds=30)
    await platform.shift(100, shared_lease)
    public = (await platform.endpoints())["public"]
    async with httpx.AsyncClient(verify=PLAIN) as client:
        for path in ("/", "/status/500", "/slow", "/chunked"):
            await client.get(public + path)
        port = load_state(Path(platform.folder))["admin_port"]
        scraped = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    counts = (await platform.counts())["2.0"]
    assert (counts["requests"], counts["errors"]) == (4, 1)
    assert counts["buckets"]["0.25"] == 3
    assert counts["buckets"]["+Inf"] == 4
    assert 'shipway_requests_total{version="2.0"} 4' in scraped
    assert 'shipway_request_duration_seconds_bucket{version="2.0",le="0.5"} 4' in scraped
    assert scraped.endswith("# EOF\n")


@pytest.mark.slow
async def test_a_service_that_dies_is_reported_with_its_last_words_at_once(shared_local: MakeLocal, shared_lease: Lease) -> None:
    """Three exits before readiness are enough; the record gets exit status and log, and the canary is gone."""
    platform = shared_local()
    lease = shared_lease
    broken = shared_local(mode="dies")
    began = time.monotonic()
    with pytest.raises(RolloutFailed, match="status 7 before it was ready, 3 times") as caught:
        await broken.prepare("1.1", lease, timeout_seconds=60)
    assert time.monotonic() - began < 5
    assert "process: exited with status 7" in caught.value.evidence
    assert "ERROR the database is on fire" in caught.value.evidence
    message = str(caught.value)
    assert "; its last lines: ERROR the database is on fire" in message
    path = Path(message.partition("Its log: ")[2].partition(". Fix")[0])
    assert f"log: {path}" in caught.value.evidence
    assert "on fire" in await asyncio.to_thread(path.read_text)
    assert (await platform.current())["canary"] is None
    assert await answers(platform, 3) == {"1.0": 3}


async def test_a_service_that_is_never_ready_is_reported_when_the_time_is_up(shared_local: MakeLocal, shared_lease: Lease) -> None:
    """A process that lives but is not ready is not a deployment."""
    platform = shared_local(mode="never-ready")
    lease = shared_lease
    with pytest.raises(RolloutFailed, match=r"not ready within 0\.6 s"):
        await platform.prepare("1.1", lease, timeout_seconds=0.6)
    assert (await platform.current())["canary"] is None


async def test_a_promotion_under_load_loses_no_request(shared_local: MakeLocal, shared_lease: Lease) -> None:
    """The baseline's requests are finished before it ends: 0 failed."""
    platform = shared_local()
    lease = shared_lease
    await platform.prepare("1.1", lease, timeout_seconds=20)
    await platform.shift(50, lease)
    public, statuses, done = (await platform.endpoints())["public"], list[int](), asyncio.Event()

    async def load(path: str) -> None:
        async with httpx.AsyncClient(verify=PLAIN, timeout=10) as client:
            while not done.is_set():
                statuses.append((await client.get(public + path)).status_code)

    async with asyncio.TaskGroup() as group:
        for path in ("/", "/", "/slow", "/slow"):
            group.create_task(load(path))
        await until(lambda: len(statuses) > 25)
        await platform.promote(lease)
        await until(lambda: len(statuses) > 50)
        done.set()
    assert set(statuses) == {200}


@pytest.mark.parametrize("command", [["/bin/false"], ["/nowhere/to/be/found"], []])
async def test_a_rollback_does_not_run_what_a_block_says_since(make_local: MakeLocal, command: list[str]) -> None:
    """It needs no approval, so it runs a version as the one that serves is run; and a broken block does not stop it."""
    platform = make_local()
    await deploy(platform)
    lease = await deploy(platform, "1.1")
    edited = platform.model_copy(update={"command": command}).rolling_back()
    await edited.prepare("1.0", lease, timeout_seconds=20)
    await edited.shift(100, lease)
    await edited.promote(lease)
    assert await answers(platform, 3) == {"1.0": 3}
    assert load_state(Path(platform.folder))["previous"] == "1.1"


async def test_a_rollback_acts_where_the_block_does() -> None:
    """An environment without a folder of its own has one of the block's name."""
    platform = LocalPlatform(service="shop")
    platform._block_document_name = "shop-production"
    assert await platform.rolling_back().identity() == await platform.identity()


async def test_two_first_callers_at_once_start_one_agent(make_local: MakeLocal) -> None:
    """Of two claims at once, one is first and both meet the same agent."""
    platforms = [make_local(), make_local()]
    results = await asyncio.gather(*(one.acquire_lease(f"run-{n}") for n, one in enumerate(platforms)), return_exceptions=True)
    assert sorted(type(result) for result in results if not isinstance(result, dict)) == [Refused]
    assert (await platforms[0].current())["generation"] == 1


async def test_one_folder_on_two_machines_is_two_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines that share a key folder do not own each other's environments."""
    platform, seen = LocalPlatform(service="shop", folder=str(tmp_path)), []
    for machine in ("one", "two", "one"):
        monkeypatch.setattr(processes, "machine_id", lambda machine=machine: machine)
        seen.append(await platform.identity())
    assert seen[0] == seen[2] != seen[1]


def test_a_folder_that_another_first_caller_makes_meanwhile_is_not_a_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks before the state is written and lists after it looks again."""
    save_state(tmp_path, new_state("shop", port=4711))
    looks = iter([None])
    monkeypatch.setattr(launch, "load_state", lambda folder: next(looks, load_state(folder)))
    state = launch.check_folder(tmp_path, service="shop", port=0)
    assert state is not None
    assert state["port"] == 4711


async def test_more_traffic_for_a_dead_canary_is_refused(shared_local: MakeLocal, shared_lease: Lease) -> None:
    """Traffic never moves towards something that is not there."""
    platform = shared_local(mode="never-ready")
    lease = shared_lease
    waiting = asyncio.create_task(platform.prepare("1.1", lease, timeout_seconds=30))
    await platform._client().wait_until(lambda seen: seen["canary"] is not None, timeout_seconds=10)
    with pytest.raises(Temporary):
        await platform.shift(5, lease)
    await platform.abort(lease)
    with pytest.raises(Superseded):
        await waiting


async def test_secrets_reach_the_service_and_the_callers_own_variables_do_not(
    make_local: MakeLocal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service gets what its block says, and nothing of the release's own environment."""
    monkeypatch.setenv("PREFECT_API_KEY", "not-for-services")
    platform = make_local(environment={"DATABASE_PASSWORD": "hush"})
    await deploy(platform)
    async with httpx.AsyncClient(verify=PLAIN) as client:
        seen = (await client.get((await platform.endpoints())["baseline"] + "/environment")).text
    assert "DATABASE_PASSWORD=hush" in seen
    assert "SHIPWAY_VERSION=1.0" in seen
    assert "not-for-services" not in seen
    assert "hush" not in repr(platform)
    assert (Path(platform.folder) / "state.json").stat().st_mode & 0o077 == 0
    assert (Path(platform.folder) / "control.sock").stat().st_mode & 0o077 == 0


async def test_a_stopped_environment_is_seen_asleep_and_comes_back_with_the_next_order(make_local: MakeLocal) -> None:
    """Stopping ends every process; reading does not start them, acting does, on the same port."""
    platform = make_local()
    await deploy(platform)
    public = (await platform.endpoints())["public"]
    await platform.stop()
    async with httpx.AsyncClient(verify=PLAIN) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(public)
        assert (await platform.current())["ready"] == {"1.0": False}
        await platform.acquire_lease("run-1")
        assert (await client.get(public)).text == "1.0"


async def test_looking_at_what_was_never_deployed_makes_nothing(make_local: MakeLocal) -> None:
    """A look leaves no folder and no process behind."""
    platform = make_local()
    assert (await platform.current())["baseline"] is None
    assert await platform.counts() == {}
    assert not (await asyncio.to_thread(Path(platform.folder).exists))


@pytest.mark.parametrize("version", ["", "-rf", "1.0; reboot", "1.0\n", "../../etc", "x" * 129, "1.0\x1b[31m"])
async def test_a_version_that_could_mean_something_else_is_refused(make_local: MakeLocal, version: str) -> None:
    """Versions end up in arguments and file names."""
    with pytest.raises(BadInput, match="version"):
        await make_local().prepare(version, Lease(owner="run-1", generation=1), timeout_seconds=1)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"command": []}, "command"),
        ({"command": ["no-such-program-anywhere"]}, "command"),
        ({"command": ["/etc/passwd"]}, "command"),
        ({"working_directory": "/no/such/folder"}, "working_directory"),
    ],
)
async def test_a_command_that_cannot_run_is_refused_before_anything_moves(
    make_local: MakeLocal, fields: dict[str, object], field: str
) -> None:
    """The fix is named while nothing has changed."""
    with pytest.raises(BadInput, match=field):
        await make_local(**fields).prepare("1.0", Lease(owner="run-1", generation=1), timeout_seconds=1)


async def test_a_program_that_cannot_be_executed_fails_the_rollout_at_once(
    shared_local: MakeLocal, shared_lease: Lease, tmp_path: Path
) -> None:
    """What only the start can show is evidence, too."""
    program = tmp_path / "service"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    platform = shared_local(command=[str(program)])
    lease = shared_lease
    with pytest.raises(RolloutFailed, match="could not be started"):
        await platform.prepare("1.1", lease, timeout_seconds=30)


async def test_a_deep_folder_does_not_break_the_control_socket(make_local: MakeLocal, tmp_path: Path) -> None:
    """Socket paths are short; folders need not be."""
    platform = make_local(folder=str(tmp_path / ("deep" * 20) / ("deeper" * 10)))
    assert await platform.acquire_lease("run-1") == {"owner": "run-1", "generation": 1}


async def test_braces_that_are_no_placeholders_reach_the_service(shared_local: MakeLocal, shared_lease: Lease, tmp_path: Path) -> None:
    """Only {port}, {version} and {folder} are filled in."""
    script = "import sys, pathlib; pathlib.Path('args').write_text(' '.join(sys.argv[1:])); sys.exit(1)"
    platform = shared_local(
        command=[sys.executable, "-c", script, "{version}", "{other}", "{}", '{"a": 1}'], working_directory=str(tmp_path)
    )
    lease = shared_lease
    with pytest.raises(RolloutFailed):
        await platform.prepare("1.1", lease, timeout_seconds=10)
    assert (tmp_path / "args").read_text() == '1.1 {other} {} {"a": 1}'


async def test_an_error_in_a_line_without_its_newline_is_in_the_logs(shared_local: MakeLocal, shared_lease: Lease) -> None:
    """A version that ends no line hides nothing by it; read again, the line that grew is still one."""
    platform = shared_local()
    await platform.prepare("9.8", shared_lease, timeout_seconds=30)
    canary = (await platform.endpoints())["canary"]

    async def errors() -> list[str]:
        found: list[LogLine] = []
        assert await platform.logs(0, found.append) == {}
        return [line["text"] for line in found if line["version"] == "9.8" and "ERROR" in line["text"]]

    async with httpx.AsyncClient(verify=PLAIN) as client:
        await client.get(f"{canary}/write?ERROR-orders-lost")
        assert await errors() == ["ERROR-orders-lost"]
        await client.get(f"{canary}/write?-again")
        assert await errors() == ["ERROR-orders-lost-again"]
    await platform.abort(shared_lease)
