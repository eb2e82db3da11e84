"""Orders to a host, done by the very program that is sent, in a folder that stands for an account."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from blocks import processes
from blocks.errors import Permanent, Refused, ShipwayError, Superseded, Temporary, Unreachable
from blocks.script.hosts.on_host import ANSWER, decoded
from blocks.script.hosts.orders import Ran, ask, bundle, command
from tests.blocks.script.apps import until
from tests.blocks.script.hosts.local_hosts import LocalHost

pytestmark = pytest.mark.slow
SECRET = "s3cret-of-the-block"


@pytest.fixture
def host(tmp_path: Path) -> LocalHost:
    """Give an account."""
    return LocalHost("web-1", tmp_path)


def order(do: str, **more: Any) -> dict[str, Any]:
    """Write an order as the platform does."""
    common = {"do": do, "place": "shop", "environment": "e1", "host": "web-1", "lease": 1, "folder": ".", "variables": {"TOKEN": SECRET}}
    run = {"run": "1", "mark": "m1", "where": None, "wait_seconds": 5, "limit_seconds": 20, "stop_seconds": 0.2}
    return {**common, **run, **more}


def sh(words: str) -> list[str]:
    """Write a command."""
    return ["sh", "-c", words]


async def to_its_end(host: LocalHost, first: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Follow a run; gives its ending and all that it printed."""
    output = b""
    while True:
        found = await ask(host, first, timeout_seconds=20)
        output += decoded(found["output"])
        if found["state"] != "under way":
            return found, output
        first = {**first, "do": "follow", "where": found["where"]}


async def test_a_script_runs_with_its_secrets_and_none_is_among_arguments_or_on_the_disk(host: LocalHost) -> None:
    """They come over the standard input, and are in the script's environment alone."""
    words = sh("tr '\\0' '\\n' < /proc/$PPID/cmdline; test -n \"$TOKEN\" && echo has it; pwd; exit 3")
    ended, output = await to_its_end(host, order("begin", command=words))
    assert ended["state"] == "ended"
    assert (ended["result"]["exit_code"], ended["result"]["timed_out"]) == (3, False)
    assert b"has it" in output
    assert str(host.home).encode() in output
    assert SECRET.encode() not in output
    assert not any(SECRET in one for one in host.commands)
    assert [path for path in host.home.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()] == []


async def test_a_run_is_begun_once_and_followed_by_who_asks_again(host: LocalHost) -> None:
    """The connection may break at any moment; the same order finds what runs, and begins nothing."""
    words = sh("echo begun >> begun; while [ ! -e go ]; do sleep 0.02; done; echo over")
    host.drops = 0
    with pytest.raises(Unreachable):
        await ask(host, order("begin", command=words, wait_seconds=0), timeout_seconds=20)
    found = await ask(host, order("begin", command=words, wait_seconds=0), timeout_seconds=20)
    assert found["state"] == "under way"
    (host.home / "go").touch()
    ended, output = await to_its_end(host, order("follow", lease=2))
    assert (ended["result"]["exit_code"], output) == (0, b"over\n")
    ended, output = await to_its_end(host, order("follow", lease=2))  # another one, from the start
    assert (ended["result"]["exit_code"], output) == (0, b"over\n")
    assert (host.home / "begun").read_text() == "begun\n"


async def test_a_run_that_was_never_begun_is_refused_for_good(host: LocalHost) -> None:
    """Whoever asks after a crash is told so, and an order that is late begins nothing."""
    assert (await ask(host, order("follow", lease=2), timeout_seconds=20))["state"] == "never"
    late = await ask(host, order("begin", command=sh("touch begun"), lease=2), timeout_seconds=20)
    assert late["state"] == "never"
    assert not (host.home / "begun").exists()
    ended, _ = await to_its_end(host, order("begin", run="2", command=sh("touch begun"), lease=2))
    assert ended["result"]["exit_code"] == 0


async def test_another_run_with_a_used_number_is_not_taken_for_it(host: LocalHost) -> None:
    """As with notes that were put back from an older copy: an earlier script's exit code is not this one's."""
    ended, _ = await to_its_end(host, order("begin", command=["true"]))
    assert ended["result"]["exit_code"] == 0
    with pytest.raises(Refused, match="another run's"):
        await ask(host, order("begin", command=["false"], mark="m2"), timeout_seconds=20)


@pytest.mark.parametrize(
    ("later", "kind", "says"),
    [
        ({"lease": 1}, Superseded, "generation 1 may not act any more, 2 does"),
        ({"lease": 3, "environment": "e2"}, Refused, "another installation"),
        ({"lease": 3, "host": "www"}, Refused, "the same account as web-1"),
    ],
)
async def test_a_host_lets_only_the_newest_owner_act(host: LocalHost, later: dict[str, Any], kind: type[ShipwayError], says: str) -> None:
    """Of one installation, under one name; what is refused moves nothing."""
    await ask(host, order("check", commands={}, lease=2), timeout_seconds=20)
    with pytest.raises(kind, match=says):
        await ask(host, order("begin", command=sh("touch begun"), **later), timeout_seconds=20)
    assert not (host.home / "begun").exists()
    assert list((host.home / ".shipway/hosts/shop/runs").iterdir()) == []


async def test_a_script_that_hangs_is_ended_with_its_tree_if_that_is_asked_for(host: LocalHost) -> None:
    """As a rollback does that takes over."""
    words = sh("setsid sleep 60 & echo $! > child; sleep 60")
    await ask(host, order("begin", command=words, wait_seconds=0), timeout_seconds=20)
    await until((host.home / "child").exists)
    ended, _ = await to_its_end(host, order("follow", lease=2, stop=True))
    assert ended["result"]["stopped"]
    assert processes.start_time(int((host.home / "child").read_text())) is None


async def test_long_output_comes_in_pieces_and_whole(host: LocalHost) -> None:
    """As far as it is kept."""
    ended, output = await to_its_end(host, order("begin", command=sh("seq 1 150000")))
    assert (ended["state"], output) == ("ended", "".join(f"{one}\n" for one in range(1, 150_001)).encode())


async def test_a_reading_is_ended_with_all_that_it_started(host: LocalHost) -> None:
    """Its outputs are told apart, and both are bounded."""
    words = sh("echo 1.0; echo warning >&2; sleep 60 & echo $! > child; exit 4")
    found = await ask(host, order("read", command=words), timeout_seconds=20)
    assert (found["exit_code"], decoded(found["output"]), decoded(found["tail"])) == (4, b"1.0\n", b"1.0\nwarning\n")
    assert processes.start_time(int((host.home / "child").read_text())) is None
    found = await ask(host, order("read", command=["sleep", "60"], limit_seconds=0.1), timeout_seconds=20)
    assert found["exit_code"] is None
    found = await ask(host, order("read", command=["./missing"]), timeout_seconds=20)
    assert found["not_run"] == "No such file or directory"


async def test_what_is_read_next_may_hang_on_what_was_printed(host: LocalHost) -> None:
    """As `verify` of the version that `status` names: one order instead of two; what failed, or named another one, leads to nothing."""
    then = {"1.0": {"command": sh("echo well; exit 3"), "variables": {}}}
    found = await ask(host, order("read", command=sh("echo 1.0; sleep 60 &"), then=then), timeout_seconds=20)
    assert (found["exit_code"], found["then"]["exit_code"], decoded(found["then"]["output"])) == (0, 3, b"well\n")
    for words in ("echo 1.1", "echo 1.0; exit 1"):
        assert "then" not in await ask(host, order("read", command=sh(words), then=then), timeout_seconds=20)
    assert len(host.commands) == 3


async def test_what_waits_for_input_gets_its_end_at_once(host: LocalHost) -> None:
    """So does a sudo that asks for a password: there is no terminal to ask at."""
    words = sh("read -r line && echo got it; test -t 0 || echo no terminal; (: < /dev/tty) 2>&1")
    ended, output = await to_its_end(host, order("begin", command=words))
    assert b"no terminal" in output
    assert b"got it" not in output
    assert ended["result"]["exit_code"] != 0


async def test_programs_are_looked_for_before_anything_is_begun(host: LocalHost) -> None:
    """And there is room, or it is said how much."""
    (host.home / "shop.sh").write_text("#!/bin/sh\n")
    commands = {"deploy": ["./shop.sh"], "status": ["./none.sh"], "verify": ["no-such-program"], "rollback": ["sh"]}
    found = await ask(host, order("check", commands=commands), timeout_seconds=20)
    assert {name: text.rpartition("/")[2] for name, text in found["faults"].items()} == {
        "deploy": "shop.sh is not executable", "status": "none.sh does not exist",
        "verify": "the program `no-such-program` was not found on PATH",
    }  # fmt: skip
    assert found["free_bytes"] > 0
    with pytest.raises(Permanent, match=r"web-1: .*is not a folder"):
        await ask(host, order("check", commands={}, folder="nowhere"), timeout_seconds=20)


@pytest.mark.parametrize(
    ("ran", "kind", "says"),
    [
        (Ran(127, b"", b"sh: python3: not found\n"), Permanent, "not found.*It needs python3, 3.9 or newer"),
        (Ran(1, b"Welcome!\n", b"Traceback\nValueError: x\n"), Permanent, "exited with 1 without an answer.*ValueError"),
        (Ran(None, b"", b""), Unreachable, "ended before it answered"),
        (Ran(0, f"motd\n{ANSWER}{json.dumps({'not': 'full', 'why': 'owner.json: No space left on device'})}\n".encode(), b""), Temporary,
         "web-1: owner.json: No space left on device. Free some space"),
        (Ran(0, f"{ANSWER}{{".encode(), b""), Permanent, "without an answer"),
    ],
)  # fmt: skip
async def test_what_a_host_says_instead_of_an_answer_is_said_with_its_name(ran: Ran, kind: type[ShipwayError], says: str) -> None:
    """A host that greets, lacks Python, or is full."""

    class Odd:
        name = "web-1"

        def is_open(self) -> bool:
            return True

        async def run(self, command: str, program: bytes, order: bytes, *, timeout_seconds: float) -> Ran:
            del command, program, order, timeout_seconds
            await asyncio.sleep(0)
            return ran

    with pytest.raises(kind, match=says) as caught:
        await ask(Odd(), order("check", commands={}), timeout_seconds=1)
    assert type(caught.value) is kind


def test_an_order_is_small_and_its_command_the_same_for_all() -> None:
    """What is seen among a host's processes says nothing of the service."""
    assert len(bundle()) < 13_000
    assert "shop" not in command("python3")
