"""Ticks: what people say about items of the checklist, who may say it, and what is still open.

One answer has several ticks of one person, and a proof that is bound to all of them with their evidence: the digest that it is over is that
of the release and of the ticks, and a code answers a challenge that was extended by them. So no proof counts for other ticks.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from blocks.secret_text import hide
from tasks.rules.approval.answers import Outcome, printable
from tasks.rules.approval.gates import Gate
from tasks.rules.approval.proofs import ApprovedAction, Proof, Trust, read_proof, same_name, verify_proofs
from tasks.rules.approval.statement import OF_A_CHECKLIST, Value, canonical_json, extended
from tasks.rules.plan.checklist import BEFORE, CLOSING, Before, TickedItem
from tasks.rules.plan.types import TargetName
from tasks.rules.record.entries import Entry, select

MAX_EVIDENCE_CHARACTERS = 300
LINK = re.compile(r"https?://[^\s/]+\S*")
NUMBER = re.compile(r"[+-]?\d{1,15}([.,]\d{1,15})?(\s?[^\s\d]\S{0,11})?")
DONE, SKIPPED = "done", "skipped"


class Tick(Value):
    """One tick of one item: `done`, or `skipped`; its evidence is the reason of a skip."""

    item: TargetName
    did: Literal["done", "skipped"]
    evidence: Annotated[str, Field(max_length=MAX_EVIDENCE_CHARACTERS)] = ""


class TicksGate(Gate):
    """The question with one person's ticks: `digest` is over both, and codes answer `shown` extended by `said`.

    Fields:
        shown: The challenge that the form shows.
        said: The ticks, as `ticks_text` writes them.
    """

    shown: str
    said: str

    def challenge(self, decision: str) -> str:
        """What a code for these ticks answers."""
        del decision  # there is one
        return extended(self.shown, self.said)


class Ticked(NamedTuple):
    """An item that is ticked: how, by whom, when, and with which evidence."""

    did: str
    who: str
    at: datetime
    evidence: str


def ticks_text(ticks: Iterable[Tick]) -> str:
    """Write ticks in the one form that is bound: canonical JSON, in the order of their names."""
    return canonical_json([tick.model_dump(mode="json") for tick in sorted(ticks, key=lambda tick: (tick.item, tick.did))])


def ticks_digest(digest: str, ticks: Iterable[Tick]) -> str:
    """Give the SHA-256 over a release's digest and ticks."""
    return hashlib.sha256(canonical_json({"digest": digest, "ticks": ticks_text(ticks)}).encode()).hexdigest()


def gate_of_ticks(gate: Gate, ticks: Sequence[Tick], items: Sequence[TickedItem]) -> TicksGate:
    """Make the question whether these ticks are so: whoever may say all of them may answer."""
    may = [set(map(same_name, people_for(one, items))) for one in ticks]
    who = sorted(set.intersection(*may)) if may else []
    fields = {**gate.model_dump(), "digest": ticks_digest(gate.digest, ticks), "approvers": tuple(who), "quorum": 1, "requester": ""}
    return TicksGate(**fields, shown=gate.asked().challenge("approve"), said=ticks_text(ticks))


def people_for(tick: Tick, items: Sequence[TickedItem]) -> list[str]:
    """List who may tick or skip an item by the plan; no one if there is no such item."""
    found = next((item for item in items if item.name == tick.item), None)
    if found is None:
        return []
    return found.skipped_by if tick.did == SKIPPED else found.who


def gate_name(before: Before, number: int) -> str:
    """Name the gate of a phase's items in a round."""
    return f"{OF_A_CHECKLIST}{before}" if number == 1 else f"{OF_A_CHECKLIST}{before}-round-{number}"


def read_tick(text: str, *, did: Literal["done", "skipped"] = "done") -> Tick | None:
    """Read a tick as people type it, `backup` or `backup=https://…`; None if it is not one."""
    name, _, evidence = text.partition("=")
    return _tick(name.strip(), did, evidence)


def read_ticks(form: object, items: Iterable[TickedItem]) -> tuple[Tick, ...]:
    """Read the ticks of a posted form; what cannot be read is not ticked."""
    fields: Mapping[object, object] = form if isinstance(form, Mapping) else {}
    ways: dict[str, Literal["done", "skipped"]] = {"done": "done", "skip": "skipped"}
    said = [(item.name, fields.get(f"tick_{field(item)}"), fields.get(f"evidence_{field(item)}")) for item in items]
    found = [_tick(name, ways.get(way) if isinstance(way, str) else None, evidence) for name, way, evidence in said]
    return tuple(one for one in found if one is not None)


def form_of(ticks: Iterable[Tick]) -> dict[str, str]:
    """Write ticks as a form has them."""
    ways = {"done": "done", "skipped": "skip"}
    return {
        name: value
        for one in ticks
        for name, value in ((f"tick_{_named(one.item)}", ways[one.did]), (f"evidence_{_named(one.item)}", one.evidence))
    }


def field(item: TickedItem) -> str:
    """Give the end of the names of an item's fields in the form."""
    return _named(item.name)


def _named(item: str) -> str:
    return item.replace("-", "_")


def _tick(item: str, did: Literal["done", "skipped"] | None, evidence: object) -> Tick | None:
    words = printable(evidence) if isinstance(evidence, str) else ""
    try:
        return None if did is None else Tick(item=item, did=did, evidence=words)
    except ValidationError:
        return None


def ticks_fault(ticks: Sequence[Tick], name: str, *, items: Sequence[TickedItem], done: Mapping[str, Ticked]) -> tuple[Outcome, str] | None:
    """Say why a person's ticks do not count, whatever the proof is; None if they may.

    Args:
        ticks: What is ticked.
        name: Who says so.
        items: The items that are asked about.
        done: What is ticked already.
    """
    if not ticks:
        return "malformed", "nothing is ticked; choose `done` for an item, or `skip` with a reason"
    if len({tick.item for tick in ticks}) < len(ticks):
        return "malformed", "an item is ticked twice in one answer"
    known = {item.name: item for item in items}
    for tick in ticks:
        if tick.item not in known:
            return "malformed", f"there is no item {tick.item} here; there are {', '.join(known)}"
        if before := done.get(tick.item):
            return "already_answered", f"{tick.item} is {before.did} already, by {before.who}"
        allowed = people_for(tick, items)
        if same_name(name) not in {same_name(one) for one in allowed}:
            verb = "skip" if tick.did == SKIPPED else "tick"
            listed = ", ".join(allowed) or "no one"
            return "not_allowed", f"{name or 'an unknown person'} may not {verb} {tick.item}; the plan lets {listed}"
        if wrong := evidence_fault(tick, known[tick.item]):
            return "malformed", f"{tick.item}: {wrong}"
        if hide(tick.evidence) != tick.evidence:  # it would be kept as it is, since the proof is over it
            return "malformed", f"{tick.item}: what is written there holds a secret; say it without"
    return None


def evidence_fault(tick: Tick, item: TickedItem) -> str:
    """Say why a tick does not carry what its item asks for; "" if it does."""
    words = tick.evidence
    if tick.did == SKIPPED:
        return "" if words else "it is skipped only with a reason"
    asked = {
        "none": ("", True),
        "link": ("a link is asked for, as https://…", bool(LINK.fullmatch(words))),
        "number": ("a number is asked for, as `42` or `3.5 s`", bool(NUMBER.fullmatch(words))),
        "note": ("a note is asked for: say in words what was done", bool(words)),
    }
    said, good = asked[item.evidence]
    return "" if good else said


def open_items(items: Iterable[TickedItem], done: Collection[str], *, required: bool = False) -> list[TickedItem]:
    """List the items that are not ticked; the required ones alone if asked for."""
    return [item for item in items if item.name not in done and (item.required or not required)]


def ticks_of(entries: Iterable[Entry], *, round: int) -> list[Entry]:
    """Choose the entries of ticks of a release's round."""
    return select(entries, kind="tick", round=round)


def ticks_in(entry: Entry) -> tuple[tuple[Tick, ...], Proof | str]:
    """Read the answer of a tick's entry again from its JSON: all its ticks, and their proof, or why it is invalid."""
    try:
        ticks = tuple(Tick.model_validate(one) for one in entry.evidence.get("ticks", ()))
    except (ValidationError, TypeError):
        return (), "cannot be read"
    return ticks, read_proof(entry.evidence.get("proof"))


def evidence_of(tick: Tick, ticks: Sequence[Tick], proof: Proof) -> dict[str, Any]:
    """Give what the entry of a tick rests on: the whole answer, so that it can be verified again."""
    outcome = "passed" if tick.did == DONE else "skipped"
    answer = {"ticks": [one.model_dump(mode="json") for one in ticks], "proof": proof.model_dump(mode="json")}
    return {"outcome": outcome, "item": tick.item, "did": tick.did, "evidence": tick.evidence, **answer}


def ticks_problems(
    entries: Iterable[Entry], *, items: Iterable[TickedItem], subject: ApprovedAction, trust: Trust, round: int
) -> tuple[list[str], list[Proof]]:
    """Verify the ticks of required items again from their bytes; an entry alone is believed for none.

    Args:
        entries: The record.
        items: The items that must be ticked.
        subject: What is about to be done, with the digest computed now; its gate does not matter.
        trust: What the proofs are verified with.
        round: The release's round.

    Returns:
        One sentence for each required item that is not proved, and the proofs of those that are.
    """
    every = list(items)
    found = {str(entry.evidence.get("item")): ticks_in(entry) for entry in ticks_of(entries, round=round)}
    problems: list[str] = []
    proofs: list[Proof] = []
    for item in open_items(every, (), required=True):
        ticks, proof = found.get(item.name, ((), "it is not ticked"))
        fault = proof if isinstance(proof, str) else _fault(item, ticks, proof, every, subject=subject, trust=trust, round=round)
        if fault:
            problems.append(f"{item.name}: {fault}")
        elif isinstance(proof, Proof):
            proofs.append(proof)
    return problems, proofs


def _fault(
    item: TickedItem, ticks: Sequence[Tick], proof: Proof, items: Sequence[TickedItem],
    *, subject: ApprovedAction, trust: Trust, round: int,
) -> str:  # fmt: skip
    own = next((tick for tick in ticks if tick.item == item.name), None)
    if own is None:
        return "its proof is for other items"
    if proof.gate not in {gate_name(before, round) for before in BEFORE if (before == CLOSING) == (item.before == CLOSING)}:
        return f"its proof is for gate {proof.gate}"
    if wrong := evidence_fault(own, item):
        return wrong
    bound = subject._replace(gate=proof.gate, digest=ticks_digest(subject.digest, ticks))
    problems = verify_proofs([proof], subject=bound, trust=trust, approvers=people_for(own, items), quorum=1, requester="")
    return "; ".join(problems[:1])
