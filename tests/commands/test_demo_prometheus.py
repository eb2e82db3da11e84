"""The demo's Prometheus: started where the machine has the program, waited for, and ended with the server stack."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks import processes
from flows.commands import _demo, _demo_prometheus


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def router(tmp_path: Path) -> Iterator[int]:
    """Publish what the router does, and give the port."""
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "metrics").write_text(
        '# TYPE shipway_request_duration_seconds_count counter\nshipway_request_duration_seconds_count{version="1.0.0"} 7\n'
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path / "page"))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Lay out what a server stack has of its own."""
    for name in ("run", "logs"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.mark.slow
def test_it_has_scraped_before_a_release_begins_and_ends_with_the_demo(home: Path, router: int) -> None:
    """A release would be refused whose indicators cannot be read; and nothing is left running."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("there is no Prometheus on this machine: apt-get install prometheus")
    (home / "prometheus" / "data").mkdir(parents=True)
    (home / "prometheus" / "data" / "of-an-earlier-demo").touch()
    url = _demo_prometheus._start(program, home, scraped=router)
    try:
        _demo_prometheus._until_scraped(url, log=home / "logs" / "prometheus.log")
        with urllib.request.urlopen(f"{url}/api/v1/query?query=shipway_request_duration_seconds_count", timeout=10) as answer:  # noqa: S310
            (found,) = json.load(answer)["data"]["result"]
        assert (found["metric"]["version"], found["value"][1]) == ("1.0.0", "7")
        assert processes.recorded(home / "run" / "prometheus.pid")
    finally:
        _demo.end_companions(home)
    assert processes.recorded(home / "run" / "prometheus.pid") is None
    assert not (home / "prometheus" / "data" / "of-an-earlier-demo").exists()


async def test_without_the_program_the_plan_stays_as_it_is(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The demo needs no Prometheus; it says what is left out and how to get it."""
    monkeypatch.setenv("PATH", str(home))
    found = await _demo_prometheus.start(home)
    assert found == ""
    assert await _demo_prometheus.ask(found, home, home / "shipway.yaml") == home / "shipway.yaml"
    assert "apt-get install prometheus" in capsys.readouterr().out
