"""The agent's control interface on its Unix socket, and its metrics on a loopback port of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web

from blocks.errors import ShipwayError, Temporary
from blocks.fencing import check_lease
from blocks.local.agent import transitions
from blocks.local.agent.aftermath import end_left_behind
from blocks.local.agent.probe import is_ready
from blocks.local.state.counts import OPENMETRICS, as_counts, as_openmetrics
from blocks.local.state.environment import Environment
from blocks.local.state.file import State
from blocks.local.state.view import view
from blocks.platform import Lease

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LONGEST_WAIT_SECONDS = 30.0


def control_application(environment: Environment, stop: asyncio.Event) -> web.Application:
    """Build the control interface.

    Args:
        environment: What it controls.
        stop: Set when a client asks for the end of the environment.
    """

    async def see(request: web.Request) -> web.StreamResponse:
        seen, wait = int(request.query.get("seen", "-1")), float(request.query.get("wait", "0"))
        await environment.wait_beyond(seen, timeout_seconds=min(wait, LONGEST_WAIT_SECONDS))
        return web.json_response(view(environment.state, environment.runs, change=environment.change))

    async def ready(_: web.Request) -> web.StreamResponse:
        return web.json_response(await _readiness(environment))

    async def counts(_: web.Request) -> web.StreamResponse:
        return web.json_response({version: as_counts(tally) for version, tally in environment.tallies().items()})

    async def order(request: web.Request) -> web.StreamResponse:
        wanted = await request.json()
        if wanted["order"] == "prepare" and wanted["specification"] is None:  # a rollback
            check_lease(environment.state, wanted["lease"])
            await end_left_behind(environment)
        await environment.update(lambda state: _ordered(environment, state, wanted))
        return web.json_response(view(environment.state, environment.runs, change=environment.change))

    async def end(_: web.Request) -> web.StreamResponse:
        await environment.update(lambda state: {**state, "stopping": True})
        stop.set()
        return web.json_response({})

    application = web.Application(middlewares=[_errors_as_answers])
    application.add_routes(
        [
            web.get("/view", see),
            web.get("/ready", ready),
            web.get("/counts", counts),
            web.get("/metrics", _metrics(environment)),
            web.put("/desired", order),
            web.post("/stop", end),
        ]
    )
    return application


def metrics_application(environment: Environment) -> web.Application:
    """Build the page that Prometheus scrapes: `/metrics`, and nothing else."""
    application = web.Application()
    application.add_routes([web.get("/metrics", _metrics(environment))])
    return application


def _metrics(environment: Environment) -> Handler:
    async def metrics(_: web.Request) -> web.StreamResponse:
        text = as_openmetrics(environment.tallies(), percent=environment.state["percent"])
        return web.Response(body=text.encode(), headers={"Content-Type": OPENMETRICS})

    return metrics


def _ordered(environment: Environment, state: State, wanted: dict[str, Any]) -> State:
    """Apply one order to the newest state."""
    kind, lease = wanted["order"], cast("Lease", wanted.get("lease"))
    match kind:
        case "acquire_lease":
            return transitions.acquire_lease(state, wanted["owner"], takeover=wanted["takeover"])
        case "release_lease":
            return transitions.release_lease(state, lease)
        case "prepare":
            return transitions.prepare(state, lease, wanted["version"], specification=wanted["specification"])
        case "shift":
            new = transitions.shift(state, lease, wanted["percent"])
            _ask_for_life(environment, state, needed=wanted["percent"] > state["percent"])
            return new
        case "promote":
            new = transitions.promote(state, lease)
            _ask_for_life(environment, state, needed=state["canary"] is not None)
            return new
        case _:
            return transitions.abort(state, lease)


def _ask_for_life(environment: Environment, state: State, *, needed: bool) -> None:
    """Give no more traffic to a canary that is not there."""
    canary = state["canary"]
    if needed and canary is not None and not environment.run_of(canary).accepting.is_set():
        version = state["revisions"][canary]["version"]
        raise Temporary(f"{version} of {state['service']} is not ready to take more traffic. Try again when it is, or abort it")


async def _readiness(environment: Environment) -> dict[str, bool]:
    state = environment.state
    current = {key: state["revisions"][key] for key in (state["baseline"], state["canary"]) if key is not None}
    answers = await asyncio.gather(*(is_ready(environment.session, revision) for revision in current.values()))
    return {
        revision["version"]: answered and environment.run_of(key).accepting.is_set()
        for (key, revision), answered in zip(current.items(), answers, strict=True)
    }


@web.middleware
async def _errors_as_answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ShipwayError as error:
        return web.json_response({"error": type(error).__name__, "message": str(error)}, status=409)
