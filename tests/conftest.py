"""Fixtures that every room may ask for: a Prefect server on embedded PostgreSQL, and a worker beside it.

Neither is automatic. All workers of pytest-xdist share one server stack, as `shipway up` makes it: the first that asks starts it,
the last one to finish ends it. Its supervisor brings back what a test kills.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from blocks import secret_text
from blocks.key_folder.key_file import create_key
from blocks.server import layout, lifecycle
from blocks.server import settings as environment
from flows.commands._blocks import register_blocks

START_SECONDS = 120
BEGAN = time.monotonic()
OUT_OF_TIME = "the campaign has used up its time"

pytest.register_assert_rewrite("tests.platform_contract")

# The same examples each time, and none is too slow: a suite that fails by chance teaches nothing. `make test-rules` looks further.
settings.register_profile("usual", max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long campaigns behind all else, in another order for each SHIPWAY_SEED, the tests of a file together."""
    seed = os.environ.get("SHIPWAY_SEED", "")
    items.sort(key=lambda one: zlib.crc32(f"{seed}{one.path}".encode()) + 1 if is_campaign(one) else 0)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what is left of a campaign when its time is up: SHIPWAY_SECONDS from the start of this process."""
    limit = os.environ.get("SHIPWAY_SECONDS", "")
    if limit and is_campaign(item) and time.monotonic() - BEGAN > float(limit):
        pytest.skip(f"{OUT_OF_TIME} of {limit} s")


def is_campaign(item: pytest.Item) -> bool:
    """Say if a test belongs to a long campaign: of faults, of attacks, or of one strategy more for what is shown on another."""
    return any(item.get_closest_marker(name) for name in ("faults", "attack", "variant"))


@pytest.fixture(autouse=True)
def _own_secrets() -> Iterator[None]:
    """Let no test know the secrets of one before, whose texts may stand in anything that it prints."""
    known, known_of = set(secret_text._known), dict(secret_text._known_of)
    yield
    for now, before in ((secret_text._known, known), (secret_text._known_of, known_of)):
        now.clear()
        now.update(before)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _own_key(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seal what is stored under the server's key, else under one of the test's own, beside which the heads of its records are kept."""
    name = next((one for one in ("stack", "server", "home", "open_home") if one in request.fixturenames), None)
    found = request.getfixturevalue(name) if name else None
    home = found if isinstance(found, Path) else found.home if found else None
    path = layout.key_file(home) if home else tmp_path_factory.mktemp("keys") / "approvals.key"
    if not home:
        create_key(path)
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(path))


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Iterator[None]:
    """Give what a test printed or logged to pytest-xdist in a form that it can send: it ends a worker at half a character."""
    return _sendable((yield))  # type: ignore[no-any-return]


def _sendable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_sendable(key): _sendable(member) for key, member in value.items()}
    return type(value)(map(_sendable, value)) if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class Server:
    """A running Prefect server; `environment` is what a process of its own needs to work with it."""

    home: Path
    api_url: str
    environment: dict[str, str]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a running server, and make flows of this process use it, without heartbeats."""
    base = tmp_path_factory.getbasetemp()
    home = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "stack"
    _enter_stack(home)
    try:
        lifecycle.wait_for_server(home, timeout_seconds=START_SECONDS)
        with _settings(home), pytest.MonkeyPatch.context() as patch:
            patch.setenv("SHIPWAY_KEY_FILE", environment.environment(home)["SHIPWAY_KEY_FILE"])  # for flows in this process
            with _locked(home):  # two who make the same block type at once would meet
                asyncio.run(register_blocks())
            yield Server(home, layout.api_url(home), environment.environment(home))
    finally:
        _leave_stack(home)


@pytest.fixture(scope="session")
def worker(server: Server) -> Server:
    """Return the server once the worker of pool `shipway` takes runs of deployments."""
    lifecycle.wait_for_worker(server.home, timeout_seconds=START_SECONDS)
    return server


def _enter_stack(home: Path) -> None:
    with _locked(home) as users:
        lifecycle.start(home)
        users.append(os.getpid())


def _leave_stack(home: Path) -> None:
    with _locked(home) as users:
        users.remove(os.getpid())
        if not users:
            lifecycle.stop(home, now=True)


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[list[int]]:
    """Hold the server stack's lock and give the list of pytest processes that use it."""
    with home.with_name(f"{home.name}.users").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        users: list[int] = json.loads(file.read() or "[]")
        yield users
        file.seek(0)
        file.truncate()
        file.write(json.dumps(users))


@contextlib.contextmanager
def _settings(home: Path) -> Iterator[None]:
    from prefect.settings import (  # noqa: PLC0415 - most tests need no Prefect
        PREFECT_API_AUTH_STRING,
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_HOME,
        PREFECT_LOCAL_STORAGE_PATH,
        PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW,
        temporary_settings,
    )

    values = {
        PREFECT_API_URL: layout.api_url(home),
        PREFECT_API_AUTH_STRING: layout.auth_string(home),
        PREFECT_HOME: home / "prefect",
        PREFECT_LOCAL_STORAGE_PATH: home / "storage",
        PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW: "ignore",
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
    }
    with temporary_settings(values):
        yield
