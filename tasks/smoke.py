"""Run the smoke tests: pytest in a process of its own, its JUnit report read back."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from prefect import task

from tasks.commands import run_command
from tasks.files import resolve_inside
from tasks.policy import OBSERVE
from tasks.rules.evidence import judge_junit
from tasks.rules.plan import SmokeTest

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "VIRTUAL_ENV")

LEAN = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # a suite loads the plugins that it names; loading all doubles the time


@task(name="run smoke test", task_run_name="smoke: {test.name}", **OBSERVE)
async def run_smoke_test(test: SmokeTest, *, folder: str, target: str, version: str) -> dict[str, object]:
    """Run one smoke test against one revision.

    Args:
        test: The plan's entry.
        folder: The plan's folder, in which its path starts.
        target: Base URL of the revision.
        version: The version that should answer.

    Returns:
        `name`, `kind`, `outcome`, `reason`, and the end of its `output`.
    """
    resolve_inside(Path(folder), test.pytest, field="verification.smoke")
    with tempfile.TemporaryDirectory(prefix="shipway-smoke-") as scratch:
        report = Path(scratch) / "junit.xml"
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= {"SHIPWAY_TARGET": target, "SHIPWAY_VERSION": version, "PYTHONDONTWRITEBYTECODE": "1", **LEAN}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", test.pytest]
        ended = await run_command(command, folder=folder, environment=environment, timeout_seconds=test.timeout_seconds)
        data = report.read_bytes() if report.exists() else None
    found = judge_junit(data, name=f"the report of {test.pytest}")
    outcome = "failed" if ended.fault and found.outcome == "passed" else found.outcome
    reason = found.reason if outcome == "passed" else "; ".join(part for part in (ended.fault, found.reason) if part)
    return {"name": test.name, "kind": test.kind, "outcome": outcome, "reason": reason, "output": ended.tail}
