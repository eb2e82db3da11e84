"""Fixtures of tests over four hosts: a test file that uses them names them in its `__all__`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.script import effects
from blocks.script.hosts import effects as on_hosts
from tests.blocks.script.hosts.accounts import accounts
from tests.blocks.script.hosts.farms import Farm, make_farm


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no tries."""
    monkeypatch.setattr(effects, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(on_hosts, "AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(on_hosts, "PATIENCE_SECONDS", 0.2)


@pytest.fixture(scope="module")
def warm() -> Iterator[Path]:
    """Run what does the orders."""
    with accounts() as path:
        yield path


@pytest.fixture
def farm(tmp_path: Path, warm: Path) -> Farm:
    """Give four hosts that run 1.0."""
    return make_farm(tmp_path, 4, accounts=warm)
