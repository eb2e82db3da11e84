"""What readers of a record see first: who, what, how it ended, how long it took, and one line an entry."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.rules.record.axis import duration
from tasks.rules.record.entries import Entry, Kind, Outcome, durations, moment, outcome_of

WORDS: dict[Outcome, str] = {
    "deployed": "deployed", "rolled_back": "rolled back", "refused": "refused", "failed": "failed",
    "cancelled": "cancelled", "open": "under way", "partly_deployed": "partly deployed",
}  # fmt: skip
CHECKS = ("review", "tests", "dependencies", "change_log", "checklist", "health", "smoke", "data", "logs", "metrics", "migration")

POST_DEPLOY = "post_deploy"
PHASES: dict[Kind, str] = {
    "review": "pre-deploy", "tests": "pre-deploy", "dependencies": "pre-deploy", "change_log": "pre-deploy", "checklist": "pre-deploy",
    "gate": "approval", "approval": "approval", "refused": "approval", "rollback": "rollback", "data": "post-deploy",
}  # fmt: skip
DOCS = re.compile(r"data/[a-z0-9-]+\.html")


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
class Summary:
    """The head of a record; texts are empty where the record does not say."""

    service: str
    version: str
    baseline: str
    reason: str
    requester: str
    approvers: tuple[str, ...]
    outcome: Outcome
    outcome_words: str
    opened_at: str
    closed_at: str
    total: str
    work: str
    wait: str
    why: tuple[str, ...]


def summary_of(entries: list[Entry]) -> Summary:
    """Gather the head of a record.

    Args:
        entries: The record in order. The evidence of `opened` or `review` names `service`, `version` and `baseline`; that of
            `approval` names `decision`; that of `closed` names `outcome`. The reason is what `opened` says.
    """
    opened = next((entry for entry in entries if entry.kind == "opened"), None)
    closed = [entry for entry in entries if entry.kind == "closed"]
    review = next((entry for entry in entries if entry.kind == "review"), None)
    said = {**(review.evidence if review else {}), **(opened.evidence if opened else {})}
    times = durations(entries)
    outcome = outcome_of(entries)
    return Summary(
        service=_said(said, "service"), version=_said(said, "version"), baseline=_said(said, "baseline"),
        reason=_said(said, "reason") or (opened.why if opened else ""),
        requester=opened.who if opened else "", approvers=_approvers(entries), outcome=outcome, outcome_words=WORDS[outcome],
        opened_at=entries[0].at if entries else "", closed_at=closed[-1].at if closed else "", total=duration(times["total_seconds"]),
        work=duration(times["work_seconds"]), wait=duration(times["wait_seconds"]), why=_reasons(entries),
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


def _approvers(entries: list[Entry]) -> tuple[str, ...]:
    said = (entry.who for entry in entries if entry.kind == "approval" and entry.evidence.get("decision") in {"approve", "approved"})
    return tuple(dict.fromkeys(said))


def _reasons(entries: list[Entry]) -> tuple[str, ...]:
    """Choose the reasons that explain the outcome: the closing one, else the last failure; and every failed verdict."""
    failed = [entry.why for entry in entries if entry.kind == "verdict" and result_of(entry) in {"failed", "error", "no data"}]
    last = [entry.why or entry.what for entry in entries if entry.kind in {"refused", "rollback", "closed"}][-1:]
    return tuple(dict.fromkeys(reason for reason in [*failed, *last] if reason))


def _said(evidence: dict[str, object], name: str) -> str:
    value = evidence.get(name)
    return str(value) if value is not None else ""
