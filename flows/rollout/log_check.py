"""The check of the logs: error lines that only the new version has, before it is promoted and after the deployment.

Once a version is promoted, the log of the one before may be gone with its pods; so the kinds of its error lines are kept in the record.
"""

from __future__ import annotations

from datetime import datetime

from blocks.outside_text import as_ending
from blocks.platform import Platform
from flows.lifecycle.context import Phase
from tasks.lifecycle.retries import retried
from tasks.record.journal import read_entries
from tasks.rollout.rollout import look_at
from tasks.rules.lifecycle.results import PhaseResult
from tasks.rules.plan.targets import within
from tasks.rules.verification.log_lines import NewErrors, judge_logs
from tasks.verification.logs import search_logs

BEFORE_PROMOTION = "before the promotion"
LOOK_BACK_SECONDS = 3_600
MOST_KEPT = 500


async def check_logs(phase: Phase, version: str, platform: Platform, *, environment: str, previous: str | None, name: str) -> PhaseResult:
    """Search the logs of an environment of production since an hour before the release, and record what was found.

    Args:
        phase: The release and its round.
        version: The version under release.
        platform: The environment's platform.
        environment: Its name.
        previous: The version that it replaces, whose error lines are known.
        name: Of the entry: `BEFORE_PROMOTION`, or another, for which what was found then is known, too.
    """
    wanted = phase.plan.logs
    before = None if name == BEFORE_PROMOTION else await phase.read("logs", name=BEFORE_PROMOTION, environment=environment)
    known = [str(kind) for kind in before.evidence.get("known", ())] if before else []
    searched = await retried(search_logs)(
        platform, since=await _since(phase), version=version, previous=previous, pattern=wanted.error_pattern, known=known
    )
    found, missing = NewErrors(**searched["found"]), str(searched["missing"])
    outcome, reason = judge_logs(found, missing=missing, allowed=wanted.max_new_error_lines, incomplete=wanted.incomplete)
    evidence = {
        "outcome": outcome,
        "new": [{"kind": kind, "count": count, "example": example} for kind, count, example in found.kinds[:20]],
        "known": found.known[:MOST_KEPT],
        "missing": missing,
    }
    what = f"Logs of {version}{within(environment)}"
    await phase.append(what, kind="logs", environment=environment, name=name, why=reason, evidence=evidence)
    return PhaseResult(outcome=outcome, reason=as_ending(reason))


async def check_logs_before_promotion(phase: Phase, version: str, platform: Platform, *, environment: str) -> PhaseResult:
    """Search the logs while the version that is to be replaced still runs, see `check_logs`."""
    position, _ = await retried(look_at)(platform)
    replaced = position["previous"] if position["baseline"] == version else position["baseline"]
    return await check_logs(phase, version, platform, environment=environment, previous=replaced, name=BEFORE_PROMOTION)


async def _since(phase: Phase) -> float:
    """Start where the release began, or an hour back."""
    entries = await read_entries(phase.owner)
    began = datetime.fromisoformat(entries[0].at).timestamp() if entries else 0.0
    return began - LOOK_BACK_SECONDS
