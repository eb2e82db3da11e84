"""Run a smoke test that consists of HTTP steps: once, or again and again where times are compared."""

from __future__ import annotations

import time
from collections.abc import Mapping

from prefect.blocks.system import Secret
from pydantic import SecretStr

from blocks.errors import BadInput
from tasks.process.tls import trust
from tasks.rollout.platforms import load_block
from tasks.rules.plan.smoke import SmokeStep, SmokeTest, header_value_fault
from tasks.rules.verification.smoke_step import Baseline
from tasks.verification.smoke_requests import Visit, walk
from tasks.verification.smoke_times import measure


async def run_steps_test(test: SmokeTest, *, target: str, version: str, baseline: Baseline | None) -> dict[str, object]:
    """Walk through the steps of a test; where it is one of times, as often as that takes, and beside the baseline.

    Args:
        test: A test with steps.
        target: Base URL of the revision.
        version: The version that should answer.
        baseline: The version to compare with, if there is one.

    Returns:
        `outcome`, `reason`, `output`, and of a comparison its `times`.

    Raises:
        BadInput: A secret block is not there, or cannot be a header.
    """
    steps = test.steps or []
    secrets = await load_secrets(steps)
    visit = Visit(steps, target, version, secrets, await trust(), deadline=time.monotonic() + test.timeout_seconds)
    if test.performance is not None:
        return await measure(visit, rules=test.performance, baseline=baseline)
    walked = await walk(visit)
    outcome, reason = ("failed", walked.fault) if walked.fault else ("passed", f"{len(steps)} steps were answered as expected")
    return {"outcome": outcome, "reason": reason, "output": "\n".join(walked.lines)}


async def load_secrets(steps: list[SmokeStep]) -> Mapping[str, SecretStr]:
    """Load the values of secret headers, by block.

    Raises:
        BadInput: A block is not there, is no secret, or its value cannot be a header's; the value itself is not said.
    """
    names = {name for step in steps for name in step.secret_headers.values()}
    return {name: await _load_secret(name) for name in sorted(names)}


async def _load_secret(name: str) -> SecretStr:
    field = "verification.smoke"
    block = await load_block(name, field=field)
    value = block.value.get_secret_value() if isinstance(block, Secret) else None
    if not isinstance(value, str) or not value.strip() or header_value_fault(value.strip()):
        raise BadInput(f"the block {name} holds no text that can be a header", field=field, fix="Store printable ASCII in one line.")
    return SecretStr(value.strip())
