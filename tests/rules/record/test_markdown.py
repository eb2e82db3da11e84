"""The record as markdown."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tasks.rules.record.entries import Entry, chain
from tasks.rules.record.markdown import plain, to_markdown

START = datetime(2026, 11, 23, 2, 14, 5, tzinfo=UTC)
HOSTILE = [
    "<script>alert(1)</script>", "[click](javascript:alert(1))", "![x](https://evil.example/x.png)", "a | b | c", "one\ntwo\n# three",
    "`code` **bold** ~~gone~~", "https://evil.example/", "www.evil.example", "&lt;b&gt;", "\\", "\\|", "[x]: https://evil.example",
    "_www.evil.example", "WWW.evil.example", "ada@evil.example", "mailto:ada@evil.example", "http&#58;//evil.example",
]  # fmt: skip
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


def release(text: str) -> list[Entry]:
    """Make a record that quotes a text everywhere."""
    opened = chain(None, at=START, kind="opened", who=text, what=text, why=text, evidence={"service": text, "version": text})
    check = chain(opened, at=START + timedelta(seconds=65), kind="tests", who=text, what=text, why=text)
    return [
        opened,
        check,
        chain(check, at=START, kind="closed", who=text, what=text, evidence={"outcome": "rolled_back"}),
    ]


@given(st.text("{%} a\\-", min_size=1) | st.text(min_size=1))
def test_no_text_makes_a_tag_of_liquid(text: str) -> None:
    """Jekyll stops at one that it does not know, or includes a file; also with what stands around the text."""
    page = plain(text)
    assert not page or not any(re.search(r"\{[{%]", f"{{{page}{end}") for end in "{%")


@pytest.mark.parametrize("text", HOSTILE)
def test_quoted_text_cannot_act(text: str) -> None:
    """No quoted text becomes a link, a picture, a tag, a format or another cell."""
    page = MARKDOWN.render(to_markdown(release(text), problems=[text]))
    assert not set(re.findall(r"<(\w+)", page)) - {"h1", "h2", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "p", "strong"}
    assert {len(re.findall("<t[dh]>", row)) for row in page.split("<tr>")[1:]} <= {2, 4, 5}
    assert not re.search(r"://|www\.|@\w", html.unescape(page), re.IGNORECASE)


@given(st.text(max_size=60))
def test_a_quoted_text_is_one_line(text: str) -> None:
    """Tables cannot be broken by a line end."""
    assert len(plain(text).splitlines()) <= 1


def test_the_summary_comes_first() -> None:
    """The first line says what, from where to where, and how it ended."""
    entries = release("x")
    opened = chain(
        None,
        at=START,
        kind="opened",
        who="mira",
        what="x",
        evidence={"service": "guestbook", "version": "1.2.0", "baseline": "1.1.0"},
    )
    text = to_markdown([opened, *entries[1:]], problems=[])
    assert text.startswith("# guestbook 1.1.0 → 1.2.0: rolled back\n")
    assert text.index("Asked for by | mira") < text.index("## Checks") < text.index("## Timeline")


def test_a_broken_chain_is_said() -> None:
    """A reader of the artifact cannot miss it."""
    assert "The chain of this record is broken" in to_markdown(release("x"), problems=["entry 2 was changed"])


def test_an_empty_record_can_be_written() -> None:
    """Nothing recorded is not a crash."""
    assert "under way" in to_markdown([], problems=["the record is empty"])
