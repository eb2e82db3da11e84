"""Processes of a script that may not be ended, as root's, which it had by sudo: they are named wherever its ending is."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from blocks.errors import ScriptFailed
from blocks.run_again import Allowed
from tests.attacks.neighbour import root_only
from tests.blocks.script.apps import until
from tests.blocks.script.hosts.accounts import accounts
from tests.blocks.script.hosts.farms import Farm, make_farm

pytestmark = [pytest.mark.slow, root_only]
UID = 61_999
SCRIPT = """#!/bin/sh
set -eu
case $1 in
deploy)
    echo "$2" >>deployed
    "$ELEVATE" --reuid 0 --regid 0 --clear-groups sleep 300 & roots=$!
    until [ "$(cat "/proc/$roots/comm")" = sleep ]; do sleep 0.02; done
    echo "$roots" >roots
    case $2 in *hangs*) sleep 300 ;; *busy*) exit 75 ;; *) exit 3 ;; esac
    ;;
rollback) echo "$2" >version ;;
status) cat version ;;
esac
"""


@pytest.fixture
def farm() -> Iterator[Farm]:
    """Give a host whose account is another user's, with a program that makes it root, as sudo."""
    with TemporaryDirectory(prefix="shipway-test-") as name, accounts() as warm:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copy(shutil.which("setpriv") or "", folder / "elevate")
        (folder / "elevate").chmod(0o4755)
        farm = make_farm(folder, 1, accounts=warm)
        host = farm.hosts["web-1"]
        host.uid = UID
        (host.home / "app.sh").write_text(SCRIPT)
        for path in (host.home, *host.home.iterdir()):
            os.chown(path, UID, UID)
        try:
            yield farm
        finally:
            with suppress(OSError, ValueError):
                os.kill(int((host.home / "roots").read_text()), signal.SIGKILL)


def variables(farm: Farm) -> dict[str, str]:
    """Say where the program lies."""
    return {"ELEVATE": str(farm.folder.parent / "elevate")}


def left(farm: Farm) -> str:
    """Name the process as messages do."""
    return f"{(farm.hosts['web-1'].home / 'roots').read_text().strip()} (sleep)"


def reached(farm: Farm, retries: int) -> object:
    """Give the platform as of a plan that lets scripts be run again."""
    found = farm.platform(environment=variables(farm)).running_again(Allowed(retries))
    found._connect = farm.connect
    return found


async def test_what_a_script_that_failed_has_left_is_named_and_it_is_not_run_again_beside_that(farm: Farm) -> None:
    """In the error, in its evidence, and for the question to people; also for who finds the run later."""
    lease = await farm.begin("1.1", environment=variables(farm))
    for _ in range(2):
        with pytest.raises(ScriptFailed) as caught:
            await reached(farm, 2).shift(100, lease)
        assert f"; could not be ended: {left(farm)}" in str(caught.value)
        assert "exited with 3 after" in caught.value.evidence[0]
        assert left(farm) in caught.value.evidence[0]
        assert caught.value.left == (left(farm),)
    assert (farm.hosts["web-1"].home / "deployed").read_text() == "1.1\n"


async def test_a_script_that_timed_out_was_not_ended_with_all_that_it_had_started(farm: Farm) -> None:
    """It is not said then."""
    lease = await farm.begin("1.1-hangs", environment=variables(farm))
    with pytest.raises(ScriptFailed, match=r"timed out after [\d.]+ s; could not be ended: \d+ \(sleep\)") as caught:
        await farm.platform(environment=variables(farm), timeout_seconds=4).shift(100, lease)
    assert "with all that it had started" not in str(caught.value)


async def test_what_a_rollback_that_takes_over_cannot_end_is_said(farm: Farm, caplog: pytest.LogCaptureFixture) -> None:
    """It acts all the same."""
    caplog.set_level("INFO", logger="shipway.script")
    lease = await farm.begin("1.1-hangs", environment=variables(farm))
    caller = asyncio.ensure_future(farm.platform(environment=variables(farm)).shift(100, lease))
    await until((farm.hosts["web-1"].home / "roots").exists)
    caller.cancel()
    await asyncio.wait({caller})
    await farm.platform(environment=variables(farm)).abort(await farm.platform().acquire_lease("rollback", takeover=True))
    said = [line for line in caplog.messages if "as a rollback took over, after" in line]
    assert len(said) == 1
    assert f"could not be ended: {left(farm)}" in said[0]
    assert farm.versions() == ["1.0"]
    assert await farm.platform().not_ended() == [f"{left(farm)} on web-1"]
    await farm.platform().release_lease(await farm.platform().acquire_lease("rollback", takeover=True))
    await farm.platform().acquire_lease("run-2")
    assert await farm.platform().not_ended() == [], "a new release begins without it"
