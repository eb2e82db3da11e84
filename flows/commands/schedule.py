"""`shipway schedule`: release a version, or what waits, at a time to come."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands import _terminal

if TYPE_CHECKING:  # models take time that `shipway --help` does not have
    from datetime import datetime

    from prefect.client.orchestration import PrefectClient

    from tasks.rules.plan.plan import Plan
    from tasks.rules.windows.opening import Group
    from tasks.rules.windows.schedule import Due

HELP = "Release a version, or the newest that waits, at a time to come."
WHEN = "`03:00`, `tomorrow 03:00`, `fri 22:30`, `in 90 min`, or an ISO time"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("plan", type=Path, metavar="PLAN", help="the plan file, in the service's repository")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--version", metavar="VERSION", help="the version to release, as it is tagged")
    what.add_argument("--candidate", metavar="TAGS", help="or what waits then: the newest version by tag, as 'v*', with its evidence")
    parser.add_argument("--pre-releases", action="store_true", help="with --candidate: pre-releases count, as 1.4.0rc1")
    when = parser.add_mutually_exclusive_group(required=True)
    when.add_argument("--at", metavar="WHEN", help=f"when production may begin: {WHEN}")
    when.add_argument("--next-window", action="store_true", help="or when the windows open next for long enough")
    parser.add_argument("--not-later-than", metavar="WHEN", help="when it must have begun (default: the end of the window, or 1 h later)")
    parser.add_argument("--prepare", metavar="WHEN", help="when staging and approval begin, or `now` (default: then, too)")
    parser.add_argument("--zone", metavar="ZONE", help="the time zone, as Europe/Berlin (default: that of the plan's windows)")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="the reason, for the record and the approvers")
    _terminal.add_requester(parser, help="who requests it (default: you); this person cannot approve")
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check the plan and the time, and let the server start the run then.

    Args:
        arguments: What `configure` described.

    Returns:
        0 scheduled, 1 the server does not answer, 2 bad plan or time, 4 a policy cannot be read.
    """
    return _terminal.with_plan(arguments, _schedule)


async def _schedule(client: PrefectClient, arguments: argparse.Namespace) -> int:
    import asyncio

    from flows.commands.release import link, start
    from tasks.lifecycle.clock import now
    from tasks.lifecycle.schedule import in_future, names_of_release
    from tasks.rules.windows.schedule import due_in_words
    from tasks.rules.windows.words import moment_in_words

    plan, groups = await asyncio.to_thread(_read, arguments.plan)
    zone, moment = zone_for(arguments, groups), now()
    due = due_of(arguments, plan, groups, at=moment, zone=zone)
    begin, wanted = first_start(arguments, due, at=moment, zone=zone), parameters_of(arguments, due)
    if arguments.candidate:
        more = {"name": f"candidate {plan.service} {arguments.candidate}", "tags": [f"service:{plan.service}"]}
        found = await start(client, "candidate/candidate", wanted, **more, **in_future(begin))
    else:
        found = await start(client, "release/release", wanted, **names_of_release(plan.service, arguments.version), **in_future(begin))
    _terminal.show(f"{found.name} {found.id}")
    until = due_in_words(due, zone)
    _terminal.show(f"It begins {moment_in_words(begin, zone)}. Production begins {until}; else it ends as skipped.")
    if warning := asks_people(arguments, plan, begin=begin, due=due):
        _terminal.show(warning)
    _terminal.show(f"See it: shipway status, or {link(found)}. Cancel it: shipway cancel {str(found.id)[:8]}")
    return _terminal.DONE


def _read(path: Path) -> tuple[Plan, list[Group]]:
    """Read the plan once more, whose problems were looked at, and the windows.

    Raises:
        Refused: A policy cannot be read.
    """
    from flows.commands._windows import load_groups
    from tasks.rules.plan.file import read_plan

    plan, _ = read_plan(path.read_bytes(), name=str(path))
    if plan is None:
        message = f"{path} changed"
        raise OSError(message)
    return plan, load_groups(plan)


def zone_for(arguments: argparse.Namespace, groups: list[Group]) -> str:
    """Give the zone of the times: the one that is named, else that of all windows, else UTC if no time needs one.

    Raises:
        BadInput: It is not a zone, or none is known.
    """
    from blocks.errors import BadInput
    from tasks.rules.windows.schedule import names_zone
    from tasks.rules.windows.zones import FIX, zone_fault

    if arguments.zone:
        if fault := zone_fault(arguments.zone):
            raise BadInput(fault, field="--zone", fix=FIX)
        return str(arguments.zone)
    zones = {window.zone for group in groups for window in group}
    if len(zones) == 1:
        return zones.pop()
    said = [text for text in (arguments.at, arguments.not_later_than, arguments.prepare) if text and text != "now"]
    if all(map(names_zone, said)):
        return "UTC"
    which = f"the windows are in {', '.join(sorted(zones))}" if zones else "there are no windows whose zone it could be"
    raise BadInput(f"it is not said, and {which}", field="--zone", fix="Add it, as `--zone Europe/Berlin`.")


def due_of(arguments: argparse.Namespace, plan: Plan, groups: list[Group], *, at: datetime, zone: str) -> Due:
    """Give when production may begin, and until when it must have begun.

    Raises:
        BadInput: It is closed then, or a time is wrong.
    """
    from datetime import timedelta

    from tasks.record.kept_times import history_of
    from tasks.rules.rollout.windows import needed_for, preparation_for
    from tasks.rules.windows.schedule import Needs, next_window, read_moment, scheduled

    before = timedelta() if arguments.prepare else preparation_for(plan)
    wave = needed_for(plan, 1, history_of(plan))
    needs = Needs(before, wave if plan.windows.if_too_short == "wait" else timedelta())
    latest = read_moment(arguments.not_later_than, at=at, zone=zone) if arguments.not_later_than else None
    if arguments.at:
        return scheduled(groups, read_moment(arguments.at, at=at, zone=zone), latest, zone=zone, needs=needs)
    begin, end = next_window(groups, at, needed=before + wave)
    return scheduled(groups, begin or at, latest or end, zone=zone, needs=needs)


def first_start(arguments: argparse.Namespace, due: Due, *, at: datetime, zone: str) -> datetime:
    """Give when the run starts: with production's time, or earlier, so that staging and people are done by then.

    Raises:
        BadInput: It is later, or not a time.
    """
    from blocks.errors import BadInput
    from tasks.rules.windows.schedule import read_moment

    begin = due.begin or at
    if not arguments.prepare:
        return begin
    if arguments.candidate:
        raise BadInput("what waits is chosen when it goes out", field="--prepare", fix="Leave it out, or name a `--version`.")
    found = at if arguments.prepare == "now" else read_moment(arguments.prepare, at=at, zone=zone)
    if found > begin:
        raise BadInput("it is later than the release itself", field="--prepare", fix="Name an earlier time, or `now`.")
    return found


def parameters_of(arguments: argparse.Namespace, due: Due) -> dict[str, Any]:
    """Turn the arguments into the flow's parameters."""
    from tasks.rules.windows.schedule import NOT_BEFORE, NOT_LATER_THAN

    wanted = {"plan": str(arguments.plan.absolute()), "reason": arguments.reason, "requester": arguments.requester}
    wanted[NOT_LATER_THAN] = due.latest.isoformat() if due.latest else None
    if arguments.candidate:
        return {**wanted, "pattern": arguments.candidate, "pre_releases": arguments.pre_releases}
    return {**wanted, "version": arguments.version, NOT_BEFORE: due.begin.isoformat() if due.begin else None}


def asks_people(arguments: argparse.Namespace, plan: Plan, *, begin: datetime, due: Due) -> str:
    """Say that people are asked at a time at which they may sleep; "" if none are, or they are asked before."""
    if plan.approval.quorum == 0 or (due.begin and begin < due.begin):
        return ""
    earlier = "" if arguments.candidate else " `--prepare` lets staging and approval begin earlier."
    return f"The plan asks for {plan.approval.quorum} approval(s), and they are asked for when staging is done.{earlier}"
