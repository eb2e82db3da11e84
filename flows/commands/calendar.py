"""`shipway calendar`: windows, freezes and scheduled releases of the coming weeks, in the terminal, as a page or as an iCalendar file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands import _output, _terminal

if TYPE_CHECKING:  # models take time that `shipway --help` does not have
    from collections.abc import Sequence
    from datetime import datetime

    from tasks.rules.windows.calendar import Event
    from tasks.rules.windows.calendar_page import Page
    from tasks.rules.windows.opening import Group

HELP = "Show windows, freezes and scheduled releases of the coming weeks, also as a page or an iCalendar file."
MOST_DAYS = 366
MOST_LINES = 100


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("plans", type=Path, nargs="*", metavar="PLAN", help="the plan files of the services (default: shipway.yaml)")
    parser.add_argument("--days", type=int, default=28, metavar="N", help=f"how many days (default: 28, at most {MOST_DAYS})")
    parser.add_argument("--zone", metavar="ZONE", help="by whose time, as Europe/Berlin (default: that of the windows, else UTC)")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--html", type=Path, metavar="FILE", help="write a page")
    either.add_argument("--ics", type=Path, metavar="FILE", help="write an iCalendar file, to which people can subscribe")
    _output.add_json(either)
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make the calendar.

    Args:
        arguments: What `configure` described.

    Returns:
        0, 2 if a plan is wrong, which the others are shown without, or a zone is not known here, 4 if a policy cannot be read.
    """
    from blocks.errors import BadInput, Refused

    online = _terminal.enter(arguments)
    try:
        page, wrong = _collect(arguments, online=online)
    except (BadInput, Refused) as error:
        _terminal.show(error, error=True)
        return _terminal.REFUSED if isinstance(error, Refused) else _terminal.BAD_INPUT
    for note in [one for one in page.notes if one not in wrong] if arguments.html or arguments.ics else ():
        _terminal.show(note, error=True)
    if target := arguments.html or arguments.ics:
        _replace(target, _text(page, as_page=bool(arguments.html)))
        _terminal.show(f"{target}: {len(page.events)} entries of {page.days} days")
    elif arguments.json:
        _output.print_json({"zone": page.zone, "days": page.days, "notes": page.notes, "events": [_facts(one) for one in page.events]})
    else:
        _print(page)
    for note in wrong:
        _terminal.show(note, error=True)
    return _terminal.BAD_INPUT if wrong else _terminal.DONE


def _collect(arguments: argparse.Namespace, *, online: bool) -> tuple[Page, list[str]]:
    """Read plans, policies, freezes and the server; gives the calendar, and what is wrong with a plan, which is among its notes.

    Raises:
        BadInput: No plan can be read, or a zone is wrong.
        Refused: A policy cannot be read.
    """
    from tasks.lifecycle.clock import now
    from tasks.rules.windows.calendar import cuts, events_of, overlaps
    from tasks.rules.windows.calendar_page import Page, at_midnight
    from tasks.rules.windows.words import notes_of

    at, days = now(), min(max(arguments.days, 1), MOST_DAYS)
    services, wrong = _services(arguments.plans)
    zone = _zone(arguments.zone, [group for groups in services.values() for group in groups])
    until = at_midnight(at, zone, days=days)
    releases, unknown = _releases(online=online)
    own = [one for one in releases if (one.service in services or not arguments.plans) and one.begin < until and one.end > at]
    named = list(dict.fromkeys([*services, *(one.service for one in own)]))
    frozen, unread = _freezes(named, at, until)
    windows = [one for service, groups in services.items() for one in events_of(service, groups, at, until)]
    events = sorted([*own, *frozen, *windows], key=lambda one: one.begin)
    aged = notes_of([group for groups in services.values() for group in groups])
    return Page(named, events, [*wrong, *aged, *unread, *unknown, *cuts(events), *overlaps(events)], zone, at, days), wrong


def _freezes(services: list[str], at: datetime, until: datetime) -> tuple[list[Event], list[str]]:
    """Read the freezes that people set on this machine; if one cannot be read, everything is frozen, and that is said."""
    from blocks.errors import Refused
    from tasks.lifecycle.freezes import load_freezes
    from tasks.rules.windows.calendar import freeze_events

    try:
        return freeze_events(services, load_freezes(), at, until), []
    except Refused as error:
        return [], [f"everything is frozen, as its freezes cannot be read: {error}"]


def _services(plans: Sequence[Path]) -> tuple[dict[str, list[Group]], list[str]]:
    """Give the windows of each plan's service, and what is wrong with the plans that are left out.

    Raises:
        BadInput: All are wrong.
    """
    from blocks.errors import BadInput
    from flows.commands._windows import load_groups
    from flows.commands.check import look_at

    default = Path("shipway.yaml")
    found: dict[str, list[Group]] = {}
    wrong: list[BadInput] = []
    for path in plans or ([default] if default.exists() else []):
        plan, problems, _ = look_at(path)
        if plan is None or problems:
            said = "; ".join(str(one).removeprefix(f"{path}: ").rstrip(".") for one in problems) or "it cannot be read"
            wrong.append(BadInput(said, field=str(path), fix=f"Look with `shipway check {path}`."))
        elif plan.service in found:
            fix = "Name one plan for each service."
            wrong.append(BadInput(f"another plan of the service {plan.service} was named before", field=str(path), fix=fix))
        else:
            found[plan.service] = load_groups(plan)
    if wrong and not found:
        raise wrong[0]
    return found, [f"a plan is left out: {error}" for error in wrong]


def _zone(wanted: str | None, groups: Sequence[Group]) -> str:
    from tasks.rules.windows.words import zone_of_all
    from tasks.rules.windows.zones import zone_of

    if wanted:
        zone_of(wanted)  # refuses what is not one
        return wanted
    return zone_of_all(tuple(window for group in groups for window in group))


def _releases(*, online: bool) -> tuple[list[Event], list[str]]:
    """Ask the server for the scheduled releases; what is not known is said, not left out."""
    import asyncio

    from blocks.errors import ShipwayError

    if not online:
        return [], ["no server is configured here, so scheduled releases are not known"]
    try:
        return asyncio.run(_ask()), []
    except ShipwayError as error:
        return [], [f"scheduled releases are not known: {error}"]


async def _ask() -> list[Event]:
    from tasks.lifecycle.schedule import scheduled_runs
    from tasks.lifecycle.server import server
    from tasks.rules.windows.calendar import release_event

    async with server() as client:
        found = await scheduled_runs(client)
    return [
        release_event(
            service=next((tag.removeprefix("service:") for tag in one.run.tags if tag.startswith("service:")), "unknown"),
            name=one.run.name,
            run=str(one.run.id),
            begin=one.begin,
            latest=one.latest,
            who=str(one.run.parameters.get("requester", "")),
            why=str(one.run.parameters.get("reason", "")),
        )
        for one in found
    ]


def _text(page: Page, *, as_page: bool) -> str:
    from tasks.rules.windows.calendar_page import page_text
    from tasks.rules.windows.icalendar import icalendar_text

    if as_page:
        return page_text(page)
    return icalendar_text(page.events, at=page.at, name=f"Deployments: {' and '.join(page.services) or 'none'}", notes=page.notes)


def _replace(target: Path, text: str) -> None:
    """Write a file in one step: whoever reads it meanwhile gets the old one or the new one, whole."""
    import os
    import tempfile

    with tempfile.NamedTemporaryFile("w", dir=target.absolute().parent, delete=False, encoding="utf-8", newline="") as file:
        file.write(text)
    os.chmod(file.name, 0o644)  # noqa: PTH101 - a web server reads it
    os.replace(file.name, target)  # noqa: PTH105


def _facts(event: Event) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "service": event.service,
        "from": event.begin,
        "until": event.end,
        "title": event.title,
        "detail": event.detail,
        "run": event.run,
    }


def _print(page: Page) -> None:
    from tasks.rules.windows.words import moment_in_words

    for note in page.notes:
        _terminal.show(f"! {note}")
    for one in page.events[:MOST_LINES]:
        begin, end = (moment_in_words(moment, page.zone) for moment in (one.begin, one.end))
        _terminal.show(f"{begin} – {end}  {one.title}")
        _terminal.show(f"          {one.detail}")
    if not page.events:
        _terminal.show(f"Nothing is planned in the coming {page.days} days, and no window opens or closes in them.")
    if len(page.events) > MOST_LINES:
        _terminal.show(f"… and {len(page.events) - MOST_LINES} more; --html FILE shows all")
