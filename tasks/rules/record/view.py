"""What readers of a record see first: who, what, how it ended, how long it took, and one line an entry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.rules.record.axis import duration
from tasks.rules.record.durations import durations
from tasks.rules.record.entries import Entry, Kind, ReleaseOutcome, moment, outcome_of

WORDS: dict[ReleaseOutcome, str] = {
    "deployed": "deployed", "rolled_back": "rolled back", "refused": "refused", "failed": "failed",
    "cancelled": "cancelled", "open": "under way", "partly_deployed": "partly deployed",
    "skipped": "skipped", "rehearsed": "rehearsed",
}  # fmt: skip
CHECKS = ("review", "tests", "dependencies", "change_log", "checklist", "tick", "health", "smoke", "data", "logs", "metrics", "migration")

POST_DEPLOY = "post_deploy"
PHASES: dict[Kind, str] = {
    "review": "pre-deploy", "tests": "pre-deploy", "dependencies": "pre-deploy", "change_log": "pre-deploy", "checklist": "pre-deploy",
    "tick": "checklist", "gate": "approval", "approval": "approval", "refused": "approval", "rollback": "rollback", "data": "post-deploy",
}  # fmt: skip
DOCS = re.compile(r"data/[a-z0-9-]+\.html")
RUN_PAGE = re.compile(r"https?://[0-9A-Za-z.:/\[\]_-]+/flow-run/[0-9a-f-]{36}")
MOST_CHANGES = 500  # as many as a change log has


@dataclass(frozen=True)
class Row:
    """One entry as a line; `after` is the time since the record was opened."""

    entry: Entry
    after: str
    phase: str
    result: str

    @property
    def docs(self) -> str:
        """The name of the page beside the record that shows this entry's evidence (`data/NAME.html`), or "" if there is none."""
        said = self.entry.evidence.get("docs")
        return said.removeprefix("data/") if self.entry.kind == "data" and isinstance(said, str) and DOCS.fullmatch(said) else ""


@dataclass(frozen=True)
class Commit:
    """One commit that the version brings or takes away, for people: its short hash, who made it, and its subject."""

    hash: str
    author: str
    subject: str


@dataclass(frozen=True)
class Summary:
    """The head of a record; texts are empty where the record does not say.

    Fields:
        digest: What was approved.
        run: The run's page in the Prefect UI.
        answers: What people answered at the gates, with their comments.
        commits: What the version changes, the newest first; at most 500.
        taken_back: What it takes away of the version that ran, likewise.
    """

    service: str
    version: str
    baseline: str
    reason: str
    requester: str
    approvers: tuple[str, ...]
    outcome: ReleaseOutcome
    outcome_words: str
    opened_at: str
    closed_at: str
    total: str
    work: str
    wait: str
    why: tuple[str, ...]
    digest: str
    run: str
    answers: tuple[str, ...]
    commits: tuple[Commit, ...]
    taken_back: tuple[Commit, ...]


def summary_of(entries: list[Entry]) -> Summary:
    """Gather the head of a record.

    Args:
        entries: The record in order. The evidence of `opened` or `review` names `service`, `version` and `baseline`; that of
            `approval` names `decision`; that of `closed` names `outcome`. The reason is what `opened` says.
    """
    opened = next((entry for entry in entries if entry.kind == "opened"), None)
    closed = [entry for entry in entries if entry.kind == "closed"]
    review = next((entry for entry in entries if entry.kind == "review"), None)
    said = {**_rolled_back(entries), **(review.evidence if review else {}), **_given(opened)}
    times = durations(entries)
    outcome = outcome_of(entries)
    return Summary(
        service=_said(said, "service"), version=_said(said, "version"), baseline=_said(said, "baseline"),
        reason=_said(said, "reason") or (opened.why if opened else ""),
        requester=opened.who if opened else "", approvers=_approvers(entries), outcome=outcome, outcome_words=WORDS[outcome],
        opened_at=entries[0].at if entries else "", closed_at=closed[-1].at if closed else "", total=duration(times.total_seconds),
        work=duration(times.work_seconds), wait=duration(times.wait_seconds), why=_reasons(entries),
        digest=_said(said, "digest"), run=said["run"] if RUN_PAGE.fullmatch(_said(said, "run")) else "", answers=_answers(entries),
        commits=_commits(entries, "commits"), taken_back=_commits(entries, "taken_back"),
    )  # fmt: skip


def rows_of(entries: list[Entry]) -> list[Row]:
    """Give each entry its time since the opening, its phase and its result."""
    return [
        Row(
            entry,
            "+" + duration((moment(entry) - moment(entries[0])).total_seconds()),
            phase_of(entry),
            result_of(entry),
        )
        for entry in entries
    ]


def phase_of(entry: Entry) -> str:
    """Name the phase of a release that an entry belongs to, for people."""
    if entry.name == POST_DEPLOY:
        return f"post-deploy {entry.environment}".strip()
    return entry.environment or PHASES.get(entry.kind, "release")


def checks_of(entries: list[Entry]) -> list[Row]:
    """Choose the entries that checked something."""
    return [row for row in rows_of(entries) if row.entry.kind in CHECKS]


def result_of(entry: Entry) -> str:
    """Read how an entry ended from its evidence: `outcome`, `decision` or `passed`; empty if it says none of them."""
    for name in ("outcome", "decision"):
        said = entry.evidence.get(name)
        if isinstance(said, str):
            return said.replace("_", " ")
    passed = entry.evidence.get("passed")
    return {True: "passed", False: "failed"}.get(passed, "") if isinstance(passed, bool) else ""


def _given(opened: Entry | None) -> dict[str, Any]:
    """Give what the opening entry says; a parameter that was left empty says nothing."""
    return {name: value for name, value in opened.evidence.items() if value not in (None, "")} if opened else {}


def _rolled_back(entries: list[Entry]) -> dict[str, Any]:
    """Give what a rollback on demand was about: its service, and the versions that it went from and to."""
    choice = next((entry.evidence for entry in entries if entry.kind == "rollback" and entry.name == "choice"), None)
    if choice is None or not isinstance(choice.get("position"), dict) or not isinstance(choice.get("choice"), dict):
        return {}
    position = choice["position"]
    return {
        "service": choice.get("service"), "baseline": position.get("canary") or position.get("baseline"),
        "version": choice["choice"].get("version") or "nothing",
    }  # fmt: skip


def _answers(entries: list[Entry]) -> tuple[str, ...]:
    """Write what people answered: who, what, and in which words."""
    found = []
    for entry in entries:
        proof = entry.evidence.get("proof")
        if entry.kind == "approval" and isinstance(proof, dict):
            words = f": {proof['comment']}" if proof.get("comment") else ""
            found.append(f"{entry.who} {result_of(entry) or 'answered'}{words}")
    return tuple(dict.fromkeys(found))


def _commits(entries: list[Entry], which: str) -> tuple[Commit, ...]:
    """List the commits that the newest change log names."""
    logs = [entry.evidence.get(which) for entry in entries if entry.kind == "change_log"]
    found = logs[-1] if logs and isinstance(logs[-1], list) else []
    rows = [[_said(one, name) for name in ("hash", "author", "subject")] for one in found[:MOST_CHANGES] if isinstance(one, dict)]
    return tuple(Commit(digest[:10], author, subject) for digest, author, subject in rows)


def _approvers(entries: list[Entry]) -> tuple[str, ...]:
    said = (entry.who for entry in entries if entry.kind == "approval" and entry.evidence.get("decision") in {"approve", "approved"})
    return tuple(dict.fromkeys(said))


def _reasons(entries: list[Entry]) -> tuple[str, ...]:
    """Choose the reasons that explain the outcome: the closing one, else the last failure; and every failed verdict."""
    failed = [entry.why for entry in entries if entry.kind == "verdict" and result_of(entry) in {"failed", "error", "no data"}]
    last = [entry.why or entry.what for entry in entries if entry.kind in {"refused", "rollback", "closed"}][-1:]
    return tuple(dict.fromkeys(reason for reason in [*(one for one in failed if not last or one not in last[0]), *last] if reason))


def _said(evidence: Mapping[str, object], name: str) -> str:
    value = evidence.get(name)
    return str(value) if value is not None else ""
