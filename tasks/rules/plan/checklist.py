"""Plan section for the checklist: lines that a fact answers, commands, and items that people tick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from tasks.rules.plan.types import Argument, Person, Seconds, Section, TargetName, fault, refuse_doubles

Before = Literal["staging", "production", "closing"]
BEFORE: tuple[Before, ...] = ("staging", "production", "closing")
CLOSING: Before = "closing"  # of a release that is deployed and verified
Line = Annotated[str, Field(min_length=1, max_length=200)]


class FactCommand(Section):
    """A line of the checklist that a command answers: it must exit with 0."""

    name: TargetName
    """Its name: lower-case letters, digits and inner dashes."""
    command: Annotated[list[Argument], Field(min_length=1, max_length=100)]
    """Program and arguments; no shell reads them. Runs in the plan's folder before anything moves."""
    timeout_seconds: Seconds = 60
    """The command is killed after this time, and counts as failed."""


class TickedItem(Section):
    """An item that a person ticks."""

    name: TargetName
    """Its name: lower-case letters, digits and inner dashes."""
    text: Line
    """What must be true, in one sentence."""
    who: Annotated[list[Person], Field(max_length=100)] = Field(default_factory=list)
    """Who may tick it; empty means the plan's approvers."""
    evidence: Literal["none", "link", "number", "note"] = "none"
    """What a tick must carry: a link (http or https), a number, a note in words, or nothing."""
    rollback: Annotated[str, Field(max_length=200)] = ""
    """What to do with it if the release is rolled back: a hint for people."""
    required: bool = True
    """Whether the release waits for it. An optional item can be ticked while a required one is waited for."""
    skipped_by: Annotated[list[Person], Field(max_length=100)] = Field(default_factory=list)
    """Who may skip it, with a reason; empty means that it cannot be skipped."""
    before: Before = "production"
    """Before which phase it must be ticked: `closing` is for what people do once production is deployed and verified."""


class Checklist(Section):
    """Checklist: what must be true before production, and what people do after it: verified facts, and items that people tick."""

    tests_passed: bool = True
    """Require passed tests by the section `tests`."""
    dependencies_verified: bool = True
    """Require healthy `dependencies`."""
    rollback_ready: bool = True
    """Require a version to roll back to, and a platform that answers."""
    rehearsed_within_days: Annotated[float, Field(gt=0, le=366)] | None = None
    """`rollback_ready` also requires that `shipway rehearse` showed within so many days that a rollback works; left out, no rehearsal."""
    monitoring_on: bool = True
    """Require a reading of every deciding SLI from its own source."""
    team_told: bool = True
    """Require that the announcement was sent."""
    commands: Annotated[list[FactCommand], Field(max_length=30)] = Field(default_factory=list)
    """More lines that a fact answers: commands that must exit with 0."""
    items: Annotated[list[TickedItem], Field(max_length=30)] = Field(default_factory=list)
    """Items that people tick, each by name with a code or an SSH signature, as at the gate."""
    expires_after_minutes: Annotated[float, Field(gt=0, le=43_200)] = 1_440
    """A release whose required items are not all ticked in this time ends as refused, once for each phase; before closing it ends as
    deployed, with the open items named."""
    gives_way_after_minutes: Annotated[float, Field(ge=0, le=43_200)] = 15
    """People have at least this time for the items before closing although another release waits for the service; then the wait ends."""

    @field_validator("commands", "items")
    @classmethod
    def _each_once(cls, listed: Sequence[FactCommand | TickedItem]) -> Sequence[FactCommand | TickedItem]:
        refuse_doubles([one.name for one in listed])
        return listed

    @field_validator("rehearsed_within_days")
    @classmethod
    def _belongs_to_a_line(cls, days: float | None, info: ValidationInfo) -> float | None:
        if days is not None and not info.data.get("rollback_ready", True):
            fix = "Write `rollback_ready: true`, or leave `rehearsed_within_days` out."
            raise fault("a rehearsal is asked for, but not that a rollback is ready", fix=fix)
        return days

    def lines(self) -> dict[str, bool]:
        """Give the lines that can be turned off, by name, and whether the plan requires them."""
        return {name: value for name, value in self if isinstance(value, bool)}

    def items_before(self, before: Before) -> tuple[TickedItem, ...]:
        """List the items that people tick before a phase."""
        return tuple(item for item in self.items if item.before == before)

    def before_production(self) -> tuple[TickedItem, ...]:
        """List the items that people tick before production: those before staging, too."""
        return tuple(item for item in self.items if item.before != CLOSING)

    def required(self) -> tuple[TickedItem, ...]:
        """List the items that people must tick before production."""
        return tuple(item for item in self.before_production() if item.required)

    def with_people(self, approvers: list[str]) -> Checklist:
        """Fill in who may tick the items that leave it open: the plan's approvers.

        Raises:
            PydanticCustomError: The plan names none.
        """
        if nameless := [item.name for item in self.items if not item.who and not approvers]:
            raise fault(f"no one may tick the item `{nameless[0]}`", fix="Name people in its `who`, or in `approval.approvers`.")
        return self.model_copy(update={"items": [item.model_copy(update={"who": item.who or approvers}) for item in self.items]})
