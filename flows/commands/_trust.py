"""What `shipway doctor` finds in the key folder: the key itself, policies, owners, freezes, windows, and open runs of other servers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from blocks.server.doctor import Finding


def examine(home: Path) -> Iterator[Finding]:
    """Look at what approvals and policies rest on; what can be read only with the key comes after it.

    Args:
        home: The home directory, whose key this process uses from now on.
    """
    from blocks.server import doctor, settings

    key = doctor.guarded(_key, home)
    yield key
    if key.level == "ok":
        os.environ.update(settings.environment(home))
        yield from (doctor.guarded(check, home) for check in CHECKS)


def _key(home: Path) -> Finding:
    from blocks.errors import Refused
    from blocks.key_folder.key_file import read_key
    from blocks.server import doctor, layout

    path = layout.key_file(home)
    try:
        layout.expect_same_key(home)
        read_key(path)
    except Refused as error:
        return doctor.Finding("fail", "key", str(error), "until it is fixed, only rollbacks go on")
    return doctor.Finding("ok", "key", str(path))


def _policies(_home: Path) -> Finding:
    from blocks.errors import Refused
    from blocks.key_folder.policy_files import policy_folder
    from blocks.server import doctor
    from tasks.approval.protection import load_policies

    try:
        found = load_policies()
    except Refused as error:
        fix = f"every release is refused: correct or remove it in {policy_folder()}, or apply a right one with `shipway policy apply FILE`"
        return doctor.Finding("fail", "policies", str(error), fix)
    names = ", ".join(policy.name for policy in found)
    return doctor.Finding("ok", "policies", names or "none; each plan decides by itself who must approve")


def _owners(_home: Path) -> Finding:
    from blocks.errors import Refused
    from blocks.key_folder.owners import owner_folder, read_owner
    from blocks.server import doctor

    try:
        found = [read_owner(path) for path in sorted(owner_folder().glob("*.json"))]
    except Refused as error:
        return doctor.Finding(
            "fail", "owners", str(error), "restore it from a copy, or remove it: the next release there becomes the owner"
        )
    return doctor.Finding("ok", "owners", f"{len(found)} blocks and places have one")


def _freezes(_home: Path) -> Finding:
    from blocks.errors import Refused
    from blocks.server import doctor
    from tasks.lifecycle.clock import now
    from tasks.lifecycle.freezes import load_freezes
    from tasks.rules.windows.freeze import freeze_in_words

    try:
        found = [one for one in load_freezes() if one.holds(now())]
    except Refused as error:
        fix = "everything is frozen until it can be read: put the file right, or remove it; rollbacks are not affected"
        return doctor.Finding("fail", "freezes", str(error), fix)
    if not found:
        return doctor.Finding("ok", "freezes", "nothing is frozen")
    lift = "rollbacks are not affected; lift it with `shipway unfreeze` when its reason is over"
    return doctor.Finding("warn", "freezes", "; ".join(map(freeze_in_words, found)), lift)


def _quietest(_home: Path) -> Finding:
    from blocks.server import doctor
    from tasks.lifecycle.clock import now
    from tasks.lifecycle.quietest import known_of, measured_services, quietest_in_words
    from tasks.rules.windows.quietest import OVERDUE_AFTER

    services = measured_services()
    known = {service: known_of(service).kept for service in services}
    late = [service for service, kept in known.items() if kept is None or kept.fault or now() - kept.chosen.at > OVERDUE_AFTER]
    if not late:
        return doctor.Finding("ok", "quietest windows", f"{len(services)} services have one")
    fix = "look at Prometheus and at the keeper; measure it with `shipway windows PLAN --measure`"
    unknown = any(known[service] is None for service in late)
    said = "; ".join(f"{service}: {quietest_in_words(service)}" for service in late)
    return doctor.Finding("fail" if unknown else "warn", "quietest windows", said, fix)


def _calendars(_home: Path) -> Finding:
    import asyncio

    from blocks.errors import Refused
    from blocks.server import doctor
    from tasks.lifecycle.clock import now
    from tasks.windows.calendars import kept_calendars, kept_in_words

    try:
        found = asyncio.run(kept_calendars())
    except Refused as error:
        fix = "the windows that name it count as closed until it can be read: remove the file, and it is read anew"
        return doctor.Finding("fail", "calendars", str(error), fix)
    if wrong := [kept_in_words(one, now()) for one in found if one.problem]:
        fix = "the last good one holds, and without one production stays closed: put right what is named"
        return doctor.Finding("warn", "calendars", "; ".join(wrong), fix)
    return doctor.Finding("ok", "calendars", f"{len(found)} calendars of windows could be read")


def _runs(home: Path) -> Finding:
    import asyncio

    from blocks.server import api, doctor
    from tasks.lifecycle.kept_runs import open_runs, server_of

    async def look() -> dict[str, str]:
        return {run: await server_of(run) for run in await open_runs()}

    kept = asyncio.run(look())
    try:
        own = api.server_id(home) if kept else ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = "one that is deleted is left alone until then, whatever it serves: see that the server answers"
        return doctor.Finding("fail", "open runs", f"the server does not say which of them are its own: {error}", fix)
    others = {run: server for run, server in kept.items() if server != own}
    return _runs_of_others(others) if others else doctor.Finding("ok", "open runs", "each is one of this server's")


def _runs_of_others(others: dict[str, str]) -> Finding:
    """Say what is left alone here: it needs the keeper of its own server, if that works; else people."""
    from blocks.server import doctor
    from tasks.lifecycle.servers import has_keeper

    alone = [run for run, server in others.items() if not (server and has_keeper(server))]
    said = ", ".join(f"{run} of {others[run] or 'a server that is not known'}" for run in alone or others)
    if not alone:
        fix = "the keeper of each server cares for its own runs"
        return doctor.Finding("warn", "open runs", f"other servers share this key folder: {said}", fix)
    fix = (
        "if that server still exists, start it, and its keeper goes on; if it is gone for good, as after its database was lost, run the "
        "deployment settle/settle here with their ids, which rolls them back"
    )
    return doctor.Finding("fail", "open runs", f"no keeper cares for {said}", fix)


def _messages(home: Path) -> Finding:
    from flows.commands import _receivers

    return _receivers.examine(home)


CHECKS: tuple[Callable[[Path], Finding], ...] = (_policies, _owners, _freezes, _calendars, _quietest, _runs, _messages)
