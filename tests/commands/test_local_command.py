"""`shipway local` lists, shows and stops the environments of this machine."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

import pytest

from blocks.local.platform import LocalPlatform
from flows.commands import local

SERVICE = Path(__file__).parent.parent / "blocks" / "local_service.py"


def shipway_local(*words: str) -> int:
    """Run the command as the command line would."""
    parser = argparse.ArgumentParser()
    local.configure(parser)
    return local.run(parser.parse_args(list(words)))


async def deploy(platform: LocalPlatform) -> None:
    """Bring 1.0 up."""
    mark = await platform.acquire_lease("run-1")
    await platform.prepare("1.0", mark, timeout_seconds=30)
    await platform.promote(mark)


def test_an_environment_is_listed_shown_and_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One command ends all that a demo left running, and a second time does no harm."""
    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path))
    platform = LocalPlatform(service="tiny", command=[sys.executable, str(SERVICE), "{port}", "fine"])
    try:
        asyncio.run(deploy(platform))
        assert shipway_local("list") == 0
        assert "tiny  running  http://127.0.0.1:" in capsys.readouterr().out
        assert shipway_local("status", str(tmp_path / "local" / "tiny")) == 0
        assert "1.0 (baseline) is serving" in capsys.readouterr().out
        assert shipway_local("status", "--json") == 0
        (found,) = json.loads(capsys.readouterr().out)["environments"]
        assert (found["service"], found["running"], found["view"]["baseline"]) == ("tiny", True, "1.0")
    finally:
        assert shipway_local("stop") == 0
    assert shipway_local("stop") == 0
    capsys.readouterr()
    assert shipway_local("list") == 0
    assert "tiny  stopped" in capsys.readouterr().out
    assert shipway_local("list", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["environments"]
    assert (found["running"], found["folder"]) == (False, str(tmp_path / "local" / "tiny"))


def test_a_folder_without_an_environment_is_said_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong folder is the caller's mistake: exit code 2. `stop` acts, so it has nothing to print for programs."""
    assert shipway_local("stop", str(tmp_path)) == 2
    assert "is not an environment of Shipway's local platform" in capsys.readouterr().err
    assert shipway_local("stop", str(tmp_path), "--json") == 2
    assert "--json does not belong to `stop`" in capsys.readouterr().err
    assert shipway_local("list", str(tmp_path), "--json") == 2
    assert json.loads(capsys.readouterr().out) == {"environments": []}
