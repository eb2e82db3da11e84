"""What the local platform refuses, and how it says so."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from blocks.errors import BadInput
from blocks.local.platform import LocalPlatform

MakeLocal = Callable[..., LocalPlatform]


async def test_a_port_in_use_is_refused_with_its_fix(make_local: MakeLocal) -> None:
    """Nothing is started next to another's server."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BadInput, match=f"port {port} .* in use.*another port"):
            await make_local(port=port).acquire_lease("run-1")


async def test_a_folder_with_other_things_in_it_is_refused(make_local: MakeLocal, tmp_path: Path) -> None:
    """A folder that was not made by us is not written to."""
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(BadInput, match=r"not a folder of Shipway: it holds precious\.txt"):
        await make_local(folder=str(tmp_path)).acquire_lease("run-1")
    assert await asyncio.to_thread(os.listdir, tmp_path) == ["precious.txt"]


async def test_a_folder_of_another_service_is_refused_while_that_one_runs(make_local: MakeLocal) -> None:
    """No order reaches another service's agent by a wrong folder."""
    await make_local().acquire_lease("run-1")
    with pytest.raises(BadInput, match="belongs to the service tiny"):
        await make_local(service="other").acquire_lease("run-2")


async def test_another_port_than_the_kept_one_is_refused(make_local: MakeLocal) -> None:
    """A port is chosen once."""
    platform = make_local()
    await platform.acquire_lease("run-1")
    with pytest.raises(BadInput, match="has the port"):
        await make_local(port=1).current()


@pytest.mark.parametrize("folder", ["/proc/shipway", "/dev/null/shipway"])
async def test_a_folder_that_cannot_be_made_is_refused(make_local: MakeLocal, folder: str) -> None:
    """The reason is the system's, the fix is ours."""
    with pytest.raises(BadInput, match="folder that this user may"):
        await make_local(folder=folder).acquire_lease("run-1")


async def test_a_damaged_state_file_is_not_taken_for_an_empty_folder(make_local: MakeLocal) -> None:
    """What cannot be read is not overwritten."""
    platform = make_local()
    await platform.acquire_lease("run-1")
    await platform.stop()
    path = Path(platform.folder) / "state.json"
    sound = path.read_text()
    path.write_text(sound[:50])
    try:
        with pytest.raises(BadInput, match=r"state\.json is damaged"):
            await platform.acquire_lease("run-1")
        assert path.read_text() == sound[:50]
    finally:
        path.write_text(sound)
