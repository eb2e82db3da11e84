"""Wanted: which runs of the past a person asks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tasks.rules.metrics.facts import Facts, Kind, aims_at


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter of runs; what is empty takes all.

    Fields:
        service: Only this one.
        environment: `production` with its targets, `production/eu` or `staging`, see `aims_at`.
        outcome: Only what ended so.
        kind: Only releases that were asked for as that.
        who: Only what this person asked for.
        since: Only what was asked for then or later.
        until: Only what was asked for before.
    """

    service: str = ""
    environment: str = ""
    outcome: str = ""
    kind: Kind | None = None
    who: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def only_record_tells(self) -> bool:
        """Whether it asks for something that nothing but a record says."""
        return bool(self.environment or self.kind or self.who)

    def spans(self, at: datetime) -> bool:
        """Say if a moment is in the span."""
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)

    def takes(self, facts: Facts) -> bool:
        """Say if a run is wanted."""
        return (
            self.service in {"", facts.service}
            and aims_at(facts, self.environment)
            and self.outcome in {"", facts.outcome}
            and (self.kind is None or (facts.is_release and facts.kind == self.kind))
            and self.who in {"", facts.requester}
            and self.spans(facts.opened)
        )
