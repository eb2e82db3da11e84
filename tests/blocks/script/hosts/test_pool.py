"""Connections that are kept between calls: shared by the same block alone, made anew once if they broke, and closed in the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from blocks.errors import Unreachable
from blocks.script.hosts import pool
from blocks.script.hosts.orders import Broke, Ran
from blocks.script.hosts.pool import Key, pool_here
from blocks.script.hosts.reach import Reach
from tests.blocks.script.apps import until
from tests.blocks.script.hosts.accounts import accounts
from tests.blocks.script.hosts.farms import Farm, make_farm

OURS = Key("block", "web-1")
DONE = Ran(0, b"", b"")


class Host:
    """A host that says what came to it.

    Args:
        breaks: The orders, by number, at which the connection breaks.
    """

    name = "web-1"

    def __init__(self, *breaks: int) -> None:
        """Nothing came yet."""
        self.breaks, self.orders, self.logins, self.closed, self.is_there = breaks, 0, 0, 0, True

    async def __aenter__(self) -> Self:
        """Count a login."""
        self.logins += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        """Count what is closed."""
        self.closed += 1

    def connect(self, _name: str) -> Any:
        """Connect to it."""
        return self

    def is_open(self) -> bool:
        """Say whether it is there."""
        return self.is_there

    async def run(self, command: str, program: bytes, order: bytes, *, timeout_seconds: float) -> Ran:
        """Do an order, or break."""
        del command, program, order, timeout_seconds
        self.orders += 1
        await asyncio.sleep(0)
        if self.orders in self.breaks:
            raise Broke("web-1: the connection broke")
        return DONE


async def call(host: Host, *, key: Key | None = OURS, orders: int = 1) -> None:
    """Ask a host as a platform's call does."""
    async with Reach("web-1", host.connect, asyncio.Semaphore(1), key) as reach:
        for _ in range(orders):
            assert await reach.run("python3", b"", b"{}", timeout_seconds=1) == DONE


async def test_calls_of_one_block_share_a_connection_and_those_of_another_one_do_not() -> None:
    """As do calls with another key, which are of another block; what asks who is let in connects anew each time."""
    host = Host()
    await call(host, orders=3)
    await call(host)
    assert (host.logins, host.closed) == (1, 0)
    await call(host, key=Key("rotated", "web-1"))
    assert (host.logins, host.closed) == (2, 0)
    await call(host, key=None)
    assert (host.logins, host.closed) == (3, 1)
    await pool_here().close()
    assert (host.logins, host.closed) == (3, 3)


async def test_two_calls_at_the_same_time_have_a_connection_each() -> None:
    """One that is used is taken from the pool."""
    host = Host()
    await asyncio.gather(call(host), call(host))
    assert (host.logins, host.closed, pool_here().size) == (2, 0, 2)


def test_each_loop_has_connections_of_its_own_and_closes_them_with_it() -> None:
    """A flow may run in another thread than the one before."""
    host = Host()

    async def twice() -> None:
        await call(host)
        await call(host)

    threads = [threading.Thread(target=asyncio.run, args=(twice(),)) for _ in range(3)]
    for one in threads:
        one.start()
        one.join()
    assert (host.logins, host.closed) == (3, 3)
    asyncio.run(twice())
    assert (host.logins, host.closed) == (4, 4)
    assert not [loop for loop in pool._POOLS if not loop.is_closed() and not loop.is_running()]


async def test_a_connection_that_is_idle_or_old_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old one is checked anew, as its key may be revoked; the one that closes them ends with the last."""
    host = Host()
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.05)
    await call(host)
    await until(lambda: host.closed == 1)
    await until(lambda: pool_here().keeper is None)
    monkeypatch.setattr(pool, "IDLE_SECONDS", 30)
    await call(host)
    monkeypatch.setattr(pool, "OLDEST_SECONDS", 0)
    await call(host)
    assert (host.logins, host.closed) == (3, 3)


async def test_no_more_are_kept_than_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes back then is closed, and those of the first hosts stay."""
    host = Host()
    monkeypatch.setattr(pool, "MOST_IDLE", 2)
    for name in ("web-1", "web-2", "web-3"):
        await call(host, key=Key("block", name))
    assert (host.logins, host.closed, pool_here().size) == (3, 1, 2)


async def test_a_connection_that_was_dropped_between_two_calls_is_made_anew_and_the_order_asked_once_more() -> None:
    """Whether that was seen before it was used, or by using it."""
    host = Host()
    await call(host)
    host.is_there = False
    await call(host)
    host.is_there = True
    assert (host.logins, host.closed, host.orders) == (2, 2, 2)
    host = Host(3)
    await call(host, orders=2)
    await call(host)
    assert (host.logins, host.orders) == (2, 4)


@pytest.mark.parametrize(("breaks", "before", "orders"), [((1,), 0, 1), ((3, 4), 2, 4)], ids=["at the first order", "both times"])
async def test_what_breaks_otherwise_is_not_asked_again(breaks: tuple[int, ...], before: int, orders: int) -> None:
    """The caller is told, and knows what it means."""
    host = Host(*breaks)
    if before:
        await call(host, orders=before)
    with pytest.raises(Unreachable, match="the connection broke") as caught:
        await call(host)
    assert (type(caught.value), host.orders, host.logins) == (Unreachable, orders, host.closed)


async def test_a_call_that_was_cancelled_keeps_no_connection() -> None:
    """An order may be under way over it."""
    host = Host()
    caller = asyncio.ensure_future(call(host, orders=1_000_000))
    await until(lambda: host.orders > 0)
    caller.cancel()
    await asyncio.wait({caller})
    assert (host.logins, host.closed, pool_here().size) == (1, 1, 0)


@pytest.fixture(scope="module")
def warm() -> Iterator[Path]:
    """Run what does the orders."""
    with accounts() as path:
        yield path


@pytest.mark.slow
async def test_a_release_logs_in_once_and_a_connection_that_breaks_runs_no_script_twice(tmp_path: Path, warm: Path) -> None:
    """Whichever order was under way: it is asked once more, and a run is begun once by its number."""
    farm: Farm = make_farm(tmp_path, 4, accounts=warm)
    lease = await farm.begin("1.1", at_once=4)
    for host, order in zip(farm.hosts.values(), ("begin", "follow", "read", ""), strict=True):
        host.breaks = order
    await farm.platform(at_once=4).shift(100, lease)
    await farm.platform(at_once=4).promote(lease)
    assert [farm.acts(name) for name in farm.hosts] == [["deploy 1.1"]] * 4
    assert [host.logins for host in farm.hosts.values()] == [[2, 1]] * 3 + [[1, 0]]
    position = await farm.platform(at_once=4, key="rotated").current()
    assert position["baseline"] == "1.1"
    assert [host.logins[0] for host in farm.hosts.values()] == [3, 3, 3, 2]
    await pool_here().close()
    assert all(opened == closed for opened, closed in (host.logins for host in farm.hosts.values()))
