"""What the server stack serves at /metrics: the keeper's file to who has its token, and nothing of it to anyone else."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from blocks.server import exposition, keeper_watch, layout

FIGURES = b"# TYPE shipway_deployments gauge\nshipway_deployments 3.0\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a home directory."""
    monkeypatch.delenv("SHIPWAY_KEY_FILE", raising=False)
    layout.make_home(tmp_path, port=None, auth=None)
    return tmp_path


async def ask(
    home: Path, path: str = "/metrics", *, token: str | None = None, method: str = "GET", kind: str = "http"
) -> tuple[Any, bytes]:
    """Send a request; give status and body, `passed` from the application."""
    sent: dict[str, Any] = {}

    async def application(_scope: Any, _receive: Any, _send: Any) -> None:
        sent["status"] = "passed"

    async def receive() -> MutableMapping[str, Any]:
        return {}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.update(message)

    headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
    scope = {"type": kind, "path": path, "method": method, "headers": headers}
    await exposition.with_metrics(application, home=home)(scope, receive, send)
    return sent["status"], sent.get("body", b"")


async def test_who_has_the_token_gets_the_figures_and_when_the_keeper_worked(home: Path) -> None:
    """The keeper's moments are read at each scrape: they must change when it stands still."""
    layout.metrics_file(home).write_bytes(FIGURES)
    token = layout.metrics_token(home)
    assert (await ask(home, token=token))[0] == 200
    _, without = await ask(home, token=token)
    assert b"shipway_keeper_timestamp_seconds" not in without
    (home / "keys" / keeper_watch.NAME).write_text('{"at": 1234.5}')
    _, body = await ask(home, token=token)
    found = {one.name: one.value for family in text_string_to_metric_families(body.decode()) for one in family.samples}
    written = layout.metrics_file(home).stat().st_mtime
    expected = {"shipway_deployments": 3, "shipway_keeper_timestamp_seconds": 1234.5, "shipway_metrics_timestamp_seconds": written}
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("token", [None, "", "wrong", "API", "ä"])
async def test_without_the_token_no_figure_is_told(home: Path, token: str | None) -> None:
    """Nor with the API's password: who scrapes must not need it."""
    layout.metrics_file(home).write_bytes(FIGURES)
    status, body = await ask(home, token=layout.auth_string(home) if token == "API" else token)
    assert status == 401
    assert b"3.0" not in body


async def test_before_the_keeper_has_written_there_are_no_figures_rather_than_none_of_something(home: Path) -> None:
    """A scrape that fails is seen; one without a series is a gap."""
    status, body = await ask(home, token=layout.metrics_token(home))
    assert (status, body) == (503, exposition.NOT_YET)


@pytest.mark.parametrize(("path", "kind"), [("/api/metrics", "http"), ("/", "http"), ("/metrics/", "http"), ("/metrics", "websocket")])
async def test_everything_else_is_the_servers(home: Path, path: str, kind: str) -> None:
    """Prefect's own pages and API."""
    assert (await ask(home, path, kind=kind))[0] == "passed"


async def test_the_metrics_cannot_be_written(home: Path) -> None:
    """A scrape only reads."""
    assert (await ask(home, method="POST", token=layout.metrics_token(home)))[0] == 405
    assert (await ask(home, method="HEAD", token=layout.metrics_token(home)))[1] == b""


def test_the_token_is_private_stays_the_same_and_is_another_than_the_password(home: Path) -> None:
    """Prometheus keeps a copy of it."""
    file, token = home / "keys" / "metrics.token", layout.metrics_token(home)
    assert file.stat().st_mode & 0o777 == 0o600
    layout.make_home(home, port=None, auth=None)
    assert layout.metrics_token(home) == token
    assert token not in (layout.auth_string(home) or "")


@pytest.mark.parametrize("text", [None, "", "short", "\n"])
@pytest.mark.parametrize("token", [None, "", "short"])
async def test_without_a_token_of_our_own_no_one_is_let_in(home: Path, text: str | None, token: str | None) -> None:
    """A file that is gone or empty opens nothing, and fails no request."""
    layout.metrics_file(home).write_bytes(FIGURES)
    file = home / "keys" / "metrics.token"
    file.unlink() if text is None else file.write_text(text)
    status, body = await ask(home, token=token)
    assert (status, body) == (503, exposition.NO_TOKEN)
