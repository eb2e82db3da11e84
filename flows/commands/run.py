"""`shipway run`: run one phase alone, as a release would."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands import _terminal

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

HELP = "Run one phase of a release alone, and follow it."
PHASES = {"pre-deploy": "pre_deploy", "staging": "staging", "verify": "verify", "production": "production", "post-deploy": "post_deploy"}
MOVING = {"staging", "production"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "phase", choices=PHASES, help="staging and production change the service, and roll back if they fail; the others change nothing"
    )
    parser.add_argument("plan", type=Path, metavar="PLAN", help="the plan file, in the service's repository")
    parser.add_argument("--version", default="", metavar="VERSION", help="the version; `verify` takes the running one by default")
    _terminal.add_environment(
        parser, help="verify, production: which environment (default: production, which means all of the plan's targets)"
    )
    parser.add_argument("--reason", metavar="TEXT", help="staging and production: the reason, for the record and the approvers")
    _terminal.add_requester(parser, help="production: who requests it (default: you); this person cannot approve")
    parser.add_argument("--wait", action="store_true", help="keep following while it waits for people, instead of exiting with 5")
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check the plan, start the phase, follow it.

    Args:
        arguments: What `configure` described.

    Returns:
        0 passed or deployed, 2 bad plan or arguments, 3 failed or rolled back, 4 refused, 5 waiting for people.
    """
    return _terminal.with_plan(arguments, _run)


async def _run(client: PrefectClient, arguments: argparse.Namespace) -> int:
    from flows.commands.release import follow_to_end, start

    name = PHASES[arguments.phase]
    found = await start(client, f"{name}/{name}", parameters_of(arguments))
    _terminal.show(f"{arguments.phase} {found.id}")
    return await follow_to_end(client, found, wait=arguments.wait)


def parameters_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Turn the arguments into the phase's parameters.

    Raises:
        BadInput: An argument is missing that this phase needs.
    """
    from blocks.errors import BadInput

    phase = arguments.phase
    wanted = {"plan": str(arguments.plan.absolute()), "version": arguments.version}
    if not arguments.version and phase != "verify":
        raise BadInput(f"{phase} needs a version", field="--version", fix="Add the version, as `--version 1.4.2`.")
    if phase in MOVING and not arguments.reason:
        raise BadInput(
            f"{phase} changes the service, and needs a reason", field="--reason", fix='Add the reason, as `--reason "critical bug 812"`.'
        )
    if phase == "verify":
        wanted["environment"] = arguments.environment
    if phase in MOVING:
        wanted["reason"] = arguments.reason
    if phase == "production":
        wanted["requester"] = arguments.requester
        if arguments.environment != "production":
            wanted["environment"] = arguments.environment
    return wanted
