"""A stage for releases that are killed: two real environments, a real repository, people with codes, and processes that die on demand."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.flows.keeping import LATER, keep
from tests.flows.processes import Runner

HERE = Path(__file__).parent
MOST_ATTEMPTS = 6
FIRST = "1.0"
_numbers = count(1)


class Ran(NamedTuple):
    """How a run ended: its final state's name and message, its entries, and the points that its first attempt passed."""

    id: str
    state: str
    message: str
    entries: list[Any]
    points: list[str]


@dataclass
class Stage:
    """The environments of one service, its repository, and the runner."""

    name: str
    folder: Path
    runner: Runner
    public: str = ""
    environments: tuple[str, ...] = ("staging", "production")

    def __post_init__(self) -> None:
        """Make the service one of this process's own: the processes of a test session share one server."""
        self.name = f"{self.name}-{secrets.token_hex(3)}"

    @property
    def repository(self) -> Path:
        """The service's repository."""
        return self.folder / "repository"

    def platform(self, environment: str) -> Any:
        """Give an environment's platform."""
        from blocks.local.platform import LocalPlatform  # noqa: PLC0415 - importing Prefect costs seconds that other tests need not pay

        return LocalPlatform(
            service=self.name,
            folder=str(self.folder / plain(environment)),
            command=[sys.executable, str(HERE / "flow_service.py"), "{port}", environment.rpartition("/")[2]],
            drain_seconds=1,
            stop_seconds=2,
        )

    async def raise_up(self) -> None:
        """Make repository, blocks and environments; the first version serves in each."""
        self.repository.mkdir(parents=True)
        self.git("init", "--quiet")
        self.tag(FIRST)
        for environment in self.environments:
            platform = self.platform(environment)
            await platform.save(f"{self.name}-{plain(environment)}", overwrite=True)
        await self.reset()
        self.public = (await self.platform(self.environments[1]).endpoints())["public"]

    async def free(self) -> None:
        """Take away the lock that a failed test may have left."""
        from prefect import get_client  # noqa: PLC0415

        from tasks.lifecycle.lock import change_tags, lock_tag, release_locks, tagged  # noqa: PLC0415

        async with get_client() as client:
            for left in await tagged(client, lock_tag(self.name)):
                await release_locks(client, left)
                await change_tags(client, str(left.id), drop={lock_tag(self.name), "shipway:open"})

    def disown(self) -> None:
        """Let the environments belong to no service: tests release services of their own there."""
        from blocks.key_folder.key_file import key_path  # noqa: PLC0415

        for path in (key_path().parent / "owners").glob("*.json"):
            with contextlib.suppress(FileNotFoundError):  # another test's
                if self.name in path.read_text():
                    path.unlink()

    async def reset(self, version: str = FIRST) -> None:
        """Bring every environment to a version, owned by no one."""
        self.disown()
        await self.reset_versions(version)

    async def reset_versions(self, version: str) -> None:
        """Do the same, but let the environments belong to whom they belong."""
        from blocks.key_folder.key_file import key_path  # noqa: PLC0415

        await self.free()
        for folder in ("left", "before"):  # what runs now serves since no rollback, and no release brought it
            shutil.rmtree(key_path().parent / folder, ignore_errors=True)
        for environment in self.environments:
            platform = self.platform(environment)
            lease = await platform.acquire_lease("reset", takeover=True)
            await platform.abort(lease)
            await platform.release_lease(lease)
            lease = await platform.acquire_lease("reset")  # a takeover is a rollback, which leaves no version as the previous one
            if (await platform.current())["baseline"] != version:
                await platform.prepare(version, lease, timeout_seconds=30)
                await platform.promote(lease)
            await platform.release_lease(lease)

    async def end(self) -> None:
        """Stop the environments."""
        for environment in self.environments:
            await self.platform(environment).stop()

    def git(self, *words: str) -> None:
        """Run git in the repository."""
        identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *words], cwd=self.repository, check=True, capture_output=True)

    def tag(self, version: str) -> str:
        """Commit a change and tag it as a version."""
        (self.repository / "VERSION").write_text(f"{version}\n")
        self.git("add", "VERSION")
        self.git("commit", "--quiet", "-m", f"Make {version}")
        self.git("tag", f"v{version}")
        return version

    def plan(self, **changes: Any) -> str:
        """Write a plan; `changes` replace whole sections, and give the path."""
        path = self.repository / f"plan-{next(_numbers)}.yaml"
        path.write_text(yaml.safe_dump({**plan_of(self.name), **changes}))
        return str(path)

    async def ask(self, flow: str, *, deployment: str = "trial", **parameters: Any) -> str:
        """Create a run of a deployment and give its id."""
        from prefect import get_client  # noqa: PLC0415

        async with get_client() as client:
            found = await client.read_deployment_by_name(f"{flow}/{deployment}")
            return str((await client.create_flow_run_from_deployment(found.id, parameters=parameters)).id)

    async def release(self, version: str, **more: Any) -> str:
        """Create a release of a version and give its id."""
        plan = more.pop("plan", None) or self.plan()
        return await self.ask("release", plan=plan, version=version, reason="a test", requester="rita", **more)

    async def release_through(self, version: str, *, kill_at: int | str = 0, **more: Any) -> Ran:
        """Release, die where told to, and let the keeper see to it until the run is closed."""
        run = await self.release(version, **more)
        return await self.carry_through(run, "release", kill_at=kill_at)

    async def carry_through(self, run: str, flow: str, *, kill_at: int | str = 0) -> Ran:
        """Run, die where told to, and let the keeper see to it until nothing is left to do."""
        points = await self.runner.run(run, flow, kill_at=kill_at)
        for _ in range(MOST_ATTEMPTS):
            if not await keep(run, settle=self.settle):
                return await self.seen(run, points)
            if (await self.seen(run)).state == "AwaitingRetry":
                await self.runner.run(run, flow)
        raise AssertionError(f"{run} is not closed after {MOST_ATTEMPTS} attempts: {await self.seen(run, points)}")

    async def settle(self, run: str, **how: Any) -> None:
        """Settle a run in a process of its own."""
        await self.runner.run(await self.ask("settle", run=run, **how), "settle")

    async def care_of(self, run: str) -> str:
        """Ask the keeper's own rule, some time later, what a run needs."""
        from tasks.lifecycle.clock import now  # noqa: PLC0415
        from tasks.record.open_runs import find_open  # noqa: PLC0415
        from tasks.rules.lifecycle.reconcile import decide_care  # noqa: PLC0415

        seen = next((one.seen for one in await find_open.fn() if one.id == run), None)
        return decide_care(seen, now=now() + LATER).act if seen else "leave"

    async def put_back(self, run: str) -> None:
        """Put a run back to work as the keeper does."""
        from prefect import get_client  # noqa: PLC0415
        from prefect.states import AwaitingRetry  # noqa: PLC0415

        async with get_client() as client:
            await client.set_flow_run_state(run, AwaitingRetry(), force=True)

    async def seen(self, run: str, points: list[str] | None = None) -> Ran:
        """Read how a run stands."""
        from prefect import get_client  # noqa: PLC0415

        from tasks.record.storage import default_storage  # noqa: PLC0415
        from tests.record_entries import load_entries  # noqa: PLC0415

        async with get_client() as client:
            found = await client.read_flow_run(run)
        entries = await load_entries(await default_storage(), run)
        state = found.state
        return Ran(run, state.name or "" if state else "", state.message or "" if state else "", entries, points or [])

    async def tags(self, run: str) -> set[str]:
        """Read a run's tags."""
        from prefect import get_client  # noqa: PLC0415

        async with get_client() as client:
            return set((await client.read_flow_run(run)).tags)

    def state_of(self, environment: str) -> dict[str, Any]:
        """Read an environment's own state file."""
        state: dict[str, Any] = json.loads((self.folder / plain(environment) / "state.json").read_text())
        return state

    def started(self, environment: str) -> int:
        """Say how many revisions an environment has ever made."""
        return int(self.state_of(environment)["next_id"])


def plain(environment: str) -> str:
    """Write an environment's name as folders and blocks are called: `production/eu` as `production-eu`."""
    return environment.replace("/", "-")


def plan_of(name: str) -> dict[str, Any]:
    """Give a plan that is quick: no approval, no smoke tests, two short steps."""
    return {
        "shipway": 1,
        "service": name,
        "verification": {
            "health": [{"path": "/version", "expect": {"json": {"/version": "{version}"}}, "timeout_seconds": 1}],
            "stability": {"successes": 1, "interval_seconds": 0.2, "timeout_seconds": 2},
            "max_error_ratio": 1,
        },
        "judgement": {
            "slis": [{"name": "errors", "indicator": "errors", "tolerance": 0.3, "limit": 0.6}],
            "alpha": 0.1,
            "min_requests": 1,
            "interval_seconds": 0.2,
            "inconclusive": "proceed",
        },
        "samples": {"judged": False},  # judging them takes seconds, which the campaigns have not
        "staging": {"platform": f"local/{name}-staging", "ready_timeout_seconds": 20},
        "production": {
            "platform": f"local/{name}-production",
            "ready_timeout_seconds": 20,
            "steps": [{"percent": 50, "watch_seconds": 1}, {"percent": 100, "watch_seconds": 0.3}],
        },
        "approval": {"quorum": 0},
        "rollback": {"to": "previous", "watch_seconds": 0.3},
        "checklist": {"tests_passed": False},
    }


def undecidable(judgement: dict[str, Any]) -> dict[str, Any]:
    """Change a judgement so that no watch is decided before its time is up: where nothing fails, nothing shows one version no worse."""
    return {**judgement, "slis": [{**sli, "tolerance": 0} for sli in judgement["slis"]]}


async def check_well(stage: Stage, *, version: str, **others: str) -> None:
    """Assert that every environment is as a closed release must leave it.

    Args:
        stage: The stage.
        version: What serves.
        others: What serves elsewhere, by an environment's last name: `us="1.0"`.
    """
    for environment in stage.environments:
        wanted = others.get(environment.rpartition("/")[2], version)
        position = await stage.platform(environment).current()
        assert (position["baseline"], position["canary"], position["percent"]) == (wanted, None, 0), f"{environment}: {position}"
        assert position["ready"] == {wanted: True}
        assert position["owner"] is None, f"{environment} is still owned by {position['owner']}"
        assert len(stage.state_of(environment)["revisions"]) == 1
    connection = http.client.HTTPConnection(stage.public.removeprefix("http://"), timeout=5)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert (answer.status, answer.read().decode()) == (200, others.get(stage.environments[1].rpartition("/")[2], version))
    connection.close()


def spots(ran: Ran, kind: str = "effect") -> list[str]:
    """List where the entries of a kind belong, in their order: `production/eu 50 % shift`."""
    return [spot_of(entry) for entry in ran.entries if entry.kind == kind]


def spot_of(entry: Any) -> str:
    """Say where an entry belongs: its environment, step and name."""
    share = "" if entry.step is None else f"{entry.step} %"
    return " ".join(word for word in (entry.environment, share, entry.name) if word)


async def check_closed(stage: Stage, ran: Ran, *, outcome: str) -> None:
    """Assert that a run's record is whole, closed once, and that no tag of it is left open."""
    from tasks.rules.record.entries import outcome_of, verify_chain  # noqa: PLC0415

    assert outcome_of(ran.entries) == outcome, [f"{entry.label}: {entry.why}" for entry in ran.entries]
    assert verify_chain(ran.entries) == []
    assert len({entry.key for entry in ran.entries}) == len(ran.entries)
    assert [entry.kind for entry in ran.entries].count("closed") == 1
    tags = await stage.tags(ran.id)
    assert not {tag for tag in tags if tag.startswith("lock:") or tag in {"shipway:open", "shipway:stop"}}, tags
    assert f"outcome:{outcome}" in tags
