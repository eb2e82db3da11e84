"""Attacks by other users of the machine, and by pages in a browser on it: on an installation of its own."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from blocks import processes
from blocks.server import api, guard, layout, lifecycle, port
from tests.attacks.neighbour import NOBODY, Neighbour, neighbour, root_only
from tests.blocks.server.stack_kills import kill, pids, start_apart, wait_for_another, wait_until_ready

pytestmark = [pytest.mark.attack, root_only, pytest.mark.xdist_group("neighbours")]

SHIPWAY = str(Path(sys.executable).with_name("shipway"))
PLAN = Path(__file__).parents[2] / "examples" / "guestbook" / "shipway.yaml"
COMMANDS = (
    ["status"],
    ["status", "--json"],
    ["doctor"],
    ["doctor", "--json"],
    ["history"],
    ["approve", "guestbook", "--as", "ada"],
    ["cancel", "guestbook"],
    ["rollback", str(PLAN), "--reason", "an attack"],
    ["release", str(PLAN), "--version", "1.1.0", "--reason", "an attack"],
)


def secrets_in(home: Path, other: Neighbour) -> list[str]:
    """Find the password, in any form, in what the neighbour was sent."""
    password = layout.auth_string(home) or ""
    forms = (password, password.partition(":")[2], base64.b64encode(password.encode()).decode(), "authorization:")
    return [got for got in other.seen("got") if any(form.lower() in got.lower() for form in forms)]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_sends_no_password_to_another_user_on_the_port_of_a_stopped_stack(tmp_path: Path, command: list[str]) -> None:
    """It fails, and names the user."""
    home = tmp_path / "home"
    facts = layout.make_home(home, port=None, auth=True)
    with neighbour(facts["port"], tmp_path / "neighbour") as other:
        other.wait_for("bound")
        env = {"PATH": os.environ["PATH"], "SHIPWAY_HOME": str(home)}
        done = subprocess.run([SHIPWAY, *command], check=False, capture_output=True, text=True, timeout=60, env=env)
        assert done.returncode != 0
        assert "user nobody" in done.stdout + done.stderr
        assert secrets_in(home, other) == []


def let_go() -> None:
    """Hold no port in this process, which is not a part of the stack."""
    for held in port._held.values():
        held.close()
    port._held.clear()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a server stack that is up."""
    folder = tmp_path_factory.mktemp("attacked") / "home"
    start_apart(folder)
    wait_until_ready(folder)
    yield folder
    lifecycle.stop(folder, now=True)


def test_no_process_of_the_stack_can_be_signalled_by_another_user(home: Path) -> None:
    """The database of root runs neither as root nor as `nobody`."""
    for name, pid in pids(home).items():
        done = subprocess.run([*NOBODY, "sh", "-c", f"kill -0 {pid}"], check=False, capture_output=True, text=True)
        assert "not permitted" in done.stderr, name


def test_the_stack_listens_on_loopback_alone(home: Path) -> None:
    """Each of its processes, with what it started; the database listens on no port at all."""
    found = {}
    for name, pid in pids(home).items():
        tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)] if name != "supervisor" else [psutil.Process(pid)]
        listening = [one for process in tree for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN]
        found[name] = {one.laddr.ip for one in listening}
    assert found.pop("server") == {"127.0.0.1"}
    assert found.pop("database") == set()
    assert set().union(*found.values()) <= {"127.0.0.1"}


@pytest.mark.parametrize(
    "killed", [["server"], ["supervisor", "server"], ["supervisor", "server", "worker", "urgent-worker"]], ids="+".join
)
def test_the_port_is_never_free_for_another_user_while_a_process_knows_the_password(home: Path, tmp_path: Path, killed: list[str]) -> None:
    """Not while the server is restarted, nor after the death of its supervisor; the stack recovers on the same port."""
    number = layout.read_facts(home)["port"]
    with neighbour(number, tmp_path / "neighbour") as other:
        before = {name: kill(home, name) for name in killed}
        let_go()
        until = time.monotonic() + 2
        while time.monotonic() < until:
            assert not other.seen("bound")
            time.sleep(0.05)
        lifecycle.start(home)
        wait_for_another(home, "server", before["server"])
        wait_until_ready(home)
        assert (other.seen("bound"), layout.read_facts(home)["port"]) == ([], number)


def test_a_stack_whose_port_another_user_took_starts_on_another_one(home: Path, tmp_path: Path) -> None:
    """No process of ours sends the password to the old one; a password that was changed meanwhile, as the handbook says, counts alone."""
    lifecycle.stop(home, now=True)
    before = httpx.BasicAuth(*str(layout.auth_string(home)).split(":"))
    (home / "keys" / "api.auth").write_text("shipway:another-password\n")
    number = layout.read_facts(home)["port"]
    let_go()
    with neighbour(number, tmp_path / "neighbour") as other:
        other.wait_for("bound")
        lifecycle.start(home)
        wait_until_ready(home)
        assert api.ask(home, "/work_pools/shipway")["name"] == "shipway"
        assert layout.read_facts(home)["port"] != number
        assert secrets_in(home, other) == []
        answers = [httpx.get(f"{layout.api_url(home)}/admin/version", auth=auth) for auth in (before, ("shipway", "another-password"))]
        assert [answer.status_code for answer in answers] == [401, 200]
    assert None not in pids(home).values()


# ── sockets that never authenticate ──────────────────────────────────────────────────────────────────────────────────────────────

SOCKETS, MOST_GROWTH_MB = 100, 100


def open_socket(home: Path, *, path: str = "/api/events/in", headers: str = "") -> socket.socket:
    """Ask for a WebSocket of Prefect's server."""
    number = layout.read_facts(home)["port"]
    client = socket.create_connection(("127.0.0.1", number), timeout=10)
    upgrade = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{number}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: prefect\r\n"
    client.sendall(f"{upgrade}{key}{headers}\r\n".encode())
    return client


def pour(client: socket.socket, megabytes: int) -> int:
    """Send the beginning of a message that has no end; give how many bytes were taken."""
    sent = 0
    try:
        client.sendall(struct.pack("!BBQ4s", 0x81, 0xFF, 15_000_000, bytes(4)))
        for _ in range(megabytes * 16):
            client.sendall(bytes(65_536))
            sent += 65_536
    except OSError:
        pass
    return sent


def ends_within(client: socket.socket, seconds: float) -> bool:
    """Say whether the server ends the connection in time."""
    client.settimeout(seconds)
    try:
        while client.recv(65_536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def log_in(home: Path) -> bool:
    """Authenticate on a WebSocket, as Prefect's clients do; say whether the server agreed."""
    with open_socket(home) as client:
        client.recv(65_536)
        said = json.dumps({"type": "auth", "token": layout.auth_string(home)}).encode()
        client.sendall(struct.pack("!BB4s", 0x81, 0x80 | len(said), bytes(4)) + said)
        got = b""
        while b"auth_success" not in got and (part := client.recv(65_536)):
            got += part
    return b"auth_success" in got


def test_a_hundred_sockets_that_never_authenticate_cost_little_memory_and_end(home: Path) -> None:
    """Bounded in number, size and time; who has the password still gets in."""
    wait_until_ready(home)
    server = psutil.Process(processes.recorded(home / "run" / "server.pid") or 0)
    before = server.memory_info().rss
    clients = [open_socket(home) for _ in range(SOCKETS)]
    try:
        for client in clients:
            pour(client, 15)
        grown = (server.memory_info().rss - before) / 1e6
        assert grown < MOST_GROWTH_MB
        assert log_in(home)
        assert all(ends_within(client, 1) for client in clients)
    finally:
        for client in clients:
            client.close()


def test_a_silent_socket_ends_by_time_and_a_few_dozen_by_number(home: Path) -> None:
    """The newest that wait are kept, for five seconds."""
    clients = [open_socket(home) for _ in range(SOCKETS)]
    try:
        assert all(ends_within(client, 1) for client in clients[: -guard.BoundedWebSocket.WAITING_AT_ONCE])
        assert log_in(home)
        assert all(ends_within(client, guard.BoundedWebSocket.WAITING_SECONDS + 2) for client in clients)
    finally:
        for client in clients:
            client.close()


# ── pages in a browser ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def open_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a server stack without a password."""
    folder = tmp_path_factory.mktemp("open") / "home"
    start_apart(folder, auth=False)
    lifecycle.wait_for_server(folder, timeout_seconds=120)
    yield folder
    lifecycle.stop(folder, now=True)


PAGES = {
    "another port": ({"Origin": "http://127.0.0.1:8000"}, b"403"),
    "another site": ({"Origin": "http://evil.example"}, b"403"),
    "a sandboxed frame": ({"Origin": "null"}, b"403"),
    "a name pointed at this machine": ({"Host": "evil.example"}, b"400"),  # by the second Host
}


@pytest.mark.parametrize(("headers", "answered"), PAGES.values(), ids=PAGES)
def test_a_page_of_another_origin_starts_nothing_where_there_is_no_password(
    open_home: Path, headers: dict[str, str], answered: bytes
) -> None:
    """Neither by a request that needs no preflight, nor by a WebSocket, nor is it told what is there."""
    url = f"{layout.api_url(open_home)}/flows/filter"
    assert httpx.post(url, content=b"{}", headers={"Content-Type": "application/json"}).status_code == 200
    asked = [httpx.post(url, content=b"{}", headers=headers | {"Content-Type": "text/plain"}), httpx.get(url, headers=headers)]
    preflight = headers | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    asked.append(httpx.options(url, headers=preflight))
    assert [answer.status_code for answer in asked] == [403, 403, 403]
    assert not any("access-control-allow-origin" in answer.headers for answer in asked)
    with open_socket(open_home, headers="".join(f"{name}: {value}\r\n" for name, value in headers.items())) as client:
        assert client.recv(65_536).split()[1] == answered


def test_with_a_password_a_page_of_another_origin_is_not_let_in_by_cors(home: Path) -> None:
    """Prefect's own default is any origin."""
    wait_until_ready(home)
    url = f"{layout.api_url(home)}/flows/filter"
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    foreign = httpx.options(url, headers=preflight | {"Origin": "http://127.0.0.1:8000"})
    own = httpx.options(url, headers=preflight | {"Origin": layout.api_url(home).removesuffix("/api")})
    assert ("access-control-allow-origin" in foreign.headers, "access-control-allow-origin" in own.headers) == (False, True)
