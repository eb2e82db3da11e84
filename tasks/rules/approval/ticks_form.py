"""The checklist for people: how far it is, in words and as markdown, and the text above the form in which they tick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tasks.rules.approval.form import RUN_CHARACTERS, escaped
from tasks.rules.approval.gates import Gate, moment_text
from tasks.rules.approval.ticks import Ticked, open_items
from tasks.rules.plan.checklist import Before, TickedItem
from tasks.rules.record.entries import Entry, outcome_of, select

PROGRESS = "progress"  # in the evidence of the entries with which people are asked, and of the last one
MAX_CHARACTERS = 12_000
WORDS = {"none": "", "link": "a link", "number": "a number", "note": "a note"}


class Progress(NamedTuple):
    """How far a checklist is.

    Fields:
        before: The phase that it is before.
        items: What people tick.
        done: What is ticked.
        facts: The lines that facts answered, each with its reason.
    """

    before: Before
    items: Sequence[TickedItem]
    done: Mapping[str, Ticked]
    facts: Sequence[tuple[str, str]] = ()

    def of(self) -> str:
        """Say how many are through: `6 of 9`."""
        return f"{len(self.facts) + len(self.done)} of {len(self.facts) + len(self.items)}"

    def as_evidence(self) -> dict[str, Any]:
        """Write it for the record."""
        hints = {item.name: item.rollback for item in self.items}
        return {
            "before": self.before,
            "through": self.of(),
            "open": [
                {"item": item.name, "text": item.text, "who": list(item.who), "required": item.required}
                for item in open_items(self.items, self.done)
            ],
            "done": [
                {"item": name, "did": one.did, "who": one.who, "evidence": one.evidence, "rollback": hints.get(name, "")}
                for name, one in self.done.items()
            ],
        }


def facts_in(entries: Sequence[Entry], *, round: int) -> list[tuple[str, str]]:
    """List the lines of the checklist that facts answered in a round, and why they passed."""
    found = select(entries, kind="checklist", round=round)
    items = found[-1].evidence.get("items", ()) if found else ()
    return [(str(one["name"]), str(one["reason"])) for one in items if one.get("outcome") == "passed"]


def waits_for_ticks(entries: Sequence[Entry]) -> bool:
    """Say if the last thing that a release did was to ask for ticks."""
    return bool(entries) and entries[-1].kind == "gate" and bool(entries[-1].evidence.get(PROGRESS, {}).get("open"))


def progress_of(entries: Sequence[Entry]) -> dict[str, Any] | None:
    """Give how far the checklist of a release is, as it was told last; None if people tick nothing."""
    told = [entry.evidence[PROGRESS] for entry in entries if entry.kind == "gate" and PROGRESS in entry.evidence]
    return dict(told[-1]) if told else None


def checklist_in_words(entries: Sequence[Entry]) -> str:
    """Say how far the checklist of a release is, and who has what; "" if people tick nothing, or it ended without a required one open."""
    last = progress_of(entries)
    if last is None:
        return ""
    is_closed = any(entry.kind == "closed" for entry in entries)
    if is_closed and not (outcome_of(list(entries)) == "deployed" and any(one["required"] for one in last["open"])):
        return ""
    missing = [f"{one['item']} ({' or '.join(one['who'])}{'' if one['required'] else ', optional'})" for one in last["open"]]
    done = [f"{one['item']} {one['did']} by {one['who']}" for one in last["done"]]
    words = [
        f"checklist before {last['before']}{' NOT COMPLETE' if is_closed else ''}: {last['through']}",
        *done,
        *([f"open: {', '.join(missing)}"] if missing else []),
    ]
    return "; ".join(words)


def progress_page(progress: Progress, *, title: str) -> str:
    """Write the page of a checklist, as markdown in which no text of others can make links or tables."""
    rows = [f"| passed | {escaped(name)} | a fact: {escaped(reason)} | |" for name, reason in progress.facts]
    return f"## {escaped(title)}\n\n**{progress.of()}**\n\n{_HEAD}\n" + "\n".join([*rows, *_rows(progress)]) + "\n"


def ticks_form(gate: Gate, progress: Progress, *, last_refusal: str = "") -> str:
    """Write the text above the form in which people tick.

    Args:
        gate: The question.
        progress: What is ticked and what is open.
        last_refusal: Why the last answer did not count.

    Returns:
        Markdown; the challenge in it stands for the question alone, the code for the ticks, too.
    """
    refusal = f"> **The last answer was not accepted:** {escaped(last_refusal, limit=300)}\n\n" if last_refusal else ""
    signed = "Ticks need an SSH signature: " if gate.signatures == "required" else "Or let a command do all of it: "
    head = (
        f"## {escaped(gate.service)} {escaped(gate.version)}: the checklist before {progress.before}, {progress.of()}\n\n{refusal}"
        "Tick what you have done; several items at once. The fields for your answer are at the end of this page.\n\n"
    )
    foot = (
        f"\nIt can be ticked until {escaped(moment_text(gate.expires_at))}. The code is what `shipway code CHALLENGE ITEM …` prints, with "
        "each item that you tick as `ITEM`, or `ITEM=EVIDENCE` with the very words of the field, and each that you skip as "
        "`--skip ITEM=REASON`; it counts for these ticks alone. "
        f"{signed}`shipway check-off {gate.run[:RUN_CHARACTERS]} ITEM --as NAME`.\n\n"
        f"Digest **{gate.digest[:12]}** (question {gate.question}), in full:\n\n`{gate.digest}`\n\n"
        f"Challenge: `{gate.asked().challenge('approve')}`\n"
    )
    facts = f"\n{len(progress.facts)} lines passed by facts: {escaped(', '.join(name for name, _ in progress.facts), limit=600)}.\n"
    rows, room = "", MAX_CHARACTERS - len(head) - len(foot) - len(facts) - len(_HEAD) - 80
    listed = _rows(progress)
    for number, row in enumerate(listed):
        if len(rows) + len(row) + 1 > room:
            rows += f"| … | and {len(listed) - number} more | | |\n"
            break
        rows += f"{row}\n"
    return f"{head}{_HEAD}\n{rows}{facts if progress.facts else ''}{foot}"


_HEAD = "| State | Item | What | Who |\n| --- | --- | --- | --- |"


def _rows(progress: Progress) -> list[str]:
    return [_row(item, progress.done.get(item.name)) for item in progress.items]


def _row(item: TickedItem, done: Ticked | None) -> str:
    hint = f"; at a rollback: {escaped(item.rollback, limit=200)}" if item.rollback else ""
    what = f"{escaped(item.text, limit=200)}{'' if item.required else ' (optional)'}{hint}"
    if done:
        words = f": {escaped(done.evidence, limit=300)}" if done.evidence else ""
        return f"| {done.did} | **{escaped(item.name)}** | {what} | {escaped(done.who)}, {escaped(moment_text(done.at))}{words} |"
    carries = f", with {WORDS[item.evidence]}" if item.evidence != "none" else ""
    skip = f"; may be skipped by {escaped(', '.join(item.skipped_by))}" if item.skipped_by else ""
    return f"| open | **{escaped(item.name)}** | {what} | {escaped(' or '.join(item.who))}{carries}{skip} |"
