"""Watch a version on that was promoted while a step behind its promotion is held: its health, as users reach it, again and again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from blocks.platform import Platform
from flows.lifecycle.context import Phase
from tasks.lifecycle.retries import as_temporary, retried
from tasks.record.journal import say
from tasks.rollout.rollout import look_at
from tasks.rules.plan.credentials import receiver_in
from tasks.rules.plan.targets import within
from tasks.verification.health import probe_health

EVERY_SECONDS = 30.0
HELD = "while held"  # how the name of the entry begins that says what such a look found


async def watch_promoted(
    phase: Phase, platform: Platform, version: str, *, environment: str, ends: Callable[[float], Awaitable[bool]]
) -> str:
    """Ask for the plan's health checks at the public address every half a minute, until what holds the step changes.

    Args:
        phase: The release and its round.
        platform: The environment's platform.
        version: The version that was promoted there.
        environment: The environment.
        ends: Waits for so many seconds at most, and says if the watch is over.

    Returns:
        Why the version is not well; "" if it was until the end. A platform or server that does not answer for a while says nothing.
    """
    receiver, known = receiver_in(phase.plan, environment), list[str]()
    while not await ends(EVERY_SECONDS):
        try:
            position, endpoints = await retried(look_at)(platform)
            found = await retried(probe_health)(
                endpoints["public"], verification=phase.plan.verification, version=version, receiver=receiver
            )
        except Exception as error:
            if (passing := as_temporary(error)) is None:
                raise
            say(f"{environment} could not be looked at while it is held: {passing}")
            continue
        if position["baseline"] != version:
            return f"while it was held after the promotion, {environment} came to run {position['baseline'] or 'nothing'}, not {version}"
        if (changed := position.get("changed", [])) != known:
            known = changed
            await _note_changes(phase, changed, environment=environment, version=version)
        if found["outcome"] != "passed":
            why, where = str(found["reason"]), within(environment)
            what = f"Health of {version} while held after the promotion{where}"
            await phase.append(what, kind="health", environment=environment, name=f"{HELD} {version}", why=why, evidence=found)
            return f"while it was held after the promotion{where}: {why}"
    return ""


async def _note_changes(phase: Phase, changed: Sequence[str], *, environment: str, version: str) -> None:
    """Note that the configuration changed, which makes no other version: the pods that run have read the earlier one."""
    if changed:
        what = f"Configuration of {environment} changed while {version} is held: {'; '.join(changed)}"
        why = f"it stays as it is; pods that start from now on read it, and another release of {version} brings it to all of them"
        await phase.append(what, kind="note", environment=environment, name=f"changed configuration {'; '.join(changed)}"[:200], why=why)
