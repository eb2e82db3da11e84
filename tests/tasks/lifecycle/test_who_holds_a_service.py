"""Whose lock it is: what is kept of its run beside the key says whether that has come to its end, and no tag."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from prefect.exceptions import ObjectNotFound

from blocks.key_folder.heads import Head, keep_head
from blocks.key_folder.kept_files import kept_path
from blocks.key_folder.key_file import create_key, key_path
from tasks.lifecycle import run_labels
from tasks.lifecycle.kept_runs import OPEN, forget_open, keep_open, open_releases_of, open_runs
from tasks.lifecycle.lock import OUTCOME, Holder, _holder, release_locks
from tasks.lifecycle.run_labels import end_attempt
from tasks.record import open_runs as looking

RUN = "11111111-2222-3333-4444-555555555555"
LOCK: Any = SimpleNamespace(name="shipway-lock-shop", value={"run": RUN})
TAGGED = (f"{OUTCOME}deployed",)


@pytest.fixture(autouse=True)
def _key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())


class Server:
    """A server with one run, or without it."""

    def __init__(self, tags: tuple[str, ...] | None) -> None:
        """Give the run these tags; None deletes it."""
        self.tags = tags

    async def read_flow_run(self, run: UUID) -> Any:
        """Give the run."""
        assert str(run) == RUN
        if self.tags is None:
            raise ObjectNotFound(Exception())
        return SimpleNamespace(id=run, name="release shop 1.1", tags=list(self.tags))


NOTHING, OPENED, CLOSED, ENDED, UNREAD = "nothing", "open", "closed, its leases not", "ended", "a file that cannot be read"


async def kept(what: str) -> None:
    """Keep this of the run."""
    if what == UNREAD:
        await keep_open(RUN, service="shop")
        kept_path(OPEN, RUN).write_bytes(b"not ours")
    if what in {OPENED, CLOSED, ENDED}:
        await keep_open(RUN, service="shop")
        keep_head(RUN, Head(3, "0" * 64))
    if what in {CLOSED, ENDED}:
        keep_head(RUN, Head(4, "1" * 64, closed=True))
    if what == ENDED:
        await forget_open(RUN)


@pytest.mark.parametrize(
    ("what", "tags", "holds"),
    [
        (OPENED, (), True),
        (OPENED, TAGGED, True),
        (OPENED, None, True),
        (UNREAD, TAGGED, True),
        (CLOSED, (), True),
        (CLOSED, TAGGED, True),
        (ENDED, (), False),
        (ENDED, TAGGED, False),
        (ENDED, None, False),
        (NOTHING, (), True),
        (NOTHING, TAGGED, False),
        (NOTHING, None, False),
    ],
)
async def test_a_lock_is_free_once_its_run_has_come_to_its_end(what: str, tags: tuple[str, ...] | None, *, holds: bool) -> None:
    """A tag, or the deletion of the run, counts only for one of which nothing is kept here."""
    await kept(what)
    server: Any = Server(tags)
    name = "a release that was deleted from the server" if tags is None else "release shop 1.1"
    assert await _holder(server, LOCK) == (Holder(RUN, name) if holds else None)


async def test_a_release_whose_record_is_closed_is_not_under_way_though_it_has_not_ended() -> None:
    """It deploys nothing more, so no rollback is about it."""
    await kept(OPENED)
    assert await open_releases_of("shop") == [RUN]
    await kept(CLOSED)
    assert (await open_runs(), await open_releases_of("shop")) == ([RUN], [])


@pytest.mark.parametrize(
    ("what", "asked"), [(OPENED, ["shipway-lock-shop"]), (NOTHING, [f"shipway-lock-a{number}" for number in range(8)])]
)
async def test_the_tags_of_a_run_do_not_say_how_many_locks_are_asked_for(what: str, asked: list[str]) -> None:
    """Anyone with the API's password writes them, by the thousand and with any name, which the server may refuse."""
    named: list[str] = []

    class Asked:
        async def read_variable_by_name(self, name: str) -> None:
            named.append(name)

    await kept(what)
    tags = ["service:shop", "lock:../x y", "lock:", *(f"lock:a{number}" for number in range(10_000))]
    client: Any = Asked()
    run: Any = SimpleNamespace(id=UUID(RUN), tags=tags)
    await release_locks(client, run)
    assert named == asked


async def test_a_run_is_forgotten_after_its_locks_also_if_it_was_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies before leaves a run that the keeper ends again."""
    server: Any = Server(())

    async def fails(*_: Any) -> None:
        raise RuntimeError("the process dies")

    class Client:
        async def __aenter__(self) -> Any:
            return server

        async def __aexit__(self, *_: object) -> None:
            return None

    monkeypatch.setattr(run_labels, "get_client", Client)
    monkeypatch.setattr(run_labels, "release_locks", fails)
    await kept(CLOSED)
    with pytest.raises(RuntimeError):
        await end_attempt.fn(RUN, outcome="deployed")
    assert await open_runs() == [RUN]
    server.tags = None
    await end_attempt.fn(RUN, outcome="deployed")
    assert await open_runs() == []


async def test_a_closed_run_whose_tag_was_taken_away_is_looked_after_until_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its leases and locks would stay."""
    server: Any = Server(())
    tagged: list[set[str]] = []

    async def tag(_client: Any, run: Any, *, add: set[str]) -> None:
        assert str(run.id) == RUN
        tagged.append(add)

    async def look(_client: Any, run: Any) -> str:
        return str(run.id)

    monkeypatch.setattr(looking, "change_tags", tag)
    monkeypatch.setattr(looking, "_look", look)
    await kept(CLOSED)
    assert await looking._look_at_kept(server, RUN, own="s") == RUN
    assert tagged == [{"shipway:open"}]
