"""`shipway demo`: two real releases of the example service in a minute: 1.1 is deployed, 1.2 is bad and rolled back."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands import _output, _terminal

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

HELP = "Release the example service on this machine: a good version, and a bad one that is rolled back."
GOOD, BAD = "1.1.0", "1.2.0"
REQUEST_RATE = 150
KEPT_RATE = 50
APPROVER, REQUESTER = "ada", "linus"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "--home", type=Path, metavar="FOLDER", default=Path(".demo"), help="the home directory of the demo (default: .demo)"
    )
    parser.add_argument("--yes", action="store_true", help="approve as the demo's approver, without asking")
    parser.add_argument(
        "--keep", action="store_true", help="leave server, workers and service running, so that you can try releases by hand"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo, and leave nothing running unless asked to.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when the good version was deployed and the bad one rolled back, 1 otherwise.
    """
    from blocks.errors import ShipwayError
    from flows.commands import _demo, up

    home = arguments.home.expanduser().absolute()
    os.environ.pop("SHIPWAY_KEY_FILE", None)  # it may name the key folder of real releases
    began = time.monotonic()
    try:
        _terminal.show(f"Creating the guestbook's repository, and starting database, Prefect server and workers in {home} …")
        _demo.end_companions(home)
        with _demo.repository(home) as repository:
            stage = _Stage(home, repository)
            up.start_stack(home, auth=True, meanwhile=stage.set_up)
        _output.show_secret(f"  ready after {time.monotonic() - began:.0f} s\n{up.describe(home, show_password=sys.stdout.isatty())}\n")
        good = _terminal.on_server(arguments, lambda client, given: _play(client, given, home, stage))
    except ShipwayError as error:
        _terminal.show(error, error=True)
        good = _terminal.UNEXPECTED
    finally:
        if not arguments.keep:
            _demo.stop(home)
    _terminal.show(f"\nThe demo took {time.monotonic() - began:.0f} s.")
    return good


class _Stage:
    """What the demo needs besides the server: made while the server starts."""

    def __init__(self, home: Path, repository: Callable[[], Path]) -> None:
        self.home, self.repository = home, repository
        self.plan, self.public, self.prometheus = Path(), "", ""

    def set_up(self) -> None:
        """Deploy the first version, and let a Prometheus scrape it."""
        import asyncio

        from flows.commands import _demo, _demo_prometheus

        async def start() -> None:
            self.public = await _demo.serve_first(self.home, self.plan.parent)
            self.prometheus = await _demo_prometheus.start(self.home)

        self.plan = self.repository()
        asyncio.run(start())


async def _play(client: PrefectClient, arguments: argparse.Namespace, home: Path, stage: _Stage) -> int:
    from prefect.context import AsyncClientContext

    from flows.commands import _demo, _demo_prometheus

    async with AsyncClientContext.get_or_create():  # one client for all blocks
        await _demo.save_blocks(home, stage.plan.parent)
        await _demo.end_releases(client)
        plan, public = await _demo_prometheus.ask(stage.prometheus, home, stage.plan), stage.public
    with _demo.traffic(public, rate=REQUEST_RATE):
        outcomes = []
        for version, reason in ((GOOD, "show where guests write from"), (BAD, "a faster page")):
            _terminal.show(f"── Release {version} ────────────────────────────────────────────────")
            found = await _release(client, arguments, home, plan, version=version, reason=reason)
            outcomes.append(found.state.name if found.state else "Unknown")
            _terminal.show(f"{outcomes[-1]}: {found.state.message if found.state else ''}\n")
            _where(home, found)
    if arguments.keep:
        _demo.keep_visitors(home, public, rate=KEPT_RATE)
    _last_words(home, keep=arguments.keep, plan=plan, public=public)
    return _terminal.DONE if outcomes == ["Deployed", "RolledBack"] else _terminal.UNEXPECTED


async def _release(client: PrefectClient, arguments: argparse.Namespace, home: Path, plan: Path, *, version: str, reason: str) -> FlowRun:
    """Start a release, follow it, and answer each question that it asks."""
    from flows.commands.release import start

    wanted: dict[str, Any] = {"plan": str(plan), "version": version, "reason": reason, "requester": REQUESTER}
    found = await _terminal.follow_run(client, (await start(client, "release/release", wanted)).id)
    answered = 0
    while found.state and found.state.is_paused():
        answered += 1
        since = found.state.timestamp
        await _answer(client, arguments, home, found)
        found = await _after(client, found, since)
    return found


async def _after(client: PrefectClient, found: FlowRun, since: Any) -> FlowRun:
    import asyncio

    while (await client.read_flow_run(found.id)).state_type == "PAUSED":
        await asyncio.sleep(0.5)
    return await _terminal.follow_run(client, found.id, since=since)


async def _answer(client: PrefectClient, arguments: argparse.Namespace, home: Path, found: FlowRun) -> None:
    from blocks.errors import Refused
    from flows.commands import _demo, _secret
    from flows.commands.release import link
    from tasks.approval.answering import post_answer, read_question
    from tasks.rules.approval.one_time_codes import code_of

    asked = await read_question(client, found)
    if asked.question is None:
        raise Refused(f"{found.name} cannot be answered: {asked.mismatch()}")
    decision = "approve"
    if sys.stdin.isatty() and not arguments.yes:
        _output.show_markdown(asked.text)
        decision = "approve" if input(f"Approve as {APPROVER}? [Y/n] ").strip().lower() in {"", "y", "yes"} else "reject"
    else:
        _terminal.show(f"         Approving as the demo's approver {APPROVER}, with a code. In real use a person does, at {link(found)}")
    code = code_of(_secret.read_secret(_demo.secret_file(home, APPROVER)), asked.question.challenge(decision))
    form = {"decision": decision, "approver": APPROVER, "code": code, "comment": "from the demo"}
    await post_answer(client, found, form=form)


def _where(home: Path, found: FlowRun) -> None:
    from flows.commands.release import link

    folder = home / "storage" / "records" / str(found.id)
    _terminal.show(f"  run     {link(found)}\n  record  {folder / 'record.json'}\n  report  {folder / 'record.html'}\n")


def _last_words(home: Path, *, keep: bool, plan: Path, public: str) -> None:
    if not keep:
        _terminal.show(
            "Nothing is left running. `make demo KEEP=1` (or --keep) leaves everything up, so that you can try releases by hand."
        )
        return
    from flows.commands import _demo, up

    _output.show_secret(up.describe(home, show_password=sys.stdout.isatty()))
    secret = _demo.secret_file(home, APPROVER)
    words = f"Service {public}, with {KEPT_RATE} requests a second\nPlan    {plan}\nCodes   shipway code CHALLENGE --secret-file {secret}"
    _terminal.show(words)
