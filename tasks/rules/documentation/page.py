"""The page that documents a deployment: what, why, who, when, how it was checked, and how it is rolled back, all from its record."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tasks.rules.approval.closing import last_progress
from tasks.rules.approval.ticks_form import PROGRESS
from tasks.rules.documentation.rollback import has_changed_anything, rollback_lines
from tasks.rules.documentation.template import filled
from tasks.rules.record.entries import Entry, moment, select
from tasks.rules.record.markdown import faults_of_chain, plain, table_of_checks, table_of_turns
from tasks.rules.record.view import Commit, Summary, checks_of, rows_of, summary_of

MOST_PICTURES = 20


def write_page(template: str, entries: list[Entry], *, run: str, problems: list[str], pictures: Sequence[str]) -> str:
    """Write the page.

    Args:
        template: Without faults.
        entries: The record in order.
        run: Its run's id.
        problems: What is wrong with the chain.
        pictures: What was watched, each as Markdown.

    Returns:
        Markdown in which nothing that the record quotes can act; the same for the same arguments.
    """
    seen = summary_of(entries)
    more = [f"{len(pictures) - MOST_PICTURES} more are on the record's page."] if len(pictures) > MOST_PICTURES else []
    inline = {
        "service": seen.service, "version": seen.version, "baseline": seen.baseline or "nothing", "outcome": seen.outcome_words,
        "reason": seen.reason, "requester": seen.requester, "approvers": ", ".join(seen.approvers) or "none", "opened": seen.opened_at,
        "closed": seen.closed_at or "not yet", "digest": seen.digest or "none", "run": run,
        "duration": f"{seen.total}, of which {seen.wait} were waiting",
    }  # fmt: skip
    blocks = {
        "problems": faults_of_chain(problems),
        "why": _listed([plain(reason) for reason in seen.why]),
        "people": _people(seen),
        "changes": _changes(seen),
        "checklist": _ticks(entries),
        "checks": table_of_checks([row for row in checks_of(entries) if row.entry.kind != "tick"]) or "Nothing was checked.",
        "pictures": "\n\n".join([*pictures[:MOST_PICTURES], *more]) or "Nothing was watched.",
        "rollback": _rollback(entries),
        "course": table_of_turns(rows_of(entries)),
    }
    return filled(template, {name: plain(text) or "not said" for name, text in inline.items()} | blocks)


def is_deployment(entries: list[Entry]) -> bool:
    """Say whether a run that ended deployed or rolled something back, so that its page belongs into the service's repository."""
    return has_changed_anything(entries)


def name_of(entries: list[Entry], run: str) -> str:
    """Name a run's page: day, what was done, version, and the beginning of the run's id, in letters that every file system takes."""
    seen = summary_of(entries)
    opened = next(iter(select(entries, kind="opened")), None)
    is_rollback = opened is not None and opened.evidence.get("flow") == "rollback"
    day = f"{moment(entries[0]):%Y-%m-%d}" if entries else "undated"
    words = [day, "rollback-to" if is_rollback else "", seen.version, run[:8]]
    plain_words = [re.sub(r"[^A-Za-z0-9._+]+|\.{2,}", "-", word).strip("-.")[:80] for word in words]
    return "-".join(word for word in plain_words if word)


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _people(seen: Summary) -> str:
    answers = seen.answers or seen.approvers
    rows = [("Asked for by", seen.requester), *(("Approval", answer) for answer in answers or ("none was asked for",))]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {plain(who)} |" for name, who in rows)])


def _changes(seen: Summary) -> str:
    parts = [_commits(seen.commits)] if seen.commits else []
    if seen.taken_back:
        parts.append(f"Taken away of what ran before:\n\n{_commits(seen.taken_back)}")
    return "\n\n".join(parts) or "No commits are known."


def _commits(commits: Sequence[Commit]) -> str:
    rows = [f"| {plain(one.hash)} | {plain(one.author)} | {plain(one.subject)} |" for one in commits]
    return "\n".join(["| Commit | Author | Subject |", "|---|---|---|", *rows])


def _ticks(entries: list[Entry]) -> str:
    """List what people ticked in the last round, as ticks of an earlier one were about another release; and what is open in the end."""
    newest = max((entry.round for entry in select(entries, kind="tick")), default=0)
    found = select(entries, kind="tick", round=newest)
    rows = [f"| {plain(one.name)} | {plain(one.what)} | {plain(one.why)} | {one.at} |" for one in found]
    progress: Any = last_progress(entries) or {}
    rows += [f"| {plain(str(one['item']))} | NOT TICKED: {plain(str(one['text']))} | | |" for one in progress.get("open", ())]
    return "\n".join(["| Item | Who did what | Evidence | When |", "|---|---|---|---|", *rows]) if rows else "Nothing was to be ticked."


def _rollback(entries: list[Entry]) -> str:
    """Say how to undo it, or what was undone; with the hints of the checklist's items that were ticked."""
    lines = rollback_lines(entries)
    contracts = [entry for entry in select(entries, kind="migration") if entry.evidence.get("compatibility") == "contract"]
    if names := dict.fromkeys(str(entry.evidence.get("migration", "")) for entry in contracts):
        lines.append(f"**It took something away that earlier versions need:** {plain(', '.join(names))}. Restore that first.")
    if hints := _hints(entries):
        lines.append(f"What was ticked says of a rollback:\n\n{_listed(hints)}")
    return "\n\n".join(lines)


def _hints(entries: list[Entry]) -> list[str]:
    done: dict[str, str] = {}
    for entry in entries:
        progress: Any = entry.evidence.get(PROGRESS)
        if entry.kind == "gate" and isinstance(progress, dict):
            done |= {str(one.get("item")): str(one.get("rollback") or "") for one in progress.get("done", ()) if isinstance(one, dict)}
    return [f"{plain(item)}: {plain(hint)}" for item, hint in done.items() if hint]
