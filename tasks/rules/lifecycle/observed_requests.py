"""The requests that looks at a deployed version judge: none twice, and none of the time before it was deployed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from tasks.rules.analysis.outcome import Outcome
from tasks.rules.analysis.platform_counts import increase
from tasks.rules.lifecycle.results import PhaseResult

LEAST_REQUESTS = 20
Count = Annotated[int, Field(ge=0)]


class SeenCounts(BaseModel):
    """The counts of the version when they were judged last: what they count from, requests, and how many of them failed."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    started: str
    requests: Count
    errors: Count


def judge_requests(before: SeenCounts | None, after: Mapping[str, Any] | None, *, limit: float) -> tuple[PhaseResult, SeenCounts | None]:
    """Judge the requests that came since the counts were judged last; too few are left for the next look.

    Args:
        before: The counts then; None if there were none.
        after: The counts now: `started`, `requests` and `errors`; None if the platform counts none.
        limit: The share of requests that may fail.

    Returns:
        The verdict, and the counts from which the next look goes on.
    """
    if after is None:
        return _no_data("no request was counted"), before
    now = SeenCounts.model_validate(dict(after))
    if before is None:
        return _no_data("requests are counted from now on"), now
    errors, requests = increase(before.model_dump(), now.model_dump())
    if requests < LEAST_REQUESTS:
        return _no_data(f"too few requests: {requests} of {LEAST_REQUESTS}"), before
    outcome = Outcome.PASSED if errors <= limit * requests else Outcome.FAILED
    said = f"{errors} of {requests} requests failed, at most {limit:.2%} may"
    return PhaseResult(outcome=outcome, reason=said), now


def failed_since(before: SeenCounts | None, after: SeenCounts | None) -> tuple[int, int]:
    """Count the failed requests, and all of them, that a look judged: none where it left the counts as they were."""
    return increase(before.model_dump(), after.model_dump()) if before and after and before != after else (0, 0)


def _no_data(reason: str) -> PhaseResult:
    return PhaseResult(outcome=Outcome.NO_DATA, reason=reason)
