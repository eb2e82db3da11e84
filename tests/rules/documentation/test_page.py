"""The page that documents a deployment."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest

from tasks.documentation.template import own_template
from tasks.rules.documentation.message import page_message
from tasks.rules.documentation.page import name_of, write_page
from tasks.rules.record.entries import Entry, Kind, chain
from tests.rules.record.test_markdown import HOSTILE, MARKDOWN, START

RUN = "0badcafe-1111-2222-3333-444455556666"
TAGS = {"h1", "h2", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "p", "strong", "pre", "code", "img"}


def record(text: str, *, outcome: str = "deployed", flow: str = "release") -> list[Entry]:
    """Make a record that quotes a text everywhere, with ticks, approvals, changes and a contract migration."""
    said: list[tuple[Kind, dict[str, Any]]] = [
        ("opened", {"evidence": {"flow": flow, "service": text, "version": text, "baseline": text, "plan": text}, "why": text}),
        ("change_log", {"evidence": {"commits": [{"hash": text, "author": text, "subject": text}], "taken_back": [{"subject": text}]}}),
        ("tests", {"why": text, "evidence": {"outcome": "passed"}}),
        ("tick", {"name": text, "why": text, "evidence": {"did": "done"}}),
        ("gate", {"evidence": {"progress": {"done": [{"item": text, "rollback": text}], "open": []}}}),
        ("approval", {"evidence": {"decision": "approved", "proof": {"comment": text}}}),
        ("migration", {"name": "begun", "evidence": {"compatibility": "contract", "migration": text}}),
        ("effect", {"name": "promote", "environment": "production"}),
        ("closed", {"why": text, "evidence": {"outcome": outcome}}),
    ]
    entries: list[Entry] = []
    for number, (kind, more) in enumerate(said):
        at = START + timedelta(minutes=number)
        entries.append(chain(entries[-1] if entries else None, at=at, kind=kind, who=text, what=text, **more))
    return entries


def page_of(entries: list[Entry], *, problems: list[str] | None = None, pictures: tuple[str, ...] = ()) -> str:
    """Write the page by our own template."""
    return write_page(own_template(), entries, run=RUN, problems=problems or [], pictures=pictures)


@pytest.mark.parametrize("text", [*HOSTILE, "{{ digest }}", "a\n```\n<b>", "'; rm -rf / #", "$\\href{javascript:alert(1)}{x}$"])
def test_quoted_text_cannot_act(text: str) -> None:
    """No quoted text becomes a link, a picture, a tag, a format, another cell or the end of the command."""
    written = page_of(record(text), problems=[text])
    page = MARKDOWN.render(written)
    outside_code = re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL)
    assert not set(re.findall(r"<(\w+)", page)) - TAGS
    assert {len(re.findall("<t[dh]>", row)) for row in page.split("<tr>")[1:]} <= {2, 3, 4, 5}
    assert not re.search(r"://|www\.|@\w", html.unescape(outside_code), re.IGNORECASE)
    assert page.count("<pre>") == page.count("</pre>") == 1
    assert not re.search(r"(?<!\\)\$", re.sub(r"```.*?```", "", written, flags=re.DOTALL))  # mathematics, where a forge knows it


def test_a_deployment_says_who_why_what_and_how_it_is_rolled_back() -> None:
    """All of it from the record alone."""
    entries = record("x")
    opened = chain(
        None, at=START, kind="opened", who="mira", what="x", why="faster search",
        evidence={"flow": "release", "service": "guestbook", "version": "1.2.0", "baseline": "1.1.0", "plan": "deploy/shipway.yaml"},
    )  # fmt: skip
    page = page_of([opened, *entries[1:]])
    assert page.startswith("# guestbook 1.1.0 → 1.2.0: deployed\n")
    assert "The reason given: faster search" in page
    assert "| Asked for by | mira |" in page
    assert 'shipway rollback deploy/shipway.yaml --environment production --bad 1.2.0 --reason "…"' in page
    assert "earlier versions need:** x" in page
    assert "What was ticked says of a rollback:\n\n- x: x" in page
    assert f"Made by Shipway from the record of run {RUN.replace('-', chr(92) + '-')}." in page


def test_a_broken_chain_is_said_on_top() -> None:
    """Who reads the page sees it before anything else."""
    page = page_of(record("x"), problems=["entry 2 was changed"])
    assert page.index("The chain of this record is broken") < page.index("## What and why")


def test_pictures_are_bounded() -> None:
    """A hundred targets make no page of hundreds of pictures."""
    page = page_of(record("x"), pictures=tuple(f"![{number}](p.svg)" for number in range(23)))
    assert page.count("](p.svg)") == 20
    assert "3 more are on the record's page." in page


@pytest.mark.parametrize("text", [*HOSTILE, "../../etc/passwd", "1.2.0"])
def test_its_name_is_plain_whatever_the_record_says(text: str) -> None:
    """A name stays in its folder, and is the same each time."""
    name = name_of(record(text), RUN)
    assert re.fullmatch(r"2026-11-23(-[A-Za-z0-9._+-]+)?-0badcafe", name)
    assert "/" not in name
    assert ".." not in name


def test_a_rollback_is_named_so() -> None:
    """Beside the release's page on the same day."""
    assert name_of(record("1.1.0", flow="rollback"), RUN) == "2026-11-23-rollback-to-1.1.0-0badcafe"


def test_an_empty_record_has_a_page() -> None:
    """Nothing recorded is not a crash."""
    assert "under way" in page_of([], problems=["the record is empty"])


def test_a_commit_cannot_be_given_more_trailers() -> None:
    """Subject and run are one line each."""
    written = page_message("Document x\n\nShipway-Change: y", "r\nz")
    assert written.splitlines() == [
        "Document x Shipway-Change: y",
        "",
        "Shipway-Documents: r z",
    ]
