"""Great-expectations: validate tables in a separate process (see `tasks.data.expectations_process`)."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import task
from pydantic import SecretStr

from blocks import processes
from blocks.commands import Ended, run_command
from blocks.errors import BadInput
from blocks.server.warm import judge
from tasks.data.suites import data_files, load_suite
from tasks.lifecycle.retries import OBSERVE
from tasks.process.concurrency import turns
from tasks.record.objects import Objects, objects_of
from tasks.record.reading import folder_of
from tasks.record.storage import default_storage
from tasks.rollout.credentials import load_credential
from tasks.rules.data.jobs import Job
from tasks.rules.plan.credentials import Use
from tasks.rules.plan.data import DataSuite
from tasks.rules.record.masking import mask

KEPT = ("SSL_CERT_FILE", "VIRTUAL_ENV")
PROGRAM = "tasks.data.expectations_process"
ORDINARY = [sys.executable, "-P", "-m", PROGRAM]  # -P: nothing beside it is imported in place of our own
LARGEST_PAGE_BYTES = 20_000_000
IMPORT_SECONDS = 60  # the import takes five on an idle machine; a suite's own time starts after it


@task(name="prepare suite", task_run_name="suite: {suite.name}", **OBSERVE)
async def prepare_suite(suite: DataSuite, *, name: str, field: str, uses: Sequence[Use], folder: str) -> Job:
    """Read a suite and find its data; missing data is an outcome already.

    Args:
        suite: The plan's entry.
        name: The job's name, unique in the release.
        field: Where the plan has it, for messages: `data[0]`.
        uses: The uses of the credential for its database; none for files.
        folder: The plan's folder.
    """
    job = Job(name=name, title=f"Data suite {suite.name}", timeout_seconds=suite.timeout_seconds)
    try:
        asked = await asyncio.to_thread(load_suite, Path(folder), suite.suite, field=f"{field}.suite")
        return job.over(await _source(suite, field=field, uses=uses, folder=folder), asked.model_dump(), show=suite.show_values)
    except BadInput as error:
        return job.ended("error", str(error))


async def _source(suite: DataSuite, *, field: str, uses: Sequence[Use], folder: str) -> dict[str, Any]:
    kind = "csv" if suite.csv else "parquet"
    pattern = suite.csv or suite.parquet
    if pattern:
        return {
            kind: await asyncio.to_thread(data_files, Path(folder), pattern, field=f"{field}.{kind}"),
            "max_rows": suite.max_rows,
        }
    url = SecretStr((await load_credential(uses)).get_secret_value().strip())
    return {"url": url, **({"table": suite.table} if suite.table else {"query": suite.query})}


async def expect_judgements() -> None:
    """Import great-expectations in the background, if this home directory has a warm engine that can do that; does not wait."""
    if home := _home():
        await asyncio.to_thread(judge.ask_for, home, PROGRAM)


def _home() -> Path | None:
    """Return the home directory of this process."""
    home = os.environ.get("SHIPWAY_HOME")
    return Path(home) if home else None


@task(name="judge data", **OBSERVE)
async def judge_tables(jobs: Sequence[Job], *, release: str, storage: Any = None) -> list[dict[str, Any]]:
    """Validate tables in one process, and keep a page of each beside the record.

    Args:
        jobs: What to validate; those that ended already are passed through.
        release: The release whose record gets the pages.
        storage: A folder's `Path` or a filesystem block; None takes Prefect's default result storage.

    Returns:
        A finding for each job, in their order: `outcome`, `reason`, `rows`, `expectations`, `failed`, and `docs`, the page's path
        from the record's folder ("" if there is none). A time-out is an `error`.
    """
    asked = [job for job in jobs if job.finding is None]
    if not asked:
        return [job.found() for job in jobs]
    with tempfile.TemporaryDirectory(prefix="shipway-data-") as scratch:
        given = json.dumps({"folder": scratch, "release": release, "suites": [job.plain() for job in asked]}).encode()
        environment = processes.passed_on(*KEPT) | judge.QUIET
        async with turns("judge data"):  # several targets verified at once share the database and the processor
            ended = await run_command(
                judge.client_command(home, PROGRAM) if (home := _home()) else ORDINARY,
                folder=scratch,
                environment=environment,
                timeout_seconds=IMPORT_SECONDS + max(job.timeout_seconds for job in asked),
                given=given,
            )
        missing = _why_missing(ended, secrets=[secret for job in asked for secret in job.secrets()])
        objects = objects_of(storage) if storage else await default_storage()
        found = {
            job.name: await _collect(Path(scratch), number, job, pages=(objects, folder_of(release)), missing=missing)
            for number, job in enumerate(asked)
        }
    return [found.get(job.name) or job.found() for job in jobs]


def _why_missing(ended: Ended, *, secrets: list[str]) -> str:
    """Return why a table has no finding: exit status and last lines, with addresses masked."""
    last = ended.tail.strip().splitlines()[-1:] if ended.exit_code else []
    why = [ended.fault or "the process exited before it", *(line[-500:] for line in last)]
    return str(mask(f"it was not validated: {': '.join(why)}", secrets))


async def _collect(folder: Path, number: int, job: Job, *, pages: tuple[Objects, str], missing: str) -> dict[str, Any]:
    finding, page = await asyncio.to_thread(_read, folder, number)
    if finding is None:
        return job.ended("error", missing).found()
    docs = f"data/{job.name}.html" if page else ""
    if page:
        await pages[0].replace(f"{pages[1]}/{docs}", page)
    return job.ended(finding.pop("outcome"), finding.pop("reason"), docs=docs, **finding).found()


def _read(folder: Path, number: int) -> tuple[dict[str, Any] | None, bytes]:
    """Read the finding that the process wrote; an incomplete one does not count."""
    try:
        finding = json.loads((folder / f"{number}.json").read_bytes())
    except (OSError, ValueError):
        return None, b""
    page = folder / f"{number}.html"
    return finding, page.read_bytes() if page.exists() and page.stat().st_size <= LARGEST_PAGE_BYTES else b""
