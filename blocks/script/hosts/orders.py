"""Orders to a host: each is one line, sent behind the program that does it over the standard input, and answered in one line."""

from __future__ import annotations

import json
import shlex
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol

from blocks.errors import Permanent, Refused, Superseded, Temporary, Unreachable
from blocks.outside_text import last_lines, outside
from blocks.script.hosts.answers import in_form
from blocks.script.hosts.on_host import ANSWER

ROOT = Path(__file__).parents[3]
PACKAGES = ("blocks", "blocks.script", "blocks.script.hosts")
MODULES = (
    "blocks.processes", "blocks.script.result", "blocks.script.wrapper", "blocks.script.alive", "blocks.script.hosts.newest",
    "blocks.script.hosts.on_host",
)  # fmt: skip
LOADER = """\
import json, sys, types, zlib
given = sys.stdin.buffer
for name, source in json.loads(zlib.decompress(given.read(int(given.readline())))):
    module = sys.modules[name] = types.ModuleType(name)
    if source is None:
        module.__path__ = []
    else:
        exec(compile(source, name, "exec"), module.__dict__)
module.main()
"""
NO_PROGRAM = (126, 127)
ANSWER_BEGINS = f"\n{ANSWER}".encode()


class Ran(NamedTuple):
    """How a command ended on a host: its exit code, None for a signal, and the end of each output."""

    exit_code: int | None
    output: bytes
    errors: bytes


class Broke(Unreachable):
    """A connection broke before the answer came: whether the order was done is not known."""


class Connection(Protocol):
    """A connection to a host."""

    name: str

    def is_open(self) -> bool:
        """Say whether it is connected, as far as that is known without asking."""
        ...

    async def run(self, command: str, program: bytes, order: bytes, *, timeout_seconds: float) -> Ran:
        """Have a program do an order: a new one, or one that has done an order before and waits for the next.

        Args:
            command: Runs the program, by the account's shell.
            program: What the command reads first.
            order: What is to be done.
            timeout_seconds: The longest that it may take.

        Returns:
            What was printed; without an answer in it, to the program's end.

        Raises:
            Broke: The connection broke.
            Unreachable: The host does not answer in time; whether the order was done is not known.
            Permanent: It is not the host that it should be, or refuses the account.
        """
        ...


async def ask(connection: Connection, order: Mapping[str, Any], *, python: str = "python3", timeout_seconds: float) -> dict[str, Any]:
    """Give an order to a host, and return its answer.

    Args:
        connection: The host.
        order: What to do, see `blocks.script.hosts.on_host`; it may hold secrets.
        python: The host's Python.
        timeout_seconds: The longest that it may take.

    Raises:
        Unreachable: The host does not answer; whether the order was done is not known.
        Superseded: By the host's word a newer owner acted there.
        Refused: By its word it belongs to another installation, or stands in the list twice.
        Temporary: It is full or busy.
        Permanent: It cannot do it, or its answer is not in the form of our program's.
    """
    ran = await connection.run(command(python), bundle(), json.dumps(dict(order)).encode(), timeout_seconds=timeout_seconds)
    line = next((line for line in reversed(ran.output.decode(errors="replace").split("\n")) if line.startswith(ANSWER)), "")
    try:
        answer = json.loads(line.removeprefix(ANSWER))
    except (ValueError, RecursionError):
        _no_answer(connection.name, ran, python)
    if not in_form(order, answer):
        _no_answer(connection.name, ran, python, but="answered in another form than ours")
    if "not" in answer:
        _raise(connection.name, answer["not"], answer["why"])
    return dict(answer)


def command(python: str) -> str:
    """Write the command for the account's shell; no order and no secret is in it."""
    return shlex.join([python, "-I", "-S", "-c", LOADER])


@lru_cache(maxsize=1)
def bundle() -> bytes:
    """Give the source of all that an order needs, as the command reads it."""
    found: list[tuple[str, str | None]] = [(name, None) for name in PACKAGES]
    found += [(name, (ROOT / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")) for name in MODULES]
    source = zlib.compress(json.dumps(found).encode())
    return b"%d\n%b" % (len(source), source)


def _no_answer(host: str, ran: Ran, python: str, *, but: str = "") -> NoReturn:
    said = last_lines([outside(line) for line in (ran.errors or ran.output).decode(errors="replace").splitlines() if line.strip()])
    if ran.exit_code is None or ran.exit_code < 0:
        raise Unreachable(f"{host}: the order was ended before it answered{said}")
    if but:
        raise Permanent(f"{host}: our program {but}{said}. See which program `{python}` is for the account; the block's `python` names one")
    fix = f". It needs {python}, 3.9 or newer; the block's `python` says where it is" if ran.exit_code in NO_PROGRAM else ""
    raise Permanent(f"{host}: our program exited with {ran.exit_code} without an answer{said}{fix}")


def _raise(host: str, kind: str, why: str) -> NoReturn:
    if kind == "superseded":
        raise Superseded(f"{host}: {why}")
    if kind == "refused":
        raise Refused(f"{host}: {why}")
    if kind == "full":
        raise Temporary(f"{host}: {why}. Free some space there", delay_seconds=5)
    if kind == "busy":
        raise Temporary(f"{host}: {why}")
    raise Permanent(f"{host}: {why}")
