"""The whole server stack where all that is awkward comes together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.blocks.server.test_surroundings import LONG, MOUNTED, ORDINARY, PROJECT, root_only

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("stack"), pytest.mark.timeout(400)]

SHIPWAY = Path(sys.executable).with_name("shipway")
# Up, examined, down, without IPv6 and with a umask that closes every file; each must succeed.
COMMANDS = f"""
umask 077
"{SHIPWAY}" up --timeout 240 --home "$1" && "{SHIPWAY}" doctor --home "$1" && "{SHIPWAY}" down --home "$1"
"""
NO_IPV6 = ["unshare", "--net", "sh", "-ec", 'ip link set lo up; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; exec "$@"', "sh"]
SHELL = ["env", "-u", "HOME", "-u", "SHIPWAY_KEY_FILE", "LC_ALL=C", "PYTHONUTF8=0", "PYTHONCOERCECLOCALE=0"]


@root_only
@pytest.mark.parametrize("user", ["root", "ordinary"])
def test_the_server_stack_starts_and_ends_where_everything_is_awkward(user: str) -> None:
    """A closed, long, spaced, non-ASCII path; read-only /tmp; no IPv6; no HOME; no UTF-8; umask 077."""
    with TemporaryDirectory(prefix="shipway-test-") as closed:
        home = Path(closed) / f"my Änderung {LONG}"
        mounted = ["unshare", "--mount", "sh", "-ec", MOUNTED, "sh", "ro", str(home), str(PROJECT)]
        words = [*NO_IPV6, *mounted, *(ORDINARY if user == "ordinary" else []), *SHELL, "sh", "-ec", COMMANDS, "sh", str(home)]
        done = subprocess.run(words, check=False, capture_output=True, text=True, errors="replace", timeout=360)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "FAIL" not in done.stdout
