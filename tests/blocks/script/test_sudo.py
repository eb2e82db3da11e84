"""A real sudo that asks for a password: a script has no terminal and no input, so it fails at once and says why."""

from __future__ import annotations

import getpass
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import RolloutFailed
from blocks.script.hosts.platform import ScriptHosts
from tests.blocks.script.apps import App, make_app
from tests.blocks.script.hosts.farms import make_farm
from tests.blocks.script.hosts.sshds import SSHD, make_key, running

SUDO = shutil.which("sudo")
AS_OTHER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]  # a user without rights by the rules of a fresh sudo
HOW = [[], ["-S"], ["-A"]]  # it asks at the terminal, in the input, and by a program that does not exist
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SUDO is None, reason="this machine has no sudo"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a script as a user whose rights are known"),
]


def asking(how: list[str]) -> dict[str, Any]:
    """Give scripts of which one needs a right that its user has not."""
    return {
        "deploy": [*AS_OTHER, "sudo", *how, "true"],
        "status": ["./app.sh", "status"],
        "verify": ["./app.sh", "verify", "{version}"],
        "rollback": ["./app.sh", "rollback", "{previous}"],
    }


async def fails(platform: Any) -> None:
    """Assert that it fails by the end of sudo, whose words are shown, and long before its time is up."""
    lease = await platform.acquire_lease("run-1")
    await platform.prepare("1.1", lease, timeout_seconds=30)
    began = time.monotonic()
    with pytest.raises(RolloutFailed, match=r"exited with 1 after .*sudo: ") as caught:
        await platform.shift(100, lease)
    assert time.monotonic() - began < platform.timeout_seconds / 2
    assert any("password" in line or "askpass" in line for line in caught.value.evidence)
    position = await platform.current()
    assert position["percent"] in {0, None} or position["baseline"] == "1.0"


@pytest.fixture
def app(tmp_path: Path) -> App:
    """Give an environment in which 1.0 runs."""
    return make_app(tmp_path)


@pytest.mark.parametrize("how", HOW)
async def test_a_script_of_this_machine_whose_sudo_asks_for_a_password_fails_at_once(app: App, how: list[str]) -> None:
    """It does not wait, and what ran before still runs."""
    await fails(app.platform(scripts=asking(how), timeout_seconds=60))
    assert app.lines("version") == ["1.0"]


@pytest.mark.skipif(SSHD is None, reason="this machine has no sshd")
@pytest.mark.parametrize("how", HOW)
async def test_a_script_on_a_host_whose_sudo_asks_for_a_password_fails_at_once(tmp_path: Path, how: list[str]) -> None:
    """No terminal is asked for over SSH, either."""
    host_key, own_key = make_key(tmp_path / "host"), make_key(tmp_path / "own")
    home = make_farm(tmp_path, 1).hosts["web-1"].home
    with running(tmp_path, host_key=tmp_path / "host", authorized=[own_key], settings=[f"SetEnv HOME={home}"]) as sshd:
        platform = ScriptHosts.model_validate(
            {
                "service": "app",
                "address": "http://app",
                "hosts": [f"127.0.0.1:{sshd.port}"],
                "user": getpass.getuser(),
                "key": (tmp_path / "own").read_text(),
                "known_hosts": [f"[127.0.0.1]:{sshd.port} {host_key}"],
                "scripts": asking(how),
                "working_directory": str(home),
                "folder": str(tmp_path / "notes"),
                "timeout_seconds": 60,
            }
        )
        await fails(platform)
    assert (home / "version").read_text().strip() == "1.0"
