"""Attacks on the local platform's ports by another user of the machine."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from blocks.errors import RolloutFailed
from blocks.local.platform import LocalPlatform
from blocks.local.state.file import load_state
from tests.attacks.neighbour import neighbour, root_only
from tests.local_environments import make_local
from tests.waiting import until

__all__ = ["make_local"]
pytestmark = [pytest.mark.attack, root_only]
MakeLocal = Callable[..., LocalPlatform]
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # nothing here speaks TLS
EVIL = "another user's words"


def revision(platform: LocalPlatform) -> dict[str, Any]:
    """Give what is known of the newest revision; empty before there is one."""
    state = load_state(Path(platform.folder))
    revisions: dict[str, Any] = dict(state["revisions"]) if state else {}
    return dict(revisions[max(revisions, key=int)]) if revisions else {}


async def test_a_port_that_another_user_binds_first_makes_no_version_ready(make_local: MakeLocal, tmp_path: Path) -> None:
    """It is asked nothing, and the failure names the user."""
    platform = make_local(mode="patient")
    lease = await platform.acquire_lease("run-1")
    preparing = asyncio.create_task(platform.prepare("1.0", lease, timeout_seconds=6))
    await until(lambda: revision(platform).get("pid"))
    with neighbour(revision(platform)["port"], tmp_path / "neighbour", answer=EVIL) as other:
        await until(lambda: other.seen("bound"))
        with pytest.raises(RolloutFailed, match="held by a process of the user nobody"):
            await preparing
        assert other.seen("got") == []


async def test_the_local_platform_listens_on_loopback_alone(make_local: MakeLocal) -> None:
    """Its router and its metrics; control goes through a socket in its folder."""
    platform = make_local()
    lease = await platform.acquire_lease("run-1")
    await platform.prepare("1.0", lease, timeout_seconds=20)
    await platform.promote(lease)
    ours = [one for one in psutil.process_iter(["cmdline"]) if platform.folder in " ".join(one.info["cmdline"] or ())]
    listening = [found for one in ours for found in one.net_connections("inet") if found.status == psutil.CONN_LISTEN]
    assert listening
    assert {one.laddr.ip for one in listening} == {"127.0.0.1"}


async def test_a_port_that_another_user_takes_later_gets_no_more_requests(make_local: MakeLocal, tmp_path: Path) -> None:
    """A version that lives and stops listening is not replaced by who listens then."""
    platform = make_local()
    lease = await platform.acquire_lease("run-1")
    await platform.prepare("1.0", lease, timeout_seconds=20)
    await platform.promote(lease)
    port, public = revision(platform)["port"], (await platform.endpoints())["public"]
    async with httpx.AsyncClient(verify=PLAIN, timeout=10) as client:
        assert (await client.get(public)).text == "1.0"
        with neighbour(port, tmp_path / "neighbour", answer=EVIL) as other:
            await client.get(f"{public}/close")
            await until(lambda: other.seen("bound"))
            deadline = time.monotonic() + 5
            while (await client.get(public)).status_code != httpx.codes.SERVICE_UNAVAILABLE:  # some connections are open still
                assert time.monotonic() < deadline
            answers = [await client.get(public) for _ in range(3)]
            assert {answer.status_code for answer in answers} == {503}
            assert other.seen("got") == []
            assert "held by a process of the user nobody" in "\n".join(await platform.progress())
