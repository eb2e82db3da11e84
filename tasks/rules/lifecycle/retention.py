"""Retention: how long records, artifacts and Prefect's runs are kept, and why each one stays.

Nothing of an open release is removed: neither its record, nor a run or an artifact that was made since the oldest open run began, as those
may be its own. What cannot be dated stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from tasks.rules.plan.file import read_section
from tasks.rules.plan.problems import Problem
from tasks.rules.plan.types import Section

Kind = Literal["record", "run", "artifact", "report"]
Days = Annotated[int, Field(ge=30, le=36_500)]


class Retention(Section):
    """The file `keys/retention.yaml`; what it does not name is kept for ever.

    Fields:
        retention: The version of this format.
        records_days: How long a record is kept after its run ended.
        runs_days: How long Prefect keeps a run of our deployments, with its phases, after it ended.
        artifacts_days: How long artifacts of such runs, and pages of reports, are kept; not longer than runs, with which they go. The
            newest of each name stays, with its run.
        versions: Of how many versions of a service in each place the records stay, so that a rollback to them is possible.
    """

    retention: Literal[1]
    records_days: Days | None = None
    runs_days: Days | None = None
    artifacts_days: Days | None = None
    versions: Annotated[int, Field(ge=2, le=100)] = 10

    def days(self, kind: Kind) -> int | None:
        """Give how long something of a kind is kept, in days; None for ever."""
        artifacts = self.runs_days if self.artifacts_days is None else self.artifacts_days
        return {"record": self.records_days, "run": self.runs_days}.get(kind, artifacts)

    @model_validator(mode="after")
    def _runs_outlive_their_artifacts(self) -> Self:
        if self.artifacts_days is not None and self.runs_days is not None and self.artifacts_days > self.runs_days:
            raise ValueError("`artifacts_days` is longer than `runs_days`: artifacts go with their run")
        return self


class Item(NamedTuple):
    """Something that may be removed.

    Fields:
        kind: What it is.
        name: The run's id, an artifact's id, or a report's path.
        at: When its run ended, or it was made; None if that is not known.
        what: What people call it.
        is_open: Whether its run is open, or may be.
        needed: Why it stays whatever its age; "" if nothing needs it.
    """

    kind: Kind
    name: str
    at: datetime | None
    what: str = ""
    is_open: bool = False
    needed: str = ""


class Deployed(NamedTuple):
    """That a run deployed a version of a service in a place.

    Fields:
        service: The service.
        version: The version.
        place: Where.
        run: The run.
        at: When, as an ISO time.
        is_left: Whether a rollback left the version there since.
        is_back: Whether it is, or may be, what the last rollback there brought back.
    """

    service: str
    version: str
    place: str
    run: str
    at: str
    is_left: bool = False
    is_back: bool = False


def read_retention(text: str | bytes, *, name: str) -> tuple[Retention | None, list[Problem]]:
    """Read the file: what it says and no problem, or None and every problem with its place and fix."""
    found, problems = read_section(text, name=name, model=Retention, noun="retention", begin="Begin with `retention: 1`.")
    return found, [replace(one, fix=one.fix.replace("docs/retention.md", "the section Retention of docs/handbook.md")) for one in problems]


def why_it_stays(item: Item, rules: Retention, *, now: datetime, oldest_open: datetime | None) -> str:
    """Say why something stays; "" if it is removed.

    Args:
        item: It.
        rules: How long things are kept.
        now: Now.
        oldest_open: When the oldest open run was made; None if none is open.
    """
    days = rules.days(item.kind)
    if days is None:
        return "it is kept for ever"
    if item.is_open:
        return "its run is open"
    if item.at is None:
        return "it is not known when it ended"
    if item.needed:
        return item.needed
    if item.kind != "record" and oldest_open is not None and item.at >= oldest_open:
        return f"a run that is open was made before, at {oldest_open:%Y-%m-%d %H:%M} UTC, and it may belong to that"
    return "" if now - item.at > timedelta(days=days) else f"it is not older than {days} days"


def needed_records(deployed: Iterable[Deployed], contracts: Iterable[str], *, versions: int) -> dict[str, str]:
    """Say which runs' records a rollback may need, and why.

    Args:
        deployed: What is kept of deployments; the newest of each version counts.
        contracts: The runs with contract migrations.
        versions: How many versions of each service in each place stay possible; those that a rollback left do not count.
    """
    newest: dict[tuple[str, str], dict[str, Deployed]] = defaultdict(dict)
    for one in sorted(deployed, key=lambda one: (one.at, one.run)):
        newest[one.service, one.place][one.version] = one
    found = dict.fromkeys(contracts, "it has a contract migration, after which a rollback looks")
    for by_version in newest.values():
        ordered = sorted(by_version.values(), key=lambda one: (one.at, one.run))
        possible = [one for one in ordered if not one.is_left]
        for one in [*ordered[-versions:], *possible[-versions:], *(one for one in ordered if one.is_back)]:
            found[one.run] = f"it deployed {one.version}, to which a rollback may lead"
    return found
