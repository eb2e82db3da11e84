"""Approval form: the text above it, with changes, evidence and the question, as markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from blocks.outside_text import unlinked
from blocks.secret_text import hide
from tasks.rules.approval.answers import printable
from tasks.rules.approval.gates import Gate, GateState, moment_text

MAX_CHARACTERS = 12_000
MAX_PICTURE_CHARACTERS = 200_000
MAX_CELL_CHARACTERS = 160
MAX_WORDS_CHARACTERS = 300  # of the reason and of the description
MAX_ASKS_CHARACTERS = 600
MAX_NOTE_CHARACTERS, MAX_NOTES_CHARACTERS = 400, 1_500  # of one, and of all
MAX_PRINTED_CHARACTERS = 1_500
MAX_NAME_CHARACTERS = 48
MAX_ROWS = 11  # staging and ten targets
MAX_NAMES = 12
RUN_CHARACTERS = 8  # as commands show an id
MAX_POWER_ROWS, MAX_POWER_CHARACTERS = 8, 28
PICTURE = re.compile(r"data:image/(svg\+xml|png);base64,[A-Za-z0-9+/]+={0,2}")
SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~&:/@^=$\"])")


class Change(NamedTuple):
    """One environment's step from the version that runs there (None: nothing) to another."""

    environment: str
    running: str | None
    wanted: str


class Evidence(NamedTuple):
    """One check: its name, its verdict, its reason with numbers."""

    name: str
    verdict: str
    reason: str


class Note(NamedTuple):
    """What a person must not overlook: a title, and a text that may be of others."""

    title: str
    text: str


def approval_form(
    gate: Gate,
    state: GateState,
    *,
    changes: Sequence[Change],
    course: str,
    change_log: Sequence[str],
    evidence: Sequence[Evidence],
    reason: str = "",
    description: str = "",
    preview: Sequence[str] = (),
    last_refusal: str = "",
    picture: str = "",
    power: Sequence[Sequence[str]] = (),
    asks: str = "",
    question: str = "may it go to production?",
    notes: Sequence[Note] = (),
    differences: Sequence[str] = (),
    taken_back: Sequence[str] = (),
    credentials: Sequence[str] = (),
    printed: Sequence[str] = (),
    expected: str = "",
) -> str:
    """Write the description of the approval form, at most 12,000 characters besides the picture.

    Text that does not fit is cut from the end of the change log, then of what is taken away, of the preview, of the evidence, and counted,
    with the command that shows all of it.

    Args:
        gate: The question.
        state: Where it stands.
        changes: What would change, by environment.
        course: The planned steps in one line, `5 % → 25 % → 100 %, 300 s each`.
        change_log: One line a commit, newest first; untrusted text.
        evidence: What was checked so far.
        reason: Why the release was requested, in the requester's words.
        description: What the plan says about the service.
        preview: What the platforms would change, and what others changed, a line each.
        last_refusal: Why the last answer was not accepted; empty when there is none.
        power: What the steps can decide: the headings of a table, and its rows.
        asks: What is asked and what each answer means, if it is not whether to go on.
        picture: A base64 data URI (SVG or PNG), or nothing; a longer one than 200,000 characters is left out.
        question: What is asked, after the service and its version.
        notes: What stands first: why it is asked, and warnings.
        differences: What changed since people were asked before, a line each.
        taken_back: One line for each change that runs now and would not any more, newest first; untrusted text.
        credentials: Where each credential goes that the plan names, a line each.
        printed: What a script printed last that is asked about; the end of it is shown.
        expected: How long the release will go on if it is approved.

    Returns:
        Markdown in which no text of others can make links, pictures, tables or HTML.
    """
    head = _head(gate, state, last_refusal, question=question, notes=notes, reason=reason, description=description)
    head += f"**{escaped(asks, limit=MAX_ASKS_CHARACTERS)}**\n\n" if asks else ""
    table, foot = _changes(changes, course, expected), _foot(gate)
    head += _printed(printed, room=(MAX_CHARACTERS - len(head) - len(table) - len(foot)) // 3) + table
    all_of_it = f"`shipway report {gate.run[:RUN_CHARACTERS]}`"
    table = _power(power, room=(MAX_CHARACTERS - len(head) - len(foot)) // 4)
    head += table
    room, more = MAX_CHARACTERS - len(head) - len(foot), "- … and {count} more; all: " + all_of_it
    head += _list(differences, title="What changed since it was asked before", room=room // 3, more=more)
    head += _list(credentials, title="Credentials, and where their values go", room=room // 4, more=more)
    room = MAX_CHARACTERS - len(head) - len(foot)
    checks = _table(evidence, room=room * 2 // 3, more="| … | | and {count} more checks; all: " + all_of_it + " |")
    lists = _lists(preview, taken_back, change_log, room=room - len(checks), all_of_it=all_of_it)
    shown = f"\n![evidence]({picture})\n" if len(picture) <= MAX_PICTURE_CHARACTERS and PICTURE.fullmatch(picture) else ""
    return head + checks + shown + lists + foot


def escaped(text: str, *, limit: int = MAX_CELL_CHARACTERS) -> str:
    """Escape untrusted text for markdown: one line, bounded, every special character escaped, no address a link, no secret."""
    line = unlinked(printable(hide(text)))
    return SPECIAL.sub(r"\\\1", line if len(line) <= limit else line[: limit - 1] + "…")


def _head(gate: Gate, state: GateState, last_refusal: str, *, question: str, notes: Sequence[Note], reason: str, description: str) -> str:
    refusal = f"> **The last answer was not accepted:** {escaped(last_refusal, limit=300)}\n\n" if last_refusal else ""
    about = f"About {_name(gate.service)}: {escaped(description, limit=MAX_WORDS_CHARACTERS)}\n\n" if description.strip() else ""
    return (
        f"## {_name(gate.service)} {_name(gate.version)}: {escaped(question)}\n\n"
        "*The fields for your answer are at the end of this page.*\n\n"
        f"{refusal}{_notes(notes)}"
        f"Requested by **{_name(gate.requester) or 'an unnamed requester'}**: "
        f"{escaped(reason, limit=MAX_WORDS_CHARACTERS) or 'no reason given'}\n\n{about}"
        f"{escaped(state.reason, limit=200)}.\n\n"
    )


def _printed(lines: Sequence[str], *, room: int) -> str:
    """Write the last lines that a script printed, as many as there is room for, each cut where it is too long."""
    shown: list[str] = []
    for line in reversed(lines):
        shown.insert(0, f"- {escaped(line)}")
        if sum(map(len, shown)) > min(room, MAX_PRINTED_CHARACTERS):
            shown.pop(0)
            break
    return "\n".join(["### What it printed last", "", *shown, "", ""]) if shown else ""


def _notes(notes: Sequence[Note]) -> str:
    """Write each note as a quotation, as many as there is room for."""
    lines = [f"> **{escaped(note.title)}:** {escaped(note.text, limit=MAX_NOTE_CHARACTERS)}\n" for note in notes]
    return _fitting(lines, room=MAX_NOTES_CHARACTERS, more="> and {count} more, in the record\n")


def _changes(changes: Sequence[Change], course: str, expected: str) -> str:
    shown = changes[:MAX_ROWS]
    rows = [f"| {_name(change.environment)} | {_name(change.running or 'nothing')} | {_name(change.wanted)} |" for change in shown]
    said = f"{escaped(f'How long: {expected}', limit=400)}.\n\n" if expected else ""
    return "\n".join(["| Environment | Runs | Would run |", "| --- | --- | --- |", *rows]) + f"\n\n{escaped(course, limit=400)}\n\n{said}"


def _power(power: Sequence[Sequence[str]], *, room: int) -> str:
    """Write the table of what the steps can decide, at most eight rows of it, or nothing where there is no room."""
    if not power:
        return ""
    head, *lines = (f"| {' | '.join(escaped(cell, limit=MAX_POWER_CHARACTERS) for cell in row)} |" for row in power[: MAX_POWER_ROWS + 1])
    left = len(power) - 1 - len(lines)
    more = f"\nand {left} more, in the record\n" if left else ""
    text = "\n".join([head, "| --- " * len(power[0]) + "|", *lines]) + f"\n{more}\n"
    return text if len(text) <= room else ""


def _foot(gate: Gate) -> str:
    names = ", ".join(map(_name, gate.approvers[:MAX_NAMES]))
    others = f" and {len(gate.approvers) - MAX_NAMES} more" if len(gate.approvers) > MAX_NAMES else ""
    asked = gate.asked()
    needed = "An approval needs an SSH signature: `shipway approve`." if gate.signatures == "required" else "Or sign: `shipway approve`."
    proof = f"The code is what `shipway code CHALLENGE` prints; it answers this question and one decision only. {needed}"
    return (
        f"\n### What you answer\n\n"
        f"{gate.quorum} of: {names or '(no approver)'}{others}, until {escaped(moment_text(gate.expires_at))}. "
        f"{_own(gate)} {proof}\n\n"
        f"Digest **{gate.digest[:12]}** (question {gate.question}), in full:\n\n`{gate.digest}`\n\n"
        "| Decision | Challenge |\n| --- | --- |\n" + "".join(f"| {one} | `{asked.challenge(one)}` |\n" for one in gate.decisions)
    )


def _own(gate: Gate) -> str:
    if not gate.requester_confirms:
        return "The requester cannot approve."
    return f"{_name(gate.requester)} must confirm the request, too, by the same answer; that is not an approval."


def _name(text: str) -> str:
    return escaped(text, limit=MAX_NAME_CHARACTERS)


def _table(evidence: Sequence[Evidence], *, room: int, more: str) -> str:
    if not evidence:
        return "### Evidence\n\nNone yet.\n"
    head = "### Evidence\n\n| Check | Verdict | Reason |\n| --- | --- | --- |\n"
    rows = [f"| {escaped(one.name)} | {escaped(one.verdict)} | {escaped(one.reason, limit=300)} |" for one in evidence]
    return head + _fitting(rows, room=room - len(head), more=more)


def _list(lines: Sequence[str], *, title: str, room: int, more: str) -> str:
    if not lines:
        return ""
    head = f"\n### {title}\n\n"
    return head + _fitting([f"- {escaped(line)}" for line in lines], room=room - len(head), more=more)


def _lists(preview: Sequence[str], taken_back: Sequence[str], change_log: Sequence[str], *, room: int, all_of_it: str) -> str:
    """Write what would change, as far as there is room: on the platforms, then what is taken away, then what comes."""
    more = "- … and {count} more; all: " + all_of_it
    text = _list(preview, title="What the platforms would do", room=room // 2, more=more)
    text += _list(taken_back, title="Changes that it takes away", room=(room - len(text)) // 2, more=more)
    older = "- … and {count} older changes, not shown here; all: " + all_of_it
    return text + _list(change_log or ["none listed"], title="Changes", room=room - len(text), more=older)


def _fitting(lines: Sequence[str], *, room: int, more: str) -> str:
    spare = len(more) + 8
    kept: list[str] = []
    for line in lines:
        if sum(len(one) + 1 for one in kept) + len(line) + 1 > room - spare:
            break
        kept.append(line)
    left = len(lines) - len(kept)
    return "".join(f"{line}\n" for line in [*kept, *([more.replace("{count}", str(left))] if left else [])])
