"""`shipway windows`: whether production may change now, why not, and when it may in the coming days."""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands import _output, _terminal
from flows.commands._quietest import add_quietest

if TYPE_CHECKING:  # models take time that `shipway --help` does not have
    from datetime import datetime

    from tasks.rules.windows.opening import Group, Stretch

HELP = "Show when production may change: the windows and freezes of a plan and of this machine's policies."
MOST_LINES = 100
MOST_DAYS = 366


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("plan", metavar="PLAN", nargs="?", default="shipway.yaml", help="the plan file (default: shipway.yaml)")
    parser.add_argument("--days", type=int, default=14, metavar="N", help=f"how many days (default: 14, at most {MOST_DAYS})")
    add_quietest(parser)
    _output.add_json(parser)
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the windows of the coming days.

    Args:
        arguments: What `configure` described.

    Returns:
        0, 1 if Prometheus or the server do not answer, 2 if the plan is wrong or a zone is not known here, 4 if a policy cannot be read.
    """
    from blocks.errors import BadInput, Refused, ShipwayError
    from flows.commands._measure import measure
    from flows.commands._quietest import ask_rhythm, print_rhythm
    from flows.commands._windows import ask_times, frozen, kept_quietest, load_groups
    from flows.commands.check import look_at
    from tasks.lifecycle.clock import now

    _terminal.enter(arguments)
    if arguments.picture and not arguments.quietest:
        _terminal.show("--picture needs --quietest MINUTES.", error=True)
        return _terminal.BAD_INPUT
    plan, problems, _ = look_at(Path(arguments.plan))
    if plan is None or problems:
        _terminal.show("\n".join(problems), error=True)
        return _terminal.BAD_INPUT
    try:
        if arguments.measure:
            measure(plan)
        groups, at = load_groups(plan), now()
        facts = _facts(plan.service, groups, at, days=min(max(arguments.days, 1), MOST_DAYS))
        facts |= {"frozen": frozen(plan.service), "quietest": kept_quietest(plan), "times": ask_times(plan)}
        if arguments.quietest:
            facts["traffic"] = ask_rhythm(arguments, plan, load_groups(plan, quietest=False), at)
    except ShipwayError as error:
        _terminal.show(error, error=True)
        codes = {Refused: _terminal.REFUSED, BadInput: _terminal.BAD_INPUT}
        return next((code for kind, code in codes.items() if isinstance(error, kind)), _terminal.UNEXPECTED)
    if arguments.json:
        _output.print_json(facts)
    else:
        _print(facts)
        if arguments.quietest:
            print_rhythm(facts["traffic"])
    return _terminal.DONE


def _facts(service: str, groups: list[Group], at: datetime, *, days: int) -> dict[str, Any]:
    from datetime import timedelta

    from tasks.rules.windows.opening import HORIZON, look, stretches
    from tasks.rules.windows.words import look_in_words, notes_of

    seen, end = look(groups, at), at + timedelta(days=days)
    coming = [one for one in islice(stretches(groups, at), MOST_LINES + 1) if one.begin < end] if groups else []
    return {
        "service": service,
        "open": seen.is_open,
        "until": seen.until,
        "says": f"production is {look_in_words(seen)}",
        "calendars": notes_of(groups),
        "days": days,
        "coming": [_stretch(one, horizon=at + HORIZON) for one in coming[:MOST_LINES]],
        "more": len(coming) > MOST_LINES,
    }


def _stretch(one: Stretch, *, horizon: datetime) -> dict[str, Any]:
    from tasks.rules.windows.words import times_in_words, zone_of_all

    named = [
        {"kind": window.kind, "of": window.origin, "times": times_in_words(window), "reason": window.reason, "owner": window.owner}
        for window in one.because
    ]
    return {
        "open": one.is_open,
        "from": one.begin,
        "until": one.end if one.end and one.end < horizon else None,
        "zone": zone_of_all(one.because),
        "windows": named,
    }


def _print(facts: dict[str, Any]) -> None:
    from tasks.rules.windows.words import ALWAYS, moment_in_words

    for one in facts["frozen"]:
        _terminal.show(f"Frozen, whatever the windows say: {one}.")
    _terminal.show(f"{facts['service']}: {facts['says']}.")
    if facts["quietest"]:
        _terminal.show(f"The quietest window: {facts['quietest']}.")
    for one in facts["calendars"]:
        _terminal.show(f"! {one}")
    if not facts["coming"]:
        _terminal.show("Neither the plan nor a policy on this machine has windows.")
        return
    for said in facts["times"]["estimates"]:
        _terminal.show(f"{said}.")
    if facts["times"]["phases"]:
        _terminal.show(f"Earlier releases took: {'; '.join(facts['times']['phases'])}.")
    _terminal.show(f"\nThe coming {facts['days']} days:\n")
    for one in facts["coming"]:
        begin, end = (moment_in_words(one[side], one["zone"]) if one[side] else "without an end in sight" for side in ("from", "until"))
        _terminal.show(f"  {'open  ' if one['open'] else 'closed'}  {begin} – {end}")
        for window in one["windows"]:
            noun = "freeze" if window["kind"] == "deny" else "window" if one["open"] else "outside of the window"
            named = "" if window["times"] == ALWAYS else f"{noun} of the {window['of']}, {window['times']}: "
            _terminal.show(f"          {named}{window['reason']} (ask {window['owner']})")
    if facts["more"]:
        _terminal.show(f"  … and more; only the first {MOST_LINES} are shown")
