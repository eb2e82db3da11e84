"""The progress of scripts in the Prefect UI, on a real server: one artifact a run that moves, on this machine and on hosts."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from markdown_it import MarkdownIt
from prefect import flow, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact
from prefect.context import get_run_context
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import SecretStr

from blocks.errors import RolloutFailed
from blocks.script import artifact
from blocks.script.artifact import key_of
from tasks.record.borders import hold
from tests.blocks.script.apps import App, make_app, until
from tests.blocks.script.hosts.farms import make_farm

pytestmark = [pytest.mark.slow, pytest.mark.server]
SECRET = "correct-horse-battery"
HOSTILE = f"<b>copying</b> `x` [y](http://evil.example) {SECRET} " + "z" * 500
MOVES = f"""#!/bin/sh
cd "$(dirname "$0")"
echo "::progress 10 pulling"
while [ ! -f go ]; do sleep 0.05; done
for each in $(seq 11 60); do echo "::progress $each copying"; done
cat <<'LINE'
::progress 60 {HOSTILE}
LINE
case $1 in *bad*) exit 3 ;; esac
echo "$1" >version
"""
SCRIPTS = {
    "deploy": ["sh", "./moves.sh", "{version}"],
    "status": ["./app.sh", "status"],
    "verify": ["./app.sh", "verify", "{version}"],
    "rollback": ["./app.sh", "rollback", "{previous}"],
}


@pytest.fixture
def app(tmp_path: Path, server: Any) -> App:
    """Give an environment whose script says how far it is."""
    del server
    (tmp_path / "moves.sh").write_text(MOVES)
    return make_app(tmp_path)


@flow(name="moves", persist_result=False)
async def moves(platform: Any, lease: Any) -> UUID | None:
    """Have its script run in a run, as releases do."""
    await platform.shift(100, lease)
    found = get_run_context().flow_run  # type: ignore[union-attr]
    return found.id if found else None


async def shown(key: str) -> list[Artifact]:
    """Read the artifacts of a key."""
    async with get_client() as client:
        return await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))


async def until_shown(key: str, wanted: Callable[[Artifact], bool]) -> Artifact:
    """Wait until the only artifact of a key is so."""
    async with asyncio.timeout(20):
        while True:
            found = await shown(key)
            assert len(found) <= 1
            if found and wanted(found[0]):
                return found[0]
            await asyncio.sleep(0.1)


@asynccontextmanager
async def beside(work: Awaitable[Any]) -> AsyncIterator[asyncio.Future[Any]]:
    """Let something run beside the test, and end with it."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_progress_of_a_script_is_one_artifact_that_moves_to_its_end(app: App) -> None:
    """It is there at the first reading, and at 100 % after the script, which does not say so itself."""
    lease = await app.begin("1.1", scripts=SCRIPTS)
    key = key_of("app", app.folder / "notes")
    async with beside(moves(app.platform(scripts=SCRIPTS), lease)) as running:
        first = await until_shown(key, lambda one: one.data == 10)
        assert (first.type, first.description) == ("progress", "`deploy 1.1`: `pulling`")
        (app.folder / "go").touch()
        run = await running
    last = await until_shown(key, lambda one: one.data == 100)
    assert (last.id, last.flow_run_id) == (first.id, run)
    assert "`deploy 1.1`: `exited with 0 after " in (last.description or "")


async def test_a_script_that_fails_leaves_the_progress_where_it_failed_and_its_words_are_plain_text(app: App) -> None:
    """Without a secret, short, and without a format or a link."""
    hold({"token": SecretStr(SECRET)})
    (app.folder / "go").touch()
    lease = await app.begin("1.1-bad", scripts=SCRIPTS)
    with pytest.raises(RolloutFailed):
        await moves(app.platform(scripts=SCRIPTS), lease)
    last = await until_shown(key_of("app", app.folder / "notes"), lambda one: "exited with 3" in (one.description or ""))
    assert last.data == 60
    text = last.description or ""
    assert SECRET not in text
    assert len(text) < 2 * artifact.WORDS_LIMIT
    assert "<b>" not in MarkdownIt("commonmark", {"html": True}).render(text)
    assert "<a" not in MarkdownIt("commonmark", {"html": True}).render(text)


async def test_each_host_has_an_artifact_of_its_own_and_a_new_run_a_new_version_of_it(tmp_path: Path, server: Any) -> None:
    """The keys stay, so that people find the history of an environment in one place."""
    del server
    farm = make_farm(tmp_path, 2)
    for host in farm.hosts.values():
        (host.home / "moves.sh").write_text(MOVES)
        (host.home / "go").touch()
    for number, version in enumerate(("1.1", "1.2"), start=1):
        lease = await farm.begin(version, scripts=SCRIPTS, at_once=2)
        await moves(farm.platform(scripts=SCRIPTS, at_once=2), lease)
        await farm.platform(scripts=SCRIPTS).promote(lease)
        folders = sorted({one.parents[1] for one in farm.folder.rglob("runs/1")})
        assert len(folders) == len(farm.hosts)
        async with asyncio.timeout(20):
            for folder in folders:
                key = key_of(f"app on {next(name for name in farm.hosts if name in folder.name)}", folder)
                while sum(one.data == 100 for one in await shown(key)) != number:  # noqa: ASYNC110 - it comes about on the server
                    await asyncio.sleep(0.1)


def test_the_last_value_arrives_also_if_the_run_ends_at_once(app: App) -> None:
    """The loop of its process ends with the run, within the second in which nothing is published."""
    (app.folder / "go").touch()

    async def run() -> None:
        await moves(app.platform(scripts=SCRIPTS), await app.begin("1.1", scripts=SCRIPTS))

    asyncio.run(run())
    assert [one.data for one in asyncio.run(shown(key_of("app", app.folder / "notes")))] == [100]


@pytest.mark.parametrize("is_over", [False, True])
async def test_who_comes_after_a_crash_moves_the_same_artifact(app: App, *, is_over: bool) -> None:
    """The run's folder says which it is, also once the script has ended with no one there."""
    key = key_of("app", app.folder / "notes")
    lease = await app.begin("1.1", scripts=SCRIPTS)
    async with beside(moves(app.platform(scripts=SCRIPTS), lease)):
        first = await until_shown(key, lambda one: one.data == 10)
        await until((app.run_folder() / artifact.KEPT_ID).exists)
    if is_over:
        (app.folder / "go").touch()
        await until((app.run_folder() / "result.json").exists)
    lease = await app.platform().acquire_lease("run-1")
    async with beside(moves(app.platform(scripts=SCRIPTS), lease)) as running:
        await asyncio.sleep(0 if is_over else 1)
        (app.folder / "go").touch()
        await running
        last = await until_shown(key, lambda one: one.data == 100)
    assert last.id == first.id
    assert app.lines("asked").count("verify 1.1") >= 1


async def test_a_server_that_does_not_answer_holds_no_script_up(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a script wait for an answer at any of its readings."""
    monkeypatch.setattr(artifact, "ANSWER_SECONDS", 0.5)
    (app.folder / "go").touch()
    lease = await app.begin("1.1", scripts=SCRIPTS)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/api"

        @flow(name="moves", persist_result=False)
        async def moves_past_a_silent_server() -> float:
            began = time.monotonic()
            with temporary_settings({PREFECT_API_URL: address}):
                await app.platform(scripts=SCRIPTS).shift(100, lease)
            return time.monotonic() - began

        assert await moves_past_a_silent_server() < 5
    assert app.lines("version") == ["1.1"]
