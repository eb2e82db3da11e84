"""`shipway release`: release one version and follow it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flows.commands import _terminal

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

HELP = "Release one version of a service, and follow the release."


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("plan", type=Path, metavar="PLAN", help="the plan file, in the service's repository")
    parser.add_argument("--version", required=True, metavar="VERSION", help="the version to release, as it is tagged")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="the reason, for the record and the approvers")
    _terminal.add_requester(parser, help="who requests it (default: you); this person cannot approve")
    parser.add_argument("--kind", choices=("planned", "fix"), default="planned", help="whether it is planned, or a fix (default: planned)")
    parser.add_argument("--because-of", metavar="RUN", help="the release whose failure it fixes, as `shipway report` takes it")
    parser.add_argument("--wait", action="store_true", help="keep following while it waits for people, instead of exiting with 5")
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check the plan, start the release, follow it.

    Args:
        arguments: What `configure` described.

    Returns:
        0 deployed, 2 bad plan, 3 rolled back, 4 refused, 5 waiting for people.
    """
    return _terminal.with_plan(arguments, _release)


async def _release(client: PrefectClient, arguments: argparse.Namespace) -> int:
    wanted = {
        "plan": str(arguments.plan.absolute()), "version": arguments.version, "reason": arguments.reason, "requester": arguments.requester,
    }  # fmt: skip
    found = await start(client, "release/release", wanted | await _kind(client, arguments))
    _terminal.show(f"release {found.id}")
    return await follow_to_end(client, found, wait=arguments.wait)


async def _kind(client: PrefectClient, arguments: argparse.Namespace) -> dict[str, str]:
    """Give the parameters that say what kind of release it is; none of one that is planned.

    Raises:
        BadInput: There is no such run, or it is not a release.
    """
    from blocks.errors import BadInput
    from tasks.lifecycle.find_run import find_run

    if not arguments.because_of:
        return {} if arguments.kind == "planned" else {"kind": arguments.kind}
    found = await find_run(client, arguments.because_of)
    if "shipway:release" not in found.tags:
        raise BadInput(f"{found.name} is not a release", field="--because-of", fix="Name the release whose failure this one fixes.")
    return {"kind": "fix", "because_of": str(found.id)}


async def start(client: PrefectClient, deployment: str, parameters: dict[str, Any], **more: Any) -> FlowRun:
    """Start a run of a deployment.

    Args:
        client: Of the server.
        deployment: Flow and deployment: `release/release`.
        parameters: The flow's parameters.
        more: The run's name, tags and first state, if they are not to be the deployment's.

    Raises:
        BadInput: There is no such deployment, or the server refuses a parameter.
        Temporary: The server is overloaded or restarting, and stayed so for a minute.
    """
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    from blocks.errors import BadInput
    from tasks.lifecycle.retries import as_temporary
    from tasks.rules.plan.request import requester_fault
    from tasks.rules.plan.types import PATTERN_WORDS, PERSON

    if fault := requester_fault(parameters.get("requester", "anyone")):
        raise BadInput(fault, field="--as", fix=PATTERN_WORDS[PERSON])
    try:
        known = await client.read_deployment_by_name(deployment)
        # The client repeats a request that the server could not answer: the key lets that be one run.
        return await client.create_flow_run_from_deployment(known.id, parameters=parameters, idempotency_key=str(uuid4()), **more)
    except ObjectNotFound:
        raise BadInput(f"the server has no deployment {deployment}", field="server", fix="Create it with `shipway up`.") from None
    except PrefectHTTPStatusError as error:
        passing = as_temporary(error)
        if passing is not None:
            raise passing from None
        said = (
            error.response.json().get("detail", "") if error.response.headers.get("content-type", "").startswith("application/json") else ""
        )
        raise BadInput(f"the server refused the request: {said}", field="parameters", fix="Correct the value and try again.") from None


async def follow_to_end(client: PrefectClient, found: FlowRun, *, wait: bool) -> int:
    """Follow a run; if it waits for people, say how they answer.

    Args:
        client: Of the server.
        found: The run.
        wait: Keep following while it waits.

    Returns:
        The exit code; 1 if it died and was not finalized.
    """
    import asyncio

    from flows.commands.status import entries_of, how_to_answer
    from tasks.lifecycle.run_labels import has_ended
    from tasks.rules.approval.ticks_form import waits_for_ticks
    from tasks.rules.rollout.waiting import wait_in_words

    since = None
    while True:
        found = await _terminal.follow_run(client, found.id, since=since)
        state = found.state
        if state is None or not state.is_paused():
            break
        entries = await entries_of(str(found.id))
        held, how = wait_in_words(entries), how_to_answer(str(found.id), ticks=waits_for_ticks(entries))
        people = f"Waiting for people{last_answer(found)}. In a terminal: {how}; in the UI: {link(found)}"
        _terminal.show(f"{held}. It goes on by itself, without a process meanwhile." if held else people)
        if not wait:
            return _terminal.WAITING
        since = state.timestamp
        while (await client.read_flow_run(found.id)).state_type == state.type:
            await asyncio.sleep(2)
    if not has_ended(found):
        _terminal.show(
            f"{state.name if state else 'Unknown'}, but not finalized, and the keeper is missing: run `shipway doctor`", error=True
        )
        return _terminal.UNEXPECTED
    _terminal.show(": ".join(word for word in (state.name if state else "Unknown", state.message if state else "") if word))
    return _terminal.EXIT.get(state.name if state and state.name else "", _terminal.UNEXPECTED)


def link(found: FlowRun) -> str:
    """Give the run's page in the UI."""
    from tasks.lifecycle.links import run_link

    return run_link(str(found.id))


def last_answer(found: FlowRun) -> str:
    """Say why the last answer to a run's gate did not count; nothing if there was none, or if it counted."""
    outcome, reason = (str((found.labels or {}).get(f"shipway.answer.{name}", "")) for name in ("outcome", "reason"))
    return "" if outcome in {"", "accepted"} else f" (the last answer did not count: {reason})"
