"""Local platforms for tests: environments in folders of their own, each ended with its test or with the last one."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from blocks.local.platform import LocalPlatform
from blocks.platform import Lease

SERVICE = Path(__file__).parent / "blocks" / "local_service.py"
MakeLocal = Callable[..., LocalPlatform]


def make(place: Path, *, mode: str = "fine", **fields: Any) -> LocalPlatform:
    """Make a local platform that runs the tiny service in a mode."""
    settings: dict[str, Any] = {
        "service": "tiny",
        "folder": str(place),
        "command": [sys.executable, str(SERVICE), "{port}", mode],
        "drain_seconds": 3,
        "stop_seconds": 2,
    }
    return LocalPlatform(**(settings | fields))


async def stop(platform: LocalPlatform) -> None:
    """End what was started."""
    if (Path(platform.folder) / "state.json").exists():
        await platform.stop()


@pytest.fixture
async def make_local(tmp_path: Path) -> AsyncIterator[MakeLocal]:
    """Make platforms in the test's own folder; all are stopped at its end."""
    made: dict[str, LocalPlatform] = {}

    def build(**fields: Any) -> LocalPlatform:
        platform = make(tmp_path / "environment", **fields)
        made.setdefault(platform.folder, platform)
        return platform

    yield build
    for platform in made.values():
        await stop(platform)


def elsewhere(work: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine in a thread of its own, out of the way of the tests' event loops."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of one environment that many tests use one after the other."""
    folder = tmp_path_factory.mktemp("local") / "environment"
    yield folder
    elsewhere(stop(make(folder)))


@pytest.fixture
def shared_local(shared_folder: Path) -> MakeLocal:
    """Make platforms in the shared environment."""
    return lambda **fields: make(shared_folder, **fields)


@pytest.fixture
async def shared_lease(shared_local: MakeLocal) -> Lease:
    """Own the shared environment, with 1.0 as its baseline and no canary."""
    platform = shared_local()
    lease = await platform.acquire_lease("test", takeover=True)
    await platform.prepare("1.0", lease, timeout_seconds=30)
    await platform.promote(lease)
    return lease
