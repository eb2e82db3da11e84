"""Facts: what metrics need of one record, a thousand times smaller than the record itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tasks.rules.notify.facts import Fact, in_order
from tasks.rules.record.durations import Durations
from tasks.rules.record.entries import ReleaseOutcome

FORMAT: Literal[2] = 2  # facts of another format are read from the record again
Kind = Literal["planned", "fix"]
Count = Annotated[int, Field(ge=0)]


class Change(BaseModel):
    """A commit that a release brought: the beginning of its hash, and when it was written (UTC), by its author's clock."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hash: str
    at: AwareDatetime


class Looks(BaseModel):
    """What the looks for hours after a deployment found in one environment.

    Fields:
        checks: How often its health was checked with a verdict.
        well: How often it was well.
        requests: How many requests the version had served when they were judged last, from post-deploy on.
        errors: How many of them failed.
        late_failures: Of how many failures people were told.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    checks: Count = 0
    well: Count = 0
    requests: Count = 0
    errors: Count = 0
    late_failures: Count = 0


class Place(BaseModel):
    """What became of one environment that a release, or a rollback, acted in.

    Fields:
        name: The environment: `staging`, `production`, `production/eu`.
        begun: When it got the first share of the traffic there, or all of it; None if it never did.
        promoted: When the version became the baseline there first; None if it never did.
        rolled_back: When its rollback was over, by this run; None if there was none.
        is_back: Whether the last rollback there passed its verification.
        bad: The version that a rollback got rid of; "" if there was none.
        to: The version that a rollback returned to; "" for none.
        health: How the health check after the deployment ended; "" without one.
        requests: How many requests the version had served when it was looked at after the deployment; None if nothing was counted.
        errors: How many of them failed.
        looks: The looks for hours after the deployment.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    begun: AwareDatetime | None = None
    promoted: AwareDatetime | None = None
    rolled_back: AwareDatetime | None = None
    is_back: bool = False
    bad: str = ""
    to: str = ""
    health: str = ""
    requests: Count | None = None
    errors: Count = 0
    looks: Looks = Looks()

    @property
    def stands(self) -> bool:
        """Whether the version stayed there when the run ended."""
        return self.promoted is not None and self.rolled_back is None


class Facts(BaseModel):
    """One release, phase alone, or rollback, by its whole record.

    Fields:
        run: Flow run id.
        flow: `release`, `production`, `staging` or `rollback`.
        service: "" if it ended before its record named one.
        outcome: How it ended; `open` if it has not.
        opened: When its record was opened.
        ended: When its record was closed first; None if it is open.
        took: Its durations.
        kind: What it was asked for as.
        because_of: The run whose failure it fixes; "" for none.
        failed: When it was decided to roll it back; None if it never was.
        places: What became of each environment.
        changes: The commits that it brought, at most 500; empty for the first deployment of a service, whose change log is its history.
        first: Whether it was that.
        cut: Whether there were more commits.
        alerts: What people were told of it: at its gates, and at its end; the most urgent first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[2] = FORMAT
    run: str
    flow: str
    service: str
    version: str
    requester: str
    outcome: ReleaseOutcome
    why: str
    opened: AwareDatetime
    ended: AwareDatetime | None
    work_seconds: float
    people_seconds: float
    window_seconds: float
    lock_seconds: float
    kind: Kind = "planned"
    because_of: str = ""
    failed: AwareDatetime | None = None
    places: tuple[Place, ...] = ()
    changes: tuple[Change, ...] = ()
    first: bool = False
    cut: bool = False
    alerts: tuple[Fact, ...] = ()

    @property
    def took(self) -> Durations:
        """Its durations."""
        return Durations(self.work_seconds, self.people_seconds, self.window_seconds, self.lock_seconds)

    @property
    def is_release(self) -> bool:
        """Whether it brings a version, and is not a rollback on demand."""
        return self.flow in {"release", "production", "staging"}

    def in_environment(self, wanted: str) -> tuple[Place, ...]:
        """Choose what it did in an environment; `production` means each of its targets, "" everything."""
        return tuple(place for place in self.places if is_in(place.name, wanted))

    def with_looks(self, looks: Mapping[str, Looks]) -> Self:
        """Add the looks after the deployment, by environment, which are in no record, and the alert of a late failure that they found."""
        places = tuple(place.model_copy(update={"looks": looks.get(place.name, place.looks)}) for place in self.places)
        late: list[Fact] = ["late_failure"] if any(place.looks.late_failures for place in places) else []
        return self.model_copy(update={"places": places, "alerts": in_order([*self.alerts, *late])})

    def dump(self) -> dict[str, object]:
        """Write them as JSON values, without what is as by default."""
        return {"format": FORMAT, **self.model_dump(mode="json", exclude_defaults=True)}

    @classmethod
    def load(cls, kept: object) -> Self:
        """Read them back.

        Raises:
            ValueError: It is not what `dump` wrote, or of another format.
        """
        return cls.model_validate(kept)


def is_in(environment: str, wanted: str) -> bool:
    """Say if an environment is the wanted one, or a target of it; every one is in ""."""
    return not wanted or environment == wanted or environment.startswith(f"{wanted}/")


def aims_at(facts: Facts, environment: str) -> bool:
    """Say if a run is about an environment: each release that would go there; of a target, and rollbacks, what acted in it.

    Args:
        facts: The run.
        environment: `production`, `production/eu`, `staging`; "" for any.
    """
    section, _, target = environment.partition("/")
    acted = bool(facts.in_environment(environment))
    return not environment or (acted if facts.flow == "rollback" else facts.flow in {"release", section} and (acted or not target))
