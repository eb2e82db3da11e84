"""Test evidence: a JUnit report, or a command that must exit with 0."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from prefect import task

from blocks.errors import BadInput
from tasks.lifecycle.retries import OBSERVE
from tasks.process.commands import run_foreign_command
from tasks.process.files import read_bounded, resolve_inside
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.evidence.junit import MAX_BYTES
from tasks.rules.evidence.tests import TestEvidence, judge_command, judge_junit
from tasks.rules.plan.checklist import FactCommand
from tasks.rules.plan.plan import Command, Junit

READING_SECONDS = 20.0


@task(name="read test evidence", **OBSERVE)
async def read_test_evidence(spec: Junit | Command | FactCommand, *, repository: str | Path) -> TestEvidence:
    """Read one piece of test evidence, or the answer of one of the checklist's commands.

    Args:
        spec: The plan's entry.
        repository: The plan's folder, in which its paths start and its commands run.

    Returns:
        The evidence; what cannot be read is `no_data` or `error`, never a pass.
    """
    if isinstance(spec, Command | FactCommand):
        with tempfile.TemporaryDirectory(prefix="shipway-tests-") as scratch:
            ended = await run_foreign_command(
                spec.command, folder=repository, timeout_seconds=spec.timeout_seconds, scratch=Path(scratch), environment={}
            )
        return judge_command(spec.command[0], fault=ended.fault, seconds=ended.seconds, tail=ended.tail, now=time.time())
    try:
        data, written_at = await asyncio.to_thread(_read, Path(repository), spec.junit)
        return await asyncio.to_thread(
            judge_junit,
            data,
            name=spec.junit,
            min_tests=spec.min_tests,
            max_age_hours=spec.max_age_hours,
            now=time.time(),
            written_at=written_at,
            is_late=_late_after(READING_SECONDS),
        )
    except (OSError, BadInput) as error:
        return TestEvidence(Outcome.ERROR, f"{spec.junit} cannot be read: {error}")


def _late_after(seconds: float) -> Callable[[], bool]:
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() > deadline


def _read(folder: Path, path: str) -> tuple[bytes | None, float | None]:
    file = resolve_inside(folder, path, field="tests.junit")
    data = read_bounded(file, limit_bytes=MAX_BYTES)
    return data, None if data is None else file.stat().st_mtime
