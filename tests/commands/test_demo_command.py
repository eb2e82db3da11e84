"""The demo's server asks for a password, as every other: a page on another port of this machine ran a command in one without."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import Refused
from flows.commands import _demo, demo, up


def test_the_demo_starts_its_server_with_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was in its folder before."""
    asked: dict[str, Any] = {}

    def start(home: Path, **options: Any) -> None:
        asked.update(options, home=home)
        raise Refused("that is enough")

    monkeypatch.setattr(up, "start_stack", start)
    monkeypatch.setattr(_demo, "stop", lambda _home: None)
    parser = argparse.ArgumentParser()
    demo.configure(parser)
    assert demo.run(parser.parse_args(["--home", str(tmp_path / "demo")])) != 0
    assert (asked["auth"], asked["home"]) == (True, tmp_path / "demo")
