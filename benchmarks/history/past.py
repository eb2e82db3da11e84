"""A made past: records of some releases, the kept facts and times of many, and their runs on the server."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from tasks.rules.record.entries import Entry, chain
from tasks.rules.rollout.history import MOST, Measured, Took

WHOLE = 200  # so many of the newest have their records, too: as many as the history reads again
CHANGES = 20
SERVICES, BAD_STEP = 25, 25
SLIS = [{"name": "errors", "indicator": "errors"}, {"name": "latency", "indicator": "latency"}]
# What fails in one of ten, how often beside the others, and what the record says of it.
FAULTS = {
    "errors": (5, "errors: 7.1 % of 1,204 requests failed, 0.4 % of the baseline's; the plan tolerates 1 percentage point more"),
    "latency": (3, "latency: 12 % of 988 requests took longer than 0.25 s, 2.1 % of the baseline's"),
    "smoke": (2, "the smoke test basics failed: GET /orders answered 500"),
}
COPY = """
insert into flow_run select (jsonb_populate_record(one, jsonb_build_object(
    'id', made.id, 'name', made.name, 'tags', jsonb_build_array('shipway:release', made.service, 'outcome:deployed'),
    'start_time', made.at, 'end_time', made.at, 'expected_start_time', made.at, 'state_id', null))).*
from flow_run one, unnest(%s::uuid[], %s::text[], %s::text[], %s::timestamptz[]) as made(id, name, service, at) where one.id = %s
"""


def entries_of(number: int, draw: random.Random, *, ended: datetime, checks: Sequence[str]) -> list[Entry]:
    """Write a record as a release of three steps writes it, with these checks at each; one in ten is rolled back, one in thirty a fix."""
    service, version, fault = f"service-{number % SERVICES}", f"1.{number}.0", _fault(draw)
    slow = draw.lognormvariate(0, 0.35) * (1 + number % SERVICES / SERVICES)
    at, between = ended - timedelta(seconds=1_500 * slow), 1_500 * slow / (18 + 4 * len(checks))
    found: list[Entry] = []

    def say(
        kind: Any,
        evidence: dict[str, Any] | None = None,
        *,
        name: str = "",
        where: str = "",
        step: int | None = None,
        why: str = "as planned",
    ) -> None:
        nonlocal at
        at += timedelta(seconds=between)
        fields = {"kind": kind, "name": name, "environment": where, "step": step, "who": "shipway", "what": f"{kind} {name}", "why": why}
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
            bad = fault if step == BAD_STEP else ""
            say("effect", name="shift", where=where, step=step)
            for check in checks:
                say("smoke", {"outcome": "passed"}, name=check, where=where, step=step)
            if bad == "smoke":
                say("smoke", {"outcome": "failed"}, name="basics", where=where, step=step, why=FAULTS[bad][1])
            elif bad:
                verdicts = [{"sli": bad, "outcome": "failed"}]
                say(
                    "samples", {"outcome": "failed", "slis": SLIS, "points": [{"verdicts": verdicts}]}, name="watch", where=where, step=step
                )
            say("verdict", {"outcome": "failed" if bad else "passed"}, name="watch", where=where, step=step)
            if bad:
                break
        if not fault or where == "staging":
            say("effect", {"service": service}, name="promote", where=where)
    if fault:
        say("rollback", name="decision")
        say("rollback", {"outcome": "passed", "stays": False}, name="done", where="production")
    else:
        say("health", {"outcome": "passed"}, name="post_deploy", where="production")
        say("metrics", {"requests": draw.randrange(100, 10_000), "errors": draw.randrange(10)}, name="post_deploy", where="production")
    say("closed", {"outcome": "rolled_back" if fault else "deployed"}, why=FAULTS[fault][1] if fault else "every check passed")
    return found


def times_of(run: UUID, entries: Sequence[Entry]) -> Measured | None:
    """Say how long the phases of a release took that was deployed."""
    if entries[-1].evidence["outcome"] != "deployed":
        return None
    at = [datetime.fromisoformat(entry.at) for entry in entries]
    production = next(place for place, entry in enumerate(entries) if entry.environment == "production")
    seconds = [(at[end] - at[begin]).total_seconds() for begin, end in ((0, production - 1), (production, -1))]
    phases = (Took(phase="preparation", seconds=seconds[0]), Took(phase="wave 1", seconds=seconds[1], steps="made"))
    return Measured(run=str(run), at=at[-1], phases=phases)


def _fault(draw: random.Random) -> str:
    """Choose what fails; nothing in nine of ten."""
    return draw.choices(list(FAULTS), [weight for weight, _ in FAULTS.values()])[0] if draw.random() < 0.1 else ""


async def make(storage: Path, number: int) -> dict[UUID, Entry]:
    """Keep the facts and times of so many releases, one every five hours up to now, and write the records of the newest.

    Args:
        storage: The folder of records.
        number: How many.

    Returns:
        The last entry of each, by its run.
    """
    from blocks.key_folder.heads import Head, keep_head
    from tasks.lifecycle.kept_runs import write
    from tasks.record.facts import keep_facts
    from tasks.record.kept_times import FOLDER as TIMES
    from tasks.record.kept_times import WHAT as OF_TIMES
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
        if place >= number - MOST * SERVICES and (took := times_of(run, entries)):
            service = f"service-{place % SERVICES}"
            named = f"{hashlib.sha256(service.encode()).hexdigest()[:24]}-{took.at:%Y%m%dT%H%M%SZ}-{run}"
            await write(TIMES, named, {"service": service, **took.model_dump(mode="json")}, what=OF_TIMES)
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
