"""A made past: records of some releases, the kept facts of many, and their runs on the server."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from tasks.rules.record.entries import Entry, chain

WHOLE = 200  # so many of the newest have their records, too: as many as the history reads again
CHANGES = 20
SERVICES, BAD_STEP = 25, 25
COPY = """
insert into flow_run select (jsonb_populate_record(one, jsonb_build_object(
    'id', made.id, 'name', made.name, 'tags', jsonb_build_array('shipway:release', made.service, 'outcome:deployed'),
    'start_time', made.at, 'end_time', made.at, 'expected_start_time', made.at, 'state_id', null))).*
from flow_run one, unnest(%s::uuid[], %s::text[], %s::text[], %s::timestamptz[]) as made(id, name, service, at) where one.id = %s
"""


def entries_of(number: int, draw: random.Random, *, ended: datetime, checks: Sequence[str]) -> list[Entry]:
    """Write a record as a release of three steps writes it, with these checks at each; one in ten is rolled back, one in thirty a fix."""
    service, version, failed = f"service-{number % SERVICES}", f"1.{number}.0", draw.random() < 0.1
    at = ended - timedelta(minutes=40)
    found: list[Entry] = []

    def say(kind: Any, evidence: dict[str, Any] | None = None, *, name: str = "", where: str = "", step: int | None = None) -> None:
        nonlocal at
        at += timedelta(seconds=60)
        fields = {
            "kind": kind,
            "name": name,
            "environment": where,
            "step": step,
            "who": "shipway",
            "what": f"{kind} {name}",
            "why": "as planned",
        }
        found.append(chain(found[-1] if found else None, at=at, evidence=evidence, **fields))

    asked = {"flow": "release", "version": version} | ({"kind": "fix", "because_of": "another"} if draw.random() < 1 / 30 else {})
    say("opened", asked)
    say("review", {"service": service, "version": version, "baseline": "1.0"})
    dates = [int((at - timedelta(hours=draw.randrange(1, 300))).timestamp()) for _ in range(CHANGES)]
    say(
        "change_log",
        {"commits": [{"hash": f"{number:08x}{place:08x}", "at": when} for place, when in enumerate(dates)], "direction": "upgrade"},
    )
    say("gate", {"suspends_until": (at + timedelta(hours=2)).isoformat()}, name="question 1")
    say("gate", name="decision")
    for where, steps in (("staging", (100,)), ("production", (5, 25, 100))):
        for step in steps:
            say("effect", name="shift", where=where, step=step)
            for check in checks:
                say("smoke", {"outcome": "passed"}, name=check, where=where, step=step)
            say("verdict", {"outcome": "failed" if failed and step == BAD_STEP else "passed"}, name="watch", where=where, step=step)
        if not failed:
            say("effect", {"service": service}, name="promote", where=where)
    if failed:
        say("rollback", name="decision")
        say("rollback", {"outcome": "passed", "stays": False}, name="done", where="production")
    else:
        say("health", {"outcome": "passed"}, name="post_deploy", where="production")
        say("metrics", {"requests": draw.randrange(100, 10_000), "errors": draw.randrange(10)}, name="post_deploy", where="production")
    say("closed", {"outcome": "rolled_back" if failed else "deployed"})
    return found


async def make(storage: Path, number: int) -> dict[UUID, Entry]:
    """Keep the facts of so many releases, one every five hours up to now, and write the records of the newest.

    Args:
        storage: The folder of records.
        number: How many.

    Returns:
        The last entry of each, by its run.
    """
    from blocks.key_folder.heads import Head, keep_head
    from tasks.record.facts import keep_facts
    from tasks.record.reading import Reading, read_record
    from tasks.record.store import store_entry

    draw, made = random.Random(14), dict[UUID, Entry]()
    os.fsync = lambda _: None  # this past need not survive a loss of power
    for place in range(number):
        run, is_whole = UUID(int=draw.getrandbits(128), version=4), place >= number - WHOLE
        ended = datetime.now(UTC) - timedelta(hours=5 * (number - 1 - place))
        entries = entries_of(place, draw, ended=ended, checks=("one", "two", "three") if is_whole else ())
        if is_whole:
            for one in entries:
                fields = {name: getattr(one, name) for name in ("kind", "name", "environment", "step", "who", "what", "why", "evidence")}
                await store_entry(storage, str(run), at=datetime.fromisoformat(one.at), **fields)
            await keep_facts(str(run), await read_record(storage, str(run)))
        else:
            keep_head(str(run), Head(len(entries), entries[-1].hash, closed=True))
            await keep_facts(str(run), Reading(entries, []))
        made[run] = entries[-1]
    return made


async def list_on_server(home: Path, made: dict[UUID, Entry]) -> None:
    """Let the server list them: one run made by its API, and copies of it in its database."""
    import psycopg
    from prefect import flow, get_client

    from blocks.server import sockets

    @flow(name="release")
    async def release() -> None: ...

    async with get_client() as client:
        one = await client.create_flow_run(release)
        ids = list(made)
        names, services = (
            [f"service-{place % SERVICES} 1.{place}.0" for place in range(len(ids))],
            [f"service:service-{place % SERVICES}" for place in range(len(ids))],
        )
        folder = str(sockets.folder(home))
        async with await psycopg.AsyncConnection.connect(host=folder, user="postgres", dbname="postgres") as connection:
            await connection.execute(COPY, [ids, names, services, [entry.at for entry in made.values()], one.id])
        await client.delete_flow_run(one.id)
