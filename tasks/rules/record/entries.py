"""The record: everything that happened to a release, as entries that each carry the hash of the one before.

The hash of an entry is SHA-256 over the canonical JSON of all its other fields, so no entry can be changed, dropped,
added or moved without breaking the chain behind it. An entry is stored as its canonical JSON and read back byte for byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from blocks.outside_text import ENDING_LIMIT, OutsideText, outside
from tasks.rules.record.canonical import canonical

Kind = Literal[
    "opened", "review", "tests", "dependencies", "change_log", "checklist", "tick", "effect", "samples", "verdict", "gate", "approval",
    "refused", "health", "smoke", "data", "logs", "metrics", "migration", "rollback", "note", "closed",
]  # fmt: skip
ReleaseOutcome = Literal["deployed", "partly_deployed", "rolled_back", "refused", "failed", "cancelled", "skipped", "rehearsed", "open"]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

FIRST = "0" * 64


class Entry(BaseModel):
    """One thing that happened."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    seq: Annotated[int, Field(ge=1)]
    """Its place in the record; the first is 1."""
    at: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
    """When it was written: UTC, ISO 8601 with milliseconds."""
    kind: Kind
    """What sort of thing happened."""
    environment: Annotated[str, Field(max_length=41, pattern=r"^[a-z0-9/-]*$")]
    """Where: `staging`, `production`, `production/eu`; "" for what concerns the whole release."""
    round: Annotated[int, Field(ge=1)]
    """The release's round: 1, and one more each time that its approval became void."""
    step: Annotated[int, Field(ge=0, le=100)] | None
    """The step of the rollout by its share of the traffic in percent, or null."""
    name: Annotated[str, Field(max_length=300)]
    """Which one, of several of this kind in one place: a suite, a gate's question, `begun`; "" if there is one."""
    who: OutsideText
    """The person or the part that did it."""
    what: OutsideText
    """What happened, in one sentence."""
    why: OutsideText
    """The reason, with its numbers."""
    evidence: dict[str, Any]
    """What the sentence rests on, as JSON."""
    previous: Hash
    """The hash of the entry before; 64 zeros for the first."""
    hash: Hash
    """SHA-256 over the canonical JSON of all other fields."""

    @property
    def key(self) -> str:
        """What makes it unique in its record, see `key_of`."""
        return key_of(self.kind, environment=self.environment, round=self.round, step=self.step, name=self.name)

    @property
    def label(self) -> str:
        """Which entry it is, for people: `effect production 25 % shift`."""
        share = "" if self.step is None else f"{self.step} %"
        again = "" if self.round == 1 else f"round {self.round}"
        return " ".join(word for word in (self.kind, self.environment, share, self.name, again) if word)


def key_of(kind: Kind, *, environment: str = "", round: int = 1, step: int | None = None, name: str = "") -> str:
    """Make the unique key of an entry from the fields that identify it; nothing takes a key apart.

    Args:
        kind: What sort of thing happened.
        environment: Where; "" for the whole release.
        round: The release's round, from 1.
        step: The share of the traffic in percent, or None.
        name: Which one.

    Returns:
        A text that no other combination of these fields gives.
    """
    return f"{kind}:{environment}:{round}:{'' if step is None else step}:{name}"


def select(
    entries: Iterable[Entry],
    *,
    kind: Kind | None = None,
    environment: str | None = None,
    round: int | None = None,
    step: int | None = None,
    name: str | None = None,
) -> list[Entry]:
    """Choose entries by their fields; None takes any value of a field.

    Args:
        entries: A record, or a part of one.
        kind: What sort of thing happened.
        environment: Where; "" takes what concerns the whole release.
        round: The release's round.
        step: The share of the traffic in percent.
        name: Which one.

    Returns:
        The chosen ones, in their order.
    """
    wanted = {"kind": kind, "environment": environment, "round": round, "step": step, "name": name}
    asked = {field: value for field, value in wanted.items() if value is not None}
    return [entry for entry in entries if all(getattr(entry, field) == value for field, value in asked.items())]


def timestamp(at: datetime) -> str:
    """Write a moment as the record does: UTC, ISO 8601, milliseconds, `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(entry: Entry) -> datetime:
    """Read an entry's moment back."""
    return datetime.fromisoformat(entry.at)


def chain(
    previous: Entry | None,
    *,
    at: datetime,
    kind: Kind,
    who: str,
    what: str,
    why: str = "",
    environment: str = "",
    round: int = 1,
    step: int | None = None,
    name: str = "",
    evidence: dict[str, Any] | None = None,
) -> Entry:
    """Make the entry that follows `previous`; its texts are cleaned here, whoever they come from.

    Args:
        previous: The last entry, or None for the first of a record.
        at: When it happened, with a time zone.
        kind: What sort of thing happened.
        who: The person or the part that did it.
        what: What happened, in one sentence.
        why: The reason, with its numbers.
        environment: Where; "" for the whole release.
        round: The release's round, from 1.
        step: The share of the traffic in percent, or None.
        name: Which one, of several of this kind in one place.
        evidence: Plain JSON values; no secrets (see `tasks.rules.record.masking`).

    Returns:
        The entry, with its hash.
    """
    texts = {"who": who, "what": what, "why": why}
    fields = {
        "seq": previous.seq + 1 if previous else 1, "at": timestamp(at), "kind": kind,
        "environment": environment, "round": round, "step": step, "name": name,
        **{field: outside(text, limit=ENDING_LIMIT) for field, text in texts.items()},
        "evidence": json.loads(canonical(evidence or {})), "previous": previous.hash if previous else FIRST,
    }  # fmt: skip
    return Entry.model_validate({**fields, "hash": _digest(fields)})


def to_bytes(entry: Entry) -> bytes:
    """Write an entry as it is stored: canonical JSON, UTF-8."""
    return canonical(entry.model_dump())


def parse_entry(content: bytes) -> Entry:
    """Read a stored entry; anything but the very bytes that `to_bytes` wrote is an error.

    Args:
        content: The stored bytes.

    Returns:
        The entry, whole and unchanged.

    Raises:
        ValueError: The bytes are torn or were changed; says how.
    """
    try:
        entry = Entry.model_validate(json.loads(content))
    except ValidationError as error:
        raise ValueError(f"not an entry: {error.error_count()} field(s) are wrong") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not whole JSON ({len(content)} bytes)") from error
    if fault := _own_fault(entry):
        raise ValueError(fault)
    if to_bytes(entry) != content:
        message = "the bytes are not the canonical form of their own content"
        raise ValueError(message)
    return entry


def verify_chain(entries: list[Entry], *, state: Literal["ended", "under_way"] = "ended") -> list[str]:
    """Find every tampering, gap, reorder and truncation.

    Args:
        entries: The record in the order in which it was found.
        state: `ended` asks for a closing entry, so that a record cut at its end is found; `under_way` does not.

    Returns:
        One sentence a fault, in order; empty when the chain is intact.
    """
    problems = [] if entries else ["the record is empty"]
    last: Entry | None = None
    keys: set[str] = set()
    for place, entry in enumerate(entries, start=1):
        problems += _faults(entry, last, place=place, keys=keys)
        keys.add(entry.key)
        last = entry
    if state == "ended" and entries and not any(entry.kind == "closed" for entry in entries):
        problems.append(
            f"the record ends with entry {len(entries)} and has no closing entry: its end is missing, or the release is still open"
        )
    return problems


def outcome_of(entries: list[Entry]) -> ReleaseOutcome:
    """Say how the release ended: the `outcome` in the evidence of its last closing entry, `open` if there is none."""
    closing = [entry for entry in entries if entry.kind == "closed"]
    if not closing:
        return "open"
    said = closing[-1].evidence.get("outcome")
    ends: tuple[ReleaseOutcome, ...] = (
        "deployed", "partly_deployed", "rolled_back", "refused", "failed", "cancelled", "skipped", "rehearsed",
    )  # fmt: skip
    return next((outcome for outcome in ends if outcome == said), "failed")


def _digest(fields: dict[str, Any]) -> str:
    return hashlib.sha256(canonical({name: value for name, value in fields.items() if name != "hash"})).hexdigest()


def _own_fault(entry: Entry) -> str | None:
    try:
        right = _digest(entry.model_dump())
    except ValueError as error:
        return f"its content has no canonical form ({error})"
    return None if right == entry.hash else "its content does not match its hash: it was changed after it was written"


def _faults(entry: Entry, last: Entry | None, *, place: int, keys: set[str]) -> list[str]:
    name = f"entry {entry.seq} ({entry.label})"
    problems = []
    if entry.seq != place:
        problems.append(f"{name} stands at place {place}: entries are missing, doubled or in another order")
    if entry.previous != (last.hash if last else FIRST):
        problems.append(f"{name} does not follow the entry before it: its `previous` is another hash")
    if fault := _own_fault(entry):
        problems.append(f"{name}: {fault}")
    if entry.key in keys:
        problems.append(f"{name}: the record has another entry of this kind, environment, round, step and name")
    return problems
