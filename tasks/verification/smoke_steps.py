"""Smoke tests of HTTP steps: run once, or repeatedly if times are compared."""

from __future__ import annotations

import time

from tasks.process.tls import trust
from tasks.rules.plan.credentials import Receiver
from tasks.rules.plan.smoke import SmokeTest
from tasks.rules.verification.performance import Baseline
from tasks.verification.http_check import load_secrets
from tasks.verification.smoke_requests import Visit, walk
from tasks.verification.smoke_times import measure


async def run_steps_test(test: SmokeTest, *, target: str, version: str, baseline: Baseline | None, receiver: Receiver) -> dict[str, object]:
    """Run the steps of a test; for a performance test repeatedly, together with the baseline.

    Args:
        test: A test with steps.
        target: Base URL of the revision.
        version: The version that should answer.
        baseline: The baseline to compare with, if there is one.
        receiver: Whose versions they are.

    Returns:
        `outcome`, `reason`, `output`, and of a comparison its `times`.

    Raises:
        BadInput: A credential does not exist, is not for these versions, or cannot be a header.
    """
    steps = test.steps or []
    secrets = await load_secrets(steps, field=f"verification.smoke.{test.name}.steps", receiver=receiver)
    visit = Visit(steps, target, version, secrets, await trust(), deadline=time.monotonic() + test.timeout_seconds)
    if test.performance is not None:
        return await measure(visit, rules=test.performance, baseline=baseline)
    walked = await walk(visit)
    outcome, reason = ("failed", walked.fault) if walked.fault else ("passed", f"{len(steps)} steps were answered as expected")
    return {"outcome": outcome, "reason": reason, "output": "\n".join(walked.lines)}
