"""Notifications: an event, and a message to each of the plan's notification blocks, once each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from prefect import get_run_logger, task
from prefect.events import emit_event
from prefect.exceptions import MissingContextError

from blocks.errors import Temporary
from blocks.outside_text import OutsideText, error_text
from tasks.lifecycle.retries import ONCE
from tasks.rollout.platforms import load_block

EACH_SECONDS = 10.0  # for one notification block, whatever time limit it has itself: others can change it
ALERT_SECONDS = 15.0  # for all of them, with their tries


@task(name="announce", **ONCE)
async def announce(blocks: Sequence[str], *, subject: str, key: str) -> bool:  # noqa: ARG001
    """Announce a release to the team.

    Args:
        blocks: Notification blocks of the plan; the event goes out in any case.
        subject: One line.
        key: The cache key, so that it is sent once.

    Returns:
        True: it was sent to all.
    """
    emit_event("shipway.announcement", resource={"prefect.resource.id": "shipway.announcements"}, payload={"subject": subject})
    await _notify(blocks, subject=subject, body=subject)
    return True


@task(name="alert", **ONCE)
async def send_alert(blocks: Sequence[str], *, subject: str, body: str, payload: dict[str, Any], key: str) -> bool:  # noqa: ARG001
    """Raise one alert, once."""
    emit_event("shipway.alert", resource={"prefect.resource.id": f"shipway.service.{payload['service']}"}, payload=payload)
    await _notify(blocks, subject=subject, body=body)
    return True


async def alert(
    blocks: Sequence[str], *, service: str, version: str, outcome: str, reason: OutsideText, run: str, environment: str = "",
    as_task: bool = True,
) -> bool:  # fmt: skip
    """Alert that a release did not succeed; an alert that cannot be sent within 15 s is logged, and blocks nothing: rollbacks wait for it.

    Args:
        blocks: Notification blocks of the plan.
        service: The service.
        version: The version that was to be released.
        outcome: How it ended.
        reason: Why.
        run: The release's flow run id.
        environment: Where, if each environment is alerted about by itself.
        as_task: Whether to send it in a cached task run; a worker that refuses many requests does without.

    Returns:
        Whether it was sent.
    """
    subject = f"{service} {version}: {outcome.replace('_', ' ')}"
    payload = {"service": service, "version": version, "outcome": outcome, "reason": reason, "run": run}
    key = "/".join(part for part in (run, "alert", outcome, environment) if part)
    try:
        async with asyncio.timeout(ALERT_SECONDS):
            await (send_alert if as_task else send_alert.fn)(blocks, subject=subject, body=reason, payload=payload, key=key)
    except Exception as error:  # noqa: BLE001 - the service matters more than the message about it
        try:
            get_run_logger().error("The alert %r could not be sent: %s", subject, error_text(error) or "no answer in time")
        except MissingContextError:
            return False
        return False
    return True


async def _notify(blocks: Sequence[str], *, subject: str, body: str) -> None:
    for name in blocks:
        deadline = asyncio.get_running_loop().time() + EACH_SECONDS
        try:
            async with asyncio.timeout_at(deadline):
                block: Any = await load_block(name, field="notify")
        except TimeoutError as error:
            raise Temporary(f"{name} was not read within {EACH_SECONDS:g} s", delay_seconds=2) from error
        try:
            async with asyncio.timeout_at(deadline):
                await block.notify(body=body, subject=subject)
        except Exception as error:
            raise Temporary(f"{name} did not accept the message ({type(error).__name__})", delay_seconds=2) from error
