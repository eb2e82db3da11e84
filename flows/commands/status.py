"""`shipway status`: what is running, and what waits for people."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from flows.commands import _output, _terminal

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

    from tasks.lifecycle.strays import Stray
    from tasks.rules.record.entries import Entry
    from tasks.rules.rollout.history import Measured

    Times = Callable[[str], list[Measured]]

HELP = "Show what is running, and what waits for people."
INDENT = " " * 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--follow", metavar="RUN", help="follow one run until it waits for people or ends")
    _output.add_json(either)
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the open runs.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when nothing waits, 5 when something waits for people, 2 without a server, 1 when the keeper is missing.
    """
    return _terminal.on_server(arguments, _status)


async def _status(client: PrefectClient, arguments: argparse.Namespace) -> int:
    from flows.commands._observed import observed
    from flows.commands._windows import frozen
    from flows.commands.release import follow_to_end
    from tasks.lifecycle.find_run import find_run
    from tasks.lifecycle.lock import OPEN, tagged
    from tasks.lifecycle.schedule import scheduled_candidates
    from tasks.record.kept_times import times_of_service

    if arguments.follow:
        return await follow_to_end(client, await find_run(client, arguments.follow), wait=False)
    times = cache(times_of_service)  # of each service once, however many of its runs are open
    runs = [await _facts(found, times) for found in [*await tagged(client, OPEN), *await scheduled_candidates(client)]]
    others = [_facts_of_stray(stray) for stray in await _others(client)]
    keeper, freezes, looks = await _keeper(client), frozen(), observed()
    if arguments.json:
        _output.print_json({"runs": runs, "others": others, "keeper": keeper, "frozen": freezes, "observed": looks})
    else:
        for line in [f"Frozen: {one}." for one in freezes] + [f"Observed: {one['what']}." for one in looks]:
            _terminal.show(line)
        _print(runs, others, keeper)
    if keeper["missing"]:
        return _terminal.UNEXPECTED
    return _terminal.WAITING if any(found["waiting"] for found in runs) else _terminal.DONE


async def _facts(found: FlowRun, times: Times) -> dict[str, Any]:
    from flows.commands.release import last_answer, link
    from tasks.lifecycle.run_labels import is_unclosed
    from tasks.lifecycle.schedule import due_at
    from tasks.rules.approval.ticks_form import checklist_in_words, waits_for_ticks
    from tasks.rules.rollout.waiting import holds_in_words, wait_in_words

    is_paused, entries = bool(found.state and found.state.is_paused()), await entries_of(str(found.id))
    held = wait_in_words(entries) if is_paused else holds_in_words(entries)
    return {
        "id": str(found.id),
        "name": found.name,
        "state": found.state.name if found.state else None,
        "since": found.state.timestamp if found.state else None,
        "link": link(found),
        "unclosed": is_unclosed(found),
        "waiting": is_paused and not held,
        "held": held,
        "last_answer": last_answer(found).strip(" ()"),
        "targets": _targets(entries),
        "expected": _expected(entries, times),
        "checklist": checklist_in_words(entries),
        "ticks": is_paused and waits_for_ticks(entries),
        "due": due_at(found),
        **_due_parameters(found),
    }


def _due_parameters(found: FlowRun) -> dict[str, Any]:
    """Give from when on and until when a run may begin production, if it was scheduled."""
    from tasks.lifecycle.schedule import due_of

    due = due_of(found)
    return {"not_before": due and due.begin, "not_later_than": due and due.latest}


def _facts_of_stray(stray: Stray) -> dict[str, Any]:
    return {"id": str(stray.run.id), "name": stray.name, "state": stray.run.state_name, "since": stray.since}


async def _others(client: PrefectClient) -> list[Stray]:
    """List the runs without a record that hold a process, or should; the keeper's own only if they are late."""
    from tasks.lifecycle.clock import now
    from tasks.lifecycle.keeper_acts import KEEPER
    from tasks.lifecycle.strays import strays
    from tasks.rules.lifecycle.reconcile import LATE

    return [stray for stray in await strays(client) if stray.flow != KEEPER or now() - stray.since > LATE]


async def _keeper(client: PrefectClient) -> dict[str, Any]:
    """Say when the keeper last did its work, and whether that is too long ago."""
    from tasks.lifecycle.clock import now
    from tasks.lifecycle.keeper_acts import last_work
    from tasks.rules.lifecycle.reconcile import is_late

    (last, by_server), moment = await last_work(client), now()
    ago = None if last is None else round((moment - last).total_seconds(), 1)
    return {"last_work": last, "seconds_ago": ago, "missing": is_late(last, now=moment), "by_server": by_server}


async def entries_of(run: str) -> list[Entry]:
    """Read a run's record; nothing if it cannot be read, or is not here."""
    from blocks.errors import ShipwayError
    from tasks.record.journal import read_entries

    try:
        return await read_entries(run)
    except (ShipwayError, OSError):
        return []


def _targets(entries: list[Entry]) -> str:
    """Say which targets a run has completed, at which step it is, and without which hosts; nothing if its record does not say."""
    from tasks.rules.rollout.left_out import left_out_in_words
    from tasks.rules.rollout.progress import progress_in_words
    from tasks.rules.rollout.waves import targets_in_words

    return "; ".join(words for words in (targets_in_words(entries), progress_in_words(entries), left_out_in_words(entries)) if words)


def _expected(entries: list[Entry], times: Times) -> dict[str, Any] | None:
    """Say when a run is expected to end by earlier releases of its service; None if its record does not say what it will do."""
    from tasks.lifecycle.clock import now
    from tasks.rules.record.entries import select
    from tasks.rules.rollout.expected import expected_end, expected_in_words

    reviews = select(entries, kind="review")
    service = str(reviews[-1].evidence.get("service", "")) if reviews else ""
    try:
        found = expected_end(entries, times(service), at=now()) if service else None
        return found and {"words": expected_in_words(found), "at": found.middle, "nine_of_ten": found.most, **found.left._asdict()}
    except (ValueError, TypeError, OverflowError):  # of another version, whose steps have other fields, or of absurd times
        return None


def _print(runs: list[dict[str, Any]], others: list[dict[str, Any]], keeper: dict[str, Any]) -> None:
    from blocks.server.keeper_watch import BY_SERVER

    if not runs and not others:
        _terminal.show("Nothing is running.")
    for found in runs:
        _print_run(found)
    for found in others:
        _terminal.show(_line(found))
    seconds = keeper["seconds_ago"]
    worked = "has never done its work" if seconds is None else f"last did its work {seconds:.0f} s ago"
    worked += f", {BY_SERVER}" if keeper["by_server"] else ""
    if keeper["missing"]:
        _terminal.show(f"The keeper {worked}: dead or due runs are not handled. Run `shipway doctor`.", error=True)
    else:
        _terminal.show(f"The keeper {worked}.")


def _print_run(found: dict[str, Any]) -> None:
    _terminal.show(f"{_line(found)}  {found['link']}")
    if found["unclosed"]:
        _terminal.show(f"{INDENT}this state is not final: the keeper starts the run again, or settles it")
    if found["due"]:
        _terminal.show(f"{INDENT}{_due_in_words(found)}; cancel it: shipway cancel {found['id'][:8]}")
    if found["targets"]:
        _terminal.show(f"{INDENT}{found['targets']}")
    if found["expected"]:
        _terminal.show(f"{INDENT}{found['expected']['words']}")
    if found["checklist"]:
        _terminal.show(f"{INDENT}{found['checklist']}")
    if found["held"]:
        _terminal.show(f"{INDENT}{found['held']}. It goes on by itself.")
    if found["waiting"]:
        answer = f" ({found['last_answer']})" if found["last_answer"] else ""
        _terminal.show(f"{INDENT}answer it: {how_to_answer(found['id'], ticks=found['ticks'])}{answer}")


def how_to_answer(run: str, *, ticks: bool) -> str:
    """Give the command with which a release that waits for people is answered."""
    return f"shipway check-off {run[:8]} ITEM --as NAME" if ticks else f"shipway approve {run[:8]}"


def _due_in_words(found: dict[str, Any]) -> str:
    from tasks.rules.windows.schedule import Due, due_in_words
    from tasks.rules.windows.words import moment_in_words

    begins, words = f"begins {moment_in_words(found['due'])}", due_in_words(Due(found["not_before"], found["not_later_than"]))
    return f"{begins}; production {words}" if words else begins


def _line(found: dict[str, Any]) -> str:
    since: datetime | None = found["since"]
    return f"{found['id'][:8]}  {found['name']:<32} {found['state'] or '?':<14} since {f'{since:%Y-%m-%d %H:%M:%S} UTC' if since else '?'}"
