"""The check of the logs: error lines that only the new version has, before it is promoted and after the deployment.

Once a version is promoted, the log of the one before may be gone with its pods; so the kinds of its error lines are kept in the record,
and whether its log was known as a whole. Where a version replaces the pods of the one before by its first share, this is done before that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from blocks.outside_text import as_ending
from blocks.platform import Platform
from flows.lifecycle.context import Phase
from tasks.lifecycle.retries import retried
from tasks.record.journal import read_entries
from tasks.rollout.rollout import look_at
from tasks.rules.lifecycle.results import PhaseResult
from tasks.rules.plan.plan import Logs
from tasks.rules.plan.targets import within
from tasks.rules.record.entries import Entry
from tasks.rules.verification.log_lines import NewErrors, judge_logs
from tasks.verification.logs import search_logs

BEFORE_ROLLOUT, BEFORE_PROMOTION = "before the rollout", "before the promotion"
LOOK_BACK_SECONDS = 3_600


class LogsFound(NamedTuple):
    """What the logs of one environment say: the verdict, its whole reason, and what the record keeps of it."""

    result: PhaseResult
    reason: str
    evidence: dict[str, Any]


async def check_logs(phase: Phase, version: str, platform: Platform, *, environment: str, previous: str | None, name: str) -> PhaseResult:
    """Search the logs of an environment of production, and record what was found.

    What the new version logged counts since an hour before the release, what the one before logged since its beginning.

    Args:
        phase: The release and its round.
        version: The version under release.
        platform: The environment's platform.
        environment: Its name.
        previous: The version that it replaces, whose error lines are known.
        name: Of the entry: `BEFORE_ROLLOUT`, `BEFORE_PROMOTION`, or another; what earlier ones found is known, too.
    """
    before = await _before(phase, environment, name=name)
    found = await new_errors(
        phase.plan.logs,
        platform,
        since=await _since(phase),
        version=version,
        previous=previous,
        known=[str(kind) for kind in before.evidence.get("known", ())] if before else [],
        in_whole=before is not None and not before.evidence.get("in_part"),
    )
    await append_logs(phase, found, version, environment=environment, name=name)
    return found.result


async def new_errors(
    wanted: Logs,
    platform: Platform,
    *,
    since: float,
    version: str,
    previous: str | None,
    known: Sequence[str],
    in_whole: bool,
    until: float | None = None,
) -> LogsFound:
    """Search the logs for error lines that the version before never logged, and judge them.

    Args:
        wanted: How the plan judges logs.
        platform: The environment's platform.
        since: From when on the version's log counts, in seconds since the epoch.
        version: The version.
        previous: The version before, whose log is read as well; None reads no other.
        known: The kinds of error lines that are known of it.
        in_whole: Whether its log was known as a whole when they were found, whatever is left of it now.
        until: Until when it counts; None if all of it does.
    """
    searched = await retried(search_logs)(
        platform, since=since, version=version, previous=previous, pattern=wanted.error_pattern, known=known, until=until
    )
    found, missing = NewErrors(**searched["found"]), str(searched["missing"])
    if in_whole:
        found = found._replace(in_part="")
    outcome, reason, judged = judge_logs(found, missing=missing, allowed=wanted.max_new_error_lines, incomplete=wanted.incomplete)
    evidence = {
        "outcome": outcome if judged else "",
        "new": [{"kind": kind, "count": count, "example": example} for kind, count, example in found.kinds[:20]],
        "known": found.known,
        "in_part": found.in_part,
        "missing": missing,
    }
    return LogsFound(PhaseResult(outcome=outcome, reason=as_ending(reason), judged=judged), reason, evidence)


async def append_logs(phase: Phase, found: LogsFound, version: str, *, environment: str, name: str) -> None:
    """Record what was found in the logs of one environment of production."""
    what = f"Logs of {version}{within(environment)}"
    await phase.append(what, kind="logs", environment=environment, name=name, why=found.reason, evidence=found.evidence)


async def check_logs_before_promotion(phase: Phase, version: str, platform: Platform, *, environment: str) -> PhaseResult:
    """Search the logs while the version that is to be replaced still runs, see `check_logs`."""
    position, _ = await retried(look_at)(platform)
    replaced = position["previous"] if position["baseline"] == version else position["baseline"]
    return await check_logs(phase, version, platform, environment=environment, previous=replaced, name=BEFORE_PROMOTION)


async def keep_baseline_logs(phase: Phase, version: str, platform: Platform, *, environment: str) -> None:
    """Keep which error lines the baseline logged, before its pods are replaced; once a round."""
    if await phase.read("logs", name=BEFORE_ROLLOUT, environment=environment) is not None:
        return
    position, _ = await retried(look_at)(platform)
    if position["baseline"] not in (None, version):
        await check_logs(phase, version, platform, environment=environment, previous=position["baseline"], name=BEFORE_ROLLOUT)


async def _before(phase: Phase, environment: str, *, name: str) -> Entry | None:
    """Find what the newest of the earlier checks of this round found."""
    order = (BEFORE_PROMOTION, BEFORE_ROLLOUT)
    for earlier in order[order.index(name) + 1 :] if name in order else order:
        if entry := await phase.read("logs", name=earlier, environment=environment):
            return entry
    return None


async def _since(phase: Phase) -> float:
    """Start where the release began, or an hour back."""
    entries = await read_entries(phase.owner)
    began = datetime.fromisoformat(entries[0].at).timestamp() if entries else 0.0
    return began - LOOK_BACK_SECONDS
