"""Deployments of a forge: what is to be told of a release, kept until the forge has it, and in which order it is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from tasks.rules.notify.outbox import HOLDS_FOR_TRIES, LONGEST_DELAY, TRIED_FOR, Delivery, noted

State = Literal["in_progress", "success", "failure", "error"]
STATES: tuple[State, ...] = ("in_progress", "success", "failure", "error")
KEPT_FOR = timedelta(days=2)  # what was given up, for the doctor
LONGEST_RELEASE = timedelta(days=60)  # what was begun and never ended: its run was removed
OF_OUTCOME: Mapping[str, State] = {"deployed": "success", "cancelled": "error"}


@dataclass(frozen=True, slots=True)
class Noted:
    """A deployment that a forge is to show.

    Fields:
        forge: The forge block.
        about: What is recorded, by the names of `blocks.forge.deployments.Deployment`.
        state: What the forge is to show.
        begun: When it was noted first.
        changed: Since when it has this state.
        number: The forge's number; 0 before it was made, or if that is not known.
        after: The environment's newest number before it was made; None if that was not read yet.
        delivery: The delivery of this state.
        is_refused: Whether the last try was refused; else the forge did not answer, or asked to be left alone.
    """

    forge: str
    about: dict[str, str]
    state: State
    begun: datetime
    changed: datetime
    number: int = 0
    after: int | None = None
    delivery: Delivery = field(default_factory=Delivery)
    is_refused: bool = False

    def to_json(self) -> dict[str, Any]:
        """Write it as JSON."""
        times = {"begun": self.begun.isoformat(), "changed": self.changed.isoformat()}
        return {
            "forge": self.forge, "about": self.about, "state": self.state, "number": self.number, "after": self.after,
            "delivery": self.delivery.to_json(), "is_refused": self.is_refused, **times,
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read it back.

        Raises:
            KeyError, TypeError, ValueError: It is not one.
        """
        state = next(one for one in STATES if one == value["state"])
        begun, changed = (datetime.fromisoformat(value[name]) for name in ("begun", "changed"))
        about, delivery = {str(name): str(one) for name, one in value["about"].items()}, Delivery.from_json(value["delivery"])
        after = None if value["after"] is None else int(value["after"])
        return cls(str(value["forge"]), about, state, begun, changed, int(value["number"]), after, delivery, bool(value["is_refused"]))

    def becomes(self, state: State, *, at: datetime) -> Self:
        """Change what the forge is to show; what has ended stays as it ended. A try that is under way keeps its claim."""
        if self.state != "in_progress" or state == self.state:
            return self
        return replace(self, state=state, changed=at, delivery=Delivery(claimed_until=self.delivery.claimed_until))

    def after_try(self, *, at: datetime, fault: str = "", silent_seconds: float = 0) -> Self:
        """Note how a try ended.

        Args:
            at: Now.
            fault: Why it failed; "" if the forge shows the state now.
            silent_seconds: For how long the forge is to be left alone; 0 if it refused.
        """
        delivery = noted(self.delivery, at=at, fault=fault)
        if delivery.after is not None:  # longer than the longest delay would count as written before the clock jumped
            least = at + min(timedelta(seconds=silent_seconds), LONGEST_DELAY)
            delivery = replace(delivery, after=max(delivery.after, least))
        return replace(self, delivery=delivery, is_refused=bool(fault) and not silent_seconds)

    def is_given_up(self, *, at: datetime) -> bool:
        """Say if the forge did not take it for so long that it is not tried any more."""
        return self.delivery.delivered is None and at - self.changed >= TRIED_FOR

    def can_be_removed(self, *, at: datetime) -> bool:
        """Say if nothing more comes of it."""
        if self.state == "in_progress":
            return at - self.begun >= LONGEST_RELEASE
        return self.delivery.delivered is not None or at - self.changed >= KEPT_FOR


def state_of(outcome: str) -> State:
    """Say what a forge is to show of a release that ended.

    Args:
        outcome: Its outcome, see `final_outcome`.

    Returns:
        `success` if its version serves everywhere, `error` if people ended it, else `failure`.
    """
    return OF_OUTCOME.get(outcome, "failure")


def in_line(notes: Mapping[str, Noted], *, at: datetime) -> dict[str, list[str]]:
    """List by forge what it is still to be told, in the order of the releases.

    Of one environment a later release waits for an earlier one that the forge has not taken, as what was made last is shown as current; but
    not for one that was refused so often that it may be for good, as of a commit that was never pushed there.

    Args:
        notes: All that is noted, by run.
        at: Now.
    """
    found: dict[str, list[str]] = {}
    held = set[tuple[str, str]]()
    for run, one in sorted(notes.items(), key=lambda pair: (pair[1].begun, pair[0])):
        line = (one.forge, one.about.get("environment", ""))
        if one.delivery.delivered is not None or one.is_given_up(at=at):
            continue
        if line not in held:
            found.setdefault(one.forge, []).append(run)
        if not (one.is_refused and one.delivery.tries >= HOLDS_FOR_TRIES):
            held.add(line)
    return found


def in_words(note: Noted) -> str:
    """Say what a forge has not taken: `forge/shop: deployment of shop 1.1 as success (it answered 422)`."""
    about = f"{note.about.get('service', '')} {note.about.get('version', '')}"
    fault = f" ({note.delivery.fault})" if note.delivery.fault else ""
    return f"{note.forge}: deployment of {about} as {note.state}{fault}"


def undelivered(notes: Iterable[Noted]) -> list[Noted]:
    """List what a forge was tried to be told and has not taken."""
    return [one for one in notes if one.delivery.delivered is None and one.delivery.tries]
