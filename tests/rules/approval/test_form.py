"""The approval form: complete, bounded, and safe against other people's text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tasks.rules.approval.form import MAX_CHARACTERS, Change, Evidence, Note, approval_form, escaped
from tasks.rules.approval.gates import Gate, gate_state

NOW = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
GATE = Gate(
    run="run-1",
    name="production",
    digest="ab" * 32,
    service="guestbook",
    version="1.1",
    nonce="0f" * 16,
    requester="rita",
    opened_at=NOW,
    expires_at=NOW + timedelta(hours=4),
    approvers=("anna", "ben"),
)
NASTY = "fix | `rm` <img src=x onerror=alert(1)> [here](https://evil.example) www.evil.example ![x](//y) &lt; **b** \\\n# head"
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")
LINKED = re.compile(r"(https?://|www\.)[-.\w]|[-.\w+]@[-\w]+\.[-\w]", re.IGNORECASE)  # as remark-gfm of the UI finds them in the text


def form_of(**other: Any) -> str:
    """Write a form with the usual content."""
    content: dict[str, Any] = {
        "changes": [Change("staging", "1.0", "1.1"), Change("production", "1.0", "1.1")],
        "course": "5 % → 25 % → 100 %, 300 s each",
        "change_log": ["abc1234 Sort entries"],
        "evidence": [Evidence("tests", "passed", "212 tests, 0 failures")],
    }
    return approval_form(GATE, gate_state(GATE, (), wrong_codes=0, now=NOW), **{**content, **other})


def text_of(markdown: str) -> str:
    """Read the text as the page shows it, where a zero-width space is not seen."""
    return written_text(markdown).replace("\u200b", "")


def written_text(markdown: str) -> str:
    """Read the text as the page has it, once escapes and entities are resolved."""
    return "".join(child.content for token in MARKDOWN.parse(markdown) for child in token.children or [] if child.type == "text")


def test_the_form_says_what_changes_on_which_evidence_and_who_is_asked() -> None:
    """Versions, course, change log, evidence, digest short and full, names, and the end are there."""
    form = form_of()
    shown = text_of(form)
    for part in ("guestbook 1.1", "5 % → 25 %", "Sort entries", "212 tests", "anna, ben", "2026-03-02 18:00:00 UTC", "abababababab"):
        assert part in shown
    assert f"`{GATE.digest}`" in form


def test_the_form_says_how_long_the_release_will_go_on() -> None:
    """By earlier releases; nothing is said if that is not known."""
    assert "How long: once it goes on, 20 min of work are left." in text_of(form_of(expected="once it goes on, 20 min of work are left"))
    assert "How long" not in form_of()


@pytest.mark.slow
def test_the_form_says_what_the_platforms_would_do_and_others_have_done() -> None:
    """Lines of a preview are there as text, bounded, and leave room for evidence and changes."""
    lines = ["production, changed by others since the last release: replicas: 1 → 2", NASTY, *(["x" * 300] * 200)]
    form = form_of(preview=lines)
    shown = text_of(form)
    for part in ("What the platforms would do", "replicas: 1 → 2", "more; all:", "212 tests", "Sort entries"):
        assert part in shown
    assert len(form) <= MAX_CHARACTERS
    assert "What the platforms would do" not in form_of()


def test_the_form_shows_what_the_steps_can_decide() -> None:
    """As a table of text; rows that do not fit are counted."""
    power = [["Step", "Needed"], *([f"{number} %", NASTY] for number in range(1, 13))]
    shown = text_of(form_of(power=power))
    assert "Needed" in shown
    assert "8 %" in shown
    assert "and 4 more, in the record" in shown
    assert "Needed" not in text_of(form_of())


def test_the_form_says_why_it_was_requested_and_what_the_service_is() -> None:
    """Both are others' words: near the top, in one line each, escaped and bounded."""
    form = form_of(reason=f"The sort order is wrong. {NASTY}", description="A book\n\n# for guests " + "x" * 2_000)
    shown = text_of(form)
    assert "rita: The sort order is wrong. fix | `rm` <img src=x onerror=alert(1)> [here]" in shown
    assert "About guestbook: A book # for guests xxx" in shown
    assert shown.index("sort order") < shown.index("About guestbook") < shown.index("Environment")
    assert "x" * 300 not in shown
    assert "rita: no reason given" in text_of(form_of())
    assert "About" not in text_of(form_of())


def test_the_form_says_where_the_changes_are_that_it_leaves_out() -> None:
    """With the command that lists all of them."""
    form = form_of(change_log=[f"{number:010x} grace: {'change ' * 20}" for number in range(179)])
    left = 179 - form.count("grace")
    assert 0 < left < 179
    assert f"- … and {left} older changes, not shown here; all: `shipway report run-1`\n" in form
    assert "shipway report" not in form_of()


def test_the_form_says_why_the_last_answer_did_not_count() -> None:
    """A person who mistyped the code reads so on the next try."""
    assert "not accepted:" in text_of(form_of(last_refusal="the code is wrong"))


def test_text_of_others_stays_text() -> None:
    """A commit subject with markdown and HTML comes out as its own characters, without a link, a picture or an element."""
    form = form_of(
        change_log=[NASTY],
        taken_back=[NASTY],
        differences=[NASTY],
        notes=[Note(NASTY, NASTY)],
        evidence=[Evidence(NASTY, NASTY, NASTY)],
        course=NASTY,
        last_refusal=NASTY,
    )
    kinds = {child.type for token in MARKDOWN.parse(form) for child in [token, *(token.children or [])]}
    assert not kinds & {"link_open", "image", "html_inline", "html_block", "code_block", "fence"}
    assert "<img src=x onerror=alert(1)>" in text_of(form)
    assert not LINKED.search(written_text(form))


@pytest.mark.parametrize(
    "text",
    [
        "sign in at http://127.0.0.1:9999/l1 again", "HTTPS://evil.example", "(https://evil.example)", "ftp://evil.example/x",
        "_www.evil.example", "WWW.evil.example", "www.www.evil.example", "ada@evil.example", "mailto:ada@evil.example",
        "xmpp:ada@evil.example/x", "a@b.example@c.example", "http&#58;//evil.example http:\\//evil.example http://http://evil.example",
    ],
)  # fmt: skip
def test_an_address_in_a_text_of_others_is_not_a_link(text: str) -> None:
    """The UI links addresses that it finds in the text once escapes are resolved, so each is broken there, invisibly."""
    assert LINKED.search(text.replace("&#58;", ":").replace("\\", "")) or text.startswith("ftp")
    assert not LINKED.search(written_text(escaped(text)))
    assert "\u200b" in escaped(text)
    assert text_of(escaped(text)) == text


@given(st.text(max_size=300))
def test_escaped_text_is_read_back_as_it_was(text: str) -> None:
    """Escaping changes how text is written, never what is read; lines of it are bounded."""
    read = text_of(f"x {escaped(text)}")
    assert read == f"x {escaped_free(text)}".rstrip() or (read.endswith("…") and escaped_free(text).startswith(read[2:-1]))


def escaped_free(text: str) -> str:
    """What `escaped` keeps of a text, by its contract: one printable line of at most 160 characters."""
    from tasks.rules.approval.answers import printable  # noqa: PLC0415

    line = printable(text)
    return line if len(line) <= 160 else line[:159] + "…"


@pytest.mark.slow
@given(st.lists(st.text(max_size=400), max_size=60), st.lists(st.text(max_size=400), max_size=60))
def test_the_form_is_bounded_and_counts_what_it_leaves_out(log: list[str], names: list[str]) -> None:
    """At most 12,000 characters, whatever comes in."""
    form = form_of(change_log=log * 5, evidence=[Evidence(name, "passed", name) for name in names])
    assert len(form) <= MAX_CHARACTERS
    is_cut = "older changes, not shown here" in form
    assert (form.count("\n- ") - is_cut < max(1, len(log) * 5)) == is_cut


@pytest.mark.slow
def test_the_worst_of_everything_still_fits_and_ends_with_digest_and_challenges() -> None:
    """Nothing can push the question itself out of the form."""
    gate = GATE.model_copy(update={"service": "|" * 200, "version": "|" * 200, "requester": "|" * 200, "approvers": ("|" * 64,) * 100})
    state = gate_state(gate, (), wrong_codes=0, now=NOW).model_copy(update={"reason": "|" * 900})
    form = approval_form(
        gate,
        state,
        changes=[Change("|" * 99, "|" * 99, "|" * 99)] * 50,
        course="|" * 9_000,
        change_log=["|" * 9_000] * 500,
        evidence=[Evidence("|" * 999, "|" * 999, "|" * 999)] * 500,
        reason="|" * 9_000,
        description="|" * 9_000,
        last_refusal="|" * 9_000,
        power=[["|" * 99] * 5] * 99,
        question="|" * 200,
        notes=[Note("|" * 99, "|" * 9_000)] * 50,
        differences=["|" * 9_000] * 60,
        taken_back=["|" * 9_000] * 500,
        asks="|" * 9_000,
        printed=["|" * 9_000] * 20,
    )
    assert len(form) <= MAX_CHARACTERS
    assert f"`{GATE.digest}`" in form[-400:]
    assert form.endswith(f"| reject | `{gate.asked().challenge('reject')}` |\n")
    assert "more checks" in form


def test_what_a_script_printed_last_is_shown_from_its_end() -> None:
    """As text, and the newest lines where there is no room for all."""
    shown = form_of(printed=[NASTY, "no space left on device"])
    assert "<img" not in MARKDOWN.render(shown)
    assert not LINKED.search(written_text(shown))
    form = form_of(printed=[f"line {number} {'x' * 140}" for number in range(20)])
    assert "line 19 " in form
    assert "line 2 " not in form
    assert "printed last" not in form_of()


def test_only_a_data_picture_is_shown() -> None:
    """A picture that would call home is left out."""
    picture = "data:image/svg+xml;base64,PHN2Zy8+"
    assert picture in form_of(picture=picture)
    for other in (
        "https://evil.example/x.png",
        picture + ") [x](y",
        "data:text/html;base64,AAAA",
        "data:image/png;base64," + "A" * 300_000,
    ):
        assert "![" not in form_of(picture=other)


def test_the_form_shows_a_challenge_for_each_decision_and_says_if_only_signatures_count() -> None:
    """Right above the fields, where the code goes."""
    asked = GATE.asked()
    assert form_of().endswith(f"| approve | `{asked.challenge('approve')}` |\n| reject | `{asked.challenge('reject')}` |\n")
    strict = GATE.model_copy(update={"signatures": "required"})
    state = gate_state(strict, (), wrong_codes=0, now=NOW)
    assert "An approval needs an SSH signature" in approval_form(strict, state, changes=[], course="", change_log=[], evidence=[])
    assert "An approval needs an SSH signature" not in form_of()
