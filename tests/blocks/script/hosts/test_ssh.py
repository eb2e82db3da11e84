"""Hosts by SSH, over a real sshd of this machine: orders, keys of hosts, and jump hosts."""

from __future__ import annotations

import asyncio
import getpass
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from blocks.errors import BadInput, Permanent, ShipwayError, Unreachable
from blocks.script.hosts.on_host import decoded
from blocks.script.hosts.orders import ask
from blocks.script.hosts.platform import ScriptHosts
from blocks.script.hosts.ssh import Access, connected
from tasks.rollout.preview import preview_environment
from tests.blocks.script.apps import until
from tests.blocks.script.hosts.farms import make_farm
from tests.blocks.script.hosts.sshds import SSHD, free_port, make_key, running
from tests.blocks.script.hosts.test_on_host import order

pytestmark = [pytest.mark.slow, pytest.mark.skipif(SSHD is None, reason="this machine has no sshd")]


class Place(NamedTuple):
    """A running sshd: how it is reached, the key that it would show if another one took its place, its process and its log."""

    name: str
    access: Access
    other_key: str
    home: Path
    pid: int
    log: Path

    @property
    def logins(self) -> int:
        """How often it let someone in."""
        return self.log.read_text().count("Accepted publickey")

    def sessions(self) -> list[psutil.Process]:
        """List its processes beside the one that listens, with all that runs below them."""
        return psutil.Process(self.pid).children(recursive=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Run one sshd for this file, on loopback, as this user."""
    folder = tmp_path_factory.mktemp("sshd")
    host_key, own_key, other_key = (make_key(folder / name) for name in ("host", "own", "other"))
    home = make_farm(folder, 1).hosts["web-1"].home  # the account's own is not touched
    with running(folder, host_key=folder / "host", authorized=[own_key], settings=[f"SetEnv HOME={home}"]) as sshd:
        access = Access(f"[127.0.0.1]:{sshd.port} {host_key}\n", (folder / "own").read_text(), getpass.getuser())
        yield Place(f"127.0.0.1:{sshd.port}", access, other_key, home, sshd.pid, sshd.log)


def deploying(place: Place, folder: Path) -> ScriptHosts:
    """Give a platform of this host."""
    scripts = {
        "deploy": ["sh", "-c", 'test "$TOKEN" = t0ken && ./app.sh deploy {version}'],
        "rollback": ["./app.sh", "rollback", "{previous}"],
    }
    scripts |= {"status": ["./app.sh", "status"], "verify": ["./app.sh", "verify", "{version}"]}
    where = {"hosts": [place.name], "user": place.access.user, "key": place.access.key, "known_hosts": [place.access.known_hosts]}
    folders = {"folder": str(folder / "notes"), "working_directory": str(place.home)}
    fields = {"service": "app", "address": "http://app", "scripts": scripts, "environment": {"TOKEN": "t0ken"}}
    return ScriptHosts.model_validate({**where, **folders, **fields})


async def test_a_release_goes_through_over_a_real_connection_which_is_made_once(place: Place, tmp_path: Path) -> None:
    """With the secrets in the script's environment, and its output read; what is dropped between two calls is made anew, once."""
    before = place.logins
    lease = await deploying(place, tmp_path).acquire_lease("run-1")
    await deploying(place, tmp_path).prepare("1.1", lease, timeout_seconds=30)
    await deploying(place, tmp_path).shift(100, lease)
    assert place.logins == before + 1
    for session in place.sessions():
        session.kill()
    await deploying(place, tmp_path).promote(lease)
    position = await deploying(place, tmp_path).current()
    assert (position["baseline"], position["canary"], position["previous"], position["ready"]) == ("1.1", None, "1.0", {"1.1": True})
    assert (place.home / ".shipway" / "hosts" / "app" / "runs" / "1" / "result.json").exists()
    assert (place.home / "asked").read_text().splitlines().count("deploy 1.1") == 1
    assert place.logins == before + 2


def test_nothing_is_left_of_a_connection_once_its_loop_has_ended(place: Place, tmp_path: Path) -> None:
    """Neither here nor on the host, where its program ends with it."""
    before = place.logins
    platform = deploying(place, tmp_path)
    for number in range(2):  # a thread or process of its own has a loop of its own, and makes its own connection
        assert "app" in asyncio.run(platform.progress())[0]
        assert place.logins == before + number + 1
        deadline = time.monotonic() + 20
        while place.sessions():
            assert time.monotonic() < deadline, place.sessions()
            time.sleep(0.02)


async def test_a_check_beforehand_names_a_host_with_another_key_as_refused(place: Place, tmp_path: Path) -> None:
    """Nothing is sent to it; `shipway check` shows it as a problem, and a host that does not answer as a note."""
    name = place.access.known_hosts.partition(" ")[0]
    scripts = {one: ["./app.sh", one] for one in ("deploy", "status", "verify", "rollback")}
    fields = {"service": "app", "address": "http://app", "scripts": scripts, "user": place.access.user, "key": place.access.key}
    fields |= {"folder": str(tmp_path), "working_directory": str(place.home)}
    changed = ScriptHosts(**fields, hosts=[place.name], known_hosts=[f"{name} {place.other_key}"])
    assert "does not show the key that is known of it" in ((await preview_environment(changed, "1.1")) or {})["refused"]
    away = ScriptHosts(**fields, hosts=[f"127.0.0.1:{free_port()}"], known_hosts=[place.access.known_hosts])
    found = await preview_environment(away, "1.1")
    assert found is not None
    assert (found["refused"], "does not answer" in found["notes"][0]) == ("", True)


async def status(name: str, access: Access) -> bytes:
    """Read what a host prints."""
    async with connected(name, access) as host:
        found = await ask(host, order("read", command=["echo", "1.0"]), timeout_seconds=30)
    return decoded(found["output"])


async def test_a_program_that_was_ended_is_started_anew_over_the_same_connection(place: Place) -> None:
    """As one that nothing was asked of for a quarter of an hour, which ends by itself."""
    before = place.logins
    asked = order("read", command=["sh", "-c", "cut -d' ' -f4 /proc/$PPID/stat"])
    async with connected(place.name, place.access) as host:
        programs = [int(decoded((await ask(host, asked, timeout_seconds=30))["output"])) for _ in range(3)]
        assert len(set(programs)) == 1
        os.kill(programs[0], signal.SIGALRM)
        await until(host.waiting[0][1].stdout.at_eof)
        assert int(decoded((await ask(host, asked, timeout_seconds=30))["output"])) != programs[0]
    assert place.logins == before + 1


async def test_an_order_is_done_on_a_host(place: Place) -> None:
    """And over a jump host, which is checked the same way."""
    assert await status(place.name, place.access) == b"1.0\n"
    assert await status(place.name, replace(place.access, jump_hosts=[place.name])) == b"1.0\n"


@pytest.mark.parametrize("known", ["changed", "unknown", "of its address alone", "revoked"])
async def test_a_host_whose_key_is_not_the_known_one_is_refused(place: Place, known: str) -> None:
    """It is never trusted on first use, and a key that changed is not learnt."""
    name, _, right = place.access.known_hosts.strip().partition(" ")
    port = place.name.rpartition(":")[2]
    lines = {
        "changed": f"{name} {place.other_key}",
        "unknown": f"elsewhere {right}",
        "of its address alone": f"[127.0.0.1]:{port} {right}",
        "revoked": f"{name} {right}\n@revoked {name} {right}",
    }
    reached = f"localhost:{port}" if known == "of its address alone" else place.name
    with pytest.raises(BadInput, match=r"known_hosts: .* does not show the key that is known of it"):
        await status(reached, replace(place.access, known_hosts=lines[known]))
    with pytest.raises(BadInput, match="known_hosts"):
        await status(reached, replace(place.access, known_hosts=lines[known], jump_hosts=[reached]))


async def test_what_cannot_be_reached_or_used_says_which(place: Place, tmp_path: Path) -> None:
    """A port that is closed, an account that refuses the key, a key that cannot be read."""
    make_key(tmp_path / "stranger")
    stranger = replace(place.access, key=(tmp_path / "stranger").read_text())
    make_key(tmp_path / "locked", passphrase="words")
    cases: list[tuple[str, Access, type[ShipwayError], str]] = [
        (f"127.0.0.1:{free_port()}", place.access, Unreachable, "does not answer"),
        (place.name, stranger, Permanent, "refuses"),
        (place.name, replace(place.access, key="nonsense"), BadInput, "^key: "),
        (place.name, replace(place.access, key=(tmp_path / "locked").read_text()), BadInput, "without a passphrase"),
    ]
    for name, access, kind, says in cases:
        with pytest.raises(kind, match=says) as caught:
            await status(name, access)
        assert type(caught.value) is kind


OTHER_TYPES = r"known_hosts: .* does not show the key that is known of it: .* \(it shows ecdsa-sha2-nistp256 SHA256:[^ ]+\)"


async def test_a_host_that_shows_a_key_of_another_type_than_the_known_one_is_refused(place: Place, tmp_path: Path) -> None:
    """As one that was installed anew: it is not down, its key is wrong, which `shipway check` shows as a problem."""
    make_key(tmp_path / "host", kind="ecdsa")
    with running(tmp_path, host_key=tmp_path / "host", authorized=[]) as sshd:
        name = f"127.0.0.1:{sshd.port}"
        line = f"[127.0.0.1]:{sshd.port} {place.other_key}"
        with pytest.raises(BadInput, match=OTHER_TYPES):
            await status(name, replace(place.access, known_hosts=line))
        platform = deploying(place, tmp_path / "notes").model_copy(update={"hosts": [name], "known_hosts": [line]})
        assert "does not show the key that is known of it" in ((await preview_environment(platform, "1.1")) or {})["refused"]


async def test_a_host_with_a_key_of_each_type_shows_the_known_one(place: Place, tmp_path: Path) -> None:
    """Which of its keys is known is asked for first, whichever comes first in its list or in ours."""
    keys = {kind: make_key(tmp_path / kind, kind=kind) for kind in ("ed25519", "ecdsa", "rsa")}
    own = make_key(tmp_path / "own")
    more = [f"HostKey {tmp_path / kind}" for kind in keys]
    with running(tmp_path, host_key=tmp_path / "rsa", authorized=[own], settings=[*more, f"SetEnv HOME={place.home}"]) as sshd:
        for key in keys.values():
            known = f"[127.0.0.1]:{sshd.port} {key}"
            access = replace(place.access, known_hosts=known, key=(tmp_path / "own").read_text())
            assert await status(f"127.0.0.1:{sshd.port}", access) == b"1.0\n"


async def test_a_host_with_which_no_algorithm_is_shared_is_told_as_that(place: Place, tmp_path: Path) -> None:
    """Trying again is useless, and the host does answer."""
    key = make_key(tmp_path / "host")
    with running(tmp_path, host_key=tmp_path / "host", authorized=[], settings=["Ciphers aes256-cbc"]) as sshd:
        name = f"127.0.0.1:{sshd.port}"
        with pytest.raises(Permanent, match=r"no algorithm .*encryption.*aes256-cbc") as caught:
            await status(name, replace(place.access, known_hosts=f"[127.0.0.1]:{sshd.port} {key}"))
        assert type(caught.value) is Permanent
