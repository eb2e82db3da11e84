"""Whether a version is known in an environment: a rollback needs no approval, so it must bring nothing that was never deployed there."""

from __future__ import annotations

from blocks.errors import Refused
from blocks.platform import Platform, Position
from flows.lifecycle.context import Phase
from flows.rollout.left import fault_of_left, fault_of_second_step
from flows.rollout.migrations import read_here
from flows.rollout.under_way import DECISION, rollback_under_way
from tasks.record.deployed import find_deployed
from tasks.rules.rollout.rollback import RollbackChoice


async def is_known(phase: Phase, platform: Platform, position: Position, version: str, *, environment: str) -> bool:
    """Say if a version runs in an environment or ran there before, or a record says that it was deployed there.

    Args:
        phase: The rollback.
        platform: The environment's platform.
        position: What it runs.
        version: The version.
        environment: Where.
    """
    if version in {position["baseline"], position["previous"]}:
        return True
    found = await find_deployed(phase.plan.service, version=version, here=await read_here(phase, platform, environment))
    if found and found.unchecked:
        what = f"{version} was deployed once in {environment}, says a record whose seals could not be checked"
        await phase.append(what, kind="note", environment=environment, name="unchecked record", why=found.unchecked)
    return found is not None


async def expect_known_there(phase: Phase, platform: Platform, position: Position, choice: RollbackChoice, *, environment: str) -> None:
    """Refuse to redeploy what is not known or was left there, or a second step down that no one named.

    When it was asked for, the environment may have been silent, or another's.

    Raises:
        Refused: With what to do.
    """
    version = choice.version
    fault = await fault_of_left(phase, platform, position, choice, environment=environment)
    decided = await phase.read("rollback", name=DECISION)
    if decided is not None and not decided.evidence.get("named", True):
        fault = fault or await fault_of_second_step(phase, platform, position, choice, environment=environment)
    if fault:
        raise Refused(fault)
    if choice.kind != "redeploy" or not version or await is_known(phase, platform, position, version, environment=environment):
        return
    stands = await rollback_under_way(phase, platform, position, environment)
    if stands is None or version not in {position["canary"], stands.serves}:  # else a rollback that was to bring it looked already
        raise Refused(unknown_in([environment], version, before=position["previous"] or ""))


def unknown_in(environments: list[str], version: str, *, before: str, others: str = "") -> str:
    """Say that a version is not known in some environments, and what to do."""
    where, empty = ", ".join(environments), f"leave the version empty for {before}, or " if before else ""
    return f"no record says that {version} was ever deployed in {where}; {others}{empty}release it"
