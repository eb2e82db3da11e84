"""A release and a rollback on demand are shown by a forge: what they note, and what the keeper makes of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from prefect import flow

from flows.lifecycle.context import begin_phase
from flows.lifecycle.deployments import note_deployment_begins, note_deployment_ends
from tasks.notify import deployments
from tasks.notify.deployments import send_deployments
from tests.flows.harness import FIRST, Stage
from tests.forge_server import ForgeServer, serving_forge
from tests.git_remotes import Repository

pytestmark = [pytest.mark.server, pytest.mark.faults, pytest.mark.timeout(300)]


@pytest.fixture
def there(stage: Stage) -> Iterator[ForgeServer]:
    """Serve a GitHub that has the service's repository."""
    with serving_forge("github", Repository(stage.repository / ".git", stage.repository)) as found:
        yield found


async def laid_out(stage: Stage, there: ForgeServer, **changes: Any) -> str:
    """Write a plan whose releases the forge shows."""
    await there.block(services=[stage.name]).save(stage.name, overwrite=True)  # type: ignore[misc]
    return stage.plan(deployments={"to": f"forge/{stage.name}"}, **changes)


def commit_of(stage: Stage, version: str) -> str:
    """Give the commit of a version."""
    words = ["git", "rev-parse", f"v{version}^{{commit}}"]
    return subprocess.run(words, cwd=stage.repository, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.usefixtures("visitors")
async def test_a_release_and_its_rollback_on_demand_are_shown_with_their_commits(stage: Stage, there: ForgeServer) -> None:
    """The rollback is a deployment of its own, of the older commit; what it left serves no more."""
    plan = await laid_out(stage, there)
    version = stage.tag("1.1")
    ran = await stage.release_through(version, plan=plan)
    assert ran.state == "Deployed", ran.message
    await send_deployments()
    assert [states[-1] for states in there.deployments.states()] == ["success"]
    back = await stage.carry_through(await stage.ask("rollback", plan=plan, reason="a test", requester="rita"), "rollback")
    assert back.state == "RolledBack", back.message
    await send_deployments()
    assert [states[-1] for states in there.deployments.states()] == ["inactive", "success"]
    shown = [(one["task"], one["sha"], one["payload"]["shipway"]["run"], one["environment"]) for one in there.deployments.of]
    assert shown == [
        ("deploy", commit_of(stage, version), ran.id, "production"),
        ("rollback", commit_of(stage, FIRST), back.id, "production"),
    ]


@flow
async def begun(plan: str, *, version: str, outcome: str = "", environment: str = "production") -> str:
    """Do what a release does before its first change in production, and at its end if it has one."""
    phase = await begin_phase(plan, scope="")
    await phase.append("Asked", kind="opened", evidence={"flow": "production", "environment": environment})
    await note_deployment_begins(phase, version)
    if outcome:
        await note_deployment_ends(phase, phase.owner, outcome=outcome, on_demand=False)
    return phase.owner


@pytest.mark.parametrize(
    ("outcome", "state"),
    [("", "in_progress"), ("rolled_back", "failure"), ("failed", "failure"), ("partly_deployed", "failure"), ("cancelled", "error")],
)
async def test_how_a_release_ended_is_what_is_noted(stage: Stage, there: ForgeServer, outcome: str, state: str) -> None:
    """Only a version that serves everywhere is a success."""
    run = await begun(await laid_out(stage, there), version=FIRST, outcome=outcome)
    found = deployments._read(run)
    assert found is not None
    assert (found.state, found.about["commit"], found.about["tag"]) == (state, commit_of(stage, FIRST), f"v{FIRST}")


async def test_a_release_of_one_target_of_several_is_not_shown(stage: Stage, there: ForgeServer) -> None:
    """The environment runs two versions then."""
    steps = [{"percent": 100, "watch_seconds": 1}]
    targets = [{"name": one, "platform": f"local/{stage.name}-{one}"} for one in ("eu", "us")]
    plan = await laid_out(stage, there, production={"targets": targets, "steps": steps})
    assert deployments._read(await begun(plan, version=FIRST, environment="production/eu")) is None
    assert deployments._read(await begun(plan, version=FIRST)) is not None


async def test_a_version_whose_commit_is_not_known_is_not_shown_and_holds_nothing_up(stage: Stage, there: ForgeServer) -> None:
    """It is said in the log of the run."""
    assert deployments._read(await begun(await laid_out(stage, there), version="9.9", outcome="deployed")) is None
