"""Workers killed before, inside or after each effect on hosts, over real sshds: the next one finishes it, and nothing runs twice."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from blocks.script.hosts.platform import ScriptHosts
from tests.blocks.script.apps import kill, until
from tests.blocks.script.hosts.farms import Farm, make_farm
from tests.blocks.script.hosts.sshds import SSHD, make_key, running
from tests.blocks.script.hosts.workers import brought
from tests.forking import Forking, fork, forking

pytestmark = [pytest.mark.slow, pytest.mark.skipif(SSHD is None, reason="this machine has no sshd")]
OLD, NEW, SLOW = "1.0", "1.1", "1.1-slow"
MOMENTS = [number * 0.15 for number in range(16)]


@dataclass
class World:
    """Two hosts behind sshds of their own.

    Fields:
        farm: Their homes.
        fields: Of the platform that reaches them.
        workers: Forks what is killed.
    """

    farm: Farm
    fields: dict[str, Any]
    workers: Forking

    def platform(self) -> ScriptHosts:
        """Give a new instance, as a new worker has it."""
        return ScriptHosts.model_validate(self.fields)

    async def begin(self, version: str) -> Any:
        """Acquire the lease and prepare a version."""
        lease = await self.platform().acquire_lease("run-1")
        await self.platform().prepare(version, lease, timeout_seconds=30)
        return lease

    def work(self, act: str, lease: Any) -> int:
        """Have a worker bring an effect about; gives its process."""
        return fork(self.workers, {"fields": self.fields, "act": act, "lease": lease, "log": str(self.farm.folder.parent / "worker")})

    async def finish(self, act: str) -> dict[str, Any]:
        """Have the next attempt bring an effect about; gives where the environment stands then."""
        lease = await self.platform().acquire_lease("run-1")
        await brought(self.platform(), act, lease)
        position = await self.platform().current()
        return {"lease": lease, "stands": (position["baseline"], position["canary"], position["percent"]), "runs": self.farm.versions()}

    def home(self, number: int) -> Path:
        """Give the home of a host."""
        return self.farm.hosts[f"web-{number}"].home

    def acts(self) -> list[list[str]]:
        """List what the script was asked to change on each host."""
        return [self.farm.acts(name) for name in self.farm.hosts]


@pytest.fixture(scope="module")
def workers() -> Iterator[Forking]:
    """Give the process that forks workers."""
    with forking(Path(__file__).with_name("workers.py")) as process:
        yield process


@pytest.fixture
def world(tmp_path: Path, workers: Forking) -> Iterator[World]:
    """Run two sshds, each for a home of its own, on which 1.0 runs."""
    farm, known, names = make_farm(tmp_path, 2), [], []
    host_key, own_key = make_key(tmp_path / "host"), make_key(tmp_path / "own")
    with ExitStack() as stack:
        for name, host in farm.hosts.items():
            (folder := tmp_path / f"sshd-{name}").mkdir()
            settings = [f"SetEnv HOME={host.home}"]
            sshd = stack.enter_context(running(folder, host_key=tmp_path / "host", authorized=[own_key], settings=settings))
            names.append(f"127.0.0.1:{sshd.port}")
            known.append(f"[127.0.0.1]:{sshd.port} {host_key}")
        fields = {
            "service": "app", "address": "http://app", "hosts": names, "known_hosts": known, "user": getpass.getuser(),
            "key": (tmp_path / "own").read_text(), "folder": str(farm.folder), "timeout_seconds": 60, "stop_seconds": 0.2,
            "scripts": {
                "deploy": ["sh", "-c", 'cd "$HOME" && ./app.sh deploy {version}'],
                "status": ["sh", "-c", 'cd "$HOME" && ./app.sh status'],
                "verify": ["sh", "-c", 'cd "$HOME" && ./app.sh verify {version}'],
                "rollback": ["sh", "-c", 'cd "$HOME" && ./app.sh rollback {previous}'],
            },
        }  # fmt: skip
        yield World(farm, fields, workers)


@pytest.mark.faults
@pytest.mark.parametrize("seconds", MOMENTS)
async def test_whenever_a_worker_is_killed_each_script_runs_once_on_each_host(world: World, seconds: float) -> None:
    """Before, inside and after each effect, on each host and between them; the next worker finishes it."""
    lease = await world.begin(NEW)
    for act, wanted in (
        ("50", ((OLD, NEW, 50), [NEW, OLD])),
        ("100", ((OLD, NEW, 100), [NEW, NEW])),
        ("abort", ((OLD, None, 0), [OLD, OLD])),
    ):
        worker = world.work(act, lease)
        await asyncio.sleep(seconds)
        await kill(worker)
        found = await world.finish(act)
        assert (found["stands"], found["runs"]) == wanted, act
        lease = found["lease"]
    assert world.acts() == [[f"deploy {NEW}", f"rollback {OLD}"]] * 2


@pytest.mark.faults
@pytest.mark.parametrize("seconds", MOMENTS[:8])
async def test_whenever_a_worker_is_killed_a_promotion_is_made_once(world: World, seconds: float) -> None:
    """It is a note, so no script runs for it."""
    lease = await world.begin(NEW)
    await brought(world.platform(), "100", lease)
    worker = world.work("promote", lease)
    await asyncio.sleep(seconds)
    await kill(worker)
    assert (await world.finish("promote"))["stands"] == (NEW, None, 0)
    assert world.acts() == [[f"deploy {NEW}"]] * 2


@pytest.mark.parametrize("where", ["before the first", "inside of the first", "between them", "inside of the second", "after the last"])
async def test_a_worker_that_is_killed_at_a_host_is_followed_by_one_that_goes_on_there(world: World, where: str) -> None:
    """Scripts wait until they are let go, so that it is killed there and not later."""
    lease = await world.begin(SLOW)
    first, second = world.home(1), world.home(2)
    points: dict[str, Callable[[], bool]] = {
        "before the first": lambda: True,
        "inside of the first": (first / "deployed").exists,
        "between them": lambda: (first / "version").read_text() == f"{SLOW}\n",
        "inside of the second": (second / "deployed").exists,
        "after the last": lambda: (second / "version").read_text() == f"{SLOW}\n",
    }
    if where in {"between them", "inside of the second", "after the last"}:
        (first / "go").touch()
    if where == "after the last":
        (second / "go").touch()
    worker = world.work("100", lease)
    await until(points[where], seconds=60)
    await kill(worker)
    for home in (first, second):
        (home / "go").touch()
    found = await world.finish("100")
    assert (found["stands"], found["runs"]) == ((OLD, SLOW, 100), [SLOW, SLOW])
    assert world.acts() == [[f"deploy {SLOW}"]] * 2
