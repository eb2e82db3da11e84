"""`shipway export`."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect import get_client
from prefect.blocks.system import Secret
from prefect.client.schemas.actions import LogCreate
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks import secret_text
from blocks.outside_text import outside
from blocks.secret_text import learn
from flows.commands import _export, export, report
from tasks.lifecycle import server as of_the_server
from tasks.notify import outbox
from tasks.record import held_secrets
from tasks.record.held_secrets import hidden_in
from tasks.record.reading import read_record
from tasks.record.store import store_entry
from tasks.rules.notify.facts import Content
from tasks.rules.notify.outbox import Delivery, Message
from tests.commands.test_report_command import storage
from tests.tasks.server_runs import nothing

__all__ = ["storage"]
DOCS = b"<!doctype html><p>suite"


def ran(*words: str, command: object = export) -> int:
    """Run a command as the command line does."""
    parser = argparse.ArgumentParser()
    command.configure(parser)  # type: ignore[attr-defined]
    return int(command.run(parser.parse_args(words)))  # type: ignore[attr-defined]


@pytest.fixture
def alone(storage: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the home with one release and a page of its suite, and no server."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    async def fill() -> None:
        commits = [{"hash": "a" * 40, "author": "ada", "subject": "Faster search", "at": 1}]
        await store_entry(storage, "b-1", kind="opened", who="rita", what="Asked.", evidence={"flow": "release", "version": "1.2"})
        previews = {"production": {"changes": ["image: 1.1 → 1.2"], "drift": [], "notes": [], "refused": ""}}
        await store_entry(storage, "b-1", kind="review", who="shipway", what="Seen.", evidence={"service": "shop", "previews": previews})
        await store_entry(storage, "b-1", kind="change_log", who="shipway", what="One.", evidence={"commits": commits, "taken_back": []})
        await store_entry(
            storage, "b-1", kind="data", who="shipway", what="Judged.", evidence={"outcome": "failed", "docs": "data/one.html"}
        )
        content = Content(("deployed",), outside("shop 1.2"), outside("It serves."))
        outbox._keep("k", Message("k", datetime.now(UTC), "b-1", content, {"slack-webhook/none": Delivery()}))

    asyncio.run(fill())
    (storage / "records" / "b-1" / "data").mkdir()
    (storage / "records" / "b-1" / "data" / "one.html").write_bytes(DOCS)
    with temporary_settings(restore_defaults={PREFECT_API_URL}):  # another test of this process may have a server
        yield storage


@pytest.mark.usefixtures("alone")
def test_the_folder_has_all_that_is_known_and_a_listing_that_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The copy of the record is verified as the record is; that there are no logs without a server is said, and code 1."""
    folder = tmp_path / "review"
    folder.mkdir()
    assert ran("b-1", "--output", str(folder), "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert [line.partition(":")[0] for line in found["missing"]] == ["secrets", "logs.txt"]
    sums = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    files = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}
    assert (
        sums
        == {name: digest for name, digest in files.items() if name != "SHA256SUMS"}
        == {one["path"]: one["sha256"] for one in found["files"]}
    )
    assert {path.stat().st_mode & 0o077 for path in folder.rglob("*") if path.is_file()} | {folder.stat().st_mode & 0o077} == {0}
    assert (folder / "records" / "b-1" / "data" / "one.html").read_bytes() == DOCS
    assert {"Commits, the newest first:", "  aaaaaaaaaa  ada: Faster search", "  production, would change: image: 1.1 → 1.2"} <= {
        *(folder / "changes.txt").read_text().splitlines()
    }
    assert json.loads((folder / "checks.json").read_text())[-1]["result"] == "failed"
    (message,) = json.loads((folder / "messages.json").read_text())
    assert (message["subject"], list(message["deliveries"])) == ("shop 1.2", ["slack-webhook/none"])
    assert ran("b-1", "--storage", str(folder), command=report) == 0


@pytest.mark.usefixtures("alone")
def test_what_is_there_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a folder with a file nor a link to an empty one; and nothing is left behind."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    for name in ("full", "link", "full/mine"):
        assert ran("b-1", "--output", str(tmp_path / name)) == 2
        assert "not an empty folder" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"full", "empty", "link", "storage"}
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("name", ["x" * 300, "~nosuchuser-7/x"])
def test_a_name_that_no_folder_can_have_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the option, and without a traceback."""
    assert ran("b-1", "--output", name if name.startswith("~") else str(tmp_path / name)) == 2
    assert "--output" in capsys.readouterr().err


async def test_whatever_the_server_answers_the_folder_is_written(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused password is neither a traceback nor a reason to write nothing; what could not be had is said."""

    @asynccontextmanager
    async def refuses() -> AsyncIterator[Any]:
        request = httpx.Request("GET", "http://x/api")
        raise httpx.HTTPStatusError("401", request=request, response=httpx.Response(401, request=request))
        yield

    monkeypatch.setattr(of_the_server, "server", refuses)
    found = await _export.gather(alone, "b-1", await read_record(alone, "b-1"))
    assert [line.partition(":")[0] for line in found.missing] == ["secrets", "logs.txt"]
    assert "HTTPStatusError" in found.files["MISSING.txt"].decode()
    assert "why.txt" in found.files


async def test_no_secret_of_a_block_is_in_any_text_of_an_export(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of changes, checks, messages and pages; in JSON as it spells it, too. What is stored stays as it is: its seals are of that."""
    secret = 'say "hunter" \\ two'

    @asynccontextmanager
    async def known() -> AsyncIterator[Any]:
        yield None

    async def learned(_: Any) -> None:
        learn([secret])

    note = {"kind": "note", "who": "shipway", "what": "Printed.", "why": f"it is {secret}"}
    await store_entry(alone, "b-1", **note)  # type: ignore[arg-type]
    await store_entry(alone, "b-1", kind="health", who="shipway", what="Seen.", evidence={"outcome": "failed", "body": secret})
    outbox._keep("s", Message("s", datetime.now(UTC), "b-1", Content(("deployed",), outside("x"), outside(secret)), {}))
    (alone / "records" / "b-1" / "deployment.md").write_text(f"# Page\n{secret}\n")
    monkeypatch.setattr(of_the_server, "server", known)
    monkeypatch.setattr(held_secrets, "learn_all", learned)
    monkeypatch.setattr(secret_text, "_known", set())
    found = await _export.gather(alone, "b-1", await read_record(alone, "b-1"))
    texts = {path: content.decode() for path, content in found.files.items()}
    assert secret in texts["records/b-1/00005.json"].replace('\\"', '"').replace("\\\\", "\\")
    hidden = ("changes.txt", "checks.json", "messages.json", "records/b-1/deployment.md", "records/b-1/record.html")
    assert [path for path in hidden if "hunter" in texts[path]] == []
    assert [path for path in hidden if "********" not in texts[path]] == []


def test_the_page_that_documents_the_run_is_exported(alone: Path, tmp_path: Path) -> None:
    """And that a closed run has none is said."""
    folder = alone / "records" / "b-1"
    (folder / "deployment.md").write_text("# Page\n")
    assert ran("b-1", "--output", str(tmp_path / "one")) == 1
    assert (tmp_path / "one" / "records" / "b-1" / "deployment.md").read_text() == "# Page\n"
    (folder / "deployment.md").unlink()
    asyncio.run(store_entry(alone, "b-1", kind="closed", who="shipway", what="Ended.", evidence={"outcome": "deployed"}))
    assert ran("b-1", "--output", str(tmp_path / "two")) == 1
    assert "deployment.md: the page" in (tmp_path / "two" / "MISSING.txt").read_text()


def test_a_broken_record_is_exported_as_it_is_and_said(alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An incident review needs it most."""
    (alone / "records" / "b-1" / "00002.json").write_bytes(b"{}")
    assert ran("b-1", "--output", str(tmp_path / "review")) == 1
    assert "the record is BROKEN: entry 2 cannot be trusted" in capsys.readouterr().out
    assert (tmp_path / "review" / "records" / "b-1" / "00002.json").read_bytes() == b"{}"


def test_a_secret_is_what_the_server_does_not_show() -> None:
    """Wherever in a block it is, also where the server hides the whole."""
    whole = {"url": "https://x", "auth": {"password": "p1", "user": "u"}, "keys": ["k1", "k2"], "all": {"a": "s1"}, "on": True}
    shown = {
        "url": "https://x",
        "auth": {"password": "********", "user": "u"},
        "keys": ["********", "k2"],
        "all": "********",
        "on": "********",
    }
    assert list(hidden_in(whole, shown)) == ["p1", "k1", "s1"]


@pytest.mark.server
@pytest.mark.usefixtures("server")
async def test_no_secret_of_a_block_is_in_the_logs_of_an_export() -> None:
    """Although a service printed it into the log of a run."""
    secret = f"hunter-{uuid4().hex}"
    await Secret(value=secret).save(f"export-{uuid4().hex[:8]}")  # type: ignore[misc]
    async with get_client() as client:
        run = await client.create_flow_run(nothing, name="shop 1.2", tags=["shipway:release"])
        line = LogCreate(name="x", level=20, message=f"token {secret}\nnext", timestamp=datetime.now(UTC), flow_run_id=run.id)
        await client.create_logs([line])
    found = _export.Export(str(run.id))
    await _export._learn_secrets(found)
    await _export._add_logs(found)
    text = found.files["logs.txt"].decode()
    assert found.missing == []
    assert "INFO     shop 1.2: token ********\nnext" in text
    assert secret not in text
