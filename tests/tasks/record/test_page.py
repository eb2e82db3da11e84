"""The record's page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from tasks.record.page import render_page
from tasks.rules.evidence.change_log import MAX_COMMITS
from tasks.rules.record.entries import Entry, chain

START = datetime(2026, 11, 23, 2, 14, 5, tzinfo=UTC)
HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)> {{ 7*7 }} & https://evil.example/"


class Tags(HTMLParser):
    """Collects the tags of a page and their attributes."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.seen.append((tag, dict(attrs)))


def samples(text: str) -> dict[str, Any]:
    """Make the evidence of a watched step that quotes a text wherever it can."""
    verdict = {
        "sli": text,
        "outcome": "failed",
        "reason": text,
        "canary_bad": 3,
        "canary_total": 30,
        "baseline_bad": 0,
        "baseline_total": 300,
    }
    return {
        "started_at": 0,
        "slis": [{"name": text, "indicator": "errors", "limit": 0.05, "tolerance": 0.01}],
        "points": [{"at": second, "verdicts": [verdict]} for second in (1, 2)],
        "versions": {"canary": text, "baseline": text}, "outcome": "failed",
    }  # fmt: skip


def release(text: str) -> list[Entry]:
    """Make a record that quotes a text in every field that people fill."""
    entries: list[Entry] = []
    evidence = {"service": text, "version": text, "baseline": text, "reason": text, "subject": text, "outcome": text, text: text}
    for seconds, kind in enumerate(["opened", "change_log", "approval", "samples", "verdict", "closed"]):
        told = samples(text) if kind == "samples" else {**evidence, "decision": "approved"} if kind == "approval" else evidence
        at = START + timedelta(seconds=61 * seconds)
        last = entries[-1] if entries else None
        entries.append(chain(last, at=at, name=f"{text[:40]}/{kind}", kind=kind, who=text, what=text, why=text, evidence=told))  # type: ignore[arg-type]
    return entries


def tags_of(page: str) -> list[tuple[str, dict[str, str | None]]]:
    """Read a page's tags."""
    parser = Tags()
    parser.feed(page)
    return parser.seen


def test_hostile_text_stays_text() -> None:
    """Nothing that a record quotes becomes a tag, an attribute or a template's expression."""
    page = render_page(release(HOSTILE), problems=[HOSTILE])
    tags = tags_of(page)
    assert not {"script", "img", "iframe", "a", "form", "link"} & {tag for tag, _ in tags}
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    assert "{{ 7*7 }}" in page


def test_the_page_loads_nothing() -> None:
    """No attribute and no style names anything outside the page."""
    page = render_page(release("x"), problems=[])
    assert not [attributes for _, attributes in tags_of(page) if {"src", "href", "data", "action", "xlink:href"} & set(attributes)]
    assert "://" not in page
    assert not re.search(r"@import|url\((?!#)", page)
    assert "default-src 'none'" in page


def test_the_page_says_outcome_people_and_times() -> None:
    """The header answers who, what and how it ended."""
    opened = chain(
        None,
        at=START,
        kind="opened",
        who="mira",
        what="x",
        evidence={"service": "guestbook", "version": "1.2.0", "baseline": "1.1.0"},
    )
    asked = chain(opened, at=START + timedelta(seconds=10), kind="gate", who="shipway", what="Waits.", evidence={"suspends_until": "later"})
    agreed = chain(asked, at=START + timedelta(minutes=30), kind="approval", who="ada", what="Yes.", evidence={"decision": "approved"})
    closed = chain(agreed, at=START + timedelta(minutes=31), kind="closed", who="shipway", what="Done.", evidence={"outcome": "deployed"})
    page = render_page([opened, asked, agreed, closed], problems=[])
    for expected in (
        "guestbook 1.1.0 → 1.2.0",
        "deployed",
        "<dd>mira</dd>",
        "<dd>ada</dd>",
        "31 min: 10 s of work, 30 min 50 s of waiting",
        "intact",
    ):
        assert expected in page
    assert "there is nothing to draw" in page


def test_a_broken_chain_is_the_first_thing_on_the_page() -> None:
    """A reader cannot miss that the record was changed."""
    page = render_page(release("x"), problems=["entry 2 was changed"])
    assert page.index("entry 2 was changed") < page.index("<h1>")
    assert "is intact" not in page


@pytest.mark.parametrize("entries", [[], release("x")[:1]])
def test_a_record_that_has_hardly_begun_has_a_page(entries: list[Entry]) -> None:
    """Empty and one-line records are pages too, and say that the release is under way."""
    assert "under way" in render_page(entries, problems=[])


def test_long_evidence_is_cut_with_a_note() -> None:
    """The page stays readable; the whole is in the record."""
    entry = chain(None, at=START, kind="logs", who="x", what="x", evidence={"lines": ["x" * 100] * 1_000})
    page = render_page([entry], problems=[])
    assert len(page) < 60_000
    assert "cut here" in page


def test_a_reader_needs_no_json_for_changes_comments_and_the_run() -> None:
    """What people ask first stands in the page itself, once."""
    run = "http://127.0.0.1:4200/v2/runs/flow-run/eadb92db-f906-48c8-aecf-5eef04bf1c06"
    commits = [{"hash": "68e0b31b6159608f1d3266da499e3d5c5c03da6d", "author": "Grete", "subject": "Show the city", "at": 1}]
    opened = chain(None, at=START, kind="opened", who="mira", what="x", evidence={"version": "1.2", "run": run})
    review = chain(opened, at=START, kind="review", who="shipway", what="x", evidence={"service": "guestbook", "digest": "ab" * 32})
    log = chain(review, at=START, kind="change_log", who="shipway", what="1 change", evidence={"commits": commits})
    proof = {"decision": "approved", "proof": {"comment": "looked at it twice"}}
    agreed = chain(log, at=START, kind="approval", name="answer 1", who="ada", what="Yes.", evidence=proof)
    verdict = chain(agreed, at=START, kind="verdict", who="shipway", what="x", why="errors: 10 of 36", evidence={"outcome": "failed"})
    closed = chain(
        verdict, at=START, kind="closed", who="shipway", what="x", why="at 25 %: errors: 10 of 36", evidence={"outcome": "rolled_back"}
    )
    page = render_page([opened, review, log, agreed, verdict, closed], problems=[])
    head = page[: page.index("<h2>Timeline")]
    for part in ("68e0b31b61", "Show the city", "Grete", "ada approved: looked at it twice", f'href="{run}"'):
        assert part in head
    assert head.count("errors: 10 of 36") == 1, "the reason stands once"
    assert head.count("ab" * 32) == 1, "the digest stands once"


def test_the_page_lists_every_change_that_a_change_log_has() -> None:
    """The form, which has room for some, sends people here."""
    commits = [{"hash": f"{number:040x}", "author": "Grete", "subject": f"Change {number}.", "at": 1} for number in range(MAX_COMMITS)]
    log = chain(None, at=START, kind="change_log", who="shipway", what="500 changes", evidence={"commits": commits})
    page = render_page([log], problems=[])
    assert all(f"<td>Change {number}.</td>" in page for number in range(MAX_COMMITS))


def test_the_page_lists_what_a_downgrade_takes_away() -> None:
    """Under a title of its own, as text."""
    gone = [{"hash": "a" * 40, "author": "Grete", "subject": "Show <b>the city</b>", "at": 1}]
    log = chain(None, at=START, kind="change_log", who="shipway", what="0 changes", evidence={"commits": [], "taken_back": gone})
    page = render_page([log], problems=[])
    head = page[page.index("<h2>Changes that it takes away</h2>") : page.index("<h2>Timeline")]
    assert "Show &lt;b&gt;the city&lt;/b&gt;" in head
    assert "<h2>Changes</h2>" not in page


@pytest.mark.parametrize("run", ["javascript:alert(1)", "https://evil.example/", 'https://x/flow-run/"onclick="'])
def test_only_the_page_of_a_run_is_linked(run: str) -> None:
    """A record that was not written by this product links nothing."""
    page = render_page([chain(None, at=START, kind="opened", who="mira", what="x", evidence={"run": run})], problems=[])
    assert "a" not in {tag for tag, _ in tags_of(page)}


def test_a_rollback_on_demand_has_its_service_and_versions_as_its_title() -> None:
    """The version that was asked for may be empty: then it is the one that was chosen."""
    opened = chain(None, at=START, kind="opened", who="rita", what="x", evidence={"flow": "rollback", "version": ""})
    evidence = {"service": "guestbook", "position": {"baseline": "1.2.0", "canary": None}, "choice": {"version": "1.1.0"}}
    choice = chain(opened, at=START, kind="rollback", name="choice", environment="production", who="shipway", what="x", evidence=evidence)
    assert "<h1>guestbook 1.2.0 → 1.1.0</h1>" in render_page([opened, choice], problems=[])
