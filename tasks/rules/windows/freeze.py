"""Freeze: the switch that stops every step forward, of one service or of all, until it is lifted or its time is over."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from tasks.rules.windows.words import moment_in_words
from tasks.rules.windows.zones import in_utc

ID = r"^[0-9a-f]{12}$"
SERVICE = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$"
KEPT = timedelta(days=90)  # for so long a freeze that is over is kept, so that the releases that it held can say who lifted it
DURATION = re.compile(r"(\d{1,4}) ?(m|min|h|d)")
SCHEDULE, UNREADABLE, TURN = "schedule", "what cannot be read", "turn"  # what may hold a release beside a freeze
UNITS = {"m": "minutes", "min": "minutes", "h": "hours", "d": "days"}
Text = Annotated[str, Field(min_length=1, max_length=500)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Moment = Annotated[AwareDatetime, AfterValidator(in_utc)]
Proved = Literal["code", "ssh", "machine"]
HOW: dict[Proved, str] = {"code": "by a code", "ssh": "by an SSH signature", "machine": "on the worker's machine"}


class Lifted(BaseModel):
    """Who lifted a freeze, when and why, and the proof; `machine`: by writing on the worker's machine, which proves no name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    who: Name
    at: Moment
    reason: Text
    proved: Proved
    proof: dict[str, Any] | None = None


class Freeze(BaseModel):
    """One freeze.

    Fields:
        id: What it is called.
        service: Which service it stops; "" for all.
        reason: Why.
        who: Who set it, as that person said; no name is proved to stop something.
        at: When it was set.
        until: When it ends by itself; None if it is to be lifted.
        lifted: Who lifted it; None while it holds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=ID)]
    service: Annotated[str, Field(pattern=SERVICE, max_length=63)] = ""
    reason: Text
    who: Name
    at: Moment
    until: Moment | None = None
    lifted: Lifted | None = None

    def holds(self, at: datetime, service: str | None = None) -> bool:
        """Say if it is in force at a moment, for a service or for any at all."""
        named = service is None or self.service in {"", service}
        return named and self.lifted is None and (self.until is None or at < self.until)

    def is_forgotten(self, at: datetime) -> bool:
        """Say if it was over long ago."""
        over = self.lifted.at if self.lifted else self.until
        return over is not None and at - over >= KEPT

    def to_bytes(self) -> bytes:
        """Write it as it is kept."""
        return json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True).encode() + b"\n"


class Hold(NamedTuple):
    """What holds the steps forward of a service.

    Fields:
        what: In a few words, until when.
        why: Who, when, why, and what to do.
        until: When it ends by itself, if that is known.
        by: What holds: the freezes by id, or windows by `windows_name`, or `SCHEDULE`, `UNREADABLE`, `TURN`.
        lasting: Why, without the age of a calendar; "" if that is not in it.
    """

    what: str
    why: str
    until: datetime | None
    by: tuple[str, ...]
    lasting: str = ""

    def as_it_lasts(self) -> Hold:
        """Give it without what changes by itself, to compare it with a later one."""
        return self._replace(why=self.lasting or self.why)


def read_freeze(content: bytes) -> Freeze | str:
    """Read a freeze as it is kept, or say why it cannot be read."""
    try:
        return Freeze.model_validate_json(content)
    except ValidationError as error:
        fields = sorted({".".join(map(str, one["loc"])) or "JSON" for one in error.errors()})
        return f"it is not a freeze ({', '.join(fields)[:200]})"


def hold_of(freezes: Iterable[Freeze], at: datetime, *, service: str) -> Hold | None:
    """Say what holds a service at a moment; None if nothing does."""
    found = [one for one in freezes if one.holds(at, service)]
    if not found:
        return None
    ends = [one.until for one in found if one.until]
    until = max(ends) if len(ends) == len(found) else None
    when = f"until {moment_in_words(until)}" if until else "until the freeze is lifted"
    return Hold(f"frozen {when}", "; ".join(map(freeze_in_words, found)), until, tuple(one.id for one in found))


def unreadable(problem: str) -> Hold:
    """Say that it cannot be known what is frozen: then everything is."""
    fix = "put the file right or remove it there, then see `shipway doctor`"
    return Hold("frozen, as its freezes cannot be read", f"{problem}. Nothing goes forward until they can: {fix}", None, (UNREADABLE,))


def windows_unreadable(problem: str) -> Hold:
    """Say that it cannot be known whether windows are open: then they are not."""
    fix = "put right what is named here, then see `shipway doctor`"
    what = "held, as the windows of policies and plan cannot be read"
    return Hold(what, f"{problem}. Nothing goes forward until they can: {fix}", None, (UNREADABLE,))


def is_freeze(name: str) -> bool:
    """Say if what holds a release is a freeze, by its id."""
    return re.fullmatch(ID, name) is not None


def freeze_in_words(freeze: Freeze) -> str:
    """Say in one sentence what is frozen, who set it, when, why, and until when."""
    until = f", until {moment_in_words(freeze.until)}" if freeze.until else ""
    set_by = f"set by {freeze.who} on {moment_in_words(freeze.at)}"
    return f"freeze {freeze.id} of {whose(freeze.service)}, {set_by}{until}, because: {freeze.reason}"


def lifted_in_words(freeze: Freeze, at: datetime) -> str:
    """Say how a freeze ended; "" while it holds."""
    if freeze.lifted:
        lifted = freeze.lifted
        words = f"lifted by {lifted.who} {HOW[lifted.proved]} on {moment_in_words(lifted.at)}, because: {lifted.reason}"
        return f"freeze {freeze.id} was {words}"
    return "" if freeze.holds(at) else f"freeze {freeze.id} ended by itself on {moment_in_words(freeze.until)}"


def whose(service: str) -> str:
    """Name what is frozen."""
    return service or "all services"


def read_until(text: str, at: datetime) -> datetime | str:
    """Read when a freeze ends: `2h`, `30 min`, `3d`, or a moment with its zone; or say what is wrong with it."""
    said = text.strip()
    try:
        found = DURATION.fullmatch(said)
        moment = at + timedelta(**{UNITS[found[2]]: int(found[1])}) if found else datetime.fromisoformat(said)
        if moment.tzinfo is None:
            return f"`{text[:60]}` has no time zone"
    except (ValueError, OverflowError):
        return f"`{text[:60]}` is neither a duration nor a moment"
    try:
        moment = in_utc(moment)
    except ValueError as error:
        return f"`{text[:60]}` cannot be the end: {error}"
    return moment if moment > at else f"`{text[:60]}` is over already"


def unknown_in_words(service: str, known: list[str], *, is_asked: bool) -> str:
    """Warn that a freeze may stop nothing, as nothing here knows its service.

    Args:
        service: The service.
        known: Those that policies and owners name.
        is_asked: Whether the server was asked for its runs.
    """
    names = f" They name {', '.join(known[:20])}." if known else ""
    runs = "the server has no run of it" if is_asked else "the server does not answer"
    return f"Warning: neither a policy nor an environment's owner here names the service {service}, and {runs}. Is it misspelled?{names}"
