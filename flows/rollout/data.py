"""Judge tables: the service's own data, and the samples of the steps, each suite recorded with its page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from flows.lifecycle.context import Phase
from tasks.data.expectations import expect_judgements, judge_tables, prepare_suite
from tasks.process.concurrency import together
from tasks.record.journal import read_entries
from tasks.rules.data.jobs import Job
from tasks.rules.data.samples_suite import rows_that_decide, samples_job
from tasks.rules.lifecycle.results import PhaseResult
from tasks.rules.plan.credentials import database_uses
from tasks.rules.plan.data import Moment
from tasks.rules.plan.targets import production_of, target_of, within
from tasks.rules.record.entries import Entry, select


async def expect_data(phase: Phase, *moments: Moment) -> None:
    """Get ready to judge, if something will be due soon."""
    samples = phase.plan.samples.judged and "post_deploy" in moments
    if samples or any(moment in suite.when for suite in phase.plan.data for moment in moments):
        await expect_judgements()


async def judge_data(phase: Phase, moment: Moment, *, environment: str = "", samples: Sequence[Job] = ()) -> list[PhaseResult]:
    """Judge the plan's suites of a moment, and samples, in one process.

    Args:
        phase: The phase that asks.
        moment: Which suites are due.
        environment: Where, in a verification: each target is one of its own, over the same data of production.
        samples: What else is judged, see `samples_of`.

    Returns:
        A result a table; none if nothing is due, or after a rollback, which restores a version and not the data.
    """
    due = [(number, suite) for number, suite in enumerate(phase.plan.data) if moment in suite.when]
    place = environment or moment
    if due and await phase.read("rollback", environment=environment, name="choice"):
        names = ", ".join(suite.name for _, suite in due)
        why = f"{names}: a rollback restores the version, not the data, and must not wait for them"
        await phase.append("Data suites were left out of the rollback", kind="note", environment=environment, name="data", why=why)
        return []
    prepared = await together(
        *(
            prepare_suite(
                suite,
                name=_page_name(phase, f"{_begin(place)}{suite.name}"),
                field=f"data[{number}]",
                uses=database_uses(phase.plan, number, moment),
                folder=phase.folder,
            )
            for number, suite in due
        )
    )
    jobs = [*prepared, *samples]
    found = await judge_tables(jobs, release=phase.owner) if jobs else []
    for job, one in zip(jobs, found, strict=True):
        await phase.append(job.title, kind="data", environment=environment, name=job.name, why=one["reason"], evidence=one)
    return [PhaseResult.of({**one, "reason": f"{job.title}: {one['reason']}"}) for job, one in zip(jobs, found, strict=True)]


async def samples_of(phase: Phase) -> list[Job]:
    """Collect the samples of every watched step of this release; a step whose samples are not in the record has no data."""
    plan = phase.plan
    if not plan.samples.judged:
        return []
    entries = select(await read_entries(phase.owner), kind="samples", round=phase.round)
    jobs = []
    for name, step in [(place.environment, step) for place in production_of(plan) for step in place.steps]:
        if await phase.read("note", environment=name, name="already"):
            continue  # an earlier release left the version there, so it took no steps
        watched = select(entries, environment=name, step=step.percent)
        page, where = f"{_begin(name) if target_of(name) else ''}samples-{step.percent}", within(name)
        jobs += [_samples(phase, entry, name=f"{page}-{entry.name}", where=where) for entry in watched if not _is_known_empty(entry)]
        if step.watch_seconds and not watched:
            lost = Job(name=_page_name(phase, page), title=f"Samples at {step.percent} %{where}", timeout_seconds=0)
            jobs.append(lost.ended("no_data", "the record has no samples of this step, which was to be watched"))
    return jobs


def _begin(place: str) -> str:
    """Begin the name of a page; two dashes part a target, whose name has none, from what follows, so that no two pages share a name."""
    return f"{place}--" if target_of(place) else f"{place}-"


def _samples(phase: Phase, entry: Entry, *, name: str, where: str) -> Job:
    job = samples_job(
        entry.evidence,
        name=_page_name(phase, name),
        ended_at=datetime.fromisoformat(entry.at).timestamp(),
        interval_seconds=phase.plan.judgement.interval_seconds,
        rules=phase.plan.samples,
    )
    return replace(job, title=f"{job.title}{where}")


def _is_known_empty(entry: Entry) -> bool:
    """Say whether a watch read nothing and said so: then only people could let the release go on, knowing it."""
    return not rows_that_decide(entry.evidence) and entry.evidence.get("outcome") == "no_data"


def _page_name(phase: Phase, name: str) -> str:
    """Name a page, apart from those of the release's other rounds."""
    again = "" if phase.round == 1 else f"round-{phase.round}-"
    return re.sub("[/_ ]", "-", f"{again}{name}")
