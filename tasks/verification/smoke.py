"""Smoke tests: HTTP steps in this process, or pytest in a separate process with a JUnit report."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from prefect import task

from blocks.platform import source_version
from tasks.lifecycle.retries import OBSERVE
from tasks.process.commands import run_foreign_command
from tasks.process.concurrency import together, turns
from tasks.process.files import read_bounded, resolve_inside
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.evidence.junit import MAX_BYTES
from tasks.rules.evidence.tests import TestEvidence, judge_junit
from tasks.rules.plan.credentials import Receiver
from tasks.rules.plan.plan import SmokeTest, Verification
from tasks.rules.verification.performance import Baseline
from tasks.verification.smoke_steps import run_steps_test

LEAN = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # a suite loads the plugins that it names; loading all doubles the time
Found = dict[str, object]


async def run_smoke_tests(
    verification: Verification,
    *,
    folder: str,
    target: str,
    version: str,
    receiver: Receiver,
    baseline: Baseline | None = None,
) -> list[Found]:
    """Run all smoke tests of a plan, in parallel up to its limit; those of kind performance afterwards, one by one.

    If a release verifies several targets at once, they share these limits.

    Args:
        verification: The plan's section.
        folder: The plan's folder.
        target: Base URL of the revision.
        version: The version that should answer.
        baseline: The baseline, if there is one.
        receiver: Whose versions they are, for the credentials that a step names.

    Returns:
        The results of `run_smoke_test`, in the plan's order.
    """

    async def run(test: SmokeTest) -> Found:
        async with turns("performance") if test.kind == "performance" else turns("smoke", at_once=verification.smoke_concurrency):
            return await run_smoke_test(test, folder=folder, target=target, version=version, baseline=baseline, receiver=receiver)

    quick = [test for test in verification.smoke if test.kind != "performance"]
    found = dict(zip((test.name for test in quick), await together(*map(run, quick)), strict=True))
    for test in verification.smoke:
        if test.kind == "performance":
            found[test.name] = await run(test)
    return [found[test.name] for test in verification.smoke]


@task(name="run smoke test", task_run_name="smoke: {test.name}", **OBSERVE)
async def run_smoke_test(
    test: SmokeTest, *, folder: str, target: str, version: str, receiver: Receiver, baseline: Baseline | None = None
) -> Found:
    """Run one smoke test against one revision.

    Args:
        test: The plan's entry.
        folder: The plan's folder, in which its path starts.
        target: Base URL of the revision.
        version: The version that should answer.
        baseline: The baseline, if there is one; only tests of kind performance get it.
        receiver: As in `run_smoke_tests`.

    Returns:
        `name`, `kind`, `outcome`, `reason`, and the end of its `output`; of a comparison its `times` too.

    Raises:
        BadInput: Its path leaves the repository, or a credential that it names does not exist or is not for these versions.
    """
    version = source_version(version)  # a service knows its version, not the hash of its configuration
    beside = Baseline(source_version(baseline.version), baseline.url) if baseline and test.kind == "performance" else None
    if test.pytest is None:
        found = await run_steps_test(test, target=target, version=version, baseline=beside, receiver=receiver)
    else:
        found = await _run_pytest(test, test.pytest, folder=folder, target=target, version=version, baseline=beside)
    return {"name": test.name, "kind": test.kind, **found}


async def _run_pytest(test: SmokeTest, path: str, *, folder: str, target: str, version: str, baseline: Baseline | None) -> Found:
    resolve_inside(Path(folder), path, field="verification.smoke")
    with tempfile.TemporaryDirectory(prefix="shipway-smoke-") as scratch:
        report = Path(scratch) / "junit.xml"
        environment = {"SHIPWAY_TARGET": target, "SHIPWAY_VERSION": version, "PYTHONDONTWRITEBYTECODE": "1", **LEAN}
        environment |= {"SHIPWAY_BASELINE": baseline.url} if baseline else {}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", path]
        ended = await run_foreign_command(
            command, folder=folder, timeout_seconds=test.timeout_seconds, scratch=Path(scratch), environment=environment
        )
        found = await asyncio.to_thread(_judge_report, report, name=f"the report of {path}")
    outcome = "failed" if ended.fault and found.outcome == "passed" else found.outcome
    reason = found.reason if outcome == "passed" else "; ".join(part for part in (ended.fault, found.reason) if part)
    return {"outcome": outcome, "reason": reason, "output": ended.tail}


def _judge_report(report: Path, *, name: str) -> TestEvidence:
    try:
        return judge_junit(read_bounded(report, limit_bytes=MAX_BYTES), name=name)
    except OSError as error:
        return TestEvidence(Outcome.ERROR, f"{name} cannot be read: {error.strerror or error}")
